//! Scale-in of broker groups: how it is typed, and what each way in which it may end leaves.

use rocketmq::remoting::client::Client;
use serde_json::Value;

use crate::e2e::clusters::{BROKER, name_server_pods};
use crate::e2e::groups;
use crate::e2e::journal;
use crate::e2e::judge::{ANSWERS_WITHIN, Judge, broker_address};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::Ended;
use crate::e2e::pods::{self, Pod};
use crate::e2e::runs::Runs;
use crate::e2e::snapshot::Snapshot;
use crate::e2e::watch::ensure;
use crate::error::{Context, LabError, Result};

/// The plugin's arguments that scale the cluster's broker groups, with more flags.
pub fn arguments<'a>(size: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [groups::scale_arguments(size).as_slice(), flags].concat()
}

/// A cluster before an operation, to be compared with it after one that came to nothing.
#[derive(Debug)]
pub struct Untouched {
    size: u32,
    objects: Snapshot,
    record: Value,
    runs: Runs,
}

impl Untouched {
    /// The cluster as it is, with so many groups.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn now(kubectl: &Kubectl, judge: &Judge, size: u32) -> Result<Self> {
        Ok(Self {
            size,
            objects: Snapshot::of_cluster(kubectl)?,
            record: groups::record(kubectl)?,
            runs: Runs::of(kubectl, judge)?,
        })
    }

    /// Demands the same objects, record and runs of containers and brokers, whole routes, no operation under way, and that
    /// clients may write to each group.
    ///
    /// # Errors
    /// When something differs.
    pub fn is_still(&self, kubectl: &Kubectl, judge: &Judge, topic: &str) -> Result<()> {
        let record = groups::record(kubectl)?;
        ensure(record == self.record, || format!("not like no run, the record:\n{}\n{record}", self.record))?;
        self.is_back(kubectl, judge, topic)
    }

    /// The same after an undone scale of name servers, which leaves a higher generation of the list.
    ///
    /// # Errors
    /// When something else differs.
    pub fn is_back(&self, kubectl: &Kubectl, judge: &Judge, topic: &str) -> Result<()> {
        groups::are(kubectl, judge, self.size)?;
        self.objects.is_restored(&Snapshot::of_cluster(kubectl)?)?;
        self.runs.are_still(&Runs::of(kubectl, judge)?)?;
        (0..self.size).try_for_each(|group| takes_writes(kubectl, judge, group, topic, true))
    }
}

/// Demands that a group's master lets clients write, or does not: by its own setting, and at every name server.
///
/// # Errors
/// When one of them says otherwise.
pub fn takes_writes(kubectl: &Kubectl, judge: &Judge, group: u32, topic: &str, wanted: bool) -> Result<()> {
    let master = pods::pod(kubectl, &groups::master(group))?;
    let own = judge.broker_permission(&master)?;
    let bits = if wanted { "6" } else { "4" };
    ensure(own == bits, || format!("brokerPermission of pod `{}` is {own}, not {bits}", master.name))?;
    for name_server in name_server_pods(kubectl)? {
        let shown = judge.shown_master(&name_server, topic, &groups::name(group))?;
        ensure(shown.as_ref().is_some_and(|shown| shown.permission.is_writable() == wanted), || {
            format!("name server `{}` shows pod `{}` as {shown:?}", name_server.name, master.name)
        })?;
    }
    Ok(())
}

/// Runs a scale-in that must be refused, with these words in one line of what is printed each, and without an operation.
///
/// # Errors
/// When it ends otherwise.
pub fn is_refused(kubectl: &Kubectl, size: &str, flags: &[&str], lines: &[&[&str]]) -> Result<()> {
    let former = journal::operations(kubectl)?;
    let ended = kubectl.rocketmq(&arguments(size, flags))?.expect_code(3)?;
    says_lines(kubectl, &ended, lines)?;
    says_lines(kubectl, &ended, &[&["nothing was changed"]])?;
    let operations = journal::operations(kubectl)?;
    ensure(operations == former, || format!("refused, and it began an operation: {operations:?}"))
}

/// Runs a scale-in whose drain must not end in time: it pauses, says these words in one line each, and both commands that
/// go on. Returns the operation.
///
/// # Errors
/// When it ends otherwise.
pub fn is_paused(kubectl: &Kubectl, size: &str, flags: &[&str], lines: &[&[&str]]) -> Result<String> {
    let former = journal::operations(kubectl)?;
    let ended = kubectl.rocketmq(&arguments(size, flags))?.expect_code(5)?;
    let operation = journal::operations(kubectl)?.into_iter().find(|id| !former.contains(id));
    let operation = operation.ok_or_else(|| LabError::new("the scale left no journal"))?;
    says_lines(kubectl, &ended, lines)?;
    for verb in ["resume", "undo"] {
        says_lines(kubectl, &ended, &[&[&format!("kubectl rocketmq ops {verb} {operation}")]])?;
    }
    Ok(operation)
}

/// Undoes an operation that has paused, whose plugin is gone.
///
/// # Errors
/// When that does not end with 0.
pub fn undo(kubectl: &Kubectl, operation: &str) -> Result<()> {
    kubectl.rocketmq(&["ops", "undo", operation, "-y"])?.expect_code(0).map(drop)
}

/// Demands for each of these lists of words a line of the output that has all of them.
///
/// # Errors
/// When there is none.
pub fn says_lines(kubectl: &Kubectl, ended: &Ended, lines: &[&[&str]]) -> Result<()> {
    // A namespace's name has a number, and numbers are looked for.
    let printed = format!("{}\n{}", ended.stdout, ended.stderr).replace(kubectl.namespace(), "NAMESPACE");
    let lacking = lines.iter().find(|words| !printed.lines().any(|line| has_all(line, words)));
    ensure(lacking.is_none(), || format!("`{}` prints no line with {lacking:?}:\n{printed}", ended.command))
}

/// Whatever the case: words stand at the beginning of a sentence too.
fn has_all(line: &str, words: &[&str]) -> bool {
    let line = line.to_lowercase();
    words.iter().all(|word| line.contains(&word.to_lowercase()))
}

/// The claims that the broker's groups have made, by name.
///
/// # Errors
/// When they cannot be listed.
pub fn claims_of(kubectl: &Kubectl, group: u32) -> Result<Vec<String>> {
    let list = kubectl.json(&["get", "persistentvolumeclaims"])?;
    let names = list["items"].as_array().into_iter().flatten().filter_map(|c| c["metadata"]["name"].as_str());
    let of_group = format!("-{BROKER}-{group}-");
    Ok(names.filter(|name| name.contains(&of_group)).map(str::to_owned).collect())
}

impl Judge {
    /// The permission that a broker has of itself, `brokerPermission`, as it was set.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn broker_permission(&self, broker: &Pod) -> Result<String> {
        let config = self
            .runtime
            .block_on(async {
                Client::connect(&broker_address(broker), ANSWERS_WITHIN).await?.broker_config().await
            })
            .context(|| format!("pod `{}` does not tell its configuration", broker.name))?;
        let permission = config.value.settings.get("brokerPermission");
        permission
            .map(|text| text.trim().to_owned())
            .ok_or_else(|| LabError::new(format!("pod `{}` does not tell its permission", broker.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_words_whatever_their_case() {
        assert!(has_all("Unread  orders  billing  37  offline", &["unread", "BILLING", "37"]));
        assert!(!has_all("Unread  orders  billing  36  offline", &["unread", "37"]));
    }

    #[test]
    fn more_flags_follow() {
        assert_eq!(arguments("1", &["--force"]), ["scale", "broker", BROKER, "--size", "1", "-y", "--force"]);
    }
}
