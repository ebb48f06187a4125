//! How wide text is, and small words for numbers and durations.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// How many columns a text takes on a terminal, colour codes not counted.
#[must_use]
pub fn width(text: &str) -> usize {
    if !text.contains('\u{1b}') {
        return text.width();
    }
    let mut columns = 0;
    let mut rest = text;
    while let Some(start) = rest.find('\u{1b}') {
        columns += rest[..start].width();
        rest = rest[start..].split_once('m').map_or("", |(_, after)| after);
    }
    columns + rest.width()
}

/// A duration in its two largest units, as `kubectl` shows ages: `41s`, `5m3s`, `2h`, `3d4h`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, 0, _, _) => format!("{d}d"),
        (d, h, _, _) => format!("{d}d{h}h"),
    }
}

/// A duration that may be well below a second, for "collected in".
#[must_use]
pub fn short_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        self::duration(duration)
    }
}

/// A number of bytes in its largest unit: `812 B`, `12.4 KiB`, `1.9 MiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut amount = number as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        // What would be shown as 1024.0 is one of the next.
        if amount < 1023.95 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    format!("{amount:.1} {unit}")
}

/// `1 pod`, `3 pods`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_counts_columns_not_bytes() {
        let check = |input: &str, expected: usize| assert_eq!(width(input), expected, "{input:?}");
        check("abc", 3);
        check("主题", 4);
        check("\u{1b}[32mok\u{1b}[0m", 2);
        check("a\u{1b}[1mb\u{1b}[0mc", 3);
    }

    #[test]
    fn durations_read_like_ages() {
        let check =
            |seconds: u64, expected: &str| assert_eq!(duration(Duration::from_secs(seconds)), expected);
        check(0, "0s");
        check(41, "41s");
        check(60, "1m");
        check(303, "5m3s");
        check(7_200, "2h");
        check(7_260, "2h1m");
        check(273_600, "3d4h");
        check(172_800, "2d");
    }

    #[test]
    fn bytes_are_told_in_their_largest_unit() {
        let check = |number: u64, expected: &str| assert_eq!(bytes(number), expected);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check((1 << 20) - 1, "1.0 MiB");
        check(2_000_000, "1.9 MiB");
        check(15 << 20, "15.0 MiB");
        check(u64::MAX, "16777216.0 TiB");
    }

    #[test]
    fn short_durations_keep_a_tenth() {
        assert_eq!(short_duration(Duration::from_millis(412)), "0.4s");
        assert_eq!(short_duration(Duration::from_secs(75)), "1m15s");
    }
}
