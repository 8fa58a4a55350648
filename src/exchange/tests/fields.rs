//! What a configuration adds to audit records, and which it selects.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::counters::{Count, Counter};
use crate::decision::Change;
use crate::exchange::{Event, Exchange, Step};
use crate::policy::Engine;
use crate::request::Given;
use crate::request::headers::Headers;

/// What is reported of a request.
struct Reported {
    /// The audit line as it is, and as JSON.
    line: Option<String>,
    record: Value,
    /// The fields for the access log, as it shows them.
    access_log: Vec<(String, String)>,
    /// How many evaluation errors are counted for the filter, and for policies.
    errors: (usize, usize),
}

fn reported(audit: &Value, headers: &[(&str, &str)]) -> Reported {
    let config = json!({"policies": [], "audit": audit});
    let engine = Engine::load(config.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e:?}"));
    let source = Given {
        peer_principal: b"spiffe://cluster.local/ns/team-a/sa/reader",
        source_address: b"10.0.0.7",
        source_port: &41_000_i64.to_le_bytes(),
        ..Given::default()
    };
    let lines = [(":authority", "a.example"), (":path", "/p?q=1"), (":method", "GET")];
    let lines =
        lines.iter().chain(headers).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let request = lines.collect::<Headers<'_>>().to_pairs();
    let mut exchange = Exchange::default();
    let _ = exchange.on(&engine, &source, Event::RequestHeaders(request));
    let report = exchange.take_report().unwrap();
    let mut failed: Vec<Option<usize>> = Vec::new();
    report.count(|Count { policy, counter }| {
        if counter == Counter::EvaluationErrors {
            failed.push(policy);
        }
    });
    let of_policies = failed.iter().flatten().count();
    let of_the_filter = failed.iter().filter(|policy| policy.is_none()).count();
    let fields = report.access_log.map_or(&[][..], |log| log.fields.as_slice());
    Reported {
        line: report.audit_text().map(str::to_owned),
        record: report
            .audit
            .map_or(Value::Null, |line| serde_json::from_slice(line).expect("a record is JSON")),
        access_log: fields
            .iter()
            .map(|field| (field.name.to_string(), field.text().to_owned()))
            .collect(),
        errors: (of_the_filter, of_policies),
    }
}

#[test]
fn a_record_has_the_fields_that_are_added() {
    let audit = json!({"log": "All", "fields": {"add": {
        "caller": "source",
        "trace": "request.headers[?'x-trace']",
        "path": "request.pathAndQuery",
        "small": "size(request.path) < 3",
        "list": "[1, 2.5, b'abc', null]",
        "missing": "request.headers['x-none']",
    }}});
    let Reported { record, errors, access_log, .. } = reported(&audit, &[]);
    assert_eq!(
        record["fields"],
        json!({
            "caller": {
                "address": "10.0.0.7",
                "identity": {"namespace": "team-a", "serviceAccount": "reader",
                    "trustDomain": "cluster.local"},
                "port": 41_000,
                "spiffeId": "spiffe://cluster.local/ns/team-a/sa/reader",
            },
            "path": "/p?q=1",
            "small": true,
            "list": [1, 2.5, "YWJj", null],
        })
    );
    assert_eq!(record["caller"], "spiffe://cluster.local/ns/team-a/sa/reader", "its own field");
    assert_eq!(errors, (1, 0), "what is not there fails, an optional without a value does not");
    assert!(record.get("errors").is_none() && record.get("cutFields").is_none(), "{record}");
    assert_eq!(access_log, []);
    let with = reported(&audit, &[("x-trace", "t1")]);
    assert_eq!(with.record["fields"]["trace"], "t1");
}

#[test]
fn the_filter_selects_among_what_log_selects() {
    for (log, filter, is_logged, errors) in [
        ("All", "request.method != 'GET'", false, 0),
        ("All", "request.method == 'GET'", true, 0),
        ("All", "request.headers['x-none'] == 'a'", true, 1),
        ("All", "request.headers.map(a, request.headers.map(b, a + b)).size() < 0", true, 1),
        ("Denied", "true", false, 0),
        ("None", "true", false, 0),
    ] {
        let audit = json!({"log": log, "filter": filter, "fields": {"add": {"a": "1"}}});
        let many: Vec<(String, String)> =
            (0..60).map(|n| (format!("x-header-{n}"), "v".repeat(200))).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let found = reported(&audit, &many);
        assert_eq!(found.line.is_some(), is_logged, "{log} {filter}");
        assert_eq!(found.errors, (errors, 0), "{log} {filter}");
    }
}

#[test]
fn the_access_log_gets_the_fields_of_every_request() {
    let audit = json!({"log": "None", "accessLog": true, "fields": {"add": {
        "id": "source.identity",
        "agent": "request.headers['x-agent']",
        "port": "source.port",
    }}});
    let found = reported(&audit, &[("x-agent", "a\tb\" é")]);
    assert_eq!(found.line, None);
    let shown: Vec<(&str, &str)> =
        found.access_log.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("agent", r#"a\tb\" \u00e9"#),
            (
                "id",
                r#"{"namespace":"team-a","serviceAccount":"reader","trustDomain":"cluster.local"}"#
            ),
            ("port", "41000"),
        ]
    );
}

#[test]
fn no_caller_can_forge_a_line_or_have_a_field_left_out_by_its_size() {
    let audit = json!({"log": "All", "fields": {"add": {
        "decoded": "json(request.headers['x-json']).a",
        "long": "request.headers['x-long']",
        "all": "request.headers",
        "caller": "source.spiffeId",
    }}});
    let long = "\u{202e}".repeat(3_000);
    let found = reported(
        &audit,
        &[
            ("x-json", r#"{"a": "x\n{\"event\":\"egress\"}\u001b[31m"}"#),
            ("x-long", &long),
            ("authorization", "Bearer secret"),
        ],
    );
    let line = found.line.unwrap();
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    let fields = &found.record["fields"];
    assert_eq!(fields["decoded"], "x\n{\"event\":\"egress\"}\u{1b}[31m");
    assert_eq!(fields["long"], format!("{}...", "\u{202e}".repeat(341)));
    assert_eq!(fields["caller"], "spiffe://cluster.local/ns/team-a/sa/reader");
    assert_eq!(fields["all"]["authorization"], "<redacted>");
    assert_eq!(found.record["cutFields"], json!(["all", "long"]));
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn fields_take_no_steps_from_one_another() {
    let mut add = serde_json::Map::new();
    for index in 0..31 {
        let costly = "request.headers.map(a, request.headers.map(b, a + b + request.path))";
        add.insert(format!("a{index}"), json!(costly));
    }
    add.insert("caller".to_owned(), json!("source"));
    let audit = json!({"log": "All", "fields": {"add": add}});
    let many: Vec<(String, String)> =
        (0..60).map(|n| (format!("x-header-{n}"), "v".repeat(200))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let found = reported(&audit, &many);
    assert_eq!(found.errors, (31, 0));
    assert_eq!(found.record["fields"]["caller"]["port"], 41_000);
    assert_eq!(found.record["verdict"], "allow", "nor from the decision");
}

#[test]
fn what_no_record_can_have_is_refused_when_the_configuration_loads() {
    let refused = |audit: Value| {
        let config = json!({"policies": [], "audit": audit});
        let errors = Engine::load(config.to_string().as_bytes()).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (audit, expected) in [
        (
            json!({"fields": {"add": {"code": "response.code"}}}),
            "audit.fields.add.code: line 1, column 1: `response` is not there yet",
        ),
        (json!({"fields": {"add": {"a": "nobody"}}}), "unknown attribute `nobody`"),
        (json!({"fields": {"add": {"a b": "1"}}}), "`a b` is no name of a field"),
        (json!({"fields": {"add": {}}}), "`add` is empty: name a field"),
        (json!({"fields": {}}), "audit.fields: field `add` is missing"),
        (json!({"filter": "1"}), "audit.filter: line 1, column 1: a rule gives a bool"),
        (
            json!({"fields": {"add": (0..33).map(|n| (format!("f{n}"), json!("1")))
                .collect::<serde_json::Map<_, _>>()}}),
            "`add` has 33 fields, the limit is 32",
        ),
    ] {
        let found = refused(audit);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn no_credential_gets_into_a_record_or_the_access_log() {
    let rule = json!({"authorization": {"policy": {"matchExpressions": ["true"]}}});
    let config = json!({
        "policies": [
            {"name": "all", "hosts": ["a.example"], "traffic": rule},
            {"name": "token", "hosts": ["a.example"], "backend": {"auth": {"env": "TOKEN"}}},
        ],
        "audit": {"log": "All", "accessLog": true, "fields": {"add": {
            "request": "request",
            "authorization": "request.headers.authorization",
            "text": "toJson(request.headers)",
        }}},
    });
    let environment = BTreeMap::from([("TOKEN".to_owned(), "of-the-waypoint".to_owned())]);
    let engine = Engine::load_with(config.to_string().as_bytes(), &environment).unwrap();
    let source = Given {
        peer_principal: b"spiffe://cluster.local/ns/team-a/sa/reader",
        filter_chain_name: b"inbound-vip|80|http|a.example",
        ..Given::default()
    };
    let lines: [(&[u8], &[u8]); 4] = [
        (b":authority", b"a.example"),
        (b":path", b"/"),
        (b":method", b"GET"),
        (b"authorization", b"Bearer of-the-caller"),
    ];
    let request = lines.into_iter().collect::<Headers<'_>>().to_pairs();
    let mut exchange = Exchange::default();
    let step = exchange.on(&engine, &source, Event::RequestHeaders(request));
    let Step::Forward(changes) = &step else { panic!("{step:?}") };
    let injects = |change: &Change<'_>| matches!(change, Change::Inject("authorization", _));
    assert!(changes.iter().any(injects), "{changes:?}");
    let report = exchange.take_report().unwrap();
    let told = format!("{} {:?}", report.audit_text().unwrap(), report.access_log.unwrap());
    assert!(told.contains("of-the-caller"), "the fields are there: {told}");
    assert!(!told.contains("of-the-waypoint"), "{told}");
}
