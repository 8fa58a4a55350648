//! Durations. The name of CEL's type is Rust's for another.

use std::fmt;

use super::{Digits, SECOND};

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
/// How many digits of a fraction count. Those behind them are far less than a nanosecond.
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
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest == b"0" {
            return Some(Span(0));
        }
        let mut rest = Digits(rest);
        // The sum is negative, because the shortest duration has no positive of the same size.
        let mut sum = 0_i64;
        loop {
            let whole = rest.run();
            let fraction = if let Some(behind) = rest.0.strip_prefix(b".") {
                rest.0 = behind;
                rest.run()
            } else {
                b""
            };
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            let end = rest.0.iter().position(|byte| byte.is_ascii_digit() || *byte == b'.');
            let (unit, next) = rest.0.split_at_checked(end.unwrap_or(rest.0.len()))?;
            let (_, nanos) = UNITS.into_iter().find(|(name, _)| name.as_bytes() == unit)?;
            sum = sum.checked_sub(part(fraction, nanos))?;
            sum = sum.checked_add(negative_of(whole)?.checked_mul(nanos)?)?;
            rest = Digits(next);
            if next.is_empty() {
                break;
            }
        }
        if negative { Some(Span(sum)) } else { sum.checked_neg().map(Span) }
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

/// The negative of the number that digits spell; 0 for none.
fn negative_of(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |number, digit| {
        number.checked_mul(10)?.checked_sub(digit.wrapping_sub(b'0').into())
    })
}

/// The nanoseconds of a fraction of a unit, which are summed up as picoseconds.
fn part(fraction: &[u8], unit: i64) -> i64 {
    let mut place = unit.wrapping_mul(1_000);
    let picos = fraction.iter().take(FRACTION).fold(0_i64, |sum, digit| {
        place /= 10;
        sum.wrapping_add(i64::from(digit.wrapping_sub(b'0')).wrapping_mul(place))
    });
    picos / 1_000
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
