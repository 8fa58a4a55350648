//! Spans of time, and moments.

use std::ops::Range;
use std::time::Duration;

use egress_filter::cel::time::Timestamp;

use crate::cases::fields::Fields;
use crate::yaml::Node;

/// A span of time: a whole number and a unit, such as `300ms`, `5s`, `2m` or `1h`.
pub(super) fn duration(fields: &mut Fields<'_>, node: &Node, what: &str) -> Option<Duration> {
    let text = fields.text(node, what)?;
    let duration = parse_duration(&text);
    if duration.is_none() {
        let message = format!("{what} is a span of time such as `300ms`, `5s`, `2m` or `1h`");
        fields.error(&node.span, format!("{message}, not `{text}`"));
    }
    duration
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// A moment in UTC, as RFC 3339 writes it without fractions: `2026-01-31T12:00:00Z`; since the Unix
/// epoch.
pub(super) fn timestamp(fields: &mut Fields<'_>, node: &Node) -> Option<Duration> {
    let text = fields.text(node, "`clock`")?;
    let moment = parse_timestamp(&text);
    if moment.is_none() {
        fields.error(
            &node.span,
            format!("`clock` is a moment such as `2026-01-31T12:00:00Z`, not `{text}`"),
        );
    }
    moment
}

fn parse_timestamp(text: &str) -> Option<Duration> {
    let text = Some(text).filter(|text| text.ends_with('Z') && !text.contains('.'))?;
    let nanos = Timestamp::parse(text)?.nanos()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// The time at which a request comes, in nanoseconds since the Unix epoch. It is written as
/// RFC 3339 has it, with any offset and fraction.
pub(super) fn time(fields: &mut Fields<'_>, text: &str, span: &Range<usize>) -> Option<i64> {
    let time = Timestamp::parse(text).and_then(Timestamp::nanos);
    if time.is_none() {
        fields.error(
            span,
            format!(
                "`time` is when the request comes, such as `2026-01-31T12:00:00Z` or \
                 `2026-01-31T13:00:00+01:00`, not `{text}`"
            ),
        );
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_have_units() {
        for (text, milliseconds) in [("0s", 0), ("300ms", 300), ("5s", 5_000), ("2m", 120_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(parse_duration("1h"), Some(Duration::from_secs(3_600)));
        for text in ["", "5", "s", "-1s", "1.5s", "5 s", "5d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_counted_from_the_unix_epoch() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2026-01-31T12:34:56Z", 1_769_862_896),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse_timestamp(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "2026-01-31",
            "2026-01-31T12:34:56",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "1969-12-31T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-1-31T12:34:56Z",
            "2026-01-31T12:34:56.5Z",
            "+026-01-31T12:34:56Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
