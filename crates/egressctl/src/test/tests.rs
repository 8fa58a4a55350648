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
fn what_is_wrong_with_a_file_is_told_where_it_is() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("cases: []\nconfig: {}", "1:1: `cases` is a list of at least one"),
        ("config: {}", "1:1: `cases` is missing: nothing is tested"),
        ("[1]", "1:1: a file of cases is an object, this is a list"),
        ("# nothing", "1:1: nothing to test: this file has no cases"),
        (
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin",
            "2:1: a WasmPlugin has no cases: name this file as the `policies` of a file that has, \
             or give it as --policies",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expct: allow, expect: allow}]",
            "1:52: a case has no field `expct` (did you mean `expect`?)",
        ),
        (
            "cases: [{name: a, caler: none, request: http://a, expect: allow}]",
            "1:19: a case has no field `caler` (did you mean `caller`?)",
        ),
        (
            "cases: [{nam: a, caller: none, request: http://a, expect: allow}]",
            "1:10: a case has no field `nam` (did you mean `name`?)",
        ),
        ("case: [{}]", "1:1: a file of cases has no field `case` (did you mean `cases`?)"),
        (
            "polices: a.yaml\ncases: [{name: a, caller: none, request: http://a, expect: allow}]",
            "1:1: a file of cases has no field `polices` (did you mean `policies`?)",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a}]",
            "1:9: a case without `expect` shows nothing: at least say `expect: allow` or `expect: \
             deny`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {}}]",
            "1:52: `expect` is empty, so the case shows nothing",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: alow}]",
            "1:60: a verdict is `allow` or `deny`, not `alow` (did you mean `allow`?)",
        ),
        (
            "cases: [{caller: none, request: http://a, expect: allow}]",
            "1:9: a case needs a `name`: the rule that it shows",
        ),
        (
            "cases: [{name: '', caller: none, request: http://a, expect: allow}]",
            "1:16: `name` is empty",
        ),
        (
            "cases: [{name: a, request: http://a, expect: allow}]",
            "1:16: who calls? Give a `caller`: `namespace/serviceAccount`, a SPIFFE ID, or `none`",
        ),
        (
            "cases: [{name: a, caller: none, expect: allow}]",
            "1:16: what is called? Give a `request`: a URL, or `host` and `path`",
        ),
        (
            "cases: [{name: a, caller: team-a, request: http://a, expect: allow}]",
            "1:27: `team-a` is no caller: write `namespace/serviceAccount`, a SPIFFE ID, or `none`",
        ),
        (
            "cases: [{name: a, caller: a/b/c, request: http://a, expect: allow}]",
            "1:27: `a/b/c` is no caller: write `namespace/serviceAccount`, a SPIFFE ID, or `none`",
        ),
        (
            "cases: [{name: a, caller: none, request: 'https://a/b', expect: allow}]",
            "1:42: `https://` passes the waypoint unseen: callers say `http://a/b`, and the \
             waypoint speaks TLS",
        ),
        (
            "cases: [{name: a, caller: none, request: 'http:///a', expect: deny}]",
            "1:42: `http:///a` has no host",
        ),
        (
            "cases: [{name: a, caller: none, request: 'g\u{e9}t http://a', expect: deny}]",
            "1:42: `g\u{e9}t` is no method: no request has it",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a b}, expect: deny}]",
            "1:49: `a b` is no host: Envoy refuses the request before the filter sees it",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a, path: zen}, expect: deny}]",
            "1:58: `zen` is no path: it begins with `/` (only that of `OPTIONS *` does not)",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a}, for: {method: [GET, g et]}, \
             expect: deny}]",
            "1:73: `g et` is no method: no request has it",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a, headers: {bad name: x}}, expect: \
             deny}]",
            "1:62: `bad name` is no header's name: letters, digits and `!#$%&'*+-.^_`|~`",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a, headers: [[x-a, \"b\\nc: d\"]]}, \
             expect: deny}]",
            "1:68: `b\\nc: d` is no header's value: it has no line ends and no other control \
             characters",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {headers: {x role: \
             null}}}]",
            "1:71: `x role` is no header's name: letters, digits and `!#$%&'*+-.^_`|~`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, sourceAddress: pod-7, \
             expect: deny}]",
            "1:67: `pod-7` is no address: an IP address, with or without a port",
        ),
        (
            "cases: [{name: a, caller: none, request: a/b, expect: allow}]",
            "1:42: `a/b` is no request: write `http://host/path`, or `POST http://host/path`",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a, headers: {Host: b}}, expect: \
             allow}]",
            "1:61: `Host` is no header of a case: give `host`, `path` and `method`, and the \
             service dialled as `destination`",
        ),
        (
            "cases: [{name: a, caller: none, request: {host: a, version: HTTP/2.0}, expect: \
             allow}]",
            "1:61: `version` is `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`, not `HTTP/2.0` (did \
             you mean `HTTP/1.0`?)",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {status: 99}}]",
            "1:69: `99` is no status: it is a number from 100 to 599",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {reason: allow-match}}]",
            "1:69: `reason` is `allow-matched`, `no-allow-rule`, `deny-matched`, `deny-error`, \
             `require-not-matched`, `no-allow-matched`, \
             `path-unsafe`, `method-unsafe`, `header-unsafe`, `limit-exceeded`, `host-mismatch`, \
             `bad-host`, `rewrite-error` or `internal-error`, not `allow-match` (did you mean \
             `allow-matched`?)",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, \
             expect: {verdict: allow, reason: deny-matched}}]",
            "1:77: a request with this reason has the verdict `deny`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, \
             expect: {verdict: deny, headers: {a: b}}}]",
            "1:76: a denied request reaches no origin, so it has no `headers`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {headers: [[a, b], c]}}]",
            "1:79: headers in a list are pairs: `[name, value]`",
        ),
        (
            "cases:\n- {name: a, caller: none, request: http://a, expect: allow}\n- \
             {name: a, caller: none, request: http://b, expect: allow}",
            "3:10: two cases are named `a`",
        ),
        (
            "cases: [{name: a, for: {user: [x]}, caller: none, request: http://a, expect: allow}]",
            "1:25: `for` has no field `user`: it has `caller`, `destination`, `request`, \
             `method`, `host` or `path`",
        ),
        (
            "cases: [{name: a, for: {path: []}, caller: none, request: http://a, expect: allow}]",
            "1:25: `for` makes 1 to 10000 cases",
        ),
        (
            "cases: [{name: a, caller: none, caller: none, request: http://a, expect: allow}]",
            "1:33: `caller` is given twice",
        ),
        (
            "policies: a.yaml\nconfig: {}\ncases: \
             [{name: a, caller: none, request: http://a, expect: allow}]",
            "1:1: `policies` and `config` exclude each other: the policies are in files, or here",
        ),
        (
            "policies: ''\ncases: [{name: a, caller: none, request: http://a, expect: allow}]",
            "1:1: `policies` names the file that has them, or several",
        ),
        (
            "defaults: {trustDomain: A/b}\ncases: \
             [{name: a, caller: none, request: http://a, expect: allow}]",
            "1:25: `A/b`: the trust domain is not 1 to 255 lower-case letters, digits, `.`, `-` \
             and `_`",
        ),
    ] {
        let found = read_text(text).map(|_| ());
        if found != Err(vec![expected.to_owned()]) {
            wrong.push(format!("{text}\n  {found:?}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_order() {
    let text = "cases:\n- name: a\n  caller: x\n  request: y\n  expect: z\n- {name: b}\n";
    let found = read_text(text).map(|_| ()).unwrap_err();
    let lines: Vec<&str> = found.iter().filter_map(|found| found.split(':').next()).collect();
    assert_eq!(lines, ["3", "4", "5", "6"], "{found:?}");
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

/// What the schema allows of fields and words is what is read.
#[test]
fn the_schema_is_that_of_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let sorted = |names: &mut dyn Iterator<Item = String>| {
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    };
    let of_case = case::CASE.into_iter().chain(draft::FIELDS);
    for (place, names) in [
        ("/properties", read::SUITE.to_vec()),
        (
            "/properties/defaults/properties",
            draft::FIELDS.into_iter().chain(["trustDomain"]).collect(),
        ),
        ("/$defs/case/properties", of_case.collect()),
        ("/$defs/case/properties/for/properties", draft::VARIED.to_vec()),
        ("/$defs/step/properties", case::STEP.into_iter().chain(draft::FIELDS).collect()),
        ("/$defs/step/properties/update/properties", case::UPDATE.to_vec()),
        ("/$defs/answer/properties", service::ANSWER.to_vec()),
        ("/$defs/caller/anyOf/1/properties", draft::CERTIFICATE.to_vec()),
        ("/$defs/expect/anyOf/1/properties", expect::EXPECT.to_vec()),
        ("/$defs/request/anyOf/1/properties", draft::REQUEST.to_vec()),
        ("/$defs/origin/properties", draft::ORIGIN.to_vec()),
    ] {
        let object = schema
            .pointer(place)
            .and_then(serde_json::Value::as_object)
            .unwrap_or_else(|| panic!("{place}"));
        assert_eq!(
            sorted(&mut object.keys().cloned()),
            sorted(&mut names.into_iter().map(str::to_owned)),
            "{place}"
        );
    }
    for (place, words) in [
        ("/$defs/layer/enum", Layer::ALL.map(Layer::as_str).to_vec()),
        ("/$defs/answer/properties/fault/enum", service::FAULTS.to_vec()),
        ("/$defs/expect/anyOf/0/enum", expect::VERDICTS.to_vec()),
        ("/$defs/expect/anyOf/1/properties/verdict/enum", expect::VERDICTS.to_vec()),
        (
            "/$defs/expect/anyOf/1/properties/reason/enum",
            egress_filter::outcome::Reason::ALL.map(|reason| reason.as_str()).to_vec(),
        ),
        ("/$defs/request/anyOf/1/properties/version/enum", draft::VERSIONS.to_vec()),
    ] {
        assert_eq!(schema.pointer(place), Some(&serde_json::json!(words)), "{place}");
    }
}
