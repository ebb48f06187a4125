//! What a command says, word for word.

use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::Ended;
use crate::e2e::watch::ensure;
use crate::error::Result;

/// Demands that the last thing a command printed is this message, which has `NAMESPACE` and `OPERATION` where their names
/// stand.
///
/// # Errors
/// When it said something else.
pub fn says(kubectl: &Kubectl, what: &str, ended: &Ended, message: &str) -> Result<()> {
    let progress = ended.stderr.find("\nerror: ").filter(|_| !ended.stderr.starts_with("error: "));
    let error = &ended.stderr[progress.map_or(0, |end| end + 1)..];
    let error = without_operation(error).replace(kubectl.namespace(), "NAMESPACE");
    ensure(error == message, || format!("{what}: expected\n{message}\nbut it said\n{error}"))
}

/// Demands that these words were printed.
///
/// # Errors
/// When some are missing.
pub fn says_all(printed: &str, words: &[&str]) -> Result<()> {
    let lacking = words.iter().find(|words| !printed.contains(**words));
    ensure(lacking.is_none(), || format!("no {lacking:?} in:\n{printed}"))
}

/// The text with the id of the operation that it speaks of, which differs each time, as `OPERATION`.
fn without_operation(text: &str) -> String {
    let id = text.split_once("operation op-").and_then(|(_, rest)| rest.split(' ').next());
    id.map_or_else(|| text.to_owned(), |id| text.replace(&format!("op-{id}"), "OPERATION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operations_id_is_left_out_wherever_it_stands() {
        assert_eq!(
            without_operation("operation op-1a is undone\nhint: ops show op-1a"),
            "operation OPERATION is undone\nhint: ops show OPERATION"
        );
        assert_eq!(without_operation("nothing was changed"), "nothing was changed");
    }
}
