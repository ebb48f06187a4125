//! Metadata of brokers: what was exported, and what differs.

use ops::metadata::{ChangeRow, ChangeWord, ComparedKind, DiffReport, ExportReport, FieldRow};
use rocketmq::text::printable;
use serde_json::Value;

use crate::output::document::Document;
use crate::output::page::Page;
use crate::output::style::Style;
use crate::output::table::{Cell, Table};
use crate::output::text::bytes;

/// An export as a page.
#[must_use]
pub fn export_page(report: &ExportReport, file: &str, style: Style) -> Page {
    Page {
        text: export_text(report, file, style),
        document: Document::new(report),
        names: vec![format!("pod/{}", report.pod)],
    }
}

/// What was exported, in a few lines.
#[must_use]
pub fn export_text(report: &ExportReport, file: &str, style: Style) -> String {
    let mut text = format!(
        "{}  {} topic(s), {} group(s), {} request mode(s) of {} (RocketMQ {})   {}\n",
        style.title(printable(file)),
        report.topics,
        report.groups,
        report.request_modes,
        printable(&report.pod),
        printable(&report.version),
        style.faint(format!("{}, sha256 {}", bytes(report.bytes), printable(&report.sha256))),
    );
    if !report.ordered_topics_left_out.is_empty() {
        text.push_str(&format!(
            "{} {} (--include-ordered takes them along)\n",
            style.warning("left out, because their messages are ordered:"),
            printable(&report.ordered_topics_left_out.join(", "))
        ));
    }
    text
}

/// What differs, as a page.
#[must_use]
pub fn diff_page(report: &DiffReport, style: Style) -> Page {
    let names = report.changes.iter().map(|change| format!("{}/{}", word_of_kind(change.kind), change.name));
    Page { text: diff_text(report, style), document: Document::new(report), names: names.collect() }
}

/// What differs, one field a line.
#[must_use]
pub fn diff_text(report: &DiffReport, style: Style) -> String {
    if report.changes.is_empty() {
        return format!("{} has what {} has\n", printable(&report.pod), printable(&report.other));
    }
    let mut table =
        Table::new(["KIND", "NAME", "CHANGE", "FIELD", report.pod.as_str(), report.other.as_str()]);
    for change in &report.changes {
        if change.fields.is_empty() {
            table.row(row(change, None, style));
        }
        for (index, field) in change.fields.iter().enumerate() {
            let mut cells = row(change, Some(field), style);
            if index > 0 {
                // The name stands once, above its fields.
                cells[..3].fill(Cell::styled(String::new()));
            }
            table.row(cells);
        }
    }
    table.render()
}

fn row(change: &ChangeRow, field: Option<&FieldRow>, style: Style) -> [Cell; 6] {
    let word = match change.change {
        ChangeWord::Missing => style.bad("missing"),
        ChangeWord::Differs => style.warning("differs"),
        ChangeWord::Extra => style.faint("only here"),
    };
    [
        word_of_kind(change.kind).into(),
        (&change.name).into(),
        Cell::styled(word),
        field.map(|field| &field.field).into(),
        field.map(|field| value(&field.pod)).into(),
        field.map(|field| value(&field.other)).into(),
    ]
}

fn word_of_kind(kind: ComparedKind) -> &'static str {
    match kind {
        ComparedKind::Topic => "topic",
        ComparedKind::Group => "group",
        ComparedKind::RequestMode => "mode",
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use ops::report::API_VERSION;
    use serde_json::json;

    use super::*;

    fn diff() -> DiffReport {
        let change = |kind, name: &str, change, fields: &[(&str, Value, Value)]| ChangeRow {
            kind,
            name: name.to_owned(),
            change,
            fields: fields
                .iter()
                .map(|(field, pod, other)| FieldRow {
                    field: (*field).to_owned(),
                    pod: pod.clone(),
                    other: other.clone(),
                })
                .collect(),
        };
        DiffReport {
            api_version: API_VERSION,
            kind: "MetadataDiff",
            pod: "broker-1-master-0".to_owned(),
            other: "broker-0.tar".to_owned(),
            same: false,
            changes: vec![
                change(ComparedKind::Topic, "audit", ChangeWord::Missing, &[]),
                change(
                    ComparedKind::Topic,
                    "orders",
                    ChangeWord::Differs,
                    &[
                        ("attributes", Value::Null, json!({"message.type": "DELAY"})),
                        ("readQueueNums", json!(4), json!(8)),
                    ],
                ),
                change(ComparedKind::Topic, "evil\u{1b}[2J", ChangeWord::Extra, &[]),
                change(
                    ComparedKind::Group,
                    "billing",
                    ChangeWord::Differs,
                    &[("retryMaxTimes", json!(16), json!(3))],
                ),
                change(ComparedKind::RequestMode, "orders@billing", ChangeWord::Missing, &[]),
            ],
        }
    }

    #[test]
    fn a_difference_is_one_field_a_line() {
        insta::assert_snapshot!(diff_text(&diff(), Style::PLAIN), @r#"
        KIND   NAME            CHANGE     FIELD          broker-1-master-0  broker-0.tar
        topic  audit           missing    -              -                  -
        topic  orders          differs    attributes     -                  {"message.type":"DELAY"}
                                          readQueueNums  4                  8
        topic  evil\u{1b}[2J   only here  -              -                  -
        group  billing         differs    retryMaxTimes  16                 3
        mode   orders@billing  missing    -              -                  -
        "#);
    }

    #[test]
    fn equal_metadata_are_said_to_be_so() {
        let report = DiffReport { same: true, changes: Vec::new(), ..diff() };
        assert_eq!(diff_text(&report, Style::PLAIN), "broker-1-master-0 has what broker-0.tar has\n");
    }

    #[test]
    fn machines_read_both_values_of_a_field() {
        let page = diff_page(&diff(), Style::PLAIN);
        insta::assert_json_snapshot!(page.document.value()["changes"][1], @r#"
        {
          "kind": "topic",
          "name": "orders",
          "change": "differs",
          "fields": [
            {
              "field": "attributes",
              "pod": null,
              "other": {
                "message.type": "DELAY"
              }
            },
            {
              "field": "readQueueNums",
              "pod": 4,
              "other": 8
            }
          ]
        }
        "#);
        assert_eq!(page.names[0], "topic/audit");
    }

    #[test]
    fn an_export_says_what_was_left_out() {
        let mut report = ExportReport {
            api_version: API_VERSION,
            kind: "MetadataExport",
            pod: "broker-0-master-0".to_owned(),
            cluster: "broker".to_owned(),
            broker_name: "broker-0".to_owned(),
            version: "5.3.3".to_owned(),
            sha256: "9f86d081".to_owned(),
            bytes: 1_300_000,
            topics: 41,
            groups: 20,
            request_modes: 0,
            offsets: 60,
            registration_bytes: 9_000,
            ordered_topics_left_out: vec!["ledger".to_owned(), "queue".to_owned()],
        };
        insta::assert_snapshot!(export_text(&report, "b.tar", Style::PLAIN), @r"
        b.tar  41 topic(s), 20 group(s), 0 request mode(s) of broker-0-master-0 (RocketMQ 5.3.3)   1.2 MiB, sha256 9f86d081
        left out, because their messages are ordered: ledger, queue (--include-ordered takes them along)
        ");
        report.ordered_topics_left_out.clear();
        assert_eq!(export_text(&report, "b.tar", Style::PLAIN).lines().count(), 1);
    }
}
