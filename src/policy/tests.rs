#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::outcome::{Change, Count, Counter};
use crate::request::{Given, Property, Source};
use serde_json::{Value, json};

const TEAM_A: &[u8] = b"spiffe://cluster.local/ns/team-a/sa/team-a";

/// A request: method GET unless there is another in `headers`.
struct Request<'a> {
    caller: &'a [u8],
    host: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a [u8])],
}

const ZEN: Request<'static> = Request { caller: TEAM_A, host: "api.github.com", path: "/zen", headers: &[] };

fn rule(name: &str, action: &str, expression: &str) -> Value {
    json!({"name": name, "traffic": {"authorization": {"action": action, "policy": {"matchExpressions": [expression]}}}})
}

/// What was decided, with names in place of numbers.
#[derive(Debug)]
struct Decided {
    denial: Option<Denial>,
    policy_name: Option<String>,
    reason: Reason,
    shadow: Vec<usize>,
    errors: Vec<(usize, String)>,
    changes: Vec<Change<'static>>,
    counts: Vec<Count>,
    audit: Option<String>,
}

fn owned(change: &Change<'_>) -> Change<'static> {
    let name = |name: &str| &*name.to_owned().leak();
    match change {
        Change::Add(of, value) => Change::Add(name(of), value.to_vec().into()),
        Change::Replace(of, value) => Change::Replace(name(of), value.to_vec().into()),
        Change::Remove(of) => Change::Remove(of.to_string().into()),
    }
}

fn decide(policies: &[Value], request: &Request<'_>) -> Decided {
    decide_with(json!({"policies": policies, "audit": {"log": "All"}}), request)
}

fn load(config: &Value) -> Engine {
    Engine::load(config.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{config}: {errors:?}"))
}

fn decide_with(config: Value, request: &Request<'_>) -> Decided {
    let engine = load(&config);
    let mut headers: Headers<'_> = [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", request.host.as_bytes()),
        (b":path", request.path.as_bytes()),
    ]
    .into_iter()
    .collect();
    for (name, value) in request.headers {
        headers.add(name.as_bytes(), value);
    }
    let source = Given { peer_principal: request.caller, filter_chain_name: b"inbound-vip|80|http|api.github.com", ..Given::default() };
    let facts = Facts::new(headers, &source);
    let outcome = engine.decide(&facts);
    let mut counts = Vec::new();
    outcome.count(|count| counts.push(count));
    Decided {
        policy_name: outcome.policy.and_then(|index| engine.policy_name(index)).map(str::to_owned),
        changes: outcome.changes.iter().map(owned).collect(),
        counts,
        denial: outcome.denial,
        reason: outcome.reason,
        shadow: outcome.shadow,
        errors: outcome.errors,
        audit: outcome.audit,
    }
}

#[track_caller]
fn assert_decided(policies: &[Value], reason: &str, policy: Option<&str>) {
    let outcome = decide(policies, &ZEN);
    assert_eq!((outcome.reason.as_str(), outcome.policy_name.as_deref()), (reason, policy), "{policies:?}");
}

#[test]
fn no_rule_in_scope_allows() {
    assert_decided(&[], "no-allow-rule", None);
    let mut elsewhere = rule("elsewhere", "Deny", "true");
    elsewhere["hosts"] = json!(["example.com"]);
    assert_decided(&[elsewhere], "no-allow-rule", None);
}

#[test]
fn deny_beats_require_beats_allow_in_any_order() {
    let (allow, deny, require) = (rule("allow", "Allow", "true"), rule("deny", "Deny", "true"), rule("require", "Require", "false"));
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let all = [allow.clone(), deny, require.clone()];
    for order in orders {
        let policies: Vec<Value> = order.iter().map(|index| all[*index].clone()).collect();
        assert_decided(&policies, "deny-matched", Some("deny"));
    }
    assert_decided(&[allow.clone(), require], "require-not-matched", Some("require"));
    assert_decided(&[rule("deny", "Deny", "false"), rule("require", "Require", "true"), allow], "allow-matched", Some("allow"));
}

#[test]
fn an_allow_in_scope_must_match() {
    assert_decided(&[rule("no", "Allow", "false")], "no-allow-matched", None);
    assert_decided(&[rule("no", "Allow", "false"), rule("yes", "Allow", "true")], "allow-matched", Some("yes"));
    assert_decided(&[rule("no", "Deny", "false")], "no-allow-rule", None);
    assert_decided(&[rule("yes", "Require", "true")], "no-allow-rule", None);
}

#[test]
fn an_error_never_opens() {
    let missing = r#"request.headers["none"] == "x""#;
    assert_decided(&[rule("p", "Allow", missing)], "no-allow-matched", None);
    assert_decided(&[rule("p", "Require", missing)], "require-not-matched", Some("p"));
    assert_decided(&[rule("p", "Deny", missing)], "deny-error", Some("p"));
    assert_decided(&[rule("p", "Deny", r#"dyn("true")"#)], "deny-error", Some("p"));
    assert_decided(&[rule("p", "Allow", r#"dyn("true")"#)], "no-allow-matched", None);
    let mut ignoring = rule("p", "Deny", missing);
    ignoring["traffic"]["authorization"]["onError"] = json!("Ignore");
    assert_decided(&[ignoring], "no-allow-rule", None);
    let outcome = decide(&[rule("p", "Deny", missing)], &ZEN);
    assert!(outcome.counts.contains(&Count { policy: Some(0), counter: Counter::EvaluationErrors }), "{outcome:?}");
    assert_eq!(outcome.errors, [(0, "no such key: none".to_owned())]);
}

#[test]
fn several_expressions_combine_as_the_policy_says() {
    let err = r#"request.headers["none"] == "x""#;
    for (action, combine, expressions, reason) in [
        ("Allow", "All", ["true", "false"], "no-allow-matched"),
        ("Allow", "Any", ["false", "true"], "allow-matched"),
        ("Allow", "Any", [err, "true"], "allow-matched"),
        ("Allow", "All", [err, "true"], "no-allow-matched"),
        ("Deny", "All", ["true", "false"], "no-allow-rule"),
        ("Deny", "All", [err, "false"], "no-allow-rule"),
        ("Deny", "All", [err, "true"], "deny-error"),
        ("Deny", "Any", [err, "false"], "deny-error"),
        ("Deny", "Any", [err, "true"], "deny-matched"),
        ("Require", "Any", ["false", "true"], "no-allow-rule"),
        ("Require", "All", ["false", "true"], "require-not-matched"),
    ] {
        let policy = json!({"name": "p", "traffic": {"authorization": {"action": action, "match": combine, "policy": {"matchExpressions": expressions}}}});
        assert_eq!(decide(&[policy], &ZEN).reason.as_str(), reason, "{action} {combine} {expressions:?}");
    }
}

#[test]
fn a_rule_is_not_dodged_by_repeating_a_header() {
    let deny = rule("p", "Deny", r#"request.headers["x-role"] == "admin""#);
    let allow = rule("p", "Allow", r#"request.headers["x-role"] == "user""#);
    let any_header = rule("p", "Deny", r#"request.headers.exists(n, n == "x-role" && request.headers[n] == "admin")"#);
    let negated = rule("p", "Deny", r#"request.headers["x-role"] != "user""#);
    for (values, denied, allowed) in [
        (vec!["user"], false, true),
        (vec!["admin"], true, false),
        (vec!["user", "admin"], true, false),
        (vec!["admin", "user"], true, false),
        (vec!["user", "user", "admin"], true, false),
        (vec!["user", "user"], false, true),
    ] {
        let lines: Vec<(&str, &[u8])> = values.iter().map(|value| ("x-role", value.as_bytes())).collect();
        let request = Request { headers: &lines, ..ZEN };
        for policy in [&deny, &any_header, &negated] {
            assert_eq!(decide(std::slice::from_ref(policy), &request).denial.is_some(), denied, "{policy} {values:?}");
        }
        assert_eq!(decide(std::slice::from_ref(&allow), &request).denial.is_none(), allowed, "{values:?}");
    }
    let many: Vec<(&str, &[u8])> = vec![("x-role", b"user"); 65];
    let outcome = decide(&[deny], &Request { headers: &many, ..ZEN });
    assert_eq!(outcome.reason.as_str(), "deny-error");
    let bad_line = [("x-role", &b"user"[..]), ("x-role", b"\xff")];
    assert_eq!(
        decide(&[rule("p", "Allow", r#"request.headers["x-role"] == "user""#)], &Request { headers: &bad_line, ..ZEN }).reason.as_str(),
        "no-allow-matched"
    );
}

#[test]
fn a_deny_is_not_dodged_by_lines_that_the_proxy_joins() {
    let deny = |expression: &str| [rule("p", "Deny", expression)];
    for (expression, value, denied) in [
        (r#"request.headers["user-agent"] == "bad""#, "bad", true),
        (r#"request.headers["user-agent"] == "bad""#, "good,bad", true),
        (r#"request.headers["user-agent"] == "bad""#, "bad,good,good", true),
        (r#"request.headers["user-agent"] == "bad""#, "good, bad", false),
        (r#"request.headers["user-agent"] == "bad""#, "good,\tbad", false),
        (r#"request.headers["user-agent"] == "good,bad""#, "good,bad", true),
        (r#"request.headers["user-agent"] != "good""#, "good", false),
        (r#"request.headers["user-agent"] != "good""#, "good,good", true),
        (r#"request.headers.exists(n, request.headers[n] == "bad")"#, "good,bad", true),
        (r#"request.headers.user_agent == "bad""#, "good,bad", true),
        (r#"request.headers["User-Agent"] == "bad""#, "bad,good", true),
        (r#"request.headers["user-agent"] == """#, "good,", true),
        (r#"request.headers["user-agent"] == """#, "good", false),
    ] {
        let headers = [("user-agent", value.as_bytes())];
        assert_eq!(decide(&deny(expression), &Request { headers: &headers, ..ZEN }).denial.is_some(), denied, "{expression} {value}");
    }
    let headers = [("user_agent", &b"x"[..]), ("user-agent", b"bad,good")];
    let any = deny(r#"request.headers.exists(n, request.headers[n] == "bad")"#);
    assert!(decide(&any, &Request { headers: &headers, ..ZEN }).denial.is_some());
    // Other headers stay on lines of their own, and a comma in one is the caller's.
    let headers = [("x-role", &b"good,bad"[..])];
    assert_eq!(decide(&deny(r#"request.headers["x-role"] == "bad""#), &Request { headers: &headers, ..ZEN }).denial, None);
}

#[test]
fn a_rule_is_not_dodged_by_a_spelling() {
    let deny = |expression: &str| [rule("p", "Deny", expression)];
    for expression in [
        r#"default(request.headers["x-role"], "") == "admin""#,
        r#""x-role" in request.headers && request.headers["x-role"] == "admin""#,
        r#"request.headers.exists(name, request.headers[name] == "admin")"#,
    ] {
        for headers in
            [&[("x_role", &b"admin"[..])][..], &[("x-role", b"user"), ("x_role", b"admin")], &[("X_Role", b"user"), ("x-role", b"admin")]]
        {
            assert!(decide(&deny(expression), &Request { headers, ..ZEN }).denial.is_some(), "{expression} {headers:?}");
        }
        assert_eq!(decide(&deny(expression), &Request { headers: &[("x-role", b"user")], ..ZEN }).denial, None, "{expression}");
    }
    let allow = [rule("p", "Allow", r#"request.headers["x-role"] == "admin""#)];
    let both = [("x-role", &b"admin"[..]), ("x_role", b"user")];
    assert!(decide(&allow, &Request { headers: &both, ..ZEN }).denial.is_some());
}

#[test]
fn a_limit_that_is_passed_is_no_error_to_ignore() {
    let mut deny = rule("p", "Deny", r#"request.headers["x-role"] == "admin""#);
    deny["traffic"]["authorization"]["onError"] = json!("Ignore");
    for lines in [1, 64, 65, 100] {
        let outcome = decide(&[deny.clone()], &Request { headers: &vec![("x-role", &b"admin"[..]); lines], ..ZEN });
        assert!(outcome.denial.is_some(), "{lines} lines: {outcome:?}");
    }
}

#[test]
fn a_limit_that_is_passed_is_caught_by_nothing() {
    let (flags, cookie) = (format!("bad{}", ",".repeat(64)), "role=guest; role=x");
    let query = format!("/zen?{}debug=1", "debug=0&".repeat(64));
    let many: Vec<(String, Vec<u8>)> = (0..90).map(|n| (format!("x-{n}"), vec![b'v'; 600])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let twice = "request.headers.exists(a, request.headers.exists(b, a != b && request.headers[a] + '1' == request.headers[b]))";
    let json = format!("[{}\"bad\"]", "0,".repeat(1100));
    for (expression, path, headers) in [
        (r#"default("1" in request.pathAndQuery.query("debug"), false)"#.to_owned(), query.as_str(), &[][..]),
        (r#"default(request.headers.cookie("role"), "") == "guest""#.to_owned(), "/", &[("cookie", cookie.as_bytes())]),
        (r#""bad" in request.headers.split()["x-flags"]"#.to_owned(), "/", &[("x-flags", flags.as_bytes())]),
        (r#"request.headers.split()[?"x-flags"].orValue([]).exists(f, f == "bad")"#.to_owned(), "/", &[("x-flags", flags.as_bytes())]),
        (r#"default("bad" in json(request.headers["x-json"]), false)"#.to_owned(), "/", &[("x-json", json.as_bytes())]),
        (format!("default(request.method == 'GET' && {twice}, false)"), "/", &many),
        (format!("{twice} || false"), "/", &many),
        (r#"default(request.path.replace("a", request.path), "") == "x""#.to_owned(), &format!("/{}", "a".repeat(2000)), &[]),
    ] {
        for on_error in ["Deny", "Ignore"] {
            let mut deny = rule("p", "Deny", &expression);
            deny["traffic"]["authorization"]["onError"] = json!(on_error);
            let decided = decide(&[deny], &Request { path, headers, ..ZEN });
            assert_eq!(decided.reason.as_str(), "deny-error", "{expression} {on_error}: {decided:?}");
        }
        let mut allow = rule("p", "Allow", &format!("!({expression})"));
        assert!(decide(&[allow.clone()], &Request { path, headers, ..ZEN }).denial.is_some(), "{expression}");
        // What is settled by something else stays so.
        allow["traffic"]["authorization"]["action"] = json!("Deny");
        allow["traffic"]["authorization"]["policy"] = json!({"matchExpressions": [format!("({expression}) && request.host == 'other'")]});
        assert_eq!(decide(&[allow], &Request { path, headers, ..ZEN }).denial, None, "{expression}");
    }
    let within = [("cookie", &b"role=guest; role=guest"[..])];
    assert_eq!(decide(&[rule("p", "Deny", "request.headers.cookie('role') == 'x'")], &Request { headers: &within, ..ZEN }).denial, None);
}

#[test]
fn a_header_that_cannot_be_read_is_not_none() {
    let headers = [("x-debug", &b"\xff"[..])];
    for expression in [
        "request.headers[?'x-debug'].hasValue()",
        "request.headers.?role.orValue('') == 'x' || request.headers[?'X-Debug'].orValue('') != ''",
    ] {
        assert!(decide(&[rule("p", "Deny", expression)], &Request { headers: &headers, ..ZEN }).denial.is_some(), "{expression}");
        assert_eq!(decide(&[rule("p", "Deny", expression)], &ZEN).denial, None, "{expression}");
    }
    let present = [("x-debug", &b"1"[..])];
    assert!(
        decide(&[rule("p", "Deny", "request.headers[?'x-debug'].orValue('') == '1'")], &Request { headers: &present, ..ZEN })
            .denial
            .is_some()
    );
}

#[test]
fn a_verdict_does_not_hang_on_how_many_policies_there_are() {
    let lines = vec![("x", &b"2"[..]); 70];
    let mut policies = vec![rule("p", "Deny", "request.host == 'other' && request.headers['x'] == '1'")];
    for more in 0..12 {
        assert_eq!(decide(&policies, &Request { headers: &lines, ..ZEN }).denial, None, "{more} more");
        policies.push(rule(&format!("q{more}"), "Deny", &format!("request.host == 'h{more}'")));
    }
    // A fallback may match where the attribute that policies are found by cannot be read.
    let allow = |n: usize| rule(&format!("a{n}"), "Allow", &format!("default(source.identity.namespace == 'team-{n}', {})", n == 29));
    let allows: Vec<Value> = (0..30).map(allow).collect();
    assert_eq!(decide(&allows, &Request { caller: b"", ..ZEN }).policy_name.as_deref(), Some("a29"));
}

#[test]
fn a_shadow_policy_reports_and_does_not_decide() {
    let shadow = |action: &str, expression: &str| {
        let mut policy = rule("shadow", action, expression);
        policy["mode"] = json!("Shadow");
        policy
    };
    for (policies, would_deny) in [
        (vec![shadow("Deny", "true")], true),
        (vec![shadow("Deny", "false")], false),
        (vec![shadow("Deny", r#"request.headers["none"] == "x""#)], true),
        (vec![shadow("Require", "false")], true),
        (vec![shadow("Require", "true")], false),
        (vec![shadow("Allow", "false")], true),
        (vec![shadow("Allow", "true")], false),
        (vec![rule("p", "Allow", "true"), shadow("Allow", "false")], false),
    ] {
        let outcome = decide(&policies, &ZEN);
        assert_eq!(outcome.denial, None, "{policies:?}");
        assert_eq!(!outcome.shadow.is_empty(), would_deny, "{policies:?}");
        assert_eq!(outcome.counts.contains(&Count { policy: None, counter: Counter::ShadowDenied }), would_deny, "{policies:?}");
    }
    let outcome = decide(&[rule("p", "Deny", "true"), shadow("Deny", "true")], &ZEN);
    assert_eq!((outcome.denial.is_some(), outcome.shadow.is_empty()), (true, true), "what is denied anyway is nothing new");
}

#[test]
fn a_scope_is_for_its_hosts_alone() {
    let mut policy = rule("p", "Deny", "true");
    for (hosts, host, denied) in [
        (json!(["api.github.com"]), "api.github.com", true),
        (json!(["api.github.com"]), "API.GitHub.com.:443", true),
        (json!(["*.github.com"]), "api.github.com", true),
        (json!(["*.com"]), "api.github.com", true),
        (json!(["*.api.github.com"]), "api.github.com", false),
        (json!(["github.com"]), "api.github.com", false),
        (json!(["example.com", "api.github.com"]), "api.github.com", true),
    ] {
        policy["hosts"] = hosts.clone();
        let config = json!({"policies": [policy], "hostBinding": "Off"});
        assert_eq!(decide_with(config, &Request { host, ..ZEN }).denial.is_some(), denied, "{hosts} {host}");
    }
}

#[test]
fn a_request_must_be_for_the_service_it_was_sent_to() {
    for (host, reason) in
        [("api.github.com:80", "no-allow-rule"), ("evil.example", "host-mismatch"), ("", "bad-host"), ("user@api.github.com", "bad-host")]
    {
        assert_eq!(decide(&[], &Request { host, ..ZEN }).reason.as_str(), reason, "{host}");
    }
    let off = json!({"policies": [], "hostBinding": "Off"});
    assert_eq!(decide_with(off, &Request { host: "evil.example", ..ZEN }).denial, None);
    let outcome = decide(&[], &Request { headers: &[("host", b"evil.example")], ..ZEN });
    assert_eq!(outcome.denial.map(|denial| denial.status), Some(400));
}

#[test]
fn no_other_name_of_a_service_walks_round_its_policies() {
    let mut deny = rule("p", "Deny", "true");
    deny["hosts"] = json!(["a.ns.svc.cluster.local"]);
    let engine = load(&json!({"policies": [deny]}));
    for host in ["a.ns.svc.cluster.local", "a", "a.ns", "a.ns.svc"] {
        let headers = [(&b":method"[..], &b"GET"[..]), (b":authority", host.as_bytes()), (b":path", b"/")].into_iter().collect();
        let source = Given { filter_chain_name: b"inbound-vip|80|http|a.ns.svc.cluster.local", ..Given::default() };
        assert!(engine.decide(&Facts::new(headers, &source)).denial.is_some(), "{host}");
    }
}

#[test]
fn a_policy_loosens_path_safety_for_its_hosts() {
    let path = Request { path: "/a%2Fb", ..ZEN };
    assert_eq!(decide(&[], &path).denial.map(|denial| (denial.status, denial.detail)), Some((400, Some("escaped delimiter"))));
    let mut policy = rule("p", "Allow", "true");
    policy["hosts"] = json!(["api.github.com"]);
    policy["pathSafety"] = json!("Lenient");
    assert_eq!(decide(&[policy.clone()], &path).denial, None);
    policy["mode"] = json!("Shadow");
    assert!(decide(&[policy.clone()], &path).denial.is_some(), "a shadow policy loosens nothing");
    policy["mode"] = json!("Enforce");
    policy["hosts"] = json!(["other.example"]);
    assert!(decide(&[policy], &path).denial.is_some(), "nor does one of another host");
}

fn changed(transformation: Value, headers: &[(&str, &[u8])]) -> (Vec<Change<'static>>, usize) {
    let policy = json!({"name": "p", "traffic": {"transformation": {"request": transformation}}});
    let outcome = decide(&[policy], &Request { headers, ..ZEN });
    (outcome.changes, outcome.errors.len())
}

#[test]
fn headers_change_in_the_order_add_set_remove() {
    let add = |value: &str| Change::Add("x-a", value.as_bytes().to_vec().into());
    let replace = |value: &str| Change::Replace("x-a", value.as_bytes().to_vec().into());
    let remove = || Change::Remove("x-a".into());
    let one = |value: &str| json!([{"name": "X-A", "value": value}]);
    let client = [("x-a", &b"1"[..])];
    let twice = [("x-a", &b"1"[..]), ("x-a", &b"2"[..])];
    let missing = r#"request.headers["none"]"#;
    for (rules, headers, changes, errors) in [
        (json!({"set": one("'s'")}), &[][..], vec![replace("s")], 0),
        (json!({"set": one("'s'")}), &client, vec![replace("s")], 0),
        (json!({"set": one("'s'")}), &twice, vec![remove(), add("s")], 0),
        (json!({"add": one("'a'")}), &client, vec![add("a")], 0),
        (json!({"remove": ["X-A"]}), &twice, vec![remove()], 0),
        (json!({"remove": ["X-A"]}), &[], vec![], 0),
        (json!({"set": one("request.headers['x-a'] + '!'"), "add": one("'a'")}), &[], vec![add("a"), replace("a!")], 0),
        (json!({"set": one("'s'"), "remove": ["x-a"]}), &[], vec![replace("s"), remove()], 0),
        (json!({"set": one(missing)}), &client, vec![remove()], 1),
        (json!({"set": one(missing)}), &[], vec![], 1),
        (json!({"add": one(missing)}), &client, vec![], 1),
        (json!({"set": one("'a\\r\\nb: c'")}), &client, vec![remove()], 1),
        (json!({"set": one("dyn(1)")}), &client, vec![remove()], 1),
        (json!({"set": one("''")}), &client, vec![replace("")], 0),
    ] {
        assert_eq!(changed(rules.clone(), headers), (changes, errors), "{rules} {headers:?}");
    }
}

#[test]
fn a_spoofed_spelling_does_not_survive() {
    let rules = json!({"set": [{"name": "x-caller-identity", "value": "'a'"}]});
    let (changes, _) = changed(rules, &[("x_caller_identity", b"forged")]);
    assert_eq!(changes, [Change::Remove("x_caller_identity".into()), Change::Replace("x-caller-identity", b"a".into())]);
}

#[test]
fn pseudo_headers_are_set_to_legal_values_only() {
    let set = |name: &str, value: &str| json!({"set": [{"name": name, "value": value}]});
    for (name, value, legal) in [
        (":path", "'/b?x'", true),
        (":path", "'b'", false),
        (":path", "'/a b'", false),
        (":path", "'/a/../b'", false),
        (":authority", "'other.example:80'", true),
        (":authority", "'a@b'", false),
        (":method", "'POST'", true),
        (":method", "'PO ST'", false),
    ] {
        let (changes, errors) = changed(set(name, value), &[]);
        assert_eq!((changes.len(), errors), if legal { (1, 0) } else { (0, 1) }, "{name} {value}");
    }
    let policy = json!({"name": "p", "traffic": {"transformation": {"request": set(":path", "request.headers['none']")}}});
    let outcome = decide(&[policy], &ZEN);
    assert_eq!(
        (outcome.reason.as_str(), outcome.policy_name.as_deref()),
        ("rewrite-error", Some("p")),
        "the caller's own path must not stay"
    );
}

#[test]
fn later_policies_see_what_earlier_ones_left() {
    let set = |name: &str, header: &str, value: &str| json!({"name": name, "traffic": {"transformation": {"request": {"set": [{"name": header, "value": value}]}}}});
    let outcome = decide(
        &[
            set("a", "x-a", "'1'"),
            set("b", "x-b", "request.headers['x-a'] + '2'"),
            set("c", ":path", "'/p'"),
            set("d", "x-d", "request.path"),
        ],
        &ZEN,
    );
    let replaced = |name: &'static str, value: &str| Change::Replace(name, value.as_bytes().to_vec().into());
    assert_eq!(outcome.changes, [replaced("x-a", "1"), replaced("x-b", "12"), replaced(":path", "/p"), replaced("x-d", "/p")]);
}

#[test]
fn a_denied_request_is_not_changed() {
    let policies = [rule("p", "Deny", "true"), json!({"name": "t", "traffic": {"transformation": {"request": {"remove": ["x-a"]}}}})];
    assert_eq!(decide(&policies, &Request { headers: &[("x-a", b"1")], ..ZEN }).changes, []);
}

#[test]
fn a_response_is_changed_by_what_it_says() {
    let set = json!([{"name": "x-code", "value": "string(response.code) + request.method + response.headers['x-o']"}]);
    let config = json!({"policies": [{"name": "p", "traffic": {"transformation": {"response": {"set": set, "remove": ["server"]}}}}]});
    let engine = load(&config);
    let request: Headers<'_> =
        [(&b":method"[..], &b"GET"[..]), (b":authority", b"api.github.com"), (b":path", b"/zen")].into_iter().collect();
    let response: Headers<'_> = [(&b":status"[..], &b"201"[..]), (b"server", b"x"), (b"x-o", b"o")].into_iter().collect();
    let source = Given::default();
    let facts = Facts::new(request, &source);
    let outcome = engine.decide(&facts);
    assert_eq!(outcome.responding, [0]);
    let response = engine.respond(&outcome.responding, &facts, &response);
    assert_eq!(response.changes, [Change::Replace("x-code", b"201GETo".into()), Change::Remove("server".into())]);
    assert_eq!(response.errors, []);
}

#[test]
fn the_audit_names_caller_and_policy_and_cannot_be_forged() {
    let request = Request { path: "/a\"}\n{\"verdict\":\"allow\"", headers: &[("x-request-id", b"7")], ..ZEN };
    let config = json!({"policies": [rule("p", "Deny", "true")], "pathSafety": "Off"});
    let line = decide_with(config, &request).audit.unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    let record: Value = serde_json::from_str(&line).unwrap();
    let expected = json!({
        "event": "egress", "verdict": "deny", "policy": "p", "reason": "deny-matched", "shadow": [], "caller": "spiffe://cluster.local/ns/team-a/sa/team-a",
        "method": "GET", "host": "api.github.com", "path": "/a\"}\n{\"verdict\":\"allow\"", "destination": "api.github.com", "status": 403, "requestId": "7",
    });
    assert_eq!(record, expected);
}

#[test]
fn only_the_decisions_asked_for_are_logged() {
    for (log, allowed, denied) in [("All", true, true), ("Denied", false, true), ("None", false, false)] {
        let logged = |expression: &str| {
            decide_with(json!({"policies": [rule("p", "Deny", expression)], "audit": {"log": log}}), &ZEN).audit.is_some()
        };
        assert_eq!((logged("false"), logged("true")), (allowed, denied), "{log}");
    }
}

/// Notes what it is asked for.
#[derive(Debug, Default)]
struct Noting<'a> {
    given: Given<'a>,
    failing: Option<Property>,
    asked: Mutex<Vec<Property>>,
}

impl Source for Noting<'_> {
    fn property(&self, property: Property) -> &[u8] {
        let mut asked = self.asked.lock().unwrap();
        if !asked.contains(&property) {
            asked.push(property);
        }
        self.given.property(property)
    }

    fn failed(&self) -> bool {
        self.failing.is_some_and(|failing| self.asked.lock().unwrap().contains(&failing))
    }
}

#[test]
fn only_what_something_reads_is_asked_for() {
    let unbound = |policies: Value, log: &str| json!({"policies": policies, "hostBinding": "Off", "audit": {"log": log}});
    let mut scoped = rule("p", "Deny", "source.port == 1");
    scoped["hosts"] = json!(["api.github.com"]);
    let namespace = rule("p", "Deny", "source.identity.namespace == 'x'");
    let version = json!({"name": "p", "traffic": {"transformation": {"response": {"set": [{"name": "x", "value": "request.version"}]}}}});
    let service = [Property::FilterChainName, Property::ClusterName];
    let caller = [Property::PeerPrincipal, Property::PeerCertificate];
    for (config, host, asked) in [
        (unbound(json!([]), "None"), "api.github.com", &[][..]),
        (unbound(json!([scoped]), "None"), "api.github.com", &[Property::SourceAddress]),
        (unbound(json!([scoped]), "None"), "other.example", &[]),
        (unbound(json!([namespace]), "None"), "api.github.com", &caller),
        (
            unbound(json!([rule("p", "Deny", "request.method == 'GET' || source.identity.namespace == 'x'")]), "Denied"),
            "a",
            &[caller, service].concat(),
        ),
        (unbound(json!([rule("p", "Deny", "request.method == 'PUT' && source.identity.namespace == 'x'")]), "Denied"), "a", &[]),
        (unbound(json!([version]), "None"), "a", &[Property::Protocol]),
        (json!({"policies": [], "audit": {"log": "None"}}), "a", &service),
    ] {
        let engine = load(&config);
        let headers = [(&b":authority"[..], host.as_bytes()), (b":path", b"/"), (b":method", b"GET")];
        let source = Noting::default();
        let facts = Facts::new(headers.into_iter().collect(), &source);
        let outcome = engine.decide(&facts);
        assert_ne!(outcome.reason, Reason::InternalError);
        assert_eq!(*source.asked.lock().unwrap(), asked, "{config} {host}");
    }
}

#[test]
fn a_fact_that_cannot_be_read_refuses_the_request() {
    let engine = load(&json!({"policies": [rule("p", "Allow", "source.identity.namespace == 'team-a'")], "audit": {"log": "All"}}));
    for failing in [Property::PeerPrincipal, Property::FilterChainName] {
        let given = Given { peer_principal: TEAM_A, filter_chain_name: b"inbound-vip|80|http|api.github.com", ..Given::default() };
        let source = Noting { given, failing: Some(failing), ..Noting::default() };
        let headers = [(&b":authority"[..], &b"api.github.com"[..]), (b":path", b"/"), (b":method", b"GET")];
        let facts = Facts::new(headers.into_iter().collect(), &source);
        let outcome = engine.decide(&facts);
        assert_eq!((outcome.reason, outcome.denial.map(|denial| denial.status)), (Reason::InternalError, Some(403)), "{failing:?}");
        assert!(outcome.audit.is_some(), "{failing:?}");
    }
}

#[test]
fn all_errors_of_a_configuration_are_told_with_their_places() {
    let mut misspelt = rule("b", "Allow", "source.identty.namespace == 'a'");
    misspelt["mod"] = json!("Shadow");
    let config = json!({"policies": [rule("a", "Allow", "1 +"), misspelt]});
    let errors: Vec<String> = Engine::load(config.to_string().as_bytes()).unwrap_err().iter().map(ToString::to_string).collect();
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("policy `a`: policies[0].traffic.authorization.policy.matchExpressions[0]: line 1, column")),
        "{errors:#?}"
    );
    assert!(
        errors.iter().any(|error| error.starts_with("policy `b`: policies[1]: unknown field `mod` (did you mean `mode`?)")),
        "{errors:#?}"
    );
    let expected = "policy `b`: policies[1].traffic.authorization.policy.matchExpressions[0]: line 1, column 1: unknown attribute `source.identty` (did you mean `source.identity`?)";
    assert!(errors.iter().any(|error| error == expected), "{errors:#?}");
}
