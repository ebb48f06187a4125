//! What the plugin has written, by the log that the API server keeps of all writes. An object that was written and looks as
//! before, or that no look of a test asks for, stands there too.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::home::Home;
use crate::wait::Look;

/// How the plugin calls itself to the API server.
const PLUGIN: &str = "kubectl-rocketmq/";

/// The API server logs a request as soon as it is answered.
const LOGGED_WITHIN: Duration = Duration::from_secs(20);

/// What asks for a connection to a pod, and changes no object.
const CONNECTS: [&str; 3] = ["portforward", "exec", "attach"];

static MARKS: AtomicU32 = AtomicU32::new(0);

/// A request that writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Its resource, such as `statefulsets`.
    pub resource: String,
    /// What was asked for, with the name of the object.
    pub uri: String,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.uri)
    }
}

/// The log of a namespace from a moment on.
#[derive(Debug)]
pub struct Audit {
    kubectl: Kubectl,
    folder: PathBuf,
    since: String,
}

impl Audit {
    /// From now on. A request that finds nothing marks the moment in the log.
    ///
    /// # Errors
    /// When the API server is not the lab's own, or does not log.
    pub fn begin(kubectl: &Kubectl) -> Result<Self> {
        let home = Home::from_environment()?;
        ensure(kubectl.kubeconfig() == home.kubeconfig(), || {
            format!("{} is no cluster of the lab, which logs what is written", kubectl.kubeconfig().display())
        })?;
        let mut audit = Self { kubectl: kubectl.clone(), folder: home.audit(), since: String::new() };
        audit.since = audit.mark()?;
        Ok(audit)
    }

    /// What the plugin has written since then, refused requests among it. Dry runs are no writes.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn writes(&self) -> Result<Vec<Write>> {
        let until = self.mark()?;
        let text = read_from(&self.folder, &self.since)?;
        writes_between(&text, &self.since, &until, self.kubectl.namespace())
    }

    /// Demands that the plugin has written nothing since then.
    ///
    /// # Errors
    /// When it has, with what.
    pub fn nothing_was_written(&self) -> Result<()> {
        let writes = self.writes()?;
        ensure(writes.is_empty(), || {
            let writes: Vec<String> = writes.iter().map(ToString::to_string).collect();
            format!("the plugin has written, by the API server's log:\n{}", writes.join("\n"))
        })
    }

    /// Writes a mark into the log, and waits until it is there.
    fn mark(&self) -> Result<String> {
        // Of one length, so that none is the beginning of another.
        let number = MARKS.fetch_add(1, Ordering::Relaxed);
        let mark = format!("audit-mark-{}-{number:06}", std::process::id());
        let uri = format!("/api/v1/namespaces/{}/configmaps/{mark}", self.kubectl.namespace());
        // It is refused, for there is no such object, and logged all the same.
        let refused = self.kubectl.run(&["delete", "--raw", &uri]);
        watch::until("the API server's log", LOGGED_WITHIN, || match read_from(&self.folder, &mark) {
            Ok(_) => Look::Ready(()),
            Err(error) => Look::NotYet(format!("{}; the request for it: {refused:?}", error.report())),
        })?;
        Ok(mark)
    }
}

/// The log from the file on that holds `mark`: it is cut into files, the newest of which has no date in its name.
fn read_from(folder: &Path, mark: &str) -> Result<String> {
    let unreadable = || format!("cannot read the API server's log in {}", folder.display());
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .context(unreadable)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    files.sort();
    let mut text = String::new();
    for file in files.iter().rev() {
        let older = std::fs::read(file).context(unreadable)?;
        text.insert_str(0, &String::from_utf8_lossy(&older));
        if text.contains(mark) {
            return Ok(text);
        }
    }
    Err(LabError::new(format!("the API server's log in {} does not hold {mark}", folder.display())))
}

/// The plugin's writes in a namespace between two marks.
fn writes_between(log: &str, since: &str, until: &str, namespace: &str) -> Result<Vec<Write>> {
    let lines: Vec<&str> = log.lines().collect();
    let place = |mark: &str| {
        let found = lines.iter().position(|line| line.contains(mark));
        found.ok_or_else(|| LabError::new(format!("the API server's log does not hold {mark}")))
    };
    let (first, last) = (place(since)?, place(until)?);
    let between = lines.get(first..last).unwrap_or_default();
    between.iter().filter(|line| line.contains(PLUGIN) && line.contains(namespace)).try_fold(
        Vec::new(),
        |mut writes, line| {
            let event: Value = serde_json::from_str(line)
                .context(|| format!("the API server's log holds what is no event: {line}"))?;
            writes.extend(write_of(&event, namespace));
            Ok(writes)
        },
    )
}

fn write_of(event: &Value, namespace: &str) -> Option<Write> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let write = Write {
        verb: text(&event["verb"]),
        resource: text(&object["resource"]),
        uri: text(&event["requestURI"]),
    };
    let is_ours = text(&event["userAgent"]).starts_with(PLUGIN) && object["namespace"] == namespace;
    let query = write.uri.split_once('?').map_or("", |(_, query)| query);
    let is_dry = query.split('&').any(|parameter| parameter == "dryRun=All");
    let connects = CONNECTS.iter().any(|connect| object["subresource"] == *connect);
    (is_ours && !is_dry && !connects).then_some(write)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(agent: &str, verb: &str, uri: &str, object: Value) -> Value {
        json!({
            "kind": "Event", "stage": "ResponseComplete", "verb": verb, "requestURI": uri,
            "userAgent": agent, "objectRef": object, "responseStatus": {"code": 200},
        })
    }

    fn mark(name: &str) -> Value {
        let uri = format!("/api/v1/namespaces/mq/configmaps/{name}");
        event("kubectl/v1.34.4", "delete", &uri, json!({"resource": "configmaps", "namespace": "mq"}))
    }

    fn log(events: &[Value]) -> String {
        events.iter().map(|event| format!("{event}\n")).collect()
    }

    const US: &str = "kubectl-rocketmq/0.1.0";

    #[test]
    fn only_writes_of_the_plugin_in_the_namespace_count() {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/mq/leases";
        let sets = "/apis/apps/v1/namespaces/mq/statefulsets/broker-0-master";
        let of = |resource: &str| json!({"resource": resource, "namespace": "mq"});
        let wanted = |event: Value| write_of(&event, "mq").map(|write| write.to_string());
        assert_eq!(wanted(event(US, "create", leases, of("leases"))).unwrap(), format!("create {leases}"));
        // Refused as well: whoever promises to change nothing does not try to.
        let mut refused = event(US, "patch", sets, of("statefulsets"));
        refused["responseStatus"]["code"] = json!(409);
        assert!(wanted(refused).is_some());
        let dry = format!("{sets}?fieldManager=kubectl-rocketmq&dryRun=All");
        let connect = json!({"resource": "pods", "namespace": "mq", "subresource": "portforward"});
        for other in [
            event(US, "patch", &dry, of("statefulsets")),
            event("kubectl/v1.34.4 (linux/amd64)", "patch", sets, of("statefulsets")),
            event("kubelab/v1.34.4", "update", sets, of("statefulsets")),
            event(US, "patch", sets, json!({"resource": "statefulsets", "namespace": "mq-2"})),
            event(US, "create", "/api/v1/namespaces/mq/pods/broker-0-master-0/portforward", connect),
        ] {
            assert_eq!(wanted(other.clone()), None, "{other}");
        }
        // A parameter whose value only looks like it.
        let almost = format!("{sets}?fieldManager=dryRun=All");
        assert!(wanted(event(US, "patch", &almost, of("statefulsets"))).is_some());
    }

    #[test]
    fn what_lies_between_two_marks_counts_whichever_file_it_is_in() {
        let write = |name: &str| {
            let uri = format!("/api/v1/namespaces/mq/secrets/{name}");
            event(US, "patch", &uri, json!({"resource": "secrets", "namespace": "mq"}))
        };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, events: &[Value]| {
            std::fs::write(folder.path().join(name), log(events)).unwrap();
        };
        file("audit-2026-11-29T18-00-00.000.log", &[write("a"), mark("audit-mark-1"), write("b")]);
        file("audit.log", &[write("c"), mark("audit-mark-2"), write("d")]);
        let text = read_from(folder.path(), "audit-mark-1").unwrap();
        let writes = writes_between(&text, "audit-mark-1", "audit-mark-2", "mq").unwrap();
        let names: Vec<&str> = writes.iter().filter_map(|write| write.uri.rsplit('/').next()).collect();
        assert_eq!(names, ["b", "c"]);
        // The older file is not needed for what the newest holds.
        assert!(!read_from(folder.path(), "audit-mark-2").unwrap().contains("audit-mark-1"));
        assert!(read_from(folder.path(), "audit-mark-3").is_err());
        assert!(writes_between(&text, "audit-mark-3", "audit-mark-2", "mq").is_err());
    }
}
