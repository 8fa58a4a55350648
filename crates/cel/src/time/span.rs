//! Durations. The name of CEL's type is Rust's for another.

use std::fmt;

use super::SECOND;

/// A duration, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(i64);

/// The units that a duration is written in, with their nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];
/// How many digits of a fraction count. Those behind them are less than a nanosecond.
const FRACTION: usize = 15;

impl Span {
    pub(crate) fn of_nanos(nanos: i64) -> Span {
        Span(nanos)
    }

    pub(crate) fn nanos(self) -> i64 {
        self.0
    }

    pub(super) fn negative(self) -> Option<Span> {
        self.0.checked_neg().map(Span)
    }

    pub(crate) fn plus(self, other: Span) -> Option<Span> {
        self.0.checked_add(other.0).map(Span)
    }

    pub(crate) fn minus(self, other: Span) -> Option<Span> {
        self.0.checked_sub(other.0).map(Span)
    }

    /// Reads numbers with units, as Go's `time.ParseDuration` does: `1h30m`, `-1.5s`, `0`. What is
    /// less than a nanosecond is cut off.
    pub(crate) fn parse(text: &str) -> Option<Span> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Span(0));
        }
        let mut sum = 0_i128;
        loop {
            let (whole, behind) = digits(rest);
            let (fraction, behind) = match behind.strip_prefix('.') {
                Some(behind) => digits(behind),
                None => ("", behind),
            };
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            let end = behind.find(|c: char| c.is_ascii_digit() || c == '.');
            let (unit, next) = behind.split_at_checked(end.unwrap_or(behind.len()))?;
            let (_, nanos) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
            sum = sum.checked_add(size(whole, fraction, nanos)?)?;
            rest = next;
            if rest.is_empty() {
                break;
            }
        }
        let signed = if negative { sum.checked_neg()? } else { sum };
        i64::try_from(signed).ok().map(Span)
    }

    /// The whole hours, minutes or seconds in it, by their nanoseconds.
    pub(crate) fn whole(self, unit: Unit) -> i64 {
        match unit {
            Unit::Hours => self.0 / (3_600 * SECOND),
            Unit::Minutes => self.0 / (60 * SECOND),
            Unit::Seconds => self.0 / SECOND,
            // As the conformance suite has it: those of the last second.
            Unit::Milliseconds => self.0 % SECOND / 1_000_000,
        }
    }
}

/// What the fields of a duration are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The nanoseconds of a number of units.
fn size(whole: &str, fraction: &str, unit: i64) -> Option<i128> {
    let number = |digits: &str| {
        let number: u64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        i128::from(number).checked_mul(unit.into())
    };
    let fraction = fraction.get(..FRACTION).unwrap_or(fraction);
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    number(whole)?.checked_add(number(fraction)?.checked_div(scale)?)
}

impl fmt::Display for Span {
    /// In seconds: `5400s`, `-1.5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.unsigned_abs() / 1_000_000_000, self.0 % SECOND);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{seconds}")?;
        fraction(u32::try_from(nanos.unsigned_abs()).unwrap_or(0), f)?;
        f.write_str("s")
    }
}

/// Writes nanoseconds as a fraction of a second, without zeros at its end.
pub(super) fn fraction(nanos: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}
