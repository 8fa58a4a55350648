//! Timestamps and durations (langdef, "Timestamp and Duration").
//!
//! A timestamp is from year 1 to year 9999, to the nanosecond. A duration has at most as many
//! nanoseconds as an int holds, about 292 years either way, as in cel-go.

mod calendar;
mod span;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use self::calendar::Date;
pub(crate) use self::span::{Span, Unit};
pub use self::zone::Zone;
pub(crate) use self::zone::zone_mistake;

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;
/// Seconds in a day.
const DAY: i64 = 86_400;
/// The seconds of `0001-01-01T00:00:00Z` and of `9999-12-31T23:59:59Z`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970 in UTC, without leap seconds.
    seconds: i64,
    /// Nanoseconds since that second, below a billion.
    nanos: u32,
}

/// A field of a timestamp in some time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The year.
    FullYear,
    /// The month, from 0.
    Month,
    /// The day of the month, from 1.
    Date,
    /// The day of the month, from 0.
    DayOfMonth,
    /// The day of the year, from 0.
    DayOfYear,
    /// The day of the week; Sunday is 0.
    DayOfWeek,
    /// The hour, from 0 to 23.
    Hours,
    /// The minute.
    Minutes,
    /// The second.
    Seconds,
    /// The millisecond of the second.
    Milliseconds,
}

impl Field {
    /// All fields, each with the name of the function that returns it.
    pub(crate) const ALL: [(&'static str, Field); 10] = [
        ("getFullYear", Field::FullYear),
        ("getMonth", Field::Month),
        ("getDate", Field::Date),
        ("getDayOfMonth", Field::DayOfMonth),
        ("getDayOfYear", Field::DayOfYear),
        ("getDayOfWeek", Field::DayOfWeek),
        ("getHours", Field::Hours),
        ("getMinutes", Field::Minutes),
        ("getSeconds", Field::Seconds),
        ("getMilliseconds", Field::Milliseconds),
    ];

    /// The name of the function that returns it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Field::ALL.iter().find(|(_, field)| *field == self).map_or("", |(name, _)| name)
    }

    /// Its least and its greatest value; nothing for the year.
    #[must_use]
    pub fn range(self) -> Option<(i64, i64)> {
        Some(match self {
            Field::FullYear => return None,
            Field::Month => (0, 11),
            Field::Date => (1, 31),
            Field::DayOfMonth => (0, 30),
            Field::DayOfYear => (0, 365),
            Field::DayOfWeek => (0, 6),
            Field::Hours => (0, 23),
            Field::Minutes | Field::Seconds => (0, 59),
            Field::Milliseconds => (0, 999),
        })
    }

    /// The field that a function returns.
    pub(crate) fn of(function: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|(name, _)| *name == function).map(|(_, field)| field)
    }
}

impl Timestamp {
    /// The timestamp of so many nanoseconds since 1970 in UTC.
    #[must_use]
    pub fn of_nanos(nanos: i64) -> Timestamp {
        let (seconds, nanos) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
        Timestamp { seconds, nanos: u32::try_from(nanos).unwrap_or(0) }
    }

    /// Nanoseconds since 1970 in UTC, if an int can hold them.
    #[must_use]
    pub fn nanos(self) -> Option<i64> {
        self.since(Timestamp::of_nanos(0)).map(Span::nanos)
    }

    /// The timestamp of so many seconds since 1970 in UTC, unless it is out of range.
    pub(crate) fn of_seconds(seconds: i64) -> Option<Timestamp> {
        SECONDS.contains(&seconds).then_some(Timestamp { seconds, nanos: 0 })
    }

    /// Reads RFC 3339: `2026-01-31T12:00:00.5+01:00`. A fraction has at most nine digits, and there
    /// are no leap seconds.
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        let mut rest = Digits(text.as_bytes());
        let (year, month) = (rest.number(4, b"-")?, rest.number(2, b"-")?);
        let (day, hour) = (rest.number(2, b"T")?, rest.number(2, b":")?);
        let (minute, second) = (rest.number(2, b":")?, rest.number(2, b"")?);
        let nanos = rest.fraction()?;
        let offset = rest.offset()?;
        let date = Date { year, month, day };
        if !date.is_real() || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let of_day = seconds_of(hour, minute).wrapping_add(second);
        let seconds = date.days().wrapping_mul(DAY).wrapping_add(of_day);
        let whole = Timestamp::of_seconds(seconds.wrapping_sub(offset))?;
        Some(Timestamp { nanos, ..whole })
    }

    /// Seconds since 1970 in UTC.
    pub(crate) fn seconds(self) -> i64 {
        self.seconds
    }

    /// The timestamp so much later, unless it is out of range.
    pub(crate) fn plus(self, span: Span) -> Option<Timestamp> {
        let nanos = i64::from(self.nanos).checked_add(span.nanos().rem_euclid(SECOND))?;
        let seconds = self.seconds.checked_add(span.nanos().div_euclid(SECOND))?;
        let whole = Timestamp::of_seconds(seconds.checked_add(nanos.div_euclid(SECOND))?)?;
        Some(Timestamp { nanos: u32::try_from(nanos.rem_euclid(SECOND)).ok()?, ..whole })
    }

    /// The timestamp so much earlier, unless it is out of range.
    pub(crate) fn minus(self, span: Span) -> Option<Timestamp> {
        // The shortest duration has no negative.
        match span.negative() {
            Some(span) => self.plus(span),
            None => self.plus(Span::of_nanos(i64::MAX))?.plus(Span::of_nanos(1)),
        }
    }

    /// The time since another timestamp, unless it is longer than a duration can be.
    pub(crate) fn since(self, other: Timestamp) -> Option<Span> {
        let seconds = self.seconds.checked_sub(other.seconds)?;
        let nanos = i64::from(self.nanos).checked_sub(i64::from(other.nanos))?;
        // Both with the same sign, because seconds that are one too many may not fit.
        let carried = match (seconds.signum(), nanos.signum()) {
            (1, -1) => 1,
            (-1, 1) => -1,
            _ => 0_i64,
        };
        let nanos = nanos.checked_add(carried.checked_mul(SECOND)?)?;
        let seconds = seconds.checked_sub(carried)?;
        seconds.checked_mul(SECOND)?.checked_add(nanos).map(Span::of_nanos)
    }

    /// A field, in a time zone.
    pub(crate) fn field(self, field: Field, zone: Zone) -> i64 {
        let local = self.seconds.wrapping_add(zone.offset(self.seconds));
        let (days, of_day) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        match field {
            Field::Hours => of_day.div_euclid(3_600),
            Field::Minutes => of_day.div_euclid(60).rem_euclid(60),
            Field::Seconds => of_day.rem_euclid(60),
            Field::Milliseconds => i64::from(self.nanos).div_euclid(1_000_000),
            // The first of January 1970 was a Thursday.
            Field::DayOfWeek => days.wrapping_add(4).rem_euclid(7),
            Field::FullYear => Date::of(days).year,
            Field::Month => Date::of(days).month.wrapping_sub(1),
            Field::Date => Date::of(days).day,
            Field::DayOfMonth => Date::of(days).day.wrapping_sub(1),
            Field::DayOfYear => {
                let year = Date::of(days).year;
                days.wrapping_sub(Date { year, month: 1, day: 1 }.days())
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of(self.seconds.div_euclid(DAY));
        let of_day = self.seconds.rem_euclid(DAY);
        let (hour, minute) = (of_day.div_euclid(3_600), of_day.div_euclid(60).rem_euclid(60));
        let second = of_day.rem_euclid(60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        span::fraction(self.nanos, f)?;
        f.write_str("Z")
    }
}

/// INVARIANT: both are below 1,000.
fn seconds_of(hours: i64, minutes: i64) -> i64 {
    hours.wrapping_mul(3_600).wrapping_add(minutes.wrapping_mul(60))
}

/// The rest of a text of digits and separators.
struct Digits<'t>(&'t [u8]);

impl<'t> Digits<'t> {
    /// The digits that come next, if any do.
    fn run(&mut self) -> &'t [u8] {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at_checked(count).unwrap_or_default();
        self.0 = rest;
        digits
    }

    /// A number of so many digits, and what follows it.
    fn number(&mut self, digits: usize, then: &[u8]) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest.strip_prefix(then)?;
        decimal(number)
    }

    /// The nanoseconds of a fraction; 0 if there is none.
    fn fraction(&mut self) -> Option<u32> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Some(0) };
        self.0 = rest;
        let digits = self.run();
        let missing = u32::try_from(9_usize.checked_sub(digits.len())?).ok()?;
        u32::try_from(decimal(digits)?.checked_mul(10_i64.checked_pow(missing)?)?).ok()
    }

    /// The whole rest as an offset from UTC, in seconds.
    fn offset(&mut self) -> Option<i64> {
        if self.0 == b"Z" {
            return Some(0);
        }
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let (hours, minutes) = (self.number(2, b":")?, self.number(2, b"")?);
        let size = seconds_of(hours, minutes);
        if hours > 23 || minutes > 59 || !self.0.is_empty() {
            return None;
        }
        match sign {
            b'+' => Some(size),
            b'-' => size.checked_neg(),
            _ => None,
        }
    }
}

/// The number that digits spell, of which there are some.
fn decimal(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| {
        let digit = i64::from(char::from(*digit).to_digit(10)?);
        number.checked_mul(10)?.checked_add(digit)
    })
}
