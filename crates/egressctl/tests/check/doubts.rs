//! What can hardly be meant is told, and ordinary policies are not doubted.

use serde_json::json;

use super::run::{check, check_stdin};

#[test]
fn fifty_ordinary_policies_give_no_warning() {
    let found = check(&["--deny-warnings", "ordinary"]);
    assert_eq!((found.stdout.as_str(), found.code), ("ok: 6 configurations, 50 policies\n", 0));
}

/// Twelve policies with a slip each, and one warning for each, of the kind that the policy is named
/// after.
#[test]
fn each_of_twelve_slips_is_named_and_nothing_else() {
    let found = check(&["--output", "json", "slips.yaml"]);
    let report: serde_json::Value = serde_json::from_str(&found.stdout).expect("JSON");
    let told: Vec<(&str, &str)> = report["diagnostics"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|told| {
            (told["policy"].as_str().unwrap_or_default(), told["name"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(told.len(), 12, "{report:#}");
    for (policy, name) in told {
        assert!(policy.starts_with(name) && !name.is_empty(), "{policy}: {name}");
    }
}

#[test]
fn a_host_that_nobody_can_call_is_shown_and_can_be_meant() {
    let text = "defaultAction: Deny\npolicies:\n- name: p\n  hosts:\n  - a.com\n  - b.com\n  \
        traffic:\n    authorization:\n      action: Require\n      policy:\n        \
        matchExpressions: ['request.method == \"GET\"']\n- name: q\n  hosts: [a.com]\n  \
        traffic: {authorization: {policy: {matchExpressions: ['true']}}}\n";
    let text = text.replace("- name: q", "# egressctl: allow(constant-rule)\n- name: q");
    let found = check_stdin(&["--deny-warnings", "-"], text.as_bytes());
    assert!(
        found.stdout.contains("no request to `b.com` is ever let through")
            && found.stdout.contains("<stdin>:6:5")
            && found.stdout.contains("= silence: # egressctl: allow(closed-host)"),
        "{}",
        found.stdout
    );
    assert_eq!(found.code, 1);
    let meant = text.replace("- b.com", "- b.com # egressctl: allow(closed-host)");
    let found = check_stdin(&["--deny-warnings", "-"], meant.as_bytes());
    assert_eq!(found.code, 0, "{}", found.stdout);
}

#[test]
fn a_list_in_the_place_of_a_rule_names_the_field_that_it_belongs_in() {
    let text = "policies:\n- name: p\n  traffic:\n    authorization:\n      policy:\n      - \
        'true'\n";
    let found = check_stdin(&["-"], text.as_bytes());
    let expected = "expected an object that has this list under `matchExpressions`, got a list";
    assert!(found.stdout.contains(expected) && found.code == 1, "{}", found.stdout);
}

#[test]
fn a_slip_is_shown_where_it_is_written() {
    let text = "policies:\n- name: p\n  hosts: [a.com]\n  traffic:\n    authorization:\n      \
        policy:\n        matchExpressions:\n        - |\n          request.method == \"GET\" \
        &&\n          request.path.startsWith(\"/repos/*\")\n";
    let found = check_stdin(&["--output", "json", "-"], text.as_bytes());
    let report: serde_json::Value = serde_json::from_str(&found.stdout).expect("JSON");
    let shown = report.to_string();
    assert!(shown.contains("the `*` in `/repos/*`") && shown.contains("\"line\":10"), "{shown}");
    assert_eq!(found.code, 0);
    assert_eq!(check_stdin(&["--deny-warnings", "-"], text.as_bytes()).code, 1);
}

#[test]
fn a_comment_that_takes_lines_away_is_told() {
    let rule = |expression: &str| {
        format!(
            "policies:\n- name: p\n  hosts: [a.com]\n  traffic:\n    authorization:\n      \
             policy:\n        matchExpressions:\n        - {expression}\n"
        )
    };
    let folded = ">-\n          request.method == \"GET\" // the job\n          && request.path == \
        \"/\"";
    for (expression, is_told) in [
        (folded.to_owned(), true),
        (folded.replace(">-", ">"), true),
        (folded.replace(">-\n          ", ""), true),
        (format!("'{}'", folded.replace(">-\n          ", "")), true),
        (folded.replace(">-", "|"), false),
        // An empty line is a break in a folded text as well.
        (folded.replace("job\n", "job\n\n"), false),
        (folded.replace("\n          && request.path == \"/\"", ""), false),
        (folded.replace(" // the job", ""), false),
        (folded.replace("\"GET\" // the job", "\"a//b\""), false),
        ("'request.method == \"GET\" // the job'".to_owned(), false),
    ] {
        let found = check_stdin(&["-"], rule(&expression).as_bytes());
        let told = found.stdout.contains("this comment goes on to the end of the text");
        assert_eq!((told, found.code), (is_told, 0), "{expression}: {}", found.stdout);
        if is_told {
            assert!(found.stdout.contains("// the job"), "{}", found.stdout);
        }
    }
    // What has no expressions has no comments.
    let text = json!({"policies": [{"name": "p", "hosts": ["a.com"],
        "traffic": {"directResponse": {"status": 200, "body": "http://a\nb"}}}]});
    assert_eq!(check_stdin(&["--deny-warnings", "-"], text.to_string().as_bytes()).code, 0);
}
