//! Which configuration is explained, and for which request.

use super::*;

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
