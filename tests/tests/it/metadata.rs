//! A broker's metadata as a file: exported, compared, brought back.

use std::time::Duration;

use lab::command::Run;
use lab::e2e::audit::Audit;
use lab::e2e::groups;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::mqadmin;
use lab::e2e::plugin::Ended;
use lab::e2e::scene::Scene;
use lab::e2e::watch::{self, ensure};
use lab::error::{Context, LabError, Result};
use lab::wait::Look;
use serde_json::Value;

/// What is made by RocketMQ's own tool: each thing that a table can hold beside its defaults.
const MADE: [&str; 8] = [
    "updateTopic -t bills -r 3 -w 5 -p 6",
    "updateTopic -t reports -r 7 -w 7 -p 4",
    "updateTopic -t wires -r 4 -w 4 -p 6 -a +message.type=TRANSACTION",
    "updateTopic -t steps -r 4 -w 4 -p 6 -o true -a +message.type=FIFO",
    "updateSubGroup -g billing -q 3 -r 7 -i 0 -w 1 -a false",
    "updateSubGroup -g broadcasts -d true -m false",
    "updateSubGroup -g closed -s false",
    r#"updateSubGroup -g backing-off -r 9 -p '{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":2000,"max":60000,"multiplier":2}}'"#,
];

/// Those of these topics that have attributes.
pub(crate) const WITH_ATTRIBUTES: [&str; 2] = ["wires", "steps"];

/// What a bundle holds, in this order.
const ENTRIES: [&str; 5] = [
    "manifest.json",
    "topics.json",
    "subscriptionGroup.json",
    "messageRequestMode.json",
    "consumerOffset.json",
];

/// In a cluster of two groups of one broker each.
pub(crate) fn metadata_verbs(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("makes topics and groups by RocketMQ's own tool");
    for command in MADE {
        mqadmin::change(kubectl, command)?;
    }
    let (pod, other) = (groups::master(0), groups::master(1));
    let file = scene.folder().join("metadata.tar").display().to_string();

    scene.step("exports");
    export(kubectl, &pod, "", &file)?;
    let entries = tar(&["tf", &file])?;
    ensure(entries.lines().eq(ENTRIES), || format!("the bundle holds:\n{entries}"))?;
    let topics = tar(&["xOf", &file, "topics.json"])?;
    for (topic, held) in [("bills", true), ("steps", false), ("TBW102", false), ("broker-0", false)] {
        ensure(topics.contains(&format!("\"{topic}\"")) == held, || {
            format!("`{topic}` is {}in the bundle:\n{topics}", if held { "not " } else { "" })
        })?;
    }
    with_ordered_and_again(kubectl, &pod, &file)?;

    scene.step("compares");
    differences(kubectl, &pod, &file, &[])?;
    differences(kubectl, &pod, &other, &[])?;
    mqadmin::change(kubectl, "updateTopic -t bills -r 8 -w 8 -p 6")?;
    mqadmin::change(kubectl, "updateSubGroup -g billing -q 1 -r 2")?;
    mqadmin::mqadmin(kubectl, "deleteTopic -t wires -c broker")?;
    let changed =
        [("topic", "bills", "differs"), ("topic", "wires", "missing"), ("group", "billing", "differs")];
    let table = differences(kubectl, &pod, &file, &changed)?;
    for (_, name, _) in changed {
        ensure(table.contains(name), || format!("`{name}` is not in the table:\n{table}"))?;
    }

    scene.step("imports, after looks that change nothing");
    let audit = Audit::begin(kubectl)?;
    for kind in ["--dry-run=client", "--dry-run=server"] {
        kubectl.rocketmq(&["metadata", "import", &pod, &file, kind])?.expect_code(0)?;
    }
    audit.nothing_was_written()?;
    differences(kubectl, &pod, &file, &changed)?;
    kubectl.rocketmq(&["metadata", "import", &pod, &file, "-y"])?.expect_code(0)?;
    differences(kubectl, &pod, &file, &[])?;
    mqadmin_sees_it(kubectl)?;
    // The other broker was not asked for.
    differences(kubectl, &other, &file, &changed)?;
    let audit = Audit::begin(kubectl)?;
    kubectl.rocketmq(&["metadata", "import", &pod, &file, "-y"])?.expect_code(0)?;
    audit.nothing_was_written()
}

/// Types `kubectl rocketmq metadata export POD > FILE`.
fn export(kubectl: &Kubectl, pod: &str, flags: &str, file: &str) -> Result<()> {
    let command =
        format!("kubectl rocketmq metadata export {pod} {flags} -n {} > {file}", kubectl.namespace());
    let mut run = Run::new("sh").args(["-c", &command]);
    for (name, value) in kubectl.environment() {
        run = run.env(name, value);
    }
    run.output().map(drop)
}

/// With `--include-ordered` the ordered topic is in it; the same tables give the same bytes.
fn with_ordered_and_again(kubectl: &Kubectl, pod: &str, file: &str) -> Result<()> {
    let ordered = format!("{file}.ordered");
    export(kubectl, pod, "--include-ordered", &ordered)?;
    let topics = tar(&["xOf", &ordered, "topics.json"])?;
    ensure(topics.contains("\"steps\""), || format!("the ordered topic is not in it:\n{topics}"))?;
    let again = format!("{file}.again");
    kubectl.rocketmq(&["metadata", "export", pod, "--file", &again])?.expect_code(0)?;
    // All but the moment that each file's dataVersion has.
    for entry in ["topics.json", "subscriptionGroup.json", "messageRequestMode.json", "consumerOffset.json"] {
        let (first, second) = (table(file, entry)?, table(&again, entry)?);
        ensure(first == second, || format!("{entry} of two exports:\n{first}\n{second}"))?;
    }
    Ok(())
}

/// A file of a bundle without its dataVersion.
fn table(file: &str, entry: &str) -> Result<Value> {
    let text = tar(&["xOf", file, entry])?;
    let mut value: Value = serde_json::from_str(&text).context(|| format!("{entry} is no JSON"))?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("dataVersion");
    }
    Ok(value)
}

/// Demands that `metadata diff` tells exactly these changes, as exit code, document and table. Returns the table.
fn differences(kubectl: &Kubectl, pod: &str, other: &str, expected: &[(&str, &str, &str)]) -> Result<String> {
    let code = i32::from(!expected.is_empty());
    let diff = |output: &[&str]| -> Result<Ended> {
        let mut arguments = vec!["metadata", "diff", pod, other];
        arguments.extend(output);
        kubectl.rocketmq(&arguments)?.expect_code(code)
    };
    let document = diff(&["-o", "json"])?.json()?;
    let rows =
        document["changes"].as_array().ok_or_else(|| LabError::new(format!("no changes in {document}")))?;
    let mut told: Vec<_> = rows.iter().map(|row| [&row["kind"], &row["name"], &row["change"]]).collect();
    told.sort_by_key(|row| row.map(ToString::to_string));
    let mut wanted: Vec<_> = expected.iter().map(|(kind, name, change)| [*kind, *name, *change]).collect();
    wanted.sort_unstable();
    let same = told.len() == wanted.len()
        && told
            .iter()
            .zip(&wanted)
            .all(|(told, wanted)| told.iter().zip(wanted).all(|(told, wanted)| *told == wanted));
    ensure(same && document["same"] == expected.is_empty(), || {
        format!("`{pod}` and `{other}` should differ in {expected:?}: {document}")
    })?;
    Ok(diff(&[])?.stdout)
}

/// RocketMQ's own tool sees what was brought back, the topics at the name server.
fn mqadmin_sees_it(kubectl: &Kubectl) -> Result<()> {
    watch::until("`mqadmin` to see the import", Duration::from_secs(60), || {
        let seen = mqadmin::mqadmin(kubectl, "topicRoute -t bills").and_then(|route| {
            // It prints no strict JSON.
            let dense: String = route.chars().filter(|c| !c.is_whitespace()).collect();
            let row = dense
                .split('}')
                .find(|row| row.contains(r#""brokerName":"broker-0""#) && row.contains("perm"));
            let wanted = [r#""perm":6"#, r#""readQueueNums":3"#, r#""writeQueueNums":5"#];
            let has = row.is_some_and(|row| wanted.iter().all(|field| row.contains(field)));
            ensure(has, || format!("`bills` is not as it was:\n{route}"))?;
            let topics = mqadmin::mqadmin(kubectl, "topicList")?;
            ensure(topics.lines().any(|topic| topic.trim() == "wires"), || {
                format!("there is no `wires`:\n{topics}")
            })
        });
        match seen {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })?;
    let group = mqadmin::mqadmin(kubectl, "getConsumerConfig -g billing")?;
    let of_first = group.split("broker-").find(|text| text.starts_with('0')).unwrap_or_default();
    let has = |field: &str, value: &str| {
        of_first.lines().any(|line| {
            let mut words =
                line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| !word.is_empty());
            words.next() == Some(field) && words.next() == Some(value)
        })
    };
    ensure(has("retryMaxTimes", "7") && has("retryQueueNums", "3"), || {
        format!("`billing` is not as it was:\n{group}")
    })
}

fn tar(arguments: &[&str]) -> Result<String> {
    Run::new("tar").args(arguments).output()
}
