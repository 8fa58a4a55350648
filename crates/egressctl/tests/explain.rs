//! What `egressctl explain` prints, and how it exits.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "explain/choosing.rs"]
mod choosing;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const WORKSHOP: &str = "filter-config/05-policy-headers.yaml";
const POLICIES: &str = "crates/egressctl/tests/explain/policies.yaml";

struct Found {
    stdout: String,
    stderr: String,
    code: i32,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn egressctl(args: &[&str]) -> Found {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .args(args)
        .current_dir(root())
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("egressctl runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Found {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code().expect("an exit code"),
    }
}

/// Explains a request, which is what follows `--as` on the command line.
fn explain(file: &str, args: &[&str]) -> Found {
    egressctl(&[&["explain", "-f", file, "--as"], args].concat())
}

#[track_caller]
fn explained(file: &str, args: &[&str]) -> String {
    let found = explain(file, args);
    assert_eq!((found.stderr.as_str(), found.code), ("", 0), "{args:?}: {}", found.stdout);
    found.stdout
}

fn as_json(file: &str, args: &[&str]) -> Value {
    serde_json::from_str(&explained(file, &[args, &["--output", "json"]].concat())).expect("JSON")
}

/// Whether these lines are there, whatever the column on the right.
#[track_caller]
fn has_lines(text: &str, expected: &[&str]) {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for line in expected {
        assert!(
            text.lines().any(|found| words(found) == words(line)),
            "no line `{line}` in:\n{text}"
        );
    }
}

#[test]
fn the_workshops_team_b_is_told_which_part_of_which_rule_does_not_match() {
    let found = explained(WORKSHOP, &["team-b/team-b", "http://api.github.com/zen"]);
    assert_eq!(found, include_str!("explain/team-b.txt"));
}

#[test]
fn the_workshops_path_is_denied_by_name() {
    let found = explained(WORKSHOP, &["team-a/team-a", "http://api.github.com/users/torvalds"]);
    assert_eq!(found, include_str!("explain/path.txt"));
}

#[test]
fn the_workshops_headers_are_shown_before_and_after() {
    let found = explained(
        WORKSHOP,
        &[
            "team-a/team-a",
            "-H",
            "X-Internal-Debug: secret",
            "-H",
            "x_caller_identity: root",
            "http://httpbingo.org/headers",
        ],
    );
    assert_eq!(found, include_str!("explain/headers.txt"));
}

/// A key in PEM begins with `-`, and is a value all the same, as for curl.
#[test]
fn a_body_may_begin_with_a_hyphen() {
    let args = ["none", "-X", "POST", "-d", "-----BEGIN KEY-----", "http://api.github.com/zen"];
    let found = as_json(WORKSHOP, &args);
    assert_eq!(found["request"]["body"], "-----BEGIN KEY-----", "{found:#}");
}

#[test]
fn the_workshops_extension_is_explained_as_its_plugin_is() {
    let args = ["team-b/team-b", "http://api.github.com/zen"];
    assert_eq!(
        explained("filter-config/traffic-extension/05-policy-headers.yaml", &args),
        explained(WORKSHOP, &args)
    );
}

#[test]
fn everything_that_a_policy_can_be_is_shown() {
    let request = [
        "team-a/x",
        "-X",
        "PUT",
        "-H",
        "x-role: guest",
        "-H",
        "X-Role: dev",
        "-H",
        "agent: curl",
        "-H",
        "x-debug: 1",
        "-H",
        "x-token: mine",
        "--response-status",
        "404",
        "--response-header",
        "Server: origin",
        "http://api.example:8080/zen?x=1",
    ];
    let found = explained(POLICIES, &request);
    // What is made at random differs each time.
    let (before, after) = found.split_once("+ x-id: ").expect("the random header");
    let found = format!(
        "{before}+ x-id: ...{}",
        after.get("00000000-0000-4000-8000-000000000000".len()..).expect("a UUID")
    );
    assert_eq!(found, include_str!("explain/everything.txt"));
}

#[test]
fn a_missing_header_is_an_error_where_it_is_read() {
    let found = explained(POLICIES, &["none", "http://api.example/zen"]);
    has_lines(
        &found,
        &[
            "verdict  denied, 403 \"authorization failed\": `no-admin` errs, and a Deny that errs \
             denies (deny-error)",
            r#"  request.headers["x-role"] == "admin"  error: no such key: x-role"#,
            r#"    request.headers["x-role"]  error: no such key: x-role"#,
            r#"policy teams (Allow)  errs (not asked)"#,
            r#"    source.identity.namespace  error: no such key: identity"#,
        ],
    );
}

#[test]
fn a_repeated_header_is_looked_at_line_by_line() {
    let found = explained(
        POLICIES,
        &["team-a/x", "-H", "x-role: guest", "-H", "x-role: admin", "http://api.example/zen"],
    );
    has_lines(
        &found,
        &[
            r#"policy no-admin (Deny, match: Any) for api.example  matches: denies"#,
            r#"  request.headers["x-role"] == "admin"  true: one line is enough"#,
            r#"    with x-role = "guest"  false"#,
            r#"    with x-role = "admin"  true"#,
            r#"      request.headers["x-role"]  "admin""#,
        ],
    );
}

#[test]
fn a_path_is_judged_as_the_waypoint_makes_it() {
    for (sent, how, seen, verdict) in [
        ("/repos/../users", "base", "/users", "verdict  denied, 403"),
        ("/users/../repos/x/%7Eb", "base", "/repos/x/~b", "verdict  allowed"),
        ("/repos//x", "merge-slashes", "/repos/x", "verdict  allowed"),
        (
            "/repos/x%2F..%2F..%2Fusers",
            "decode-and-merge-slashes",
            "/users",
            "verdict  denied, 403",
        ),
    ] {
        let url = format!("http://api.github.com{sent}");
        let found =
            explained(WORKSHOP, &["team-a/team-a", "--path-normalization", how, url.as_str()]);
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines[0], format!("GET http://api.github.com{seen}"), "{found}");
        assert_eq!(lines[1], format!("sent as  {sent}, which the waypoint normalises"), "{found}");
        assert!(lines.iter().any(|line| line.starts_with(verdict)), "{found}");
    }
    let found = explain(WORKSHOP, &["team-a/team-a", "http://api.github.com/a%00"]);
    assert!(found.code == 2 && found.stderr.contains("Envoy refuses"), "{}", found.stderr);
}

#[test]
fn what_is_refused_before_any_rule_says_why() {
    let line = |args: &[&str]| {
        let found = explained(WORKSHOP, &[&["team-a/team-a"], args].concat());
        let rule = found.lines().find(|line| line.starts_with("policy github-api-rbac (Allow)"));
        // A request for no one host is in no policy's scope.
        assert!(
            rule.map_or(args.join(" ").contains('@'), |rule| rule.ends_with(" not asked")),
            "{found}"
        );
        found.lines().find(|line| line.starts_with("verdict")).expect("a verdict").to_owned()
    };
    for (args, expected) in [
        (
            &["--path-normalization", "none", "http://api.github.com/repos/../users"][..],
            "verdict  denied, 400 \"bad request\": the path is unsafe under `pathSafety: Strict`: \
             dot segment (path-unsafe)",
        ),
        (
            &["--request-target", "/repos//x", "http://api.github.com"],
            "verdict  denied, 400 \"bad request\": the path is unsafe under `pathSafety: Strict`: \
             empty segment (path-unsafe)",
        ),
        (
            &["-H", "Host: evil.example", "http://api.github.com/zen"],
            "verdict  denied, 403 \"authorization failed\": `evil.example` is not the service \
             that was dialled, `api.github.com` (host-mismatch)",
        ),
        (
            &["--dialed", "*.github.com", "http://github.com/zen"],
            "verdict  denied, 403 \"authorization failed\": `github.com` is not the service that \
             was dialled, `*.github.com` (host-mismatch)",
        ),
        (
            &["-H", "Host: a@api.github.com", "http://api.github.com/zen"],
            "verdict  denied, 400 \"bad request\": there is no one host: user information \
             (bad-host)",
        ),
    ] {
        assert_eq!(line(args), expected, "{args:?}");
    }
}

#[test]
fn who_the_caller_is_and_what_was_dialled_is_told() {
    for (args, expected) in [
        (&["none", "http://api.github.com/zen"][..], "caller   none"),
        (
            &["spiffe://other/ns/team-a/sa/team-a", "http://api.github.com/zen"],
            "caller   none: spiffe://other/ns/team-a/sa/team-a is of a trust domain that \
             `identity.trustDomains` does not list",
        ),
        (
            &["spiffe://cluster.local/team-a", "http://api.github.com/zen"],
            "caller   spiffe://cluster.local/team-a, which names no namespace and service account",
        ),
        (
            &["spiffe://a/ns//sa/", "http://api.github.com/zen"],
            "caller   none: `spiffe://a/ns//sa/` is no SPIFFE ID",
        ),
        (
            &["none", "--dialed", "", "http://api.github.com/zen"],
            "dialled  unknown: nothing is bound to it",
        ),
        (
            &["none", "--dialed", "*.github.com", "http://api.github.com/zen"],
            "dialled  *.github.com",
        ),
    ] {
        has_lines(&explained(WORKSHOP, args), &[expected]);
    }
}

#[test]
fn a_request_comes_at_the_time_that_is_given_or_now() {
    const FILE: &str = "crates/egressctl/tests/explain/times.yaml";
    let at = |time| explained(FILE, &["none", "--time", time, "http://a.example/"]);
    has_lines(
        &at("2026-11-30T08:30:00.5+01:00"),
        &[
            "request.startTime.getHours(\"Europe/Berlin\") 8",
            "request.startTime timestamp(\"2026-11-30T07:30:00.5Z\")",
            "request.startTime - timestamp(\"2026-11-30T00:00:00Z\") duration(\"27000.5s\")",
            "policy hours (Allow) matches: allows",
        ],
    );
    has_lines(&at("2026-11-30T06:59:59Z"), &["policy hours (Allow) does not match"]);
    // Whatever the time is, it is one of this century.
    let now = explained(FILE, &["none", "http://a.example/"]);
    assert!(now.contains("timestamp(\"20"), "{now}");
    let wrong = explain(FILE, &["none", "--time", "noon", "http://a.example/"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stdout);
    assert!(wrong.stderr.contains("expected a time such as `2026-01-31T13:00:00+01:00`"));
}

#[test]
fn json_has_all_of_it() {
    let found = as_json(
        POLICIES,
        &[
            "team-a/x",
            "-X",
            "PUT",
            "-H",
            "x-role: guest",
            "-H",
            "agent: curl",
            "http://api.example/zen",
        ],
    );
    assert_eq!(
        found["verdict"],
        json!({"allowed": true, "answered": false, "policy": "teams", "reason": "allow-matched"})
    );
    assert_eq!(
        found["caller"],
        json!({"spiffeId": "spiffe://cluster.local/ns/team-a/sa/\
            x", "namespace": "team-a", "serviceAccount": "x"})
    );
    assert_eq!(found["request"]["method"], "PUT");
    assert_eq!(found["host"], "api.example");
    assert_eq!(found["shadow"], json!(["no-writing-soon"]));
    assert_eq!(
        found["outOfScope"],
        json!([{"name": "gitlab", "hosts": ["gitlab.example", "*.gitlab.example"]}])
    );
    assert_eq!(
        found["errors"],
        json!([{"policy": "headers", "message": "value of `x-token`: no such key: x-none"}])
    );
    assert_eq!(found["responseHeaders"], Value::Null, "nobody asked for them");
    let policy = |name: &str| {
        found["policies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|policy| policy["name"] == name)
            .unwrap()
            .clone()
    };
    let effects = ["no-admin", "names-itself", "no-writing-soon", "teams", "headers"]
        .map(|name| policy(name)["effect"].clone());
    assert_eq!(effects, ["none", "none", "wouldDeny", "allows", "none"].map(Value::from));
    let expressions = &policy("no-admin")["rule"]["expressions"];
    assert_eq!(
        expressions[0],
        json!({
            "place": "policies[0].traffic.authorization.policy.matchExpressions[0]",
            "answer": "doesNotMatch",
            "choices": [{
                "source": r#"request.headers["x-role"] == "admin""#,
                "state": "known",
                "value": "false",
                "parts": [{"source": "request.headers[\"x-role\"]", "state": "known",
                    "value": "\"guest\""}],
            }],
        })
    );
    let turn = &expressions[1]["choices"][0]["parts"][1]["parts"][1];
    assert_eq!(turn["variables"], json!([{"name": "n", "value": "\"host\""}]));
    assert_eq!(turn["value"], "false");
    let headers = policy("headers");
    assert_eq!(headers["request"][3]["value"]["state"], "varies");
    assert_eq!(headers["request"][2]["error"], "no such key: x-none");
    let who = found["requestHeaders"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["name"] == "x-who")
        .unwrap();
    assert_eq!(
        *who,
        json!({"name": "x-who", "value": "team-a!", "fate": "added", "policy": "headers"})
    );
    let audit: Value =
        serde_json::from_str(found["audit"].as_str().expect("a shadow policy is told"))
            .expect("JSON");
    assert_eq!(audit["shadow"], json!(["no-writing-soon"]));
}

#[test]
fn an_unexpected_verdict_is_a_finding() {
    for (expect, url, code, last) in [
        ("deny", "http://api.github.com/users/x", 0, "as expected"),
        ("allow", "http://api.github.com/users/x", 1, "expected it to be allowed"),
        ("allow", "http://api.github.com/zen", 0, "as expected"),
        ("deny", "http://api.github.com/zen", 1, "expected it to be denied"),
    ] {
        let found = explain(WORKSHOP, &["team-a/team-a", "--expect", expect, url]);
        assert_eq!((found.code, found.stdout.lines().last()), (code, Some(last)), "{expect} {url}");
        let found =
            explain(WORKSHOP, &["team-a/team-a", "--expect", expect, "--output", "json", url]);
        let report: Value = serde_json::from_str(&found.stdout).expect("JSON");
        assert_eq!((found.code, &report["expected"]), (code, &json!(expect)));
    }
}

#[test]
fn a_default_that_denies_is_named_with_its_place() {
    const DEFAULTS: &str = "crates/egressctl/tests/explain/defaults.yaml";
    let verdict = |host: &str| {
        let found = explained(DEFAULTS, &["team-a/team-a", host]);
        found.lines().find(|line| line.starts_with("verdict")).expect("a verdict").to_owned()
    };
    assert_eq!(
        verdict("http://plain.example/"),
        "verdict  denied, 403 \"ask\\n#platform\": no Allow is in scope, and the configuration \
         sets `defaultAction: Deny` (default-deny)"
    );
    assert_eq!(
        verdict("http://closed.example/"),
        "verdict  denied, 403 \"closed\": no Allow is in scope, and `closes` sets `defaultAction: \
         Deny` for the host (default-deny)"
    );
    let of = |host: &str| as_json(DEFAULTS, &["team-a/team-a", host])["defaultAction"].clone();
    for (host, action, policy, place) in [
        ("http://plain.example/", "Deny", Value::Null, "defaultAction".into()),
        ("http://closed.example/", "Deny", "closes".into(), "policies[0].defaultAction".into()),
        ("http://open.example/", "Allow", "opens".into(), "policies[1].defaultAction".into()),
    ] {
        let place: Value = place;
        assert_eq!(
            of(host),
            serde_json::json!({"action": action, "policy": policy, "place": place}),
            "{host}"
        );
    }
    let closed = explained(DEFAULTS, &["team-a/team-a", "http://closed.example/"]);
    has_lines(
        &closed,
        &["policy closes (Require, defaultAction: Deny) for closed.example closed by default: \
             denies"],
    );
    let open = explained(DEFAULTS, &["team-a/team-a", "http://open.example/"]);
    has_lines(
        &open,
        &["policy would-close (defaultAction: Deny, shadow) for open.example closed by \
             default: would deny"],
    );
}
