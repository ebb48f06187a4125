//! Why a pod does not come up, from what the API shows of it. Pure.

use k8s_openapi::api::core::v1 as core;

use crate::pods::{Container, ContainerState, Exit, Pod};

/// Reasons to wait that belong to every start; without a reason the kubelet has not looked at the container yet.
const USUAL: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// Warnings that say what the pod's own state says better, or that pass by themselves.
const NO_TROUBLE: [&str; 4] = ["BackOff", "FailedScheduling", "Unhealthy", "Failed"];

/// What is wrong with a pod, as its own state tells.
pub(crate) fn of_pod(pod: &Pod) -> Option<String> {
    if pod.deleting || pod.ready {
        return None;
    }
    if let Some(reason) = &pod.unschedulable {
        return Some(format!("no node takes it: {reason}"));
    }
    pod.containers.iter().find_map(of_container)
}

fn of_container(container: &Container) -> Option<String> {
    let name = &container.name;
    match &container.state {
        ContainerState::Waiting { reason, .. } if USUAL.contains(&reason.as_str()) => None,
        ContainerState::Waiting { reason, message } => {
            let mut words = format!("container `{name}`: {reason}");
            if !message.is_empty() {
                words.push_str(&format!(": {message}"));
            }
            if let Some(exit) = &container.last_exit {
                words.push_str(&format!("; it ended with {}", in_words(exit)));
            }
            Some(words)
        }
        ContainerState::Ended(exit) if exit.code != 0 => {
            Some(format!("container `{name}` ended with {}", in_words(exit)))
        }
        ContainerState::Running | ContainerState::Ended(_) => None,
    }
}

fn in_words(exit: &Exit) -> String {
    let mut words = format!("exit code {}", exit.code);
    if !exit.reason.is_empty() && exit.reason != "Error" {
        words.push_str(&format!(" ({})", exit.reason));
    }
    if let Some(line) = exit.message.lines().rev().find(|line| !line.trim().is_empty()) {
        words.push_str(&format!(": {}", line.trim()));
    }
    words
}

/// True while volumes, network and images are being prepared: only then are warnings about the pod looked at, since
/// old ones stay for an hour.
pub(crate) fn is_being_set_up(pod: &Pod) -> bool {
    !pod.deleting
        && !pod.ready
        && pod.containers.iter().all(|container| {
            container.container_id.is_none() && matches!(container.state, ContainerState::Waiting { .. })
        })
}

/// A warning event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    reason: String,
    message: String,
    /// RFC 3339 or empty; sorts by time.
    last_seen: String,
}

impl Warning {
    pub(crate) fn from_api(event: core::Event) -> Self {
        let series = event.series.and_then(|series| series.last_observed_time).map(|time| time.0);
        let last_seen = series
            .or(event.last_timestamp.map(|time| time.0))
            .or(event.event_time.map(|time| time.0))
            .or(event.metadata.creation_timestamp.map(|time| time.0));
        Self {
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
            last_seen: last_seen.map(|time| time.to_string()).unwrap_or_default(),
        }
    }
}

/// The latest warning that says what is wrong.
pub(crate) fn of_warnings(warnings: &[Warning]) -> Option<String> {
    let telling = warnings.iter().filter(|warning| !NO_TROUBLE.contains(&warning.reason.as_str()));
    let latest = telling.max_by(|a, b| a.last_seen.cmp(&b.last_seen))?;
    Some(format!("{}: {}", latest.reason, latest.message.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        let pod = json!({
            "metadata": {"name": "demo-0", "namespace": "mq", "uid": "u"},
            "spec": {
                "initContainers": [{"name": "rocketmq-agent", "image": "agent"}],
                "containers": [{"name": "broker", "image": "rocketmq"}],
            },
            "status": status,
        });
        Pod::from_api(serde_json::from_value(pod).unwrap())
    }

    fn broker(state: Value) -> Value {
        json!({"containerStatuses": [
            {"name": "broker", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}
        ]})
    }

    fn check(pod: &Pod, expected: Option<&str>) {
        assert_eq!(of_pod(pod).as_deref(), expected);
    }

    #[test]
    fn a_usual_start_is_no_trouble() {
        check(&pod(json!({})), None);
        check(&pod(broker(json!({"waiting": {"reason": "PodInitializing"}}))), None);
        check(&pod(broker(json!({"running": {}}))), None);
    }

    #[test]
    fn images_that_cannot_be_pulled_are_named() {
        for reason in ["ErrImagePull", "ImagePullBackOff"] {
            let waiting = json!({"waiting": {"reason": reason, "message": "image \"x\" not found"}});
            check(
                &pod(broker(waiting)),
                Some(&format!("container `broker`: {reason}: image \"x\" not found")),
            );
        }
        let waiting =
            json!({"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"x\" not found"}});
        check(
            &pod(broker(waiting)),
            Some("container `broker`: CreateContainerConfigError: secret \"x\" not found"),
        );
    }

    #[test]
    fn a_crash_loop_says_how_the_last_run_ended() {
        let mut status =
            broker(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
        status["containerStatuses"][0]["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "a\nfolder is not writable\n"}});
        check(
            &pod(status),
            Some(
                "container `broker`: CrashLoopBackOff: back-off 10s; it ended with exit code 1: folder is not writable",
            ),
        );
    }

    #[test]
    fn the_agents_own_trouble_comes_first() {
        let mut status = broker(json!({"waiting": {"reason": "PodInitializing"}}));
        status["initContainerStatuses"] = json!([{
            "name": "rocketmq-agent", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }]);
        check(&pod(status), Some("container `rocketmq-agent` ended with exit code 137 (OOMKilled)"));
    }

    #[test]
    fn a_pod_without_a_node_says_why() {
        let status = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
        ]});
        check(&pod(status), Some("no node takes it: 0/1 nodes are available"));
    }

    #[test]
    fn warnings_count_only_before_the_first_container_and_the_latest_wins() {
        assert!(is_being_set_up(&pod(broker(json!({"waiting": {"reason": "ContainerCreating"}})))));
        assert!(!is_being_set_up(&pod(broker(json!({"running": {}})))));
        let warning = |reason: &str, last_seen: &str| Warning {
            reason: reason.to_owned(),
            message: "m".to_owned(),
            last_seen: last_seen.to_owned(),
        };
        let warnings = [
            warning("FailedMount", "2026-01-01T00:00:02Z"),
            warning("FailedCreatePodSandBox", "2026-01-01T00:00:01Z"),
            warning("Unhealthy", "2026-01-01T00:00:03Z"),
        ];
        assert_eq!(of_warnings(&warnings).as_deref(), Some("FailedMount: m"));
        assert_eq!(of_warnings(&[]), None);
    }
}
