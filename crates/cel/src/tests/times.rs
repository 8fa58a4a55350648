//! Timestamps and durations in expressions.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::message::{Scene, TABLE};
use super::{refused, rule, value};
use crate::meter::Allowance;
use crate::time::Timestamp;
use crate::{Expected, Expression, Phase, Scope};

/// Evaluates a rule for a request that comes at a time and has a header `x`, and returns the value
/// with the breach that was met.
fn at(time: Option<&str>, x: &[u8], source: &str) -> (Result<bool, String>, bool) {
    let scene = Scene {
        lines: vec![(b"x", x)],
        time: time.map(|time| Timestamp::parse(time).and_then(Timestamp::nanos).unwrap()),
        ..Scene::default()
    };
    let compiled = Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule)
        .unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let allowance = Allowance::whole();
    let value = scene.view(Phase::Request, |view| compiled.matches(view, &allowance));
    (value, allowance.breached().is_some())
}

const NOON: Option<&str> = Some("2026-11-28T12:00:00Z");

#[test]
fn arithmetic_and_comparisons_are_those_of_langdef() {
    for source in [
        "timestamp('2026-01-31T12:00:00Z') + duration('1h') == timestamp('2026-01-31T13:00:00Z')",
        "duration('1h') + timestamp(0) == timestamp(3600)",
        "timestamp(10) - timestamp(4) == duration('6s')",
        "timestamp(10) - duration('6s') == timestamp(4)",
        "duration('1h') - duration('90m') == duration('-30m')",
        "duration('1h') + duration('-1h') == duration('0')",
        "timestamp(1) < timestamp(2) && timestamp(2) >= timestamp(2)",
        "timestamp(1) != timestamp(2)",
        "duration('1s') > duration('999ms') && duration('-1s') <= duration('0')",
        "timestamp(1) in [timestamp(0), timestamp(1)] && !(duration('1s') in [duration('2s')])",
        "[timestamp(3), timestamp(1)].exists(t, t + duration('1s') == timestamp(2))",
        "['1s', '2s'].map(d, duration(d)) == [duration('1s'), duration('2s')]",
        "{'a': timestamp(0)}.a.getFullYear() == 1970",
        "timestamp(timestamp(5)) == timestamp(5) && duration(duration('5s')) == duration('5s')",
        "int(timestamp('1969-12-31T23:59:59.5Z')) == -1",
        "string(timestamp(0)) == '1970-01-01T00:00:00Z' && string(duration('-90s')) == '-90s'",
        "type(timestamp(0)) == google.protobuf.Timestamp",
        "type(duration('1s')) == google.protobuf.Duration && type(timestamp(0)) != type(1)",
        "dyn(timestamp(0)) != null && dyn(timestamp(0)) == timestamp(0)",
        "toJson([timestamp(0), duration('1.5s')]) == '[\"1970-01-01T00:00:00Z\",\"1.5s\"]'",
        "'%s %s'.format([timestamp(0), [duration('1s')]]) == '1970-01-01T00:00:00Z [1s]'",
        "'%s'.format([{'a': timestamp(0), 'b': 1}]) == '{a: 1970-01-01T00:00:00Z, b: 1}'",
        "optional.ofNonZeroValue(duration('0')).hasValue() == false",
        "optional.ofNonZeroValue(timestamp(1)).hasValue()",
        "cel.bind(t, timestamp(0), t.getDayOfWeek() == 4 && t.getDayOfWeek('-00:01') == 3)",
        "duration('-90m').getHours() == -1 && duration('-90m').getMinutes() == -90",
        "duration('-1500ms').getMilliseconds() == -500 && duration('1.5s').getSeconds() == 1",
    ] {
        assert_eq!(rule(source), Ok(true), "{source}");
    }
    assert_eq!(value("string(timestamp(0))"), Ok(b"1970-01-01T00:00:00Z".to_vec()));
}

#[test]
fn types_are_checked() {
    for (source, message) in [
        ("timestamp(0) == 0", "`==` compares timestamp with int, which are never equal"),
        ("timestamp(0) < duration('1s')", "`<` does not compare timestamp with duration"),
        (
            "timestamp(0) + timestamp(0) == timestamp(0)",
            "`+` does not take timestamp and timestamp",
        ),
        (
            "duration('1s') - timestamp(0) == timestamp(0)",
            "`-` does not take duration and timestamp",
        ),
        ("duration('1s') * 2 == duration('2s')", "`*` does not take duration and int"),
        ("timestamp(0) + 1 == timestamp(1)", "`+` does not take timestamp and int"),
        ("-duration('1s') == duration('1s')", "`-` takes int or double, not duration"),
        (
            "timestamp(1.5) == timestamp(0)",
            "no `timestamp(double)`: expected `timestamp(string)`, `timestamp(int)`, \
             `timestamp(timestamp)`",
        ),
        (
            "duration(1) == duration('1s')",
            "no `duration(int)`: expected `duration(string)`, `duration(duration)`",
        ),
        (
            "timestamp(0).getHours(1) == 0",
            "no `timestamp.getHours(int)`: expected `timestamp.getHours()`, \
             `timestamp.getHours(string)`, `duration.getHours()`",
        ),
        ("timestamp(0).getHour() == 0", "unknown function `getHour` (did you mean `getHours`?)"),
        (
            "duration('1s').getFullYear() == 0",
            "no `duration.getFullYear()`: expected `timestamp.getFullYear()`, \
             `timestamp.getFullYear(string)`",
        ),
        (
            "request.startTime == '2026'",
            "`==` compares timestamp with string, which are never equal",
        ),
        (
            "google.protobuf.Struct == type(1)",
            "unknown attribute `google`: expected one of `source`, `request`, `destination`, \
             `extauthz`, or a text in quotes",
        ),
    ] {
        let told = refused(source, Expected::Rule);
        assert_eq!(told, format!("line 1, column 1: {message}"), "{source}");
    }
    assert_eq!(
        refused("request.startTime", Expected::Header),
        "line 1, column 1: a header's value is a string or bytes, this gives timestamp: put \
         `string(...)` around it"
    );
}

#[test]
fn literals_that_can_never_do_are_told_where_they_are() {
    for (source, message) in [
        (
            "request.startTime < timestamp('2026-13-01T00:00:00Z')",
            "column 31: `2026-13-01T00:00:00Z` is no timestamp: write it as \
             `2026-01-31T12:00:00Z`, or with an offset as `2026-01-31T13:00:00+01:00`",
        ),
        (
            "timestamp(253402300800) > request.startTime",
            "column 11: `253402300800` is out of range: a timestamp is from year 1 to year 9999, \
             in seconds since 1970",
        ),
        (
            "request.startTime - timestamp(0) > duration('1d')",
            "column 45: `1d` is no duration: write numbers with the units `h`, `m`, `s`, `ms`, \
             `us` or `ns`, such as `1h30m`, up to 292 years",
        ),
        (
            "request.startTime.getHours('Europe/Berln') < 8",
            "column 28: unknown time zone `Europe/Berln` (did you mean `Europe/Berlin`?)",
        ),
        (
            "request.startTime.getDayOfWeek('Home') == 0",
            "column 32: unknown time zone `Home`: write a name such as `Europe/Berlin`, or an \
             offset from UTC such as `+02:00`",
        ),
    ] {
        assert_eq!(refused(source, Expected::Rule), format!("line 1, {message}"), "{source}");
    }
}

#[test]
fn a_request_has_the_time_at_which_it_came() {
    for source in [
        "request.startTime == timestamp('2026-11-28T12:00:00Z')",
        "request.startTime.getHours() == 12 && request.startTime.getHours('Asia/Tokyo') == 21",
        "request.startTime.getDayOfWeek('Asia/Tokyo') in [0, 6]",
        "!(request.startTime.getDayOfWeek() in [1, 2, 3, 4, 5])",
        "!(request.startTime.getDate() in [])",
        "string(request.startTime) == '2026-11-28T12:00:00Z'",
        "[9, 12].exists(h, request.startTime.getHours() == h)",
        "[1, 2].map(n, request.startTime).all(t, t == request.startTime)",
        "request.startTime - duration('12h') == timestamp('2026-11-28T00:00:00Z')",
        "has(request.startTime) && default(request.startTime, timestamp(0)) > timestamp(0)",
        "request['startTime'] < timestamp('2026-11-28T12:00:00.000000001Z')",
        "cel.bind(r, request, r.startTime.getMonth() == 10)",
    ] {
        assert_eq!(at(NOON, b"", source), (Ok(true), false), "{source}");
    }
    for source in [
        "request.startTime == timestamp(0)",
        "request.startTime.getHours() == 12",
        "request.startTime.getHours('Asia/Tokyo') in [21]",
        "string(request.startTime) == ''",
        "[12].exists(h, request.startTime.getHours() == h)",
    ] {
        let (value, breached) = at(None, b"", source);
        assert_eq!(value, Err("no such key: startTime".to_owned()), "{source}");
        assert!(!breached, "{source}");
        // What is not there may be caught.
        let caught = format!("default({source}, true)");
        assert_eq!(at(None, b"", &caught), (Ok(true), false), "{caught}");
    }
}

#[test]
fn what_a_request_spells_wrongly_cannot_be_read() {
    for (source, x) in [
        ("timestamp(request.headers.x) > timestamp(0)", "tomorrow"),
        ("timestamp(int(request.headers.x)) > timestamp(0)", "9999999999999"),
        ("duration(request.headers.x) > duration('0')", "1d"),
        ("request.startTime.getHours(request.headers.x) == 12", "Europe/berlin"),
        ("request.startTime + duration(request.headers.x) > timestamp(0)", "-99999999h"),
        (
            "timestamp(request.headers.x) - duration('1ns') < request.startTime",
            "0001-01-01T00:00:00Z",
        ),
        ("timestamp(request.headers.x) - timestamp(0) > duration('0')", "9999-01-01T00:00:00Z"),
        ("duration(request.headers.x) + duration('1ns') > duration('0')", "9223372036854775807ns"),
        ("json(request.headers.x).getHours() == 1", "\"1h\""),
        ("json(request.headers.x) + duration('1s') == duration('2s')", "1"),
        ("json(request.headers.x) < timestamp(0)", "\"2026-01-31T12:00:00Z\""),
        ("timestamp(json(request.headers.x)) < request.startTime", "true"),
    ] {
        let source = format!("default({source}, true)");
        let (value, breached) = at(NOON, x.as_bytes(), &source);
        assert!(breached, "{source} on {x}: {value:?}");
    }
    for (source, x) in [
        ("timestamp(request.headers.x) < request.startTime", "2026-11-28T12:59:59+01:00"),
        ("timestamp(json(request.headers.x)) < request.startTime", "1000"),
        ("duration(json(request.headers.x).ttl) == duration('1h')", "{\"ttl\": \"60m\"}"),
        ("request.startTime.getHours(request.headers.x) == 13", "Europe/Berlin"),
    ] {
        assert_eq!(at(NOON, x.as_bytes(), source), (Ok(true), false), "{source} on {x}");
    }
}

#[test]
fn a_format_takes_a_time_for_a_text_only() {
    for clause in ["%d", "%x", "%X", "%f", "%e", "%b", "%o"] {
        let source = format!("'{clause}'.format([request.startTime]) == ''");
        let (value, breached) = at(NOON, b"", &source);
        assert_eq!((value, breached), (Err("error in `format`".to_owned()), false), "{source}");
    }
}
