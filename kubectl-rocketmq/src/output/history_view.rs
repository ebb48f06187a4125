//! `ops list` and `ops show`: what was done to the clusters of a namespace, from their journals.

use ops::history::{OperationDetail, OperationList, OperationSummary};
use rocketmq::text::printable;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::plan_view::step_text;
use crate::output::report_view::next_lines;
use crate::output::section::Sections;
use crate::output::style::Style;
use crate::output::table::{Cell, Table};

/// The list, newest first.
#[must_use]
pub fn list_page(list: &OperationList, all_namespaces: bool, style: Style) -> Page {
    let mut headers = vec!["OPERATION", "STATE", "STEPS", "CLUSTER", "STARTED", "BY", "WHAT"];
    if all_namespaces {
        headers.insert(0, "NAMESPACE");
    }
    let mut table = Table::new(headers);
    for operation in &list.items {
        let mut cells: Vec<Cell> = vec![
            (&operation.operation).into(),
            Cell::styled(state(&operation.state, style)),
            format!("{}/{}", operation.steps_done, operation.steps).into(),
            (&operation.cluster).into(),
            seconds(&operation.started_at).into(),
            (&operation.started_by).into(),
            (&operation.title).into(),
        ];
        if all_namespaces {
            cells.insert(0, (&operation.namespace).into());
        }
        table.row(cells);
    }
    Page {
        text: if table.is_empty() { String::new() } else { table.render() },
        document: Document::new(list),
        names: list.items.iter().map(name).collect(),
    }
}

/// One operation: its steps, its events, what is to be repaired.
#[must_use]
pub fn detail_page(detail: &OperationDetail, style: Style) -> Page {
    Page {
        text: detail_text(detail, style),
        document: Document::new(detail),
        names: vec![name(&detail.summary)],
    }
}

fn name(operation: &OperationSummary) -> String {
    format!("operation/{}", operation.operation)
}

/// A RFC 3339 moment without its fraction.
fn seconds(moment: &str) -> String {
    match moment.split_once('.') {
        Some((whole, fraction)) => {
            whole.to_owned() + fraction.trim_start_matches(|digit: char| digit.is_ascii_digit())
        }
        None => moment.to_owned(),
    }
}

fn state(state: &str, style: Style) -> String {
    match state {
        "done" | "undone" => style.good(state),
        "stuck" => style.bad(state),
        "running" | "unfinished" | "unwinding" | "paused" => style.warning(state),
        other => printable(other).into_owned(),
    }
}

fn detail_text(detail: &OperationDetail, style: Style) -> String {
    let summary = &detail.summary;
    let mut text = format!(
        "{}  {}  {}/{} steps   {}\n{}\n",
        style.title(printable(&summary.operation)),
        state(&summary.state, style),
        summary.steps_done,
        summary.steps,
        printable(&summary.title),
        style.faint(format!(
            "cluster {}, namespace {}, started {} by {}",
            printable(&summary.cluster),
            printable(&summary.namespace),
            printable(&seconds(&summary.started_at)),
            printable(&summary.started_by),
        )),
    );
    let escaped =
        |lines: &[String]| lines.iter().map(|line| printable(line).into_owned()).collect::<Vec<_>>();
    let digits = detail.steps_detail.last().map_or(1, |step| step.number.to_string().len());
    let steps = detail
        .steps_detail
        .iter()
        .map(|step| format!("{:>digits$}  {}", step.number, step_text(step, style)))
        .collect();
    let mut sections = Sections::new(style);
    sections.lines("STEPS", steps);
    sections.lines("EVENTS", escaped(&detail.events));
    sections.lines("REPAIR", escaped(&detail.repairs));
    text.push_str(&sections.render());
    text.push_str(&next_lines(&detail.next, style));
    text
}

#[cfg(test)]
mod tests {
    use ops::report::{API_VERSION, NextCommand, PlannedStep};

    use super::*;

    fn summary() -> OperationSummary {
        OperationSummary {
            operation: "op-7f3a".to_owned(),
            operation_kind: "scale-name-service".to_owned(),
            title: "scale nameservice/demo from 1 to 3".to_owned(),
            cluster: "demo".to_owned(),
            namespace: "mq".to_owned(),
            state: "unfinished".to_owned(),
            steps_done: 1,
            steps: 2,
            started_by: "admin".to_owned(),
            started_at: "2026-01-02T03:04:05.678Z".to_owned(),
        }
    }

    #[test]
    fn the_list_has_a_line_for_each_operation() {
        let list = OperationList { api_version: API_VERSION, kind: "OperationList", items: vec![summary()] };
        insta::assert_snapshot!(list_page(&list, true, Style::PLAIN).text, @r"
        NAMESPACE  OPERATION  STATE       STEPS  CLUSTER  STARTED               BY     WHAT
        mq         op-7f3a    unfinished  1/2    demo     2026-01-02T03:04:05Z  admin  scale nameservice/demo from 1 to 3
        ");
        assert_eq!(list_page(&list, false, Style::PLAIN).names, ["operation/op-7f3a"]);
    }

    #[test]
    fn one_operation_shows_steps_events_and_the_next_command() {
        let step = |number, state: &str| PlannedStep {
            number,
            sentence: format!("step {number}"),
            from: None,
            to: None,
            point_of_no_return: false,
            state: Some(state.to_owned()),
        };
        let detail = OperationDetail {
            api_version: API_VERSION,
            kind: "Operation",
            summary: summary(),
            steps_detail: vec![step(1, "done"), step(2, "in doubt")],
            events: vec!["1 started".to_owned(), "1 done".to_owned(), "2 started".to_owned()],
            repairs: Vec::new(),
            next: vec![NextCommand {
                command: "kubectl rocketmq ops resume op-7f3a -n mq".to_owned(),
                reason: "finish it".to_owned(),
            }],
        };
        insta::assert_snapshot!(detail_page(&detail, Style::PLAIN).text, @r"
        op-7f3a  unfinished  1/2 steps   scale nameservice/demo from 1 to 3
        cluster demo, namespace mq, started 2026-01-02T03:04:05Z by admin
        STEPS   1  step 1   [done]
                2  step 2   [in doubt]
        EVENTS  1 started
                1 done
                2 started
        NEXT  kubectl rocketmq ops resume op-7f3a -n mq   finish it
        ");
    }
}
