//! Errors in files of cases are reported where they are.

use super::*;

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
            "defaultAction: Deny\npolicies: [{name: a, hosts: [b], trafic: {}}]",
            "2:1: these are policies, not cases: run `egressctl check` on this file, or name it as \
             the `policies` of a file that has cases",
        ),
        ("policies: [a.yaml]", "1:1: `cases` is missing: nothing is tested"),
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
            "1:60: a verdict is `allow`, `answer` or `deny`, not `alow` (did you mean `allow`?)",
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
            "1:42: `http:///a` has no host: write `http://HOST/PATH`",
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
             `require-not-matched`, `no-allow-matched`, `default-deny`, \
             `path-unsafe`, `method-unsafe`, `header-unsafe`, `limit-exceeded`, `host-mismatch`, \
             `bad-host`, `redirect`, `direct-response`, `rewrite-error`, `condition-error`, \
             `answer-error`, `credential-refused`, `credential-unavailable`, `external-denied`, \
             `rate-limited`, `callout-error`, `body-too-large`, `no-answer`, `gone` or \
             `internal-error`, not `allow-match` (did you mean `allow-matched`?)",
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
            "1:25: `for` has no field `user`: it has `time`, `caller`, `destination`, `request`, \
             `method`, `host` or `path`",
        ),
        (
            "cases: [{name: a, time: noon, caller: none, request: http://a, expect: allow}]",
            "1:25: `time` is when the request comes, such as `2026-01-31T12:00:00Z` or \
             `2026-01-31T13:00:00+01:00`, not `noon`",
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
