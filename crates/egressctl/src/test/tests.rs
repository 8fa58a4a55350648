mod errors;
mod schema;

use super::*;
use egress_filter::config::IdentityConfig;
use egress_filter::trial::Trial;

use crate::cases::load::Configurations;
use crate::cases::read::{self, case, draft, expect, service};
use crate::cases::{self, Case, Expect, Fact, File, Layer, Verdict};
use crate::manifest::Manifest;

mod files;
mod repository;
mod waypoint;

const POLICIES: &str = r#"
config:
  policies:
  - name: team-a
    traffic:
      authorization: {action: Allow,
        policy: {matchExpressions: ['source.identity.namespace == "team-a"']}}
  - name: headers
    traffic: {transformation: {request: {add: [{name: X-Via, value: '"egress"'}],
      remove: [X-Internal]}}}
"#;

fn read_text(text: &str) -> Result<File, Vec<String>> {
    let source = Source::new("t/cases.yaml".to_owned(), text);
    let documents = crate::yaml::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    read::of(Manifest { source, documents }).map_err(|(_, found)| {
        found
            .iter()
            .map(|found| format!("{}:{}: {}", found.line, found.column, found.message))
            .collect()
    })
}

/// The names of the cases that fail, with the paths of what differs.
fn failures(file: &mut [File]) -> Vec<String> {
    let (configurations, misnamed) = Configurations::load(file, &[]).unwrap();
    assert_eq!(misnamed, []);
    for loaded in &configurations.all {
        assert_eq!(loaded.errors, [], "{}", loaded.label);
    }
    let results = run::run(file, &configurations, &[]);
    let differs = |ran: &run::Ran<'_>| {
        ran.facts.iter().filter(|fact| !fact.holds).map(Fact::path).collect::<Vec<_>>()
    };
    results.failed().map(|ran| format!("{}: {}", ran.name, differs(ran).join(" "))).collect()
}

fn try_cases(cases: &str) -> Vec<String> {
    failures(&mut [read_text(&format!("{POLICIES}cases:\n{cases}")).unwrap()])
}

#[test]
fn each_expectation_can_fail() {
    for (expectation, differs) in [
        ("deny", "verdict"),
        ("{policy: null}", "policy"),
        ("{policy: headers}", "policy"),
        ("{reason: no-allow-rule}", "reason"),
        ("{status: [201, 204]}", "status"),
        ("{headers: {x-via: null}}", "headers.x-via"),
        ("{headers: {x-via: [egress, egress]}}", "headers.x-via"),
        ("{headers: [[x-via, egress], [X-Via, egress]]}", "headers.x-via"),
        ("{headers: {X-Internal: secret, ':path': /y}}", "headers.x-internal headers.:path"),
        ("{responseHeaders: {server: null}}", "responseHeaders.server"),
        ("{shadow: [team-a]}", "shadow"),
        ("{errors: [team-a]}", "errors"),
    ] {
        let case = |expectation: &str| {
            format!(
                "- {{name: a, caller: team-a/x, \
                 request: {{host: a.example, path: /x, headers: {{x-internal: 1}}}}, \
                 origin: {{headers: {{Server: nginx}}}}, expect: {expectation}}}"
            )
        };
        assert_eq!(try_cases(&case(expectation)), [format!("a: {differs}")], "{expectation}");
    }
}

#[test]
fn no_header_is_absent_at_an_origin_that_is_not_reached() {
    let case = "- {name: a, caller: team-b/x, request: 'http://a.example', \
                expect: {headers: {x-internal: null}, responseHeaders: {a: null}}}";
    assert_eq!(try_cases(case), ["a: headers.x-internal responseHeaders.a"]);
}

#[test]
fn what_came_can_be_pasted_into_the_case() {
    let failing = r#"
  - name: a
    caller: team-b/x
    request: http://a.example/
    expect: {verdict: allow, policy: team-a, reason: allow-matched, status: 200, shadow: [x],
      errors: [y]}
  - name: b
    caller: team-a/x
    request: {host: a.example, headers: [[x-via, 'true'], [x-via, "a: b"], [x-internal, 5]]}
    origin: {status: 404, headers: {x-a: '200', x-b: '', x-c: ' c '}}
    expect:
      headers: {x-via: y, x-internal: secret, x-request-id: z, ":authority": q}
      responseHeaders: {x-a: null, x-b: null, x-c: null, x-d: d}
      shadow: [x]
"#;
    let mut file = [read_text(&format!("{POLICIES}cases:{failing}")).unwrap()];
    let (configurations, _) = Configurations::load(&mut file, &[]).unwrap();
    let results = run::run(&file, &configurations, &[]);
    assert_eq!(results.failed().count(), 2);
    for ran in results.failed() {
        let got = cases::diff(&ran.facts)
            .into_iter()
            .filter(|(tag, _)| *tag != similar::ChangeTag::Delete);
        let mut text = format!("{POLICIES}cases:\n- name: pasted\n  caller: {}\n", ran.step.caller);
        let request = serde_json::json!({"host": ran.step.request.host,
            "path": ran.step.request.path, "headers": ran.step.request.headers});
        let origin = serde_json::json!({"status": ran.step.origin.status,
            "headers": ran.step.origin.headers});
        text.push_str(&format!("  request: {request}\n  origin: {origin}\n  expect:\n"));
        got.for_each(|(_, line)| text.push_str(&format!("    {line}\n")));
        assert_eq!(failures(&mut [read_text(&text).unwrap()]), <[String; 0]>::default(), "{text}");
    }
}

#[test]
fn a_request_comes_when_its_case_or_the_clock_says() {
    let text = "
clock: 2026-01-31T12:00:00Z
defaults: {caller: none, request: http://a.example}
cases:
- {name: clock, expect: deny}
- {name: own, time: '2026-01-31T13:00:00.5+02:00', expect: deny}
- name: steps
  steps: [{after: 1s, expect: deny}, {time: 1970-01-01T00:00:01Z, expect: deny},
    {after: 1m, expect: deny}]
- {name: several, for: {time: [1970-01-01T00:00:00Z, 1969-12-31T23:59:59Z]}, expect: deny}
---
cases: [{name: neither, caller: none, request: http://a.example, expect: deny}]
";
    let file = read_text(text).unwrap();
    let steps = file.suites.iter().flat_map(|suite| &suite.cases).flat_map(|case| &case.steps);
    let times: Vec<Option<i64>> = steps.map(|step| step.time).collect();
    let clock = 1_769_860_800_000_000_000;
    assert_eq!(
        times,
        [
            Some(clock),
            Some(clock - 3_599_500_000_000),
            Some(clock + 1_000_000_000),
            Some(1_000_000_000),
            Some(clock + 61_000_000_000),
            Some(0),
            Some(-1_000_000_000),
            None
        ]
    );
}

#[test]
fn defaults_are_what_a_case_does_not_say() {
    let text = "
defaults:
  trustDomain: corp.example
  caller: a/b
  destination: d.example
  sourceAddress: 10.0.0.7
  request: {method: PUT, host: h.example, path: /p, version: HTTP/2, headers: {X-A: [1, 2], X-B: b}}
  origin: {status: 201, headers: {Via: x}}
cases:
- {name: all, expect: allow}
- {name: none, caller: c/d, destination: none, sourceAddress: '[::1]:5',
  request: {path: /q, headers: {x-a: null, x-c: c}}, expect: deny}
- {name: url, caller: 'spiffe://x.example/y', request: 'DELETE http://u.example?z=1',
  origin: {status: 404}, expect: {status: 404}}
";
    let file = read_text(text).unwrap();
    let trials: Vec<Trial> = file.suites[0]
        .cases
        .iter()
        .map(|case| case.steps[0].trial(&IdentityConfig::default()))
        .collect();
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(trials[0].principal, "spiffe://corp.example/ns/a/sa/b");
    assert_eq!(
        (trials[0].method.as_str(), trials[0].path.as_str(), trials[0].protocol.as_str()),
        ("PUT", "/p", "HTTP/2")
    );
    assert_eq!(trials[0].headers, [line("X-A", "1"), line("X-A", "2"), line("X-B", "b")]);
    assert_eq!(
        (trials[0].service.as_deref(), trials[0].source_address.as_str()),
        (Some("d.example"), "10.0.0.7:40000")
    );
    assert_eq!(
        (trials[0].response.status, &trials[0].response.headers),
        (201, &vec![line("Via", "x")])
    );
    assert_eq!(trials[1].principal, "spiffe://corp.example/ns/c/sa/d");
    assert_eq!(trials[1].headers, [line("x-c", "c"), line("X-B", "b")]);
    assert_eq!(
        (trials[1].service.as_deref(), trials[1].source_address.as_str()),
        (None, "[::1]:5")
    );
    assert_eq!(
        (trials[1].method.as_str(), trials[1].authority.as_str(), trials[1].path.as_str()),
        ("PUT", "h.example", "/q")
    );
    assert_eq!(
        (trials[2].method.as_str(), trials[2].authority.as_str(), trials[2].path.as_str()),
        ("DELETE", "u.example", "/?z=1")
    );
    assert_eq!(trials[2].principal, "spiffe://x.example/y");
    assert_eq!(
        (trials[2].response.status, &trials[2].response.headers),
        (404, &vec![line("Via", "x")])
    );
}

#[test]
fn the_service_dialled_is_that_of_the_host_unless_said() {
    let of = |host: &str| {
        let text = format!(
            "cases: [{{name: a, caller: none, request: {{host: '{host}'}}, expect: deny}}]"
        );
        read_text(&text).unwrap().suites[0].cases[0].steps[0].destination.clone()
    };
    assert_eq!(of("API.Example.:8080").as_deref(), Some("api.example"));
    assert_eq!(of("a,b"), None);
    assert_eq!(of(""), None);
}

#[test]
fn a_case_for_several_values_is_one_for_each_choice() {
    let cases = "- name: n\n  for: {caller: [a/b, none], path: [/1, /2]}\n  request: \
        http://h.example\n  expect: {status: 403}";
    let file = read_text(&format!("cases:\n{cases}")).unwrap();
    let cases = file.suites[0].cases.iter().map(|case| {
        (case.name.as_str(), case.steps[0].caller.to_string(), case.steps[0].request.path.as_str())
    });
    assert_eq!(
        cases.collect::<Vec<_>>(),
        [
            ("n [a/b, /1]", "spiffe://cluster.local/ns/a/sa/b".to_owned(), "/1"),
            ("n [a/b, /2]", "spiffe://cluster.local/ns/a/sa/b".to_owned(), "/2"),
            ("n [none, /1]", "none".to_owned(), "/1"),
            ("n [none, /2]", "none".to_owned(), "/2"),
        ]
    );
}

#[test]
fn scalars_in_headers_mean_what_is_written() {
    let cases = "- name: n\n  caller: team-a/x\n  request: \
        {host: a.example, headers: {a: on, b: 007, c: 1.50, d: 'null'}}\n  \
                 expect: {headers: {a: 'on', b: '007', c: '1.50', d: 'null'}}";
    assert_eq!(try_cases(cases), <[String; 0]>::default());
}

#[test]
fn an_expectation_in_words_is_one_in_fields() {
    let file =
        read_text("cases:\n- {name: a, caller: none, request: 'http://a', expect: deny}").unwrap();
    let expected = Expect { verdict: Some(Verdict::Deny), ..Expect::default() };
    assert_eq!(file.suites[0].cases[0].steps[0].expect, expected);
}
