//! What files of cases say beside a request and what is expected of it.

use std::time::Duration;

use super::*;
use crate::cases::{Answer, AuditExpectation, Caller, Certificate, Fault, Origin, Update};

#[test]
fn what_is_wrong_with_steps_services_and_the_rest_is_reported_where_it_is() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        (
            "cases: [{name: a, caller: none, request: http://a, layers: [envoi], expect: deny}]",
            "1:61: a layer is `engine`, `wasm` or `envoy`, not `envoi` (did you mean `envoy`?)",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, layers: [], expect: deny}]",
            "1:60: `layers` is empty, so the case is run nowhere",
        ),
        (
            "cases: [{name: a, caller: {uri: [x]}, request: http://a, expect: deny}]",
            "1:28: a certificate has no field `uri` (did you mean `uris`?)",
        ),
        (
            "normalizePath: nope\ncases: \
             [{name: a, caller: none, request: http://a, expect: deny}]",
            "1:16: this is `true` or `false`, not a string",
        ),
        (
            "workers: 0\ncases: [{name: a, caller: none, request: http://a, expect: deny}]",
            "1:10: `workers` is a number from 1 to 16",
        ),
        (
            "clock: tomorrow\ncases: [{name: a, caller: none, request: http://a, expect: deny}]",
            "1:8: `clock` is a moment such as `2026-01-31T12:00:00Z`, not `tomorrow`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: []}]",
            "1:52: `steps` is a list of at least one",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: [{expect: deny}], expect: \
             deny}]",
            "1:85: with `steps`, each step has its own `expect`: here are only `counters`, their \
             sum",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: [{expect: deny}], \
             expect: {status: 200}}]",
            "1:86: the `expect` of all steps together has no field `status`: it has `counters`",
        ),
        (
            "cases: [{name: a, caller: none, steps: [{expect: deny}]}]",
            "1:16: what is called? Give a `request`: a URL, or `host` and `path`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: [{worker: 2, \
             expect: deny}]}]",
            "1:69: the suite has one worker: give it more `workers`",
        ),
        (
            "workers: 2\ncases: [{name: a, caller: none, request: http://a, steps: [{worker: 3, \
             expect: deny}]}]",
            "2:69: `worker` is a number from 1 to 2",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: [{after: 5, \
             expect: deny}]}]",
            "1:68: `after` is a span of time such as `300ms`, `5s`, `2m` or `1h`, not `5`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, steps: [{update: \
             {accepted: false}, expect: deny}]}]",
            "1:69: an update has a `config`, in the form of pluginConfig",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, services: {a: []}, expect: deny}]",
            "1:63: a service has a name, and at least one answer",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, services: {a: {fault: cut}}, \
             expect: deny}]",
            "1:74: `fault` is `never` or `cutOff`, not `cut`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, services: {a: {fault: never, \
             status: 200}}, expect: deny}]",
            "1:67: an answer that does not come has no status, headers or body",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, services: {a: {fault: never, \
             late: 1s}}, expect: deny}]",
            "1:67: what never comes is not late",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {audit: nothing}}]",
            "1:68: `audit` is fields of a record, or `none`, not `nothing`",
        ),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: {counters: {a: -1}}}]",
            "1:75: `-1` is no count: it is 0 or more",
        ),
    ] {
        let found = read_text(text).map(|_| ());
        if found != Err(vec![expected.to_owned()]) {
            wrong.push(format!("{text}\n  {found:?}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const WHOLE: &str = "
description: All that a suite can say.
normalizePath: false
workers: 3
clock: 2026-01-31T12:00:00Z
services:
  authorization: [{status: 403, headers: {x-a: b}, body: no}, {late: 2s}]
  limits: {fault: cutOff, late: 1s}
cases:
- name: alone
  caller: {uris: [spiffe://a/b, https://c], dns: d.example}
  request: {host: null, path: /a b, body: hello}
  layers: [envoy]
  expect: {audit: {caller: null, status: 403}, body: no, counters: {egress_denied: 1}}
- name: several
  caller: a/b
  request: {host: h.example, headers: {x-a: 1}}
  origin: {status: 404, body: gone}
  services: {limits: {fault: never}}
  steps:
  - {expect: allow}
  - {caller: none, after: 2m, worker: 3, request: {path: /q}, origin: {status: 200}, expect: deny}
  - {update: {config: {policies: []}, accepted: false}, expect: {audit: none}}
  expect: {counters: {egress_allowed: 2}}
";

#[test]
fn a_suite_says_where_its_cases_run_and_who_answers() {
    let file = read_text(WHOLE).unwrap();
    let suite = &file.suites[0];
    assert_eq!(suite.description.as_deref(), Some("All that a suite can say."));
    assert_eq!((suite.normalize_path, suite.workers), (false, 3));
    assert_eq!(suite.clock, Some(Duration::from_secs(1_769_860_800)));
    let [alone, several] = suite.cases.as_slice() else { panic!("{:?}", suite.cases) };
    assert_eq!(
        (&alone.layers[..], alone.fresh, alone.steps.len()),
        (&[Layer::Envoy][..], false, 1)
    );
    assert_eq!((&several.layers[..], several.fresh), (&Layer::ALL[..], true));
    let answers = |case: &Case, cluster: &str| -> Vec<Answer> {
        let of = case.services.iter().find(|service| service.cluster == cluster);
        of.map(|service| service.answers.clone()).unwrap()
    };
    let origin = |status, headers, body: &str| Origin { status, headers, body: body.to_owned() };
    let refused = origin(403, vec![("x-a".to_owned(), "b".to_owned())], "no");
    let expected = [
        Answer { late: Duration::ZERO, outcome: Ok(refused) },
        Answer { late: Duration::from_secs(2), outcome: Ok(origin(200, Vec::new(), "")) },
    ];
    for case in [alone, several] {
        assert_eq!(answers(case, "authorization"), expected);
    }
    let cut = Answer { late: Duration::from_secs(1), outcome: Err(Fault::CutOff) };
    assert_eq!(answers(alone, "limits"), [cut]);
    let never = Answer { late: Duration::ZERO, outcome: Err(Fault::Never) };
    assert_eq!(answers(several, "limits"), [never], "a case's own service comes first");
}

#[test]
fn a_case_that_says_where_it_runs_may_be_one_that_envoy_refuses() {
    let file = read_text(WHOLE).unwrap();
    let step = &file.suites[0].cases[0].steps[0];
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let certificate =
        Certificate { uris: names(&["spiffe://a/b", "https://c"]), dns: names(&["d.example"]) };
    assert_eq!(step.caller, Caller::Certified(certificate));
    assert_eq!(step.caller.principal().as_deref(), Some("spiffe://a/b,https://c"));
    assert_eq!((step.request.host.as_deref(), step.request.path.as_str()), (None, "/a b"));
    assert_eq!(step.request.body, "hello");
    let Some(AuditExpectation::Record(fields)) = &step.expect.audit else { panic!("{step:?}") };
    assert_eq!(serde_json::json!(fields), serde_json::json!({"caller": null, "status": 403}));
    assert_eq!(step.expect.counters.get("egress_denied"), Some(&1));
    let text = WHOLE.replace("  layers: [envoy]\n", "");
    assert!(read_text(&text).unwrap_err()[0].contains("`/a b` is no path"));
}

#[test]
fn steps_say_what_differs_from_their_case() {
    let file = read_text(WHOLE).unwrap();
    let case = &file.suites[0].cases[1];
    let [first, second, third] = case.steps.as_slice() else { panic!("{case:?}") };
    assert_eq!((first.after, first.worker, &first.update), (Duration::ZERO, 0, &None));
    assert_eq!((first.request.path.as_str(), first.origin.status), ("/", 404));
    assert_eq!((second.after, second.worker), (Duration::from_secs(120), 2));
    assert_eq!((&second.caller, second.request.path.as_str()), (&Caller::Anonymous, "/q"));
    assert_eq!((second.origin.status, second.origin.body.as_str()), (200, "gone"));
    assert_eq!(second.request.headers, first.request.headers);
    let update = Update { config: serde_json::json!({"policies": []}), accepted: false };
    assert_eq!(third.update.as_ref(), Some(&update));
    assert_eq!(third.expect.audit, Some(AuditExpectation::Absent));
    assert_eq!(case.counters.get("egress_allowed"), Some(&2));
}

#[test]
fn steps_run_one_after_another_and_a_case_for_a_proxy_does_not() {
    let cases = "
- name: updated
  caller: team-b/x
  request: http://a.example
  steps:
  - expect: deny
  - update: {config: {policies: []}}
    expect: {verdict: allow, counters: {egress_allowed: 1}}
  - {update: {config: {policies: 5}, accepted: false}, expect: allow}
  - {update: {config: {policies: 5}}, expect: allow}
  expect: {counters: {egress_allowed: 4, egress_denied: 1}}
- {name: elsewhere, caller: none, request: http://a.example, layers: [wasm, envoy], expect: allow}
";
    assert_eq!(try_cases(cases), ["updated, step 4: update counters.egress_allowed"]);
    let mut file = [read_text(&format!("{POLICIES}cases:{cases}")).unwrap()];
    let (configurations, _) = Configurations::load(&mut file, &[]).unwrap();
    let results = run::run(&file, &configurations, &[]);
    assert_eq!((results.cases.len(), results.behind_proxy), (4, 1));
    assert_eq!(results.coverage[0].cases, 1, "what runs behind an update is of other policies");
}

#[test]
fn what_the_caller_gets_of_a_denial_can_be_expected() {
    let case = |expect: &str| {
        format!("- {{name: a, caller: team-b/x, request: 'http://a.example', expect: {expect}}}")
    };
    let headers = "responseHeaders: {content-type: text/plain, x-a: null}";
    for denied in ["verdict: deny", "status: 403", "reason: no-allow-matched"] {
        let expect = format!("{{{denied}, body: authorization failed, {headers}}}");
        assert_eq!(try_cases(&case(&expect)), <[String; 0]>::default(), "{expect}");
    }
    let wrong = "{status: 403, body: x, responseHeaders: {content-type: null}, audit: none}";
    let differing = "a: body responseHeaders.content-type audit";
    assert_eq!(try_cases(&case(wrong)), [differing]);
}
