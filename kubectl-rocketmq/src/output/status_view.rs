//! The status page: the verdict first, trouble before detail, the next command last.

use std::collections::BTreeMap;
use std::time::Duration;

use ops::status::{
    AgentCell, BrokerRow, Check, ListState, NameServerRow, OperationLine, Severity, StatusList, StatusReport,
    Verdict,
};
use rocketmq::text::printable;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::report_view::next_lines;
use crate::output::section::Sections;
use crate::output::style::Style;
use crate::output::table::{Cell, Table};
use crate::output::text::{bytes, count, duration, short_duration};

/// How much of the page is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// What fits most terminals.
    Usual,
    /// `-o wide`: all of it.
    Wide,
}

/// The page of one cluster.
#[must_use]
pub fn page(report: &StatusReport, columns: Columns, style: Style) -> Page {
    Page { text: text(report, columns, style), document: Document::new(report), names: vec![name(report)] }
}

/// Several clusters: one alone in full, more as a list.
#[must_use]
pub fn list_page(list: &StatusList, all_namespaces: bool, columns: Columns, style: Style) -> Page {
    let text = match list.items.as_slice() {
        [] => String::new(),
        [only] if !all_namespaces => text(only, columns, style),
        several => list_text(several, all_namespaces, style),
    };
    Page { text, document: Document::new(list), names: list.items.iter().map(name).collect() }
}

fn name(report: &StatusReport) -> String {
    let kind = if report.name_servers.managed { "nameservice" } else { "broker" };
    format!("{kind}/{}", report.cluster)
}

fn list_text(reports: &[StatusReport], all_namespaces: bool, style: Style) -> String {
    let mut headers =
        vec!["NAME", "VERDICT", "NAME SERVERS", "BROKER GROUPS", "ROCKETMQ", "OPERATION", "TROUBLE"];
    if all_namespaces {
        headers.insert(0, "NAMESPACE");
    }
    let mut table = Table::new(headers);
    for report in reports {
        let first = report.checks.first().map(|check| format!("{}: {}", check.subject, check.message));
        let operation = report.operation.as_ref();
        let mut cells: Vec<Cell> = vec![
            (&report.cluster).into(),
            Cell::styled(verdict(report.verdict, style)),
            format!("{}/{}", report.name_servers.ready, report.name_servers.wanted).into(),
            format!("{}/{}", report.brokers.groups_ready, report.brokers.groups_wanted).into(),
            versions(&report.versions.rocketmq).into(),
            operation.map(|line| format!("{} {}/{}", line.operation, line.step, line.steps)).into(),
            first.into(),
        ];
        if all_namespaces {
            cells.insert(0, (&report.namespace).into());
        }
        table.row(cells);
    }
    table.render()
}

fn text(report: &StatusReport, columns: Columns, style: Style) -> String {
    let mut text = head(report, style);
    if let Some(operation) = &report.operation {
        text.push_str(&operation_line(operation, style));
    }
    if !report.checks.is_empty() {
        text.push('\n');
        report.checks.iter().for_each(|check| text.push_str(&check_lines(check, style)));
    }
    let mut sections = Sections::new(style);
    name_servers(report, columns, style, &mut sections);
    brokers(report, columns, style, &mut sections);
    lists(report, style, &mut sections);
    if let Some(addresses) = &report.clients_name_servers {
        sections.line("CLIENTS", format!("namesrvAddr={}", printable(addresses)));
    }
    text.push('\n');
    text.push_str(&sections.render());
    text.push_str(&next_lines(&report.next, style));
    text
}

fn head(report: &StatusReport, style: Style) -> String {
    let trouble = match (report.count(Severity::Error), report.count(Severity::Warning)) {
        (0, 0) => String::new(),
        (errors, 0) => format!("  {}", count(errors, "error")),
        (0, warnings) => format!("  {}", count(warnings, "warning")),
        (errors, warnings) => format!("  {}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let collected = format!(
        "collected {} in {}, {}/{} agents",
        time_of_day(&report.collected_at),
        short_duration(Duration::from_millis(report.collected_in_millis)),
        report.agents_answered,
        report.agents_asked,
    );
    let mut facts = vec![
        format!("RocketMQ {}", versions(&report.versions.rocketmq)),
        format!("agent {}", versions(&report.versions.agents)),
        format!("cli {}", printable(&report.versions.cli)),
    ];
    facts.extend(report.replication_mode.as_ref().map(|mode| format!("replication {}", printable(mode))));
    facts.extend(report.storage_mode.as_ref().map(|mode| format!("storage {}", printable(mode))));
    format!(
        "{}  {}  {}{trouble}   {}\n{}\n",
        style.title(printable(&report.cluster)),
        printable(&report.namespace),
        verdict(report.verdict, style),
        style.faint(printable(&collected)),
        facts.join("   "),
    )
}

fn verdict(verdict: Verdict, style: Style) -> String {
    match verdict {
        Verdict::Healthy => style.good("HEALTHY"),
        Verdict::Degraded => style.warning("DEGRADED"),
        Verdict::Down => style.bad("DOWN"),
    }
}

fn versions(versions: &BTreeMap<String, usize>) -> String {
    match versions.len() {
        0 => "-".to_owned(),
        1 => versions.keys().map(|version| printable(version).into_owned()).collect(),
        _ => {
            let each =
                versions.iter().rev().map(|(version, number)| format!("{} ({number})", printable(version)));
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The time of a RFC 3339 moment, in seconds.
fn time_of_day(moment: &str) -> String {
    let Some((_, time)) = moment.split_once('T') else { return moment.to_owned() };
    let seconds = time.split(['.', 'Z', '+']).next().unwrap_or(time);
    format!("{seconds}Z")
}

fn operation_line(operation: &OperationLine, style: Style) -> String {
    let holder =
        operation.holder.as_ref().map(|holder| format!("   by {}", printable(holder))).unwrap_or_default();
    format!(
        "{}  {} {}   {} at step {}/{}: {}{holder}\n",
        style.title("OPERATION"),
        printable(&operation.operation),
        printable(&operation.title),
        style.warning(printable(&operation.state)),
        operation.step,
        operation.steps,
        printable(&operation.sentence),
    )
}

fn check_lines(check: &Check, style: Style) -> String {
    let word = match check.severity {
        Severity::Error => style.bad("ERROR"),
        Severity::Warning => style.warning("WARN "),
    };
    let mut lines = format!(
        "{word}  {}: {}  {}\n",
        printable(&check.subject),
        printable(&check.message),
        style.faint(check.id)
    );
    if let Some(hint) = &check.hint {
        lines.push_str(&format!("       fix: {}\n", printable(hint)));
    }
    lines
}

fn name_servers(report: &StatusReport, columns: Columns, style: Style, sections: &mut Sections) {
    let section = &report.name_servers;
    let title = format!("NAME SERVERS {}/{}", section.ready, section.wanted);
    if !section.managed {
        sections.line(title, "not managed by this plugin");
        return;
    }
    if section.rows.is_empty() {
        sections.line(title, "no pods");
        return;
    }
    let mut headers = vec!["POD", "ADDRESS", "READY", "BROKERS SEEN", "TOPICS", "AGENT", "NODE", "AGE"];
    if columns == Columns::Wide {
        headers.extend(["VERSION", "RESTARTS"]);
    }
    let mut table = Table::new(headers);
    for row in &section.rows {
        table.row(name_server_cells(row, columns, style));
    }
    sections.table(title, &table);
}

fn name_server_cells(row: &NameServerRow, columns: Columns, style: Style) -> Vec<Cell> {
    let seen = row.brokers_seen.map(|seen| of(seen, row.brokers_expected, style));
    let mut cells = vec![
        (&row.pod).into(),
        row.address.as_ref().into(),
        ready(row.ready, style),
        seen.map_or_else(unread, Cell::styled),
        row.topics.map_or_else(unread, |topics| topics.to_string().into()),
        agent(&row.agent, style),
        row.node.as_ref().into(),
        row.age_seconds.map(|seconds| duration(Duration::from_secs(seconds))).into(),
    ];
    if columns == Columns::Wide {
        cells.extend([row.version.as_ref().into(), row.restarts.to_string().into()]);
    }
    cells
}

fn brokers(report: &StatusReport, columns: Columns, style: Style, sections: &mut Sections) {
    let section = &report.brokers;
    let title = format!("BROKERS {}/{} groups", section.groups_ready, section.groups_wanted);
    if section.rows.is_empty() {
        sections.line(title, "no pods");
        return;
    }
    let mut headers = vec![
        "GROUP",
        "ROLE",
        "POD",
        "READY",
        "VERSION",
        "NS LIST",
        "SYNC LAG",
        "IN/OUT TPS",
        "DISK",
        "PERM",
        "AGENT",
    ];
    if columns == Columns::Wide {
        headers.extend(["ID", "ADDRESS", "NODE", "TOPICS", "SUBSCRIPTION GROUPS", "RESTARTS"]);
    }
    let mut table = Table::new(headers);
    for row in &section.rows {
        table.row(broker_cells(row, columns, style));
    }
    sections.table(title, &table);
}

fn broker_cells(row: &BrokerRow, columns: Columns, style: Style) -> Vec<Cell> {
    let list = row.list.as_ref().map(|list| {
        let state = match list.state {
            ListState::Live => style.good("live"),
            ListState::Bridged => style.good("bridged"),
            ListState::Settling => style.warning("settling"),
            ListState::Wrong => style.bad("wrong"),
        };
        format!("{} {state}", of(list.registered, list.expected, style))
    });
    let tps = row.put_tps.zip(row.get_tps).map(|(put, get)| format!("{put:.0}/{get:.0}"));
    let mut cells = vec![
        (&row.group).into(),
        (&row.role).into(),
        (&row.pod).into(),
        ready(row.ready, style),
        row.version.as_ref().map_or_else(unread, Cell::from),
        list.map_or_else(unread, Cell::styled),
        lag(row),
        tps.map_or_else(unread, Cell::from),
        row.disk_ratio.map_or_else(unread, |ratio| disk(ratio, style)),
        row.permission.as_ref().map_or_else(unread, Cell::from),
        agent(&row.agent, style),
    ];
    if columns == Columns::Wide {
        cells.extend([
            row.broker_id.map(|id| id.to_string()).into(),
            row.address.as_ref().into(),
            row.node.as_ref().into(),
            row.topics.map(|topics| topics.to_string()).into(),
            row.subscription_groups.map(|groups| groups.to_string()).into(),
            row.restarts.to_string().into(),
        ]);
    }
    cells
}

/// Desired, file and live list of every broker, and who holds each registration.
fn lists(report: &StatusReport, style: Style, sections: &mut Sections) {
    let desired = &report.name_servers.desired;
    if desired.is_empty() {
        return;
    }
    let generation = report.name_servers.desired_generation;
    sections.line(
        "LIST DESIRED",
        format!("{}   {}", printable(&desired.join(";")), style.faint(format!("generation {generation}"))),
    );
    let mut headers = vec!["BROKER POD".to_owned(), "FILE".to_owned(), "LIVE".to_owned()];
    headers.extend(desired.iter().map(|address| format!("AT {}", short_address(address))));
    let mut table = Table::new(headers);
    for row in &report.brokers.rows {
        let mut cells: Vec<Cell> = vec![(&row.pod).into()];
        match &row.list {
            Some(list) => cells.extend([same(&list.file, desired, style), same(&list.live, desired, style)]),
            None => cells.extend([unread(), unread()]),
        }
        cells.extend(desired.iter().map(|address| owner(row, address, style)));
        table.row(cells);
    }
    if !table.is_empty() {
        sections.table("LIST BY BROKER", &table);
    }
}

fn owner(row: &BrokerRow, address: &str, style: Style) -> Cell {
    match row.registrations.iter().find(|cell| cell.name_server == address) {
        None => unread(),
        Some(cell) => match cell.owner {
            owner @ ("broker" | "bridge") => Cell::styled(style.good(owner)),
            other => Cell::styled(style.bad(printable(other))),
        },
    }
}

fn same(list: &[String], desired: &[String], style: Style) -> Cell {
    let sorted = |list: &[String]| {
        let mut sorted = list.to_vec();
        sorted.sort();
        sorted
    };
    if sorted(list) == sorted(desired) {
        Cell::styled(style.good("same"))
    } else if list.is_empty() {
        Cell::styled(style.bad("none"))
    } else {
        Cell::styled(style.bad(printable(&list.join(";"))))
    }
}

/// `demo-0` of `demo-0.demo.mq.svc:9876`; an IP address stays whole.
fn short_address(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    if host.parse::<core::net::IpAddr>().is_ok() { address } else { host.split('.').next().unwrap_or(host) }
}

/// A value that could not be read is never shown as one that is empty.
fn unread() -> Cell {
    "?".into()
}

fn of(number: usize, expected: usize, style: Style) -> String {
    if number == expected {
        format!("{number}/{expected}")
    } else {
        style.bad(format!("{number}/{expected} !"))
    }
}

fn ready(ready: bool, style: Style) -> Cell {
    Cell::styled(if ready { style.good("yes") } else { style.bad("no") })
}

fn agent(agent: &AgentCell, style: Style) -> Cell {
    Cell::styled(match agent {
        AgentCell::Ok => style.good("ok"),
        AgentCell::Unproved(_) => style.warning("unproved"),
        AgentCell::Silent(_) => style.bad("silent"),
    })
}

/// A master has none.
fn lag(row: &BrokerRow) -> Cell {
    match row.lag_bytes {
        Some(lag) => bytes(lag).into(),
        None if row.role == "slave" => unread(),
        None => None::<String>.into(),
    }
}

/// RocketMQ cleans at 0.75, forces at 0.85 and refuses writes at 0.90 (`DefaultMessageStore`, all tags).
fn disk(ratio: f64, style: Style) -> Cell {
    let percent = format!("{:.0}%", ratio * 100.0);
    Cell::styled(match ratio {
        _ if ratio >= 0.85 => style.bad(percent),
        _ if ratio >= 0.75 => style.warning(percent),
        _ => percent,
    })
}

#[cfg(test)]
mod tests;
