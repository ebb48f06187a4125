//! How a changing command ended: the proof, who still holds a bridge, the list that clients should use.

use std::time::Duration;

use ops::matrix::Matrix;
use ops::report::{CommandReport, NextCommand, OperationReport, Outcome};
use rocketmq::text::printable;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::plan_view::{Mark, unchanged};
use crate::output::section::Sections;
use crate::output::style::Style;
use crate::output::table::Table;
use crate::output::text::short_duration;

/// The report as a page.
#[must_use]
pub fn page(report: &CommandReport, style: Style) -> Page {
    let changed = report.operations.iter().map(|operation| format!("operation/{}", operation.operation));
    Page {
        text: text(report, style),
        document: Document::new(report),
        names: changed.chain(report.unchanged.iter().cloned()).collect(),
    }
}

fn text(report: &CommandReport, style: Style) -> String {
    let mut text = unchanged(&report.unchanged, Mark::None);
    for operation in &report.operations {
        text.push_str(&operation_text(operation, style));
    }
    if text.is_empty() {
        text.push_str("nothing to do\n");
    }
    text.push_str(&next_lines(&report.next, style));
    text
}

/// The commands to run next, one a line.
#[must_use]
pub fn next_lines(next: &[NextCommand], style: Style) -> String {
    let line = |next: &NextCommand| {
        format!(
            "{}  {}   {}\n",
            style.title("NEXT"),
            printable(&next.command),
            style.faint(printable(&next.reason))
        )
    };
    next.iter().map(line).collect()
}

fn operation_text(operation: &OperationReport, style: Style) -> String {
    let outcome = match operation.outcome {
        Outcome::Done => style.good("done"),
        Outcome::Undone => style.good("undone"),
    };
    let took = short_duration(Duration::from_millis(operation.took_millis));
    let mut text = format!(
        "{}: {outcome} in {took}   {}\n",
        printable(&operation.title),
        style.faint(printable(&operation.operation))
    );
    let mut sections = Sections::new(style);
    if let Some(matrix) = &operation.matrix {
        matrix_section(matrix, style, &mut sections);
    }
    if !operation.bridges.is_empty() {
        let mut lines = vec!["held by agents until the brokers' own registrations arrive:".to_owned()];
        lines.extend(
            operation
                .bridges
                .iter()
                .map(|bridge| format!("{} at {}", printable(&bridge.pod), printable(&bridge.name_server))),
        );
        sections.lines("BRIDGES", lines);
    }
    if let Some(addresses) = &operation.clients_name_servers {
        sections.line("CLIENTS", format!("namesrvAddr={}", printable(addresses)));
    }
    if !operation.stays.is_empty() {
        sections.lines("STAYS", operation.stays.iter().map(|stays| printable(stays).into_owned()).collect());
    }
    text.push_str(&sections.render());
    text
}

fn matrix_section(matrix: &Matrix, style: Style, sections: &mut Sections) {
    let summary = printable(&matrix.summary()).into_owned();
    let summary = if matrix.is_whole() { style.good(summary) } else { style.bad(summary) };
    let mut table = Table::new(["NAME SERVER", "BROKERS SEEN", "TOPICS"]);
    for (name_server, seen) in &matrix.name_servers {
        table.row([
            name_server.into(),
            format!("{}/{}", seen.brokers, matrix.brokers).into(),
            seen.topics.to_string().into(),
        ]);
    }
    let mut lines = vec![summary];
    if !table.is_empty() {
        lines.extend(table.lines());
    }
    sections.lines("ROUTES", lines);
}

#[cfg(test)]
mod tests {
    use ops::matrix::Seen;
    use ops::report::{API_VERSION, Bridge};

    use super::*;

    fn report() -> CommandReport {
        CommandReport {
            api_version: API_VERSION,
            kind: "Report",
            operations: vec![OperationReport {
                operation: "op-7f3a".to_owned(),
                operation_kind: "scale-name-service".to_owned(),
                title: "scale nameservice/demo from 1 to 2".to_owned(),
                cluster: "demo".to_owned(),
                namespace: "mq".to_owned(),
                outcome: Outcome::Done,
                took_millis: 8_400,
                matrix: Some(Matrix {
                    name_servers: [("demo-0", 12), ("demo-1", 12)]
                        .into_iter()
                        .map(|(name, topics)| (name.to_owned(), Seen { brokers: 2, topics }))
                        .collect(),
                    brokers: 2,
                    rows: 24,
                    gaps: Vec::new(),
                }),
                bridges: vec![Bridge {
                    pod: "broker-0-master-0".to_owned(),
                    name_server: "demo-1.demo.mq.svc:9876".to_owned(),
                }],
                clients_name_servers: Some("demo-0.demo.mq.svc:9876;demo-1.demo.mq.svc:9876".to_owned()),
                stays: Vec::new(),
            }],
            unchanged: vec!["broker/broker".to_owned()],
            warnings: Vec::new(),
            next: vec![NextCommand {
                command: "kubectl rocketmq status demo -n mq".to_owned(),
                reason: "see the page".to_owned(),
            }],
        }
    }

    #[test]
    fn a_scale_ends_with_its_proof_and_the_clients_list() {
        insta::assert_snapshot!(text(&report(), Style::PLAIN), @r"
        broker/broker unchanged
        scale nameservice/demo from 1 to 2: done in 8.4s   op-7f3a
        ROUTES   2 name server(s) agree on 2 broker(s) and 24 topic row(s)
                 NAME SERVER  BROKERS SEEN  TOPICS
                 demo-0       2/2           12
                 demo-1       2/2           12
        BRIDGES  held by agents until the brokers' own registrations arrive:
                 broker-0-master-0 at demo-1.demo.mq.svc:9876
        CLIENTS  namesrvAddr=demo-0.demo.mq.svc:9876;demo-1.demo.mq.svc:9876
        NEXT  kubectl rocketmq status demo -n mq   see the page
        ");
    }

    #[test]
    fn a_delete_says_what_stays() {
        let mut report = report();
        report.unchanged.clear();
        report.next.clear();
        let operation = &mut report.operations[0];
        operation.title = "delete nameservice/demo".to_owned();
        (operation.matrix, operation.clients_name_servers) = (None, None);
        operation.bridges.clear();
        operation.stays = vec!["PersistentVolumeClaim/storage-demo-0".to_owned(), "journals".to_owned()];
        insta::assert_snapshot!(text(&report, Style::PLAIN), @r"
        delete nameservice/demo: done in 8.4s   op-7f3a
        STAYS  PersistentVolumeClaim/storage-demo-0
               journals
        ");
    }

    #[test]
    fn nothing_to_do_is_said() {
        let mut report = report();
        report.unchanged.clear();
        report.next.clear();
        report.operations.clear();
        assert_eq!(text(&report, Style::PLAIN), "nothing to do\n");
    }
}
