//! Expressions about times, over texts that are as long as a header may be and over short ones in
//! loops.

use serde_json::json;

use super::{Pair, denying, looped, pair};

/// A time that has all digits.
const TIME: &str = "2026-11-28T12:00:00.123456789+01:00";
/// The zone whose search and rule take longest.
const ZONE: &str = "Antarctica/Troll";

/// Conditions over a short text, which stands for `{x}`, with that text.
const OF_A_TEXT: &[(&str, &str)] = &[
    ("timestamp({x}) == timestamp(0)", TIME),
    ("timestamp({x}).getDayOfYear() == 400", TIME),
    ("string(timestamp({x})) == ''", TIME),
    ("timestamp({x}) + duration('1ns') == timestamp(0)", TIME),
    ("timestamp({x}) - timestamp('2026-11-28T12:00:00Z') == duration('1h')", TIME),
    ("'%s'.format([timestamp({x}), timestamp({x})]) == ''", TIME),
    ("toJson([timestamp({x})]) == ''", TIME),
    ("duration({x}) == duration('0')", "1h2m3s4ms5us6ns0.123456789012345h"),
    ("string(duration({x})) == ''", "-2562047h47m16.854775808s"),
    ("duration({x}).getMilliseconds() == 7", "1.5h"),
    ("request.startTime.getDayOfYear({x}) == 400", ZONE),
    ("request.startTime.getHours({x}) == 24", "-23:59"),
    ("request.startTime.getFullYear('Antarctica/Troll') == 7", ""),
    ("request.startTime + duration('1h') < timestamp({x})", "1970-01-01T00:00:00Z"),
    ("int(request.startTime) == 7", ""),
];

pub(super) fn pairs(large: usize) -> Vec<Pair> {
    let x = "request.headers['x']";
    let mut pairs = Vec::new();
    for (condition, text) in OF_A_TEXT {
        let condition = condition.replace("{x}", x);
        let mut add = |name: &str, expression: String| {
            pairs.push(looped(&format!("{condition} {name}"), &expression, (*text).to_owned()));
        };
        add("in one loop", format!("request.headers.exists(h, {condition})"));
        add(
            "in two loops",
            format!("request.headers.exists(g, request.headers.exists(h, {condition}))"),
        );
        add("many times", vec![condition.as_str(); 3_900 / (condition.len() + 4)].join(" || "));
    }
    let long = |unit: &str| unit.repeat(large / unit.len());
    pairs.push(looped(
        "a long duration, in a loop",
        &format!("request.headers.exists(h, duration({x}) == duration('0'))"),
        long("1ns"),
    ));
    pairs.push(looped(
        "a duration of a long fraction, in a loop",
        &format!("request.headers.exists(h, duration({x}) == duration('0'))"),
        format!("0.{}h", long("1")),
    ));
    pairs.push(pair(
        "a long text as a zone",
        &vec![format!("default(request.startTime.getHours({x}) == 7, false)"); 40].join(" || "),
        long("E"),
    ));
    let hours = |hour: usize| format!("request.startTime.getHours('{ZONE}') == {}", hour + 24);
    let many: Vec<String> = (0..64).map(hours).collect();
    let mut all = pair("64 rules about the hour", "false", String::new());
    all.configuration = denying(&many.iter().map(String::as_str).collect::<Vec<_>>());
    pairs.push(all);
    let policy = |index: usize| {
        let rule = json!({"action": "Deny", "policy": {"matchExpressions": [hours(index)]}});
        json!({"name": format!("p{index}"), "traffic": {"authorization": rule}})
    };
    let mut whole = pair("whole request: 4,000 rules about the hour", "false", String::new());
    whole.configuration = json!({"policies": (0..4_000).map(policy).collect::<Vec<_>>()});
    pairs.push(whole);
    pairs
}
