//! The crate `jiff` with its own copy of the time zone database, as a second opinion.

#![expect(clippy::arithmetic_side_effects, reason = "the numbers of a test stay small")]

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp as Theirs, ToSpan};
use proptest::prelude::*;

use super::super::*;

/// Zones whose coming changes no rule describes: summer time there is suspended in Ramadan.
const IRREGULAR: [&str; 2] = ["Asia/Gaza", "Asia/Hebron"];

/// From when on the zones with a last irregular change are as their rules say.
fn regular_from(name: &str) -> Theirs {
    let from = match name {
        "America/Havana" | "Cuba" => "2027-11-08T00:00:00Z",
        _ => "2026-12-01T00:00:00Z",
    };
    from.parse().unwrap()
}

fn theirs(time: Timestamp) -> Theirs {
    Theirs::new(time.seconds, i32::try_from(time.nanos).unwrap()).unwrap()
}

/// All fields, in the order of [`Field::ALL`].
fn fields(time: Theirs, zone: &TimeZone) -> [i64; 10] {
    let local = zone.to_datetime(time);
    [
        i64::from(local.year()),
        i64::from(local.month()) - 1,
        i64::from(local.day()),
        i64::from(local.day()) - 1,
        i64::from(local.day_of_year()) - 1,
        i64::from(local.weekday().to_sunday_zero_offset()),
        i64::from(local.hour()),
        i64::from(local.minute()),
        i64::from(local.second()),
        i64::from(local.millisecond()),
    ]
}

fn ours(time: Timestamp, zone: Zone) -> [i64; 10] {
    Field::ALL.map(|(_, field)| time.field(field, zone))
}

#[test]
fn every_zone_agrees_from_the_tables_release_on() {
    let (mut zones, mut differing) = (0, Vec::new());
    for name in zone::names().filter(|name| !IRREGULAR.contains(name)) {
        let (rules, zone) = (Zone::parse(name).unwrap(), TimeZone::get(name));
        let Ok(zone) = zone else { panic!("{name} is unknown to jiff") };
        let start = regular_from(name);
        let end: Theirs = "2100-01-01T00:00:00Z".parse().unwrap();
        // Every change of the offset, with the nanosecond before it, and a day of each month.
        let changes = zone.following(start).take_while(|change| change.timestamp() < end);
        let mut times: Vec<Theirs> = changes
            .flat_map(|change| [change.timestamp() - 1.nanosecond(), change.timestamp()])
            .collect();
        times.extend((0..860).map(|month| start + (month * 730).hours()));
        for time in times {
            let own = Timestamp::of_seconds(time.as_second()).unwrap();
            let own = own.plus(Span::of_nanos(time.subsec_nanosecond().into())).unwrap();
            let (ours, theirs) = (ours(own, rules), fields(time, &zone));
            if ours != theirs {
                differing.push(format!("{name} at {time}: {ours:?}, not {theirs:?}"));
                break;
            }
        }
        zones += 1;
    }
    assert!(zones > 590, "{zones} zones were compared");
    assert!(differing.is_empty(), "{differing:#?}");
}

/// Any timestamp that jiff takes as well: it leaves a day at each end.
fn any_time() -> impl Strategy<Value = Timestamp> {
    (SECONDS.start() + DAY..SECONDS.end() - DAY * 2, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fields_agree_at_any_time(time in any_time(), minutes in -1_439..1_440_i32) {
        let size = minutes.abs();
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = Zone::parse(&format!("{sign}{:02}:{:02}", size / 60, size % 60)).unwrap();
        let fixed = TimeZone::fixed(Offset::from_seconds(minutes * 60).unwrap());
        prop_assert_eq!(ours(time, zone), fields(theirs(time), &fixed));
    }

    #[test]
    fn texts_agree_and_are_read_back(time in any_time()) {
        let text = time.to_string();
        prop_assert_eq!(&text, &theirs(time).to_string());
        prop_assert_eq!(Timestamp::parse(&text), Some(time));
    }

    #[test]
    fn sums_and_differences_agree(time in any_time(), nanos: i64) {
        let span = Span::of_nanos(nanos);
        let sum = theirs(time).checked_add(nanos.nanoseconds()).ok();
        let sum = sum.map(|sum| sum.as_nanosecond());
        let whole = |time: Timestamp| {
            i128::from(time.seconds) * i128::from(SECOND) + i128::from(time.nanos)
        };
        // Theirs begins before year 1, and ends a day earlier.
        let ours = time.plus(span).map(whole);
        let is_early = |sum: i128| sum < i128::from(*SECONDS.start()) * i128::from(SECOND);
        prop_assert!(sum == ours || sum.is_none_or(is_early), "{:?}, not {:?}", ours, sum);
        if let Some(moved) = time.plus(span) {
            prop_assert_eq!(moved.since(time), Some(span));
            prop_assert_eq!(moved.minus(span), Some(time));
        }
    }

    #[test]
    fn durations_are_read_back(nanos: i64) {
        let span = Span::of_nanos(nanos);
        prop_assert_eq!(Span::parse(&span.to_string()), Some(span));
    }
}
