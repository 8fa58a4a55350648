//! The Gregorian calendar.
//!
//! INVARIANT: years are from 0 to 10,000, so that nothing wraps here and in `zone`. The arithmetic
//! that would check it is long code in wasm, which has no multiplication to 128 bits.

/// A date: month and day from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

/// The days of four hundred years, after which the calendar repeats itself.
const ERA: i64 = 146_097;
/// The days from the first of March of year 0 to the first of January 1970.
const EPOCH: i64 = 719_468;

impl Date {
    /// Whether there is such a date.
    pub(super) fn is_real(self) -> bool {
        let length = match self.month {
            2 if is_leap(self.year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=length).contains(&self.day)
    }

    /// The days from the first of January 1970.
    ///
    /// Years are counted from March, so that a leap day is the last day of its year. A year then
    /// has 365 days and its leap days, and its first `m` months have `(153 * m + 2) / 5` days.
    pub(super) fn days(self) -> i64 {
        let early = self.month <= 2;
        let year = self.year.wrapping_sub(i64::from(early));
        let month = self.month.wrapping_sub(3).rem_euclid(12);
        let before = month.wrapping_mul(153).wrapping_add(2).div_euclid(5);
        year.wrapping_mul(365)
            .wrapping_add(year.div_euclid(4))
            .wrapping_sub(year.div_euclid(100))
            .wrapping_add(year.div_euclid(400))
            .wrapping_add(before)
            .wrapping_add(self.day.wrapping_sub(1))
            .wrapping_sub(EPOCH)
    }

    /// The date so many days from the first of January 1970.
    pub(super) fn of(days: i64) -> Date {
        let days = days.wrapping_add(EPOCH);
        let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
        // Without the leap days before it, a day is in the year of its 365th part.
        let leaps = of_era
            .div_euclid(1_460)
            .wrapping_sub(of_era.div_euclid(36_524))
            .wrapping_add(of_era.div_euclid(146_096));
        let year = of_era.wrapping_sub(leaps).div_euclid(365);
        let before = year
            .wrapping_mul(365)
            .wrapping_add(year.div_euclid(4))
            .wrapping_sub(year.div_euclid(100));
        let of_year = of_era.wrapping_sub(before);
        let month = of_year.wrapping_mul(5).wrapping_add(2).div_euclid(153);
        let before = month.wrapping_mul(153).wrapping_add(2).div_euclid(5);
        let late = month >= 10;
        Date {
            year: era.wrapping_mul(400).wrapping_add(year).wrapping_add(i64::from(late)),
            month: if late { month.wrapping_sub(9) } else { month.wrapping_add(3) },
            day: of_year.wrapping_sub(before).wrapping_add(1),
        }
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}
