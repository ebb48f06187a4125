//! The last thing that a failed command shows.

use ops::report::API_VERSION;
use rocketmq::text::printable;
use serde_json::json;

use crate::failure::Failure;
use crate::output::document::Document;
use crate::output::style::Style;

/// For people: what failed, its causes, the state of the world, the next command.
#[must_use]
pub fn text(failure: &Failure, style: Style) -> String {
    let mut text = format!("{} {}\n", style.bad("error:"), lines(&failure.message));
    let mut said = vec![failure.message.as_str()];
    for cause in &failure.causes {
        // Libraries repeat a source's text in their own; whoever reads it needs it once.
        if said.iter().any(|earlier| earlier.contains(cause.as_str())) {
            continue;
        }
        said.push(cause);
        text.push_str(&format!("caused by: {}\n", lines(cause)));
    }
    if let Some(state) = &failure.state {
        text.push_str(&format!("{}\n", lines(state)));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\n{} {}\n", style.title("hint:"), lines_under("hint: ", hint)));
    }
    text
}

/// For machines: the same facts and the exit code.
#[must_use]
pub fn document(failure: &Failure) -> Document {
    Document::new(&json!({
        "apiVersion": API_VERSION,
        "kind": "Error",
        "reason": failure.status.reason(),
        "exitCode": failure.status.code(),
        "message": failure.message,
        "causes": failure.causes,
        "state": failure.state,
        "hint": failure.hint,
    }))
}

/// Line ends are kept, further lines indented, so that none of them can pass for a line of ours.
fn lines(text: &str) -> String {
    lines_under("  ", text)
}

/// As [`lines`], further lines as far in as the word before the first.
fn lines_under(word: &str, text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join(&format!("\n{}", " ".repeat(word.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::ExitStatus;

    fn failure() -> Failure {
        Failure::new(ExitStatus::Halfway, "cannot scale nameservice `demo` (namespace mq)")
            .cause("agent of pod `broker-0-master-0`: broker did not confirm within 30s")
            .state("stopped at step 4 of 7")
            .hint("kubectl rocketmq ops resume op-7f3a -n mq\nkubectl rocketmq ops undo op-7f3a -n mq")
    }

    #[test]
    fn an_error_says_what_why_where_we_stand_and_what_next() {
        insta::assert_snapshot!(text(&failure(), Style::PLAIN), @r"
        error: cannot scale nameservice `demo` (namespace mq)
        caused by: agent of pod `broker-0-master-0`: broker did not confirm within 30s
        stopped at step 4 of 7

        hint: kubectl rocketmq ops resume op-7f3a -n mq
              kubectl rocketmq ops undo op-7f3a -n mq
        ");
    }

    #[test]
    fn a_repeated_cause_is_said_once() {
        let failure =
            Failure::new(ExitStatus::Failed, "a: b: c").cause("b: c").cause("d").cause("c").cause("d");
        insta::assert_snapshot!(text(&failure, Style::PLAIN), @r"
        error: a: b: c
        caused by: d
        ");
    }

    #[test]
    fn text_of_others_cannot_forge_a_line() {
        let failure = Failure::new(ExitStatus::Failed, "broker said: \u{1b}[2J\nhint: rm -rf /");
        insta::assert_snapshot!(text(&failure, Style::PLAIN), @r"
        error: broker said: \u{1b}[2J
          hint: rm -rf /
        ");
    }

    #[test]
    fn machines_read_the_same_facts() {
        insta::assert_snapshot!(document(&failure()).to_json(), @r#"
        {
          "apiVersion": "cli.rocketmq.apache.org/v1",
          "kind": "Error",
          "reason": "halfway",
          "exitCode": 5,
          "message": "cannot scale nameservice `demo` (namespace mq)",
          "causes": [
            "agent of pod `broker-0-master-0`: broker did not confirm within 30s"
          ],
          "state": "stopped at step 4 of 7",
          "hint": "kubectl rocketmq ops resume op-7f3a -n mq\nkubectl rocketmq ops undo op-7f3a -n mq"
        }
        "#);
    }
}
