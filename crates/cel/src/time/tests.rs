//! The calendar, the texts and the zones, against examples and against the crate `jiff`.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(not(target_arch = "wasm32"))]
mod against_jiff;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn timestamps_are_read_as_rfc_3339_has_them() {
    for (text, shown) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z"),
        ("2026-01-01T00:30:00.5+01:00", "2025-12-31T23:30:00.5Z"),
        ("2024-02-29T23:59:59.123456789-23:59", "2024-03-01T23:58:59.123456789Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("9999-12-31T23:59:59.100Z", "9999-12-31T23:59:59.1Z"),
        ("2000-02-29T00:00:00-00:00", "2000-02-29T00:00:00Z"),
    ] {
        assert_eq!(at(text).to_string(), shown, "{text}");
    }
    for text in [
        "",
        "2026-01-31",
        "2026-01-31T12:00Z",
        "2026-01-31 12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00z",
        "2026-01-31T12:00:00Z ",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00+1:00",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2016-12-31T23:59:60Z",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "+026-01-31T12:00:00Z",
        "2026-01-31T12:00:\u{0661}0Z",
    ] {
        assert_eq!(Timestamp::parse(text), None, "{text}");
    }
}

#[test]
fn durations_are_read_as_go_reads_them() {
    for (text, shown) in [
        ("0", "0s"),
        ("-0", "0s"),
        ("1h30m", "5400s"),
        ("-1.5h", "-5400s"),
        ("+90m", "5400s"),
        ("1m6s", "66s"),
        (".5s", "0.5s"),
        ("5.s", "5s"),
        ("1.5s1.5s", "3s"),
        ("250ms", "0.25s"),
        ("1us", "0.000001s"),
        ("1\u{b5}s", "0.000001s"),
        ("1\u{3bc}s", "0.000001s"),
        ("-999999999ns", "-0.999999999s"),
        ("0.0000000001s", "0s"),
        ("0.333333333333333333333h", "1199.999999999s"),
        ("9223372036854775807ns", "9223372036.854775807s"),
        ("-9223372036854775808ns", "-9223372036.854775808s"),
        ("-9223372036.854775808s", "-9223372036.854775808s"),
    ] {
        assert_eq!(
            Span::parse(text).map(|span| span.to_string()).as_deref(),
            Some(shown),
            "{text}"
        );
    }
    for text in [
        "",
        "-",
        "1",
        "00",
        "s",
        "1 s",
        "1d",
        "1h-30m",
        "--1s",
        ".s",
        "1..5s",
        "1e3s",
        "1S",
        "9223372036854775808ns",
        "-9223372036854775809ns",
        "2562048h",
        "99999999999999999999s",
        "1s ",
        "\u{0661}s",
    ] {
        assert_eq!(Span::parse(text), None, "{text}");
    }
}

#[test]
fn sums_and_differences_stay_in_range() {
    let [first, last] = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"].map(at);
    let nano = Span::of_nanos(1);
    let longest = Span::of_nanos(i64::MAX);
    let shortest = Span::of_nanos(i64::MIN);
    assert_eq!(first.minus(nano), None);
    assert_eq!(last.plus(nano), None);
    assert_eq!(first.plus(nano).and_then(|time| time.minus(nano)), Some(first));
    assert_eq!(last.minus(nano).and_then(|time| time.plus(nano)), Some(last));
    assert_eq!(longest.plus(nano), None);
    assert_eq!(shortest.minus(nano), None);
    assert_eq!(last.since(first), None);
    let middle = at("2026-01-31T12:00:00.4Z");
    for span in [longest, shortest, nano, Span::of_nanos(-1), Span::of_nanos(-SECOND)] {
        let moved = middle.plus(span).unwrap();
        assert_eq!(moved.since(middle), Some(span), "{span}");
        assert_eq!(moved.minus(span), Some(middle), "{span}");
        // Nothing is the negative of the shortest.
        assert_eq!(middle.since(moved), span.negative(), "{span}");
    }
    assert_eq!(Timestamp::of_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(Timestamp::of_nanos(i64::MIN).to_string(), "1677-09-21T00:12:43.145224192Z");
    assert!(at("2026-01-31T12:00:00.1Z") < at("2026-01-31T12:00:00.2Z"));
    assert!(at("2026-01-31T12:00:00.9Z") < at("2026-01-31T12:00:01Z"));
}

#[test]
fn fields_are_those_of_the_zone() {
    let time = at("2026-12-31T23:30:05.987654321Z");
    let berlin = Zone::parse("Europe/Berlin").unwrap();
    for (field, utc, there) in [
        (Field::FullYear, 2026, 2027),
        (Field::Month, 11, 0),
        (Field::Date, 31, 1),
        (Field::DayOfMonth, 30, 0),
        (Field::DayOfYear, 364, 0),
        (Field::DayOfWeek, 4, 5),
        (Field::Hours, 23, 0),
        (Field::Minutes, 30, 30),
        (Field::Seconds, 5, 5),
        (Field::Milliseconds, 987, 987),
    ] {
        assert_eq!(time.field(field, Zone::UTC), utc, "{field:?}");
        assert_eq!(time.field(field, berlin), there, "{field:?}");
    }
    assert_eq!(at("9999-12-31T23:59:59Z").field(Field::FullYear, berlin), 10_000);
}

#[test]
fn offsets_and_names_are_zones() {
    for (text, offset) in [
        ("UTC", 0),
        ("+00:00", 0),
        ("-00:00", 0),
        ("02:00", 7_200),
        ("+05:45", 20_700),
        ("-09:30", -34_200),
        ("Etc/GMT+5", -18_000),
        ("Asia/Kathmandu", 20_700),
        ("US/Arizona", -25_200),
    ] {
        assert_eq!(Zone::parse(text).map(|zone| zone.offset(0)), Some(offset), "{text}");
    }
    for text in [
        "",
        "#",
        "Local",
        "utc",
        "Europe",
        "Europe/",
        "europe/berlin",
        "Europe/Berlin ",
        "2:00",
        "+2:00",
        "+24:00",
        "+02:60",
        "+0200",
        "+02",
        "GMT+2",
        "CET-1CEST",
        "+",
        "-",
        "++02:00",
        "\n",
        "Zulu\nAfrica/Abidjan",
        "\u{e9}",
    ] {
        assert_eq!(Zone::parse(text), None, "{text}");
    }
}

#[test]
fn summer_time_begins_and_ends_on_its_day() {
    // The hour on the clock, before and after each change.
    for (zone, time, before, after) in [
        ("Europe/Berlin", "2027-03-28T01:00:00Z", 1, 3),
        ("Europe/Berlin", "2027-10-31T01:00:00Z", 2, 2),
        ("America/New_York", "2027-03-14T07:00:00Z", 1, 3),
        ("America/New_York", "2027-11-07T06:00:00Z", 1, 1),
        ("Australia/Sydney", "2027-04-03T16:00:00Z", 2, 2),
        ("Australia/Sydney", "2027-10-02T16:00:00Z", 1, 3),
        ("Africa/Cairo", "2027-04-29T22:00:00Z", 23, 1),
        ("Africa/Cairo", "2027-10-28T21:00:00Z", 23, 23),
        // Summer is the standard time there, and winter an hour behind it.
        ("Europe/Dublin", "2027-03-28T01:00:00Z", 0, 2),
        ("America/Nuuk", "2027-03-28T01:00:00Z", 22, 0),
    ] {
        let rules = Zone::parse(zone).unwrap();
        let hour = |time: Timestamp| time.field(Field::Hours, rules);
        let change = at(time);
        assert_eq!(hour(change.minus(Span::of_nanos(1)).unwrap()), before, "{zone} {time}");
        assert_eq!(hour(change), after, "{zone} {time}");
    }
}

#[test]
fn every_line_of_the_table_is_found_and_read() {
    let names: Vec<&str> = zone::names().collect();
    assert!(names.len() > 590, "{} zones", names.len());
    assert!(names.is_sorted(), "the search by halves needs it");
    for name in names {
        assert!(Zone::parse(name).is_some(), "{name}");
    }
}

#[test]
fn an_unknown_zone_is_told_with_the_nearest() {
    assert_eq!(
        zone_mistake("Europe/Berlim").as_deref(),
        Some("unknown time zone `Europe/Berlim` (did you mean `Europe/Berlin`?)")
    );
    assert!(zone_mistake("+2:00").unwrap().ends_with("such as `+02:00`"));
    assert_eq!(zone_mistake("Europe/Berlin"), None);
}
