//! Which policies the cases exercise.

use super::*;

#[test]
fn policies_that_no_case_exercises_fail_where_that_is_asked_for() {
    let (code, out, _) = egressctl(&[&file("passing.yaml")], "");
    assert_eq!(code, 0, "{out}");
    let (code, out, _) = egressctl(&["--require-coverage", &file("passing.yaml")], "");
    assert_eq!(code, 1);
    assert!(timeless(&out).ends_with(
        "\npolicies that no case has exercised\n  crates/egressctl/tests/cases/policies.yaml\n    \
         mirror  never in scope\n\n\
         FAILED: 7 passed, 5 of 6 policies exercised\n"
    ));
}

#[test]
fn long_lists_of_policies_are_cut() {
    let policy = |index: usize| {
        format!(
            "{{name: p{index}, hosts: [a.example], traffic: \
             {{transformation: {{request: {{remove: [x-a]}}}}}}}}"
        )
    };
    let policies: Vec<String> = (0..102).map(policy).collect();
    let cases = "cases: [{name: a, caller: none, request: 'http://b.example', expect: allow}]";
    let (code, out, _) =
        egressctl(&["-"], &format!("config: {{policies: [{}]}}\n{cases}", policies.join(", ")));
    assert_eq!((code, out.matches("never in scope").count()), (0, 100), "{out}");
    assert!(
        out.contains(
            "\n    and 2 more, which --output json has\n\nok: 1 passed, 0 of 102 \
        policies exercised ("
        ),
        "{out}"
    );
}

/// An Allow that matches where another does too is exercised, and yet no case would miss it.
#[test]
fn policies_that_no_case_would_miss_are_found_by_removing_each() {
    let allow = |name: &str, path: &str| {
        let rule = format!("matchExpressions: ['request.path.startsWith(\"{path}\")']");
        format!(
            "{{name: {name}, traffic: {{authorization: {{action: Allow, policy: {{{rule}}}}}}}}}"
        )
    };
    let policies = [allow("all", "/"), allow("some", "/x"), allow("never", "/z")].join(", ");
    let case = |path: &str| {
        format!(
            "{{name: '{path}', caller: none, request: 'http://h.example{path}', expect: allow}}"
        )
    };
    let text =
        format!("config: {{policies: [{policies}]}}\ncases: [{}, {}]", case("/x"), case("/y"));
    let told =
        "\npolicies that no case would miss\n  <stdin>\n    some  without it, all cases pass\n";
    let (code, out, _) = egressctl(&["-"], &text);
    assert!(code == 0 && !out.contains(told), "{out}");
    let (code, out, _) = egressctl(&["--removals", "-"], &text);
    assert!(code == 0 && out.contains(told), "{out}");
    let text = text.replace(&format!(", {}", allow("never", "/z")), "");
    assert_eq!(egressctl(&["--require-coverage", "-"], &text).0, 0);
    assert_eq!(egressctl(&["--require-coverage", "--removals", "-"], &text).0, 1);
    let (_, out, _) = egressctl(&["--removals", "--output", "json", "-"], &text);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["policies"][0]["missed"], &report["policies"][1]["missed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(egressctl(&["--require-coverage", "--removals", WORKSHOP], "").0, 0);
}

/// What one policy is seen to do in some cases, without the numbers of those.
#[test]
fn a_policy_is_exercised_where_it_does_what_it_is_for() {
    let seen = |policy: &str, cases: &str| {
        let text = format!("config: {{policies: [{{name: p, {policy}}}]}}\ncases: [{cases}]");
        let (_, out, err) = egressctl(&["--output", "json", "-"], &text);
        let report: Value =
            serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        let policy = &report["policies"][0];
        let gaps: Vec<String> = policy["gaps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|gap| gap.as_str().unwrap().to_owned())
            .collect();
        (
            gaps.join("; "),
            policy["oneWay"].as_str().unwrap_or("both ways").split(':').next().unwrap().to_owned(),
        )
    };
    let rule = |action: &str| {
        format!(
            "traffic: {{authorization: {{action: {action}, policy: {{matchExpressions: \
             ['request.path == \"/x\"']}}}}}}"
        )
    };
    let case = |path: &str| {
        format!(
            "{{name: '{path}', caller: none, request: 'http://h.example{path}', expect: \
             {{errors: []}}}}"
        )
    };
    let (x, y) = (case("/x"), case("/y"));
    let both = format!("{x}, {y}");
    for (policy, cases, gaps, one_way) in [
        (rule("Allow"), &x, "", "matched each of 1 case"),
        (rule("Allow"), &y, "never matched, in scope of 1 case", "both ways"),
        (rule("Allow"), &both, "", "both ways"),
        (rule("Deny"), &y, "never matched, in scope of 1 case", "both ways"),
        (rule("Deny"), &x, "", "matched each of 1 case"),
        (rule("Require"), &x, "never refused, in scope of 1 case", "both ways"),
        (rule("Require"), &y, "", "refused each of 1 case"),
        (rule("Require"), &both, "", "both ways"),
        (format!("hosts: [other.example], {}", rule("Deny")), &x, "never in scope", "both ways"),
        (
            "traffic: {transformation: {request: {remove: [x-a]}}}".to_owned(),
            &x,
            "never changed a request header, in scope of 1 case",
            "both ways",
        ),
        (
            "traffic: {transformation: {request: {add: [{name: x-a, value: '\"a\"'}]}, response: \
             {remove: [x-a]}}}"
                .to_owned(),
            &x,
            "never changed a response header, in scope of 1 case",
            "both ways",
        ),
        (
            "mode: Shadow, traffic: \
            {transformation: {request: {remove: [x-a]}}}"
                .to_owned(),
            &x,
            "",
            "both ways",
        ),
    ] {
        assert_eq!(seen(&policy, cases), (gaps.to_owned(), one_way.to_owned()), "{policy} {cases}");
    }
}

/// A file of cases for hosts of a configuration whose default action is Deny.
fn by_default(cases: &[(&str, &str)]) -> String {
    let cases: Vec<String> = cases
        .iter()
        .map(|(host, expect)| {
            format!("{{name: of {host}, caller: none, request: 'http://{host}', expect: {expect}}}")
        })
        .collect();
    format!(
        "config:\n  defaultAction: Deny\n  policies:\n  \
         - {{name: opens, hosts: [open.example], defaultAction: Allow}}\n  \
         - {{name: closes, hosts: [closed.example], defaultAction: Deny}}\n  \
         - {{name: would, hosts: [open.example], mode: Shadow, defaultAction: Deny}}\n\
         cases: [{}]\n",
        cases.join(", ")
    )
}

#[test]
fn a_default_is_covered_by_a_case_that_it_decides() {
    let all = [("open.example", "allow"), ("closed.example", "deny"), ("other.example", "deny")];
    for (cases, missing) in [
        (&all[..], None),
        (&all[..2], Some("defaultAction  Deny has denied no case")),
        (&[all[0], all[2]], Some("closes  never in scope")),
        (&all[1..], Some("opens  never in scope")),
    ] {
        let file = by_default(cases);
        let (code, out, _) = egressctl(&["--require-coverage", "-"], &file);
        assert_eq!(code, i32::from(missing.is_some()), "{out}");
        assert!(missing.is_none_or(|missing| out.contains(missing)), "{missing:?}: {out}");
    }
}

#[test]
fn a_default_is_missed_by_a_case_that_fails_without_it() {
    let all = |verdict: &str| {
        by_default(&[
            ("open.example", "{verdict: allow, shadow: [would]}"),
            ("closed.example", "{policy: closes}"),
            ("other.example", verdict),
        ])
    };
    let (code, out, _) = egressctl(&["--removals", "--require-coverage", "-"], &all("deny"));
    assert_eq!(code, 0, "{out}");
    let (code, out, _) =
        egressctl(&["--removals", "--require-coverage", "-"], &all("{status: [200, 403]}"));
    assert!(code == 1 && out.contains("defaultAction  without it, all cases pass"), "{out}");
    let (_, out, _) = egressctl(&["--removals", "--output", "json", "-"], &all("deny"));
    let found: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(found["defaultDeny"][0]["denied"], 1, "{found}");
    assert_eq!(found["defaultDeny"][0]["missed"], true, "{found}");
    assert_eq!(found["policies"][1]["defaulted"], 1, "{found}");
}
