//! Worlds in, pages out.

use jiff::Timestamp;

use super::gather::gather;
use super::page::{Moment, page};
use super::{AgentCell, ListState, OperationLine, Severity, StatusReport, Verdict};
use crate::fake::{DEMO, FakeWorld, applied, known};

fn status(world: &FakeWorld, operation: Option<OperationLine>) -> StatusReport {
    // Deadlines need a clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let known = known(world);
    let facts = runtime.block_on(gather(world, &known)).unwrap();
    page(&known, &facts, Moment { now: Timestamp::UNIX_EPOCH, took_millis: 40, operation })
}

fn checks(report: &StatusReport) -> Vec<String> {
    report.checks.iter().map(|check| format!("{} {}: {}", check.id, check.subject, check.message)).collect()
}

#[test]
fn a_healthy_cluster() {
    let report = status(&applied(DEMO), None);
    assert_eq!((report.verdict, checks(&report).len()), (Verdict::Healthy, 0));
    assert_eq!((report.agents_answered, report.agents_asked), (5, 5));
    assert_eq!(report.clients_name_servers.as_deref(), Some("demo-0.demo.mq.svc:9876"));
    assert_eq!(report.storage_mode.as_deref(), Some("EmptyDir, HostPath"));
    assert_eq!(report.replication_mode.as_deref(), Some("ASYNC"));
    let server = &report.name_servers.rows[0];
    assert_eq!((server.brokers_seen, server.brokers_expected, server.topics), (Some(4), 4, Some(2)));
    let pods: Vec<(&str, &str)> =
        report.brokers.rows.iter().map(|row| (row.pod.as_str(), row.role.as_str())).collect();
    assert_eq!(
        pods,
        [
            ("broker-0-master-0", "master"),
            ("broker-0-replica-1-0", "slave"),
            ("broker-1-master-0", "master"),
            ("broker-1-replica-1-0", "slave"),
        ]
    );
    let list = report.brokers.rows[0].list.as_ref().unwrap();
    assert_eq!((list.state, list.registered, list.expected), (ListState::Live, 1, 1));
    assert_eq!((report.brokers.groups_ready, report.brokers.groups_wanted), (2, 2));
}

#[test]
fn machines_read_camel_case_with_units() {
    let report = status(&applied(DEMO), None);
    let value = serde_json::to_value(&report).unwrap();
    insta::assert_json_snapshot!(value["brokers"]["rows"][1], @r#"
    {
      "group": "broker-0",
      "role": "slave",
      "brokerId": 1,
      "pod": "broker-0-replica-1-0",
      "address": "10.0.233.238:10911",
      "node": "node-1",
      "ready": true,
      "restarts": 0,
      "agent": {
        "state": "ok"
      },
      "version": "5.3.3",
      "list": {
        "mode": "namesrvAddr",
        "file": [
          "demo-0.demo.mq.svc:9876"
        ],
        "live": [
          "demo-0.demo.mq.svc:9876"
        ],
        "registered": 1,
        "expected": 1,
        "state": "live"
      },
      "registrations": [
        {
          "nameServer": "demo-0.demo.mq.svc:9876",
          "owner": "broker",
          "reason": null
        }
      ],
      "putTps": 120.0,
      "getTps": 118.5,
      "diskRatio": 0.41,
      "permission": "RW",
      "bootTimestampMillis": 1700000000000,
      "topics": 2,
      "subscriptionGroups": 1,
      "lagBytes": 0,
      "registrationBytes": null
    }
    "#);
}

#[test]
fn what_is_wrong_is_a_check_each() {
    let check = |change: fn(&mut crate::fake::State), verdict: Verdict, expect: &[&str]| {
        let report = status(&applied(DEMO).with(change), None);
        assert_eq!(
            (checks(&report), report.verdict),
            (expect.iter().map(|c| (*c).to_owned()).collect(), verdict)
        );
    };
    check(
        |state| {
            state.forgotten.insert(("demo-0".to_owned(), "broker-1-master-0".to_owned()));
        },
        Verdict::Degraded,
        &[
            "RMQ-LIST-04 broker-1-master-0: it is not registered at demo-0.demo.mq.svc:9876: no bridge yet",
            "RMQ-ROUTE-01 demo-0: broker `broker-1:0` is not listed at `demo-0`",
        ],
    );
    check(
        |state| {
            state.bridged.insert(("demo-0".to_owned(), "broker-0-master-0".to_owned()));
        },
        Verdict::Healthy,
        &["RMQ-LIST-03 broker-0-master-0: a bridge holds its registration at demo-0.demo.mq.svc:9876"],
    );
    check(
        |state| {
            state.unproved.insert("demo-0".to_owned(), "the agent has no key".to_owned());
        },
        Verdict::Healthy,
        &["RMQ-AGENT-02 demo-0: what its agent says is not proved: the agent has no key"],
    );
    check(
        |state| {
            state.troubles.insert("broker-0-replica-1-0".to_owned(), "ErrImagePull".to_owned());
        },
        Verdict::Degraded,
        &["RMQ-POD-01 broker-0-replica-1-0: not ready: ErrImagePull"],
    );
    check(
        |state| {
            state.silent.insert("demo-0".to_owned(), "no route".to_owned());
        },
        Verdict::Down,
        &[
            "RMQ-AGENT-01 demo-0: its agent could not be asked: agent of pod `demo-0` cannot be reached: no route",
        ],
    );
}

#[test]
fn a_row_that_cannot_be_read_is_shown_as_such() {
    let world = applied(DEMO).with(|state| {
        state.silent.insert("demo-0".to_owned(), "no route".to_owned());
    });
    let report = status(&world, None);
    let server = &report.name_servers.rows[0];
    assert_eq!((server.brokers_seen, server.topics), (None, None));
    assert!(
        matches!(&server.agent, AgentCell::Silent(reason) if reason.contains("no route")),
        "{:?}",
        server.agent
    );
    assert_eq!((report.agents_answered, report.agents_asked), (4, 5));
}

#[test]
fn a_broker_without_a_pod_keeps_its_row() {
    let world = applied(DEMO).with(|state| {
        state.objects.retain(|name, _| name.name != "broker-0-master");
    });
    let report = status(&world, None);
    assert_eq!(report.verdict, Verdict::Degraded, "its slave answers");
    assert_eq!(report.brokers.rows[0].pod, "broker-0-master-0");
    assert_eq!(checks(&report), ["RMQ-POD-02 broker-0-master-0: the pod does not exist"]);
}

#[test]
fn an_unfinished_operation_comes_first_in_what_to_do_next() {
    let operation = |state: &str, holder: Option<&str>| OperationLine {
        operation: "op-7f3a".to_owned(),
        title: "scale name servers of `demo` 1 -> 3".to_owned(),
        state: state.to_owned(),
        step: 4,
        steps: 6,
        sentence: "bridge".to_owned(),
        started_at: String::new(),
        holder: holder.map(str::to_owned),
    };
    let report = status(&applied(DEMO), Some(operation("unfinished", None)));
    assert_eq!(report.next[0].command, "kubectl rocketmq ops show op-7f3a -n mq");
    assert_eq!((report.verdict, report.count(Severity::Warning)), (Verdict::Healthy, 1));
    let report = status(&applied(DEMO), Some(operation("running", Some("me"))));
    assert_eq!(report.checks.len(), 0);
    let report = status(&applied(DEMO), Some(operation("stuck", None)));
    assert_eq!(report.verdict, Verdict::Degraded);
}
