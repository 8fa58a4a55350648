//! What callers send to walk round a rule.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_rule_is_not_dodged_by_repeating_a_header() {
    let deny = rule("p", "Deny", r#"request.headers["x-role"] == "admin""#);
    let allow = rule("p", "Allow", r#"request.headers["x-role"] == "user""#);
    let any_header = rule(
        "p",
        "Deny",
        r#"request.headers.exists(n, n == "x-role" && request.headers[n] == "admin")"#,
    );
    let negated = rule("p", "Deny", r#"request.headers["x-role"] != "user""#);
    for (values, denied, allowed) in [
        (vec!["user"], false, true),
        (vec!["admin"], true, false),
        (vec!["user", "admin"], true, false),
        (vec!["admin", "user"], true, false),
        (vec!["user", "user", "admin"], true, false),
        (vec!["user", "user"], false, true),
    ] {
        let lines: Vec<(&str, &[u8])> =
            values.iter().map(|value| ("x-role", value.as_bytes())).collect();
        let request = Request { headers: &lines, ..ZEN };
        for policy in [&deny, &any_header, &negated] {
            assert_eq!(
                decide(std::slice::from_ref(policy), &request).denial.is_some(),
                denied,
                "{policy} {values:?}"
            );
        }
        assert_eq!(
            decide(std::slice::from_ref(&allow), &request).denial.is_none(),
            allowed,
            "{values:?}"
        );
    }
    let many: Vec<(&str, &[u8])> = vec![("x-role", b"user"); 513];
    let outcome = decide(&[deny], &Request { headers: &many, ..ZEN });
    assert_eq!(outcome.reason.as_str(), "deny-error");
    let bad_line = [("x-role", &b"user"[..]), ("x-role", b"\xff")];
    assert_eq!(
        decide(
            &[rule("p", "Allow", r#"request.headers["x-role"] == "user""#)],
            &Request { headers: &bad_line, ..ZEN }
        )
        .reason
        .as_str(),
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
        (r#"request.headers["user-agent"] == "bad""#, "good, bad", true),
        (r#"request.headers["user-agent"] == "bad""#, "good,\tbad", true),
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
        assert_eq!(
            decide(&deny(expression), &Request { headers: &headers, ..ZEN }).denial.is_some(),
            denied,
            "{expression} {value}"
        );
    }
    let headers = [("user_agent", &b"x"[..]), ("user-agent", b"bad,good")];
    let any = deny(r#"request.headers.exists(n, request.headers[n] == "bad")"#);
    assert!(decide(&any, &Request { headers: &headers, ..ZEN }).denial.is_some());
    // Other headers stay on lines of their own, and a comma in one is the caller's.
    let headers = [("x-role", &b"good,bad"[..])];
    assert_eq!(
        decide(
            &deny(r#"request.headers["x-role"] == "bad""#),
            &Request { headers: &headers, ..ZEN }
        )
        .denial,
        None
    );
}

#[test]
fn a_rule_is_not_dodged_by_a_spelling() {
    let deny = |expression: &str| [rule("p", "Deny", expression)];
    for expression in [
        r#"default(request.headers["x-role"], "") == "admin""#,
        r#""x-role" in request.headers && request.headers["x-role"] == "admin""#,
        r#"request.headers.exists(name, request.headers[name] == "admin")"#,
    ] {
        for headers in [
            &[("x_role", &b"admin"[..])][..],
            &[("x-role", b"user"), ("x_role", b"admin")],
            &[("X_Role", b"user"), ("x-role", b"admin")],
        ] {
            assert!(
                decide(&deny(expression), &Request { headers, ..ZEN }).denial.is_some(),
                "{expression} {headers:?}"
            );
        }
        assert_eq!(
            decide(&deny(expression), &Request { headers: &[("x-role", b"user")], ..ZEN }).denial,
            None,
            "{expression}"
        );
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
        let outcome = decide(
            &[deny.clone()],
            &Request { headers: &vec![("x-role", &b"admin"[..]); lines], ..ZEN },
        );
        assert!(outcome.denial.is_some(), "{lines} lines: {outcome:?}");
    }
}

#[test]
fn a_limit_that_is_passed_is_caught_by_nothing() {
    let (flags, cookie) = (format!("bad{}", ",".repeat(64)), "role=guest; role=x");
    let query = format!("/zen?{}debug=1", "debug=0&".repeat(64));
    let many: Vec<(String, Vec<u8>)> =
        (0..90).map(|n| (format!("x-{n}"), vec![b'v'; 600])).collect();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let twice = "request.headers.exists(a, request.headers.exists(b, a != b && request.headers[a] \
        + '1' == request.headers[b]))";
    let json = format!("[{}\"bad\"]", "0,".repeat(4200));
    for (expression, path, headers) in [
        (
            r#"default("1" in request.pathAndQuery.query("debug"), false)"#.to_owned(),
            query.as_str(),
            &[][..],
        ),
        (
            r#"default(request.headers.cookie("role"), "") == "guest""#.to_owned(),
            "/",
            &[("cookie", cookie.as_bytes())],
        ),
        (
            r#""bad" in request.headers.split()["x-flags"]"#.to_owned(),
            "/",
            &[("x-flags", flags.as_bytes())],
        ),
        (
            r#"request.headers.split()[?"x-flags"].orValue([]).exists(f, f == "bad")"#.to_owned(),
            "/",
            &[("x-flags", flags.as_bytes())],
        ),
        (
            r#"default("bad" in json(request.headers["x-json"]), false)"#.to_owned(),
            "/",
            &[("x-json", json.as_bytes())],
        ),
        (format!("default(request.method == 'GET' && {twice}, false)"), "/", &many),
        (format!("{twice} || false"), "/", &many),
        (
            r#"default(request.path.replace("a", request.path), "") == "x""#.to_owned(),
            &format!("/{}", "a".repeat(2000)),
            &[],
        ),
    ] {
        for on_error in ["Deny", "Ignore"] {
            let mut deny = rule("p", "Deny", &expression);
            deny["traffic"]["authorization"]["onError"] = json!(on_error);
            let decided = decide(&[deny], &Request { path, headers, ..ZEN });
            assert_eq!(
                decided.reason.as_str(),
                "deny-error",
                "{expression} {on_error}: {decided:?}"
            );
        }
        let mut allow = rule("p", "Allow", &format!("!({expression})"));
        assert!(
            decide(&[allow.clone()], &Request { path, headers, ..ZEN }).denial.is_some(),
            "{expression}"
        );
        // What is settled by something else stays so.
        allow["traffic"]["authorization"]["action"] = json!("Deny");
        allow["traffic"]["authorization"]["policy"] =
            json!({"matchExpressions": [format!("({expression}) && request.host == 'other'")]});
        assert_eq!(
            decide(&[allow], &Request { path, headers, ..ZEN }).denial,
            None,
            "{expression}"
        );
    }
    let within = [("cookie", &b"role=guest; role=guest"[..])];
    assert_eq!(
        decide(
            &[rule("p", "Deny", "request.headers.cookie('role') == 'x'")],
            &Request { headers: &within, ..ZEN }
        )
        .denial,
        None
    );
}

#[test]
fn what_patterns_read_is_charged_however_the_rule_is_evaluated() {
    let value = vec![b'v'; 30_000];
    let lines = vec![("x-a", value.as_slice()); 64];
    for expression in
        ["request.headers['x-a'].matches('vw')", "dyn(request.headers['x-a']).matches('vw')"]
    {
        for (count, reason) in [(2, "no-allow-rule"), (64, "deny-error")] {
            let lines = lines.get(..count).unwrap_or_default();
            let decided =
                decide(&[rule("p", "Deny", expression)], &Request { headers: lines, ..ZEN });
            assert_eq!(decided.reason.as_str(), reason, "{expression} on {count} lines");
        }
    }
}

#[test]
fn what_a_caller_makes_fail_in_a_view_or_a_pattern_is_not_ignored() {
    let long = "x".repeat(300);
    for (expression, headers) in [
        (
            "request.headers.split()[?'x-role'].orValue([]).exists(r, r == 'admin')",
            &[("x-role", &b"admin"[..]), ("x-role", b"\xff")][..],
        ),
        (
            "default(request.path.matches('^/z' + request.headers['x-t']), false)",
            &[("x-t", long.as_bytes())],
        ),
        (
            "default(request.path.matches('^/z' + request.headers['x-t']), false)",
            &[("x-t", b"a{300}{300}")],
        ),
        ("default(request.path.matches('^/z' + request.headers['x-t']), false)", &[("x-t", b"(")]),
    ] {
        let decided = decide(&[rule("p", "Deny", expression)], &Request { headers, ..ZEN });
        assert_eq!(decided.reason.as_str(), "deny-error", "{expression} {headers:?}");
    }
}

#[test]
fn a_header_that_cannot_be_read_is_not_none() {
    let headers = [("x-debug", &b"\xff"[..])];
    for expression in [
        "request.headers[?'x-debug'].hasValue()",
        "request.headers.?role.orValue('') == 'x' || request.headers[?'X-Debug'].orValue('') != ''",
    ] {
        assert!(
            decide(&[rule("p", "Deny", expression)], &Request { headers: &headers, ..ZEN })
                .denial
                .is_some(),
            "{expression}"
        );
        assert_eq!(decide(&[rule("p", "Deny", expression)], &ZEN).denial, None, "{expression}");
    }
    let present = [("x-debug", &b"1"[..])];
    assert!(
        decide(
            &[rule("p", "Deny", "request.headers[?'x-debug'].orValue('') == '1'")],
            &Request { headers: &present, ..ZEN }
        )
        .denial
        .is_some()
    );
}

#[test]
fn a_verdict_does_not_hang_on_how_many_policies_there_are() {
    let lines = vec![("x", &b"2"[..]); 70];
    let mut policies =
        vec![rule("p", "Deny", "request.host == 'other' && request.headers['x'] == '1'")];
    for more in 0..12 {
        assert_eq!(
            decide(&policies, &Request { headers: &lines, ..ZEN }).denial,
            None,
            "{more} more"
        );
        policies.push(rule(&format!("q{more}"), "Deny", &format!("request.host == 'h{more}'")));
    }
    // A fallback may match where the attribute that policies are found by cannot be read.
    let allow = |n: usize| {
        rule(
            &format!("a{n}"),
            "Allow",
            &format!("default(source.identity.namespace == 'team-{n}', {})", n == 29),
        )
    };
    let allows: Vec<Value> = (0..30).map(allow).collect();
    assert_eq!(
        decide(&allows, &Request { caller: b"", ..ZEN }).policy_name.as_deref(),
        Some("a29")
    );
}
