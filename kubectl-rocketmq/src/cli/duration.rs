//! Durations on the command line, as kubectl takes them: a number with a unit, or 0.

use std::time::Duration;

/// Parses `90s`, `1m30s`, `2h`; `0` alone needs no unit.
///
/// # Errors
/// In words, for the argument parser.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("a unit is missing, for example {text}s"));
    }
    let duration: jiff::SignedDuration =
        text.parse().map_err(|_| "not a duration; write for example 90s, 1m30s or 2h".to_owned())?;
    Duration::try_from(duration).map_err(|_| "a duration cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        let check =
            |text: &str, seconds: u64| assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        check("0", 0);
        check("90s", 90);
        check("1m30s", 90);
        check("2h", 7_200);
        let refused = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        refused("90", "a unit is missing, for example 90s");
        refused("soon", "not a duration; write for example 90s, 1m30s or 2h");
        refused("", "not a duration; write for example 90s, 1m30s or 2h");
        refused("-5s", "a duration cannot be negative");
    }
}
