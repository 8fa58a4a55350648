//! The limits that the documents state are the ones that are enforced.

use egress_filter::cel::{limits, variables};
use egress_filter::config;

use crate::fields::grouped;
use crate::pages::page;

const MIB: usize = 1 << 20;

#[track_caller]
fn assert_stated(path: &str, rows: &[String]) {
    let text = page(path).text;
    for row in rows {
        assert!(text.contains(row.as_str()), "{path} does not have `{row}`");
    }
}

#[test]
fn the_limits_of_a_configuration_are_stated() {
    let row = |what: &str, limit: &str| format!("| {what} | {limit} |");
    let mib = |bytes: usize| format!("{} MiB", bytes / MIB);
    assert_stated(
        "docs/configuration.md",
        &[
            row("policies", &grouped(config::MAX_POLICIES)),
            row("hosts of a policy", &grouped(config::MAX_HOSTS)),
            row("expressions of a policy's authorization", &grouped(config::MAX_MATCH_EXPRESSIONS)),
            row("headers in one `set`, `add` or `remove`", &grouped(config::MAX_TRANSFORMATIONS)),
            row("entries of a `conditional`", &grouped(config::MAX_CONDITIONAL)),
            row(
                "headers in one list of `headerModifiers`; the value of one",
                &format!(
                    "{}; {} characters",
                    config::MAX_MODIFIERS,
                    grouped(config::MAX_HEADER_VALUE)
                ),
            ),
            row(
                "headers of a direct response; its body",
                &format!(
                    "{}; {1} characters, or {1} bytes of an expression",
                    config::MAX_REPLY_HEADERS,
                    grouped(config::MAX_REPLY_BODY)
                ),
            ),
            row(
                "entries of `rateLimit.local`; `requests` and `burst` of one",
                &format!(
                    "{}; {}",
                    config::MAX_LOCAL_LIMITS,
                    grouped(usize::try_from(config::MAX_LIMIT).expect("it fits"))
                ),
            ),
            row(
                "descriptors of `rateLimit.global`; entries of one; its domain; a name",
                &format!(
                    "{}; {}; {} characters; {} characters",
                    config::MAX_DESCRIPTORS,
                    config::MAX_ENTRIES,
                    config::MAX_DOMAIN,
                    config::MAX_ENTRY_NAME
                ),
            ),
            row("variables", &grouped(config::MAX_VARIABLES)),
            row(
                "parts of an expression with the expressions of its variables in their place",
                &grouped(variables::MAX_PARTS),
            ),
            row(
                "the same of all expressions that read variables",
                &grouped(variables::MAX_ALL_PARTS),
            ),
            row(
                "the body of a `denial`",
                &format!(
                    "{0} characters as a text, {0} bytes as the value of an expression",
                    grouped(config::MAX_REPLY_BODY)
                ),
            ),
            row("headers of a `denial`", &grouped(config::MAX_REPLY_HEADERS)),
            row(
                "an expression",
                &format!(
                    "{} bytes, {} levels of nesting, loops nested {} deep",
                    grouped(limits::MAX_SOURCE),
                    limits::MAX_DEPTH,
                    limits::MAX_COMPREHENSIONS
                ),
            ),
            row(
                "the first argument of `default`, which is evaluated twice",
                &format!("{} parts", limits::MAX_DOUBLED),
            ),
            row(
                "the whole configuration",
                &format!(
                    "{} of JSON with {} values",
                    mib(config::MAX_BYTES),
                    grouped(config::MAX_VALUES)
                ),
            ),
            row(
                "all expressions together, header values included",
                &format!(
                    "{} expressions with {}",
                    grouped(config::MAX_ALL_EXPRESSIONS),
                    mib(config::MAX_ALL_SOURCES)
                ),
            ),
            row("all hosts together", &grouped(config::MAX_ALL_HOSTS)),
            row(
                "`bodies.maxSize`; its `contentTypes`",
                &format!(
                    "{} bytes; {}",
                    grouped(usize::try_from(config::MAX_BODY_SIZE).expect("a size")),
                    config::MAX_CONTENT_TYPES
                ),
            ),
            row("fields of `audit.fields`", &grouped(config::MAX_RECORD_FIELDS)),
            row("status codes of a `retry`", &grouped(config::MAX_RETRY_CODES)),
            row(
                "all patterns together",
                &format!("{} once compiled", mib(config::MAX_ALL_PATTERNS)),
            ),
        ],
    );
}

#[test]
fn what_is_cut_in_an_audit_record_is_stated() {
    let text = grouped(egress_filter::cel::MAX_RECORDED_TEXT);
    let value = grouped(egress_filter::cel::MAX_RECORDED);
    let cut = format!("A text is cut at {text} bytes, and a list or map ends once it has {value}.");
    assert_stated("docs/operations.md", &[cut]);
}

#[test]
fn the_steps_of_a_request_are_stated() {
    let steps = |number: u64| grouped(usize::try_from(number).expect("a small number"));
    let rule = steps(limits::MAX_STEPS);
    let request = steps(limits::MAX_REQUEST_STEPS);
    assert_stated(
        "docs/reading.md",
        &[
            format!(
                "| one rule or header value, for a request, in all its readings together | {rule} |"
            ),
            format!("| all rules and header values of a request together | {request} |"),
            format!("| all header values of its response together | {request} |"),
            format!(
                "| `audit.filter` and all of `audit.fields` together, each the same share | \
                 {rule} |"
            ),
        ],
    );
    assert_stated(
        "docs/expressions.md",
        &[
            format!(
                "| an expression | {} bytes, nested {} deep; loops nested {} deep |",
                grouped(limits::MAX_SOURCE),
                limits::MAX_DEPTH,
                limits::MAX_COMPREHENSIONS
            ),
            format!("| everything that one rule or header value does for a request | {rule} steps"),
            format!(
                "| everything that all rules and header values do for a request, and again for its \
                 response | {request} steps |"
            ),
        ],
    );
    assert_stated(
        "docs/operations.md",
        &[format!("loads {} policies", grouped(config::MAX_POLICIES))],
    );
}

/// The words are those that a case may expect.
#[test]
fn every_reason_of_an_audit_record_is_explained() {
    let schema = page("filter-config/schema/cases.schema.json").text;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    let reasons = schema
        .pointer("/$defs/expect/anyOf/1/properties/reason/enum")
        .and_then(serde_json::Value::as_array)
        .expect("the reasons");
    assert!(reasons.len() > 10, "{reasons:?}");
    let text = page("docs/semantics.md").text + &page("docs/operations.md").text;
    for reason in reasons.iter().filter_map(serde_json::Value::as_str) {
        assert!(text.contains(&format!("`{reason}`")), "no page explains `{reason}`");
    }
}
