//! The plan: what a command would do, one numbered step a line.

use ops::report::{OperationPlan, PlanReport, PlannedStep};
use rocketmq::text::printable;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::style::Style;

/// How a dry run marks its lines, as kubectl does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It will be run.
    None,
    /// `--dry-run=client`.
    DryRun,
    /// `--dry-run=server`.
    ServerDryRun,
}

impl Mark {
    fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::DryRun => " (dry run)",
            Self::ServerDryRun => " (server dry run)",
        }
    }
}

/// The plan as a page of its own, for dry runs.
#[must_use]
pub fn page(plan: &PlanReport, mark: Mark, style: Style) -> Page {
    let changed = plan.operations.iter().map(|operation| operation.cluster.clone());
    Page {
        text: text(plan, mark, style),
        document: Document::new(plan),
        names: changed
            .map(|cluster| format!("cluster/{cluster}"))
            .chain(plan.unchanged.iter().cloned())
            .collect(),
    }
}

/// The plan for people. Warnings are not in it: they go where warnings go.
#[must_use]
pub fn text(plan: &PlanReport, mark: Mark, style: Style) -> String {
    let mut text = unchanged(&plan.unchanged, mark);
    for operation in &plan.operations {
        text.push_str(&operation_text(operation, mark, style));
    }
    if text.is_empty() {
        text = format!("nothing to do{}\n", mark.suffix());
    }
    text
}

/// A line for each object that is as it should be.
#[must_use]
pub fn unchanged(references: &[String], mark: Mark) -> String {
    references
        .iter()
        .map(|reference| format!("{} unchanged{}\n", printable(reference), mark.suffix()))
        .collect()
}

fn operation_text(operation: &OperationPlan, mark: Mark, style: Style) -> String {
    let id = operation.operation.as_ref().map(|id| format!(", {}", printable(id))).unwrap_or_default();
    let mut text = format!(
        "{} {}   {}{}\n",
        style.title("PLAN"),
        style.title(printable(&operation.title)),
        style.faint(format!(
            "cluster {}, namespace {}{id}",
            printable(&operation.cluster),
            printable(&operation.namespace)
        )),
        mark.suffix(),
    );
    let digits = operation.steps.last().map_or(1, |step| step.number.to_string().len());
    let no_return = operation.steps.iter().find(|step| step.point_of_no_return).map(|step| step.number);
    for step in &operation.steps {
        if no_return == Some(step.number) {
            text.push_str(&format!("  {:digits$}  {}\n", "", style.warning("no way back from here on")));
        }
        text.push_str(&format!("  {:>digits$}  {}\n", step.number, step_text(step, style)));
    }
    for stays in &operation.stays {
        text.push_str(&format!("  {:digits$}  {} {}\n", "", style.title("stays:"), printable(stays)));
    }
    text
}

/// One step: its sentence, the values before and after, and where it stands.
#[must_use]
pub fn step_text(step: &PlannedStep, style: Style) -> String {
    let mut text = printable(&step.sentence).into_owned();
    match (&step.from, &step.to) {
        (Some(from), Some(to)) => text.push_str(&format!("   {} -> {}", printable(from), printable(to))),
        (None, Some(to)) => text.push_str(&format!("   -> {}", printable(to))),
        (Some(from), None) => text.push_str(&format!("   was {}", printable(from))),
        (None, None) => {}
    }
    if let Some(state) = &step.state {
        let state = match state.as_str() {
            "done" | "undone" => style.good(state),
            "to do" => style.faint(state),
            _ => style.warning(printable(state)),
        };
        text.push_str(&format!("   [{state}]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use ops::report::API_VERSION;

    use super::*;

    fn step(number: usize, sentence: &str) -> PlannedStep {
        PlannedStep {
            number,
            sentence: sentence.to_owned(),
            from: None,
            to: None,
            point_of_no_return: false,
            state: None,
        }
    }

    fn plan() -> PlanReport {
        PlanReport {
            api_version: API_VERSION,
            kind: "Plan",
            operations: vec![OperationPlan {
                operation: None,
                operation_kind: "scale-name-service".to_owned(),
                title: "scale nameservice/demo from 1 to 3".to_owned(),
                cluster: "demo".to_owned(),
                namespace: "mq".to_owned(),
                steps: vec![
                    PlannedStep {
                        from: Some("1".to_owned()),
                        to: Some("3".to_owned()),
                        ..step(1, "set the replicas of StatefulSet/demo")
                    },
                    PlannedStep { point_of_no_return: true, ..step(2, "delete StatefulSet/demo") },
                    PlannedStep { point_of_no_return: true, ..step(3, "delete Service/demo") },
                ],
                stays: vec!["PersistentVolumeClaim/broker-storage-demo-0".to_owned()],
            }],
            unchanged: vec!["broker/broker".to_owned()],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_plan_numbers_its_steps_and_marks_the_point_of_no_return() {
        insta::assert_snapshot!(text(&plan(), Mark::DryRun, Style::PLAIN), @r"
        broker/broker unchanged (dry run)
        PLAN scale nameservice/demo from 1 to 3   cluster demo, namespace mq (dry run)
          1  set the replicas of StatefulSet/demo   1 -> 3
             no way back from here on
          2  delete StatefulSet/demo
          3  delete Service/demo
             stays: PersistentVolumeClaim/broker-storage-demo-0
        ");
    }

    #[test]
    fn steps_of_the_journal_show_where_they_stand() {
        let mut plan = plan();
        plan.unchanged.clear();
        plan.operations[0].operation = Some("op-7f3a".to_owned());
        plan.operations[0].stays.clear();
        plan.operations[0].steps = vec![
            PlannedStep { state: Some("done".to_owned()), ..step(9, "first") },
            PlannedStep { state: Some("in doubt".to_owned()), ..step(10, "second") },
        ];
        insta::assert_snapshot!(text(&plan, Mark::None, Style::PLAIN), @r"
        PLAN scale nameservice/demo from 1 to 3   cluster demo, namespace mq, op-7f3a
           9  first   [done]
          10  second   [in doubt]
        ");
    }

    #[test]
    fn an_empty_plan_says_so() {
        let mut plan = plan();
        plan.operations.clear();
        plan.unchanged.clear();
        assert_eq!(text(&plan, Mark::ServerDryRun, Style::PLAIN), "nothing to do (server dry run)\n");
    }
}
