//! Time zones: offsets from UTC, and the names of the IANA database with the rules now in force.
//!
//! The rules are a table (`zones.txt`) that `zones.sh` makes of the last line of each of the
//! database's files: what holds from the release on. A time before that is read by the same rules.

use super::calendar::Date;
use super::{DAY, Digits, seconds_of};
use crate::suggest::nearest;

/// A line for each zone, sorted by the bytes of its name; the first line names the release.
const ZONES: &str = include_str!("zones.txt");

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC, where no summer time is.
    standard: i64,
    summer: Option<Summer>,
}

/// Another offset, for a part of each year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Summer {
    offset: i64,
    start: Change,
    end: Change,
}

/// When the offset changes: on the last such weekday of the month, or on the first, second, third
/// or fourth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    month: i64,
    /// From 1; 5 is the last.
    week: i64,
    /// From 0, which is Sunday.
    weekday: i64,
    /// Seconds from midnight, by the clock before the change. It may be in another day.
    time: i64,
}

impl Zone {
    /// Coordinated universal time.
    pub(crate) const UTC: Zone = Zone { standard: 0, summer: None };

    /// The zone of a name or an offset: `Europe/Berlin`, `+02:00`, `-02:30`, `02:00`.
    pub(crate) fn parse(text: &str) -> Option<Zone> {
        let (sign, rest) = match text.as_bytes() {
            [sign @ (b'+' | b'-'), rest @ ..] => (*sign, rest),
            rest => (b'+', rest),
        };
        if rest.first().is_some_and(u8::is_ascii_digit) {
            let mut rest = Digits(rest);
            let (hours, minutes) = (rest.number(2, b":")?, rest.number(2, b"")?);
            if hours > 23 || minutes > 59 || !rest.0.is_empty() {
                return None;
            }
            let size = seconds_of(hours, minutes);
            let standard = if sign == b'-' { size.checked_neg()? } else { size };
            return Some(Zone { standard, summer: None });
        }
        named(text).and_then(rule)
    }

    /// Seconds east of UTC at a time, which is in seconds since 1970 in UTC.
    pub(crate) fn offset(self, seconds: i64) -> i64 {
        let Some(Summer { offset, start, end }) = self.summer else { return self.standard };
        let days = seconds.wrapping_add(self.standard).div_euclid(DAY);
        let year = Date::of(days).year;
        let start = start.local(year).wrapping_sub(self.standard);
        let end = end.local(year).wrapping_sub(offset);
        // South of the equator, summer lasts over the end of the year.
        let is_summer = if start < end {
            (start..end).contains(&seconds)
        } else {
            !(end..start).contains(&seconds)
        };
        if is_summer { offset } else { self.standard }
    }
}

impl Change {
    /// The time of the change in a year, in seconds since 1970 by the clock before it.
    fn local(self, year: i64) -> i64 {
        let first = Date { year, month: self.month, day: 1 }.days();
        // The first of January 1970 was a Thursday.
        let weekday = first.wrapping_add(4).rem_euclid(7);
        let to_first = self.weekday.wrapping_sub(weekday).rem_euclid(7);
        let mut day = self.week.wrapping_sub(1).wrapping_mul(7).wrapping_add(to_first);
        if !(Date { year, month: self.month, day: day.wrapping_add(1) }).is_real() {
            day = day.wrapping_sub(7);
        }
        first.wrapping_add(day).wrapping_mul(DAY).wrapping_add(self.time)
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    ZONES.lines().skip(1)
}

/// The names of all zones.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name)
}

/// The rule of a zone's name. The table is searched by halves, because a request may choose the
/// name.
fn named(name: &str) -> Option<&'static str> {
    let mut rest = ZONES;
    while !rest.is_empty() {
        // The line that has the middle.
        let middle = rest.len() / 2;
        let bytes = rest.as_bytes();
        let before = bytes.get(..middle)?.iter().rposition(|byte| *byte == b'\n');
        let start = before.map_or(0, |at| at.saturating_add(1));
        let end = bytes.get(middle..)?.iter().position(|byte| *byte == b'\n')?;
        let end = middle.saturating_add(end);
        let line = rest.get(start..end)?;
        if let Some(rule) = line.strip_prefix(name).and_then(|behind| behind.strip_prefix(' ')) {
            return Some(rule);
        }
        // Behind a zone's name is a blank, which is less than what names have: lines have the
        // order of their names.
        rest = if name < line { rest.get(..start)? } else { rest.get(end.saturating_add(1)..)? };
    }
    None
}

/// Reads a POSIX TZ string (RFC 9636 section 3.3.2): `CET-1CEST,M3.5.0,M10.5.0/3`, without its
/// abbreviations `-1s,M3.5.0,M10.5.0/3`.
fn rule(text: &str) -> Option<Zone> {
    let mut rest = Rule(text.as_bytes());
    rest.abbreviation();
    // The sign is of what is to be added to reach UTC.
    let standard = rest.time()?.checked_neg()?;
    if rest.0.is_empty() {
        return Some(Zone { standard, summer: None });
    }
    rest.abbreviation();
    let offset = if rest.0.starts_with(b",") {
        standard.checked_add(3_600)?
    } else {
        rest.time()?.checked_neg()?
    };
    let (start, end) = (rest.change()?, rest.change()?);
    rest.0.is_empty().then_some(Zone { standard, summer: Some(Summer { offset, start, end }) })
}

/// The rest of a POSIX TZ string.
struct Rule<'t>(&'t [u8]);

impl Rule<'_> {
    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    /// Whether the next byte is this, which is then skipped.
    fn is(&mut self, byte: u8) -> bool {
        let is = self.0.first() == Some(&byte);
        self.skip(usize::from(is));
        is
    }

    /// Skips `CET` or `<+03>`.
    fn abbreviation(&mut self) {
        let end = if self.0.first() == Some(&b'<') {
            self.0.iter().position(|byte| *byte == b'>').map(|at| at.saturating_add(1))
        } else {
            self.0.iter().position(|byte| !byte.is_ascii_alphabetic())
        };
        self.skip(end.unwrap_or(self.0.len()));
    }

    fn number(&mut self) -> Option<i64> {
        let mut rest = Digits(self.0);
        let number = super::decimal(rest.run());
        self.0 = rest.0;
        number
    }

    /// `-1`, `5:30` or `24`, in seconds.
    fn time(&mut self) -> Option<i64> {
        let negative = self.is(b'-');
        if !negative {
            self.is(b'+');
        }
        let hours = self.number()?;
        let minutes = if self.is(b':') { self.number()? } else { 0 };
        let size = seconds_of(hours, minutes);
        if negative { size.checked_neg() } else { Some(size) }
    }

    /// `,M10.5.0/3`: month, week, weekday, and time, which is 2 where it is left out.
    fn change(&mut self) -> Option<Change> {
        if !self.is(b',') || !self.is(b'M') {
            return None;
        }
        let month = self.number()?;
        let week = if self.is(b'.') { self.number()? } else { return None };
        let weekday = if self.is(b'.') { self.number()? } else { return None };
        let time = if self.is(b'/') { self.time()? } else { 7_200 };
        Some(Change { month, week, weekday, time })
    }
}

/// What is wrong with the text of a zone, if anything is.
pub(crate) fn zone_mistake(text: &str) -> Option<String> {
    if Zone::parse(text).is_some() {
        return None;
    }
    let shown = text.escape_debug();
    Some(match nearest(text, names()) {
        Some(meant) => format!("unknown time zone `{shown}` (did you mean `{meant}`?)"),
        None => format!(
            "unknown time zone `{shown}`: write a name such as `Europe/Berlin`, or an offset from \
             UTC such as `+02:00`"
        ),
    })
}
