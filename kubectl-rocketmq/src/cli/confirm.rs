//! Questions before a change. No answer is a no.

use std::io::IsTerminal;

use ops::command::Confirmation;
use rocketmq::text::printable;

use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};

/// Asks, unless the flags have answered already.
///
/// # Errors
/// `Refused` when the answer is not a yes, or when standard input is no terminal and the flags do not answer.
pub async fn ask(
    context: &mut Context,
    confirmation: &Confirmation,
    yes: bool,
    typed: Option<&str>,
) -> Result<(), Failure> {
    let (question, flag) = match confirmation {
        Confirmation::YesOrNo { .. } if yes => return Ok(()),
        Confirmation::YesOrNo { question } => (format!("{} [y/N]", printable(question)), "-y".to_owned()),
        Confirmation::TypeName { name, .. } if typed == Some(name) => return Ok(()),
        Confirmation::TypeName { question, name } => (
            format!("{} Type `{}` to go on:", printable(question), printable(name)),
            format!("--confirm={name}"),
        ),
        Confirmation::TypeNumber { number, .. } if typed == Some(number.to_string().as_str()) => {
            return Ok(());
        }
        Confirmation::TypeNumber { question, number } => {
            (format!("{} Type the number to go on:", printable(question)), format!("--abandon={number}"))
        }
    };
    if !std::io::stdin().is_terminal() {
        return Err(refused("standard input is no terminal, so nobody can be asked")
            .hint(format!("add `{flag}` if the plan is what you want")));
    }
    context.printer.question(&question);
    let answer = context.until_interrupted(async { Ok(read_line().await) }).await?;
    if is_yes(confirmation, &answer) { Ok(()) } else { Err(refused("not confirmed")) }
}

fn is_yes(confirmation: &Confirmation, answer: &str) -> bool {
    match confirmation {
        Confirmation::YesOrNo { .. } => matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"),
        Confirmation::TypeName { name, .. } => answer.trim() == name,
        Confirmation::TypeNumber { number, .. } => answer.trim().parse() == Ok(*number),
    }
}

/// A line of standard input; empty when it cannot be read, which is a no.
async fn read_line() -> String {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    read.await.ok().and_then(Result::ok).unwrap_or_default()
}

fn refused(message: &str) -> Failure {
    Failure::new(ExitStatus::Refused, message).state("nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        let question = Confirmation::YesOrNo { question: "Go on?".to_owned() };
        for (answer, expected) in
            [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("n\n", false), ("yep\n", false)]
        {
            assert_eq!(is_yes(&question, answer), expected, "{answer:?}");
        }
        let name = Confirmation::TypeName { question: "Go on?".to_owned(), name: "demo".to_owned() };
        for (answer, expected) in [("demo\n", true), ("y\n", false), ("Demo\n", false), ("", false)] {
            assert_eq!(is_yes(&name, answer), expected, "{answer:?}");
        }
        let number = Confirmation::TypeNumber { question: "How many?".to_owned(), number: 38 };
        for (answer, expected) in [("38\n", true), ("y\n", false), ("37\n", false), ("", false)] {
            assert_eq!(is_yes(&number, answer), expected, "{answer:?}");
        }
    }
}
