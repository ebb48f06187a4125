//! The page as people see it, from healthy to unreadable.

use ops::report::{API_VERSION, Bridge, NextCommand};
use ops::status::{BrokersSection, ListCell, NameServersSection, RegistrationCell, Versions};

use super::*;

const NS_0: &str = "demo-0.demo.mq.svc:9876";
const NS_1: &str = "demo-1.demo.mq.svc:9876";

fn name_server(index: usize) -> NameServerRow {
    NameServerRow {
        pod: format!("demo-{index}"),
        address: Some(format!("10.0.1.{index}:9876")),
        node: Some("n1".to_owned()),
        ready: true,
        restarts: 0,
        age_seconds: Some(172_800),
        agent: AgentCell::Ok,
        version: Some("5.3.3".to_owned()),
        brokers_seen: Some(1),
        brokers_expected: 1,
        topics: Some(12),
    }
}

fn registration(name_server: &str, owner: &'static str) -> RegistrationCell {
    RegistrationCell { name_server: name_server.to_owned(), owner, reason: None }
}

fn broker() -> BrokerRow {
    BrokerRow {
        group: "broker-0".to_owned(),
        role: "master".to_owned(),
        broker_id: Some(0),
        pod: "broker-0-master-0".to_owned(),
        address: Some("10.0.1.9:10911".to_owned()),
        node: Some("n1".to_owned()),
        ready: true,
        restarts: 0,
        agent: AgentCell::Ok,
        version: Some("5.3.3".to_owned()),
        list: Some(ListCell {
            mode: "namesrvAddr",
            file: vec![NS_1.to_owned(), NS_0.to_owned()],
            live: vec![NS_0.to_owned(), NS_1.to_owned()],
            registered: 2,
            expected: 2,
            state: ListState::Bridged,
        }),
        registrations: vec![registration(NS_0, "broker"), registration(NS_1, "bridge")],
        put_tps: Some(120.4),
        get_tps: Some(118.0),
        disk_ratio: Some(0.41),
        permission: Some("RW".to_owned()),
        boot_timestamp_millis: None,
        topics: Some(12),
        subscription_groups: Some(7),
        lag_bytes: None,
        registration_bytes: Some(4_096),
    }
}

fn healthy() -> StatusReport {
    StatusReport {
        api_version: API_VERSION,
        kind: "Status",
        cluster: "demo".to_owned(),
        namespace: "mq".to_owned(),
        verdict: Verdict::Healthy,
        checks: Vec::new(),
        collected_at: "2026-01-02T14:02:11.123456Z".to_owned(),
        collected_in_millis: 412,
        agents_answered: 3,
        agents_asked: 3,
        versions: Versions {
            cli: "0.1.0".to_owned(),
            agents: [("0.1.0".to_owned(), 3)].into(),
            rocketmq: [("5.3.3".to_owned(), 3)].into(),
        },
        replication_mode: Some("ASYNC".to_owned()),
        storage_mode: Some("HostPath".to_owned()),
        operation: None,
        name_servers: NameServersSection {
            managed: true,
            wanted: 2,
            ready: 2,
            desired: vec![NS_0.to_owned(), NS_1.to_owned()],
            desired_generation: 3,
            rows: vec![name_server(0), name_server(1)],
        },
        brokers: BrokersSection { groups_wanted: 1, groups_ready: 1, rows: vec![broker()] },
        clients_name_servers: Some(format!("{NS_0};{NS_1}")),
        bridges: vec![Bridge { pod: "broker-0-master-0".to_owned(), name_server: NS_1.to_owned() }],
        next: Vec::new(),
    }
}

fn degraded() -> StatusReport {
    let mut report = healthy();
    report.verdict = Verdict::Degraded;
    report.agents_answered = 1;
    report.versions.rocketmq = [("4.5.0".to_owned(), 1), ("5.3.3".to_owned(), 1)].into();
    report.checks = vec![
        Check {
            severity: Severity::Error,
            id: "RMQ-ROUTE-02",
            subject: "broker-0-master-0".to_owned(),
            message: "not listed at demo-1\u{1b}[2J".to_owned(),
            hint: Some("kubectl rocketmq ops resume op-7f3a -n mq".to_owned()),
        },
        Check {
            severity: Severity::Warning,
            id: "RMQ-AGENT-01",
            subject: "demo-1".to_owned(),
            message: "the agent did not answer within 5s".to_owned(),
            hint: None,
        },
    ];
    report.operation = Some(OperationLine {
        operation: "op-7f3a".to_owned(),
        title: "scale nameservice/demo from 1 to 2".to_owned(),
        state: "unfinished".to_owned(),
        step: 4,
        steps: 7,
        sentence: "publish the list".to_owned(),
        started_at: "2026-01-02T14:00:00Z".to_owned(),
        holder: None,
    });
    let silent = &mut report.name_servers.rows[1];
    silent.agent = AgentCell::Silent("no answer".to_owned());
    (silent.ready, silent.brokers_seen, silent.topics, silent.address) = (false, None, None, None);
    report.name_servers.ready = 1;
    report.name_servers.rows[0].brokers_seen = Some(0);
    let broker = &mut report.brokers.rows[0];
    broker.list = Some(ListCell {
        mode: "namesrvAddr",
        file: vec![NS_0.to_owned()],
        live: Vec::new(),
        registered: 1,
        expected: 2,
        state: ListState::Wrong,
    });
    broker.registrations = vec![registration(NS_0, "none")];
    (broker.version, broker.put_tps, broker.permission) = (None, None, None);
    broker.disk_ratio = Some(0.91);
    report.next = vec![NextCommand {
        command: "kubectl rocketmq ops resume op-7f3a -n mq".to_owned(),
        reason: "an operation is unfinished".to_owned(),
    }];
    report
}

#[test]
fn a_healthy_cluster_is_one_calm_page() {
    insta::assert_snapshot!(page(&healthy(), Columns::Usual, Style::PLAIN).text);
}

#[test]
fn trouble_stands_before_detail_and_what_was_not_read_is_shown_as_such() {
    insta::assert_snapshot!(page(&degraded(), Columns::Usual, Style::PLAIN).text);
}

#[test]
fn wide_adds_columns_only() {
    insta::assert_snapshot!(page(&healthy(), Columns::Wide, Style::PLAIN).text);
}

#[test]
fn several_clusters_are_a_list() {
    let list =
        StatusList { api_version: API_VERSION, kind: "StatusList", items: vec![healthy(), degraded()] };
    insta::assert_snapshot!(list_page(&list, true, Columns::Usual, Style::PLAIN).text, @r"
    NAMESPACE  NAME  VERDICT   NAME SERVERS  BROKER GROUPS  ROCKETMQ             OPERATION    TROUBLE
    mq         demo  HEALTHY   2/2           1/1            5.3.3                -            -
    mq         demo  DEGRADED  1/2           1/1            5.3.3 (1) 4.5.0 (1)  op-7f3a 4/7  broker-0-master-0: not listed at demo-1\u{1b}[2J
    ");
}

#[test]
fn one_cluster_of_a_namespace_is_its_page_and_none_is_nothing() {
    let mut list = StatusList { api_version: API_VERSION, kind: "StatusList", items: vec![healthy()] };
    assert_eq!(
        list_page(&list, false, Columns::Usual, Style::PLAIN).text,
        page(&healthy(), Columns::Usual, Style::PLAIN).text
    );
    list.items.clear();
    assert_eq!(list_page(&list, false, Columns::Usual, Style::PLAIN).text, "");
}

#[test]
fn a_cluster_on_foreign_name_servers_says_so() {
    let mut report = healthy();
    report.name_servers = NameServersSection::default();
    report.clients_name_servers = None;
    let page = page(&report, Columns::Usual, Style::PLAIN);
    assert!(page.text.contains("NAME SERVERS 0/0    not managed by this plugin\n"), "{}", page.text);
    assert_eq!(page.names, ["broker/demo"]);
}

#[test]
fn machines_read_the_page_by_path() {
    let format: crate::output::format::Format =
        "jsonpath={.brokers.rows[0].registrations[*].owner}".parse().unwrap();
    assert_eq!(page(&healthy(), Columns::Usual, Style::PLAIN).render(&format), "broker bridge");
}
