//! What `egressctl explain` prints, and how it exits.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

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
            &["http://api.github.com/repos/../users"][..],
            "verdict  denied, 400 \"bad request\": the path is unsafe under `pathSafety: Strict`: \
             dot segment (path-unsafe)",
        ),
        (
            &["--request-target", "/zen#f", "http://api.github.com"],
            "verdict  denied, 400 \"bad request\": the path is unsafe under `pathSafety: Strict`: \
             fragment (path-unsafe)",
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
        json!({"allowed": true, "policy": "teams", "reason": "allow-matched"})
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
fn what_does_not_load_is_shown_as_check_shows_it() {
    const BROKEN: &str = "crates/egressctl/tests/explain/broken.yaml";
    let found = explain(BROKEN, &["none", "http://a.example"]);
    assert_eq!((found.stderr.as_str(), found.code), ("", 1));
    assert!(
        found
            .stdout
            .contains("unknown attribute `source.identty` (did you mean `source.identity`?)"),
        "{}",
        found.stdout
    );
    let checked = egressctl(&["check", BROKEN]).stdout;
    assert!(checked.starts_with(&found.stdout), "{}\n{checked}", found.stdout);
    let found = explain(BROKEN, &["none", "http://a.example", "--output", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).expect("JSON");
    let checked: Value =
        serde_json::from_str(&egressctl(&["check", "--output", "json", BROKEN]).stdout)
            .expect("JSON");
    assert_eq!((&report["diagnostics"], found.code), (&checked["diagnostics"], 1));
    assert_eq!(report["diagnostics"].as_array().map(Vec::len), Some(2));
}

#[test]
fn of_several_plugins_one_is_named() {
    let second = "filter-config/traffic-extension/05-policy-headers.yaml";
    let run = |plugin: &[&str]| {
        egressctl(
            &[&["explain", "-f", WORKSHOP, "-f", second, "http://api.github.com/zen"], plugin]
                .concat(),
        )
    };
    let found = run(&[]);
    assert_eq!((found.stdout.as_str(), found.code), ("", 2));
    for part in [
        "say which with `--plugin NAME`",
        "WasmPlugin egress-direct/egress-filter",
        "TrafficExtension egress-direct/egress-filter",
    ] {
        assert!(found.stderr.contains(part), "{}", found.stderr);
    }
    assert!(
        run(&["--plugin", "egress-filter"]).stderr.contains("several plugins are `egress-filter`")
    );
    assert!(
        run(&["--plugin", "egress"]).stderr.contains("there is no plugin `egress` among these")
    );
    let found =
        run(&["--plugin", "TrafficExtension egress-direct/egress-filter", "--output", "json"]);
    let report: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(report["plugin"], "TrafficExtension egress-direct/egress-filter");
    let found =
        egressctl(&["explain", "-f", "filter-config/01-setup.yaml", "http://api.github.com/zen"]);
    assert_eq!(found.code, 2);
    assert!(found.stderr.contains("nothing to explain"), "{}", found.stderr);
}

#[test]
fn later_files_take_the_place_of_earlier_ones_of_their_name() {
    let run = |files: &[&str]| {
        let files: Vec<&str> = files.iter().flat_map(|file| ["-f", file]).collect();
        egressctl(
            &[
                &[
                    "explain",
                    "--output",
                    "json",
                    "--as",
                    "team-a/team-a",
                    "http://api.github.com/users/x",
                ],
                &files[..],
            ]
            .concat(),
        )
    };
    for (files, allowed) in [
        (["filter-config/03-policy-rbac.yaml", "filter-config/04-policy-path.yaml"], false),
        (["filter-config/04-policy-path.yaml", "filter-config/03-policy-rbac.yaml"], true),
    ] {
        let found = run(&files);
        let report: Value = serde_json::from_str(&found.stdout).expect("JSON");
        assert_eq!(
            (found.code, &report["verdict"]["allowed"]),
            (0, &json!(allowed)),
            "{files:?}: {}",
            found.stderr
        );
    }
}

#[test]
fn addresses_are_those_that_are_given() {
    const RULES: &str = "crates/egressctl/tests/explain/addresses.yaml";
    for (args, allowed) in [
        (&["none", "http://a.example"][..], false),
        (
            &[
                "none",
                "--source-address",
                "10.0.0.7",
                "--destination-address",
                "203.0.113.9:8443",
                "http://a.example",
            ],
            true,
        ),
        (
            &[
                "none",
                "--source-address",
                "10.0.0.7:5",
                "--destination-address",
                "203.0.113.9",
                "http://a.example:8443",
            ],
            true,
        ),
        (
            &[
                "none",
                "--source-address",
                "10.1.0.7",
                "--destination-address",
                "203.0.113.9:8443",
                "http://a.example",
            ],
            false,
        ),
    ] {
        assert_eq!(as_json(RULES, args)["verdict"]["allowed"], allowed, "{args:?}");
    }
}

#[test]
fn a_caller_is_looked_for_where_the_configuration_says() {
    const SOURCES: &str = "crates/egressctl/tests/explain/sources.yaml";
    let found = explained(SOURCES, &["team-a/x", "http://a.example"]);
    has_lines(&found, &["verdict  allowed: `team-a` matches (allow-matched)"]);
    assert!(
        found.contains("/ns/team-a/sa/x, but none in a waypoint, which has it in `filterState`"),
        "{found}"
    );
}

#[test]
fn what_cannot_be_done_says_how_it_could() {
    for (args, expected) in [
        (
            &["team-a/team-a", "https://api.github.com/zen"][..],
            "it calls `http://api.github.com/zen`",
        ),
        (&["team-a", "http://api.github.com/zen"], "expected NAMESPACE/SERVICE_ACCOUNT"),
        (&["none", "-H", "no colon", "http://api.github.com/zen"], "expected `Name: value`"),
        (&["none", "-X", "GET it", "http://api.github.com/zen"], "`GET it` is no method"),
        (
            &["none", "-H", "bad name: x", "http://api.github.com/zen"],
            "`bad name` is no header's name",
        ),
        (&["none", "-H", "Host: a b", "http://api.github.com/zen"], "`a b` is no host"),
        (&["none", "--request-target", "zen", "http://api.github.com"], "`zen` is no path"),
        (
            &["none", "--source-address", "pod-7", "http://api.github.com"],
            "--source-address: `pod-7` is no address",
        ),
    ] {
        let found = explain(WORKSHOP, args);
        assert_eq!((found.stdout.as_str(), found.code), ("", 2), "{args:?}");
        assert!(found.stderr.contains(expected), "{args:?}: {}", found.stderr);
    }
    assert_eq!(explain("no-such-file.yaml", &["none", "http://a.example"]).code, 2);
}
