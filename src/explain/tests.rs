//! Explanations of single requests.

mod decisions;
mod router;

use serde_json::{Value, json};

use crate::explain::{Effect, Explainer, Explanation, Fate, Operation, RuleResult, Value as Shown};
use crate::trial::Trial;

fn rule(name: &str, action: &str, expression: &str) -> Value {
    json!({"name": name, "traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": [expression]}}}})
}

fn request() -> Trial {
    Trial {
        principal: "spiffe://t/ns/a/sa/s".to_owned(),
        service: Some("x.example".to_owned()),
        authority: "x.example".to_owned(),
        path: "/zen".to_owned(),
        ..Trial::default()
    }
}

#[track_caller]
fn explain(policies: Value, trial: &Trial) -> Explanation {
    let config = json!({"policies": policies, "audit": {"log": "All"}});
    Explainer::load(config.to_string().as_bytes()).unwrap().explain(trial)
}

/// The policies in scope with what each did and said.
fn effects(explanation: &Explanation) -> Vec<(&str, Effect, Option<RuleResult>)> {
    let said = |policy: &crate::explain::Policy| policy.rule.as_ref().and_then(|rule| rule.answer);
    explanation
        .policies
        .iter()
        .map(|policy| (policy.name.as_str(), policy.effect, said(policy)))
        .collect()
}

#[test]
fn denies_are_asked_first_then_requires_then_allows() {
    let (yes, no) = (Some(RuleResult::Matches), Some(RuleResult::DoesNotMatch));
    let policies = |deny: &str, require: &str| {
        json!([
            rule("allow", "Allow", "true"),
            rule("late", "Allow", "true"),
            rule("require", "Require", require),
            rule("deny", "Deny", deny),
            rule("other", "Deny", "false"),
        ])
    };
    use Effect::{Allows, Denies, None as Nothing, NotAsked};
    for (deny, require, expected) in [
        (
            "false",
            "true",
            [
                ("allow", Allows, yes),
                ("late", NotAsked, yes),
                ("require", Nothing, yes),
                ("deny", Nothing, no),
                ("other", Nothing, no),
            ],
        ),
        (
            "false",
            "false",
            [
                ("allow", NotAsked, yes),
                ("late", NotAsked, yes),
                ("require", Denies, no),
                ("deny", Nothing, no),
                ("other", Nothing, no),
            ],
        ),
        (
            "true",
            "false",
            [
                ("allow", NotAsked, yes),
                ("late", NotAsked, yes),
                ("require", NotAsked, no),
                ("deny", Denies, yes),
                ("other", NotAsked, no),
            ],
        ),
    ] {
        assert_eq!(
            effects(&explain(policies(deny, require), &request())),
            expected,
            "{deny} {require}"
        );
    }
}

#[test]
fn an_error_is_what_its_action_makes_of_it() {
    let error = r#"request.headers["x-none"] == """#;
    let erred = Some(RuleResult::Fails);
    let mut ignored = rule("ignored", "Deny", error);
    ignored["traffic"]["authorization"]["onError"] = json!("Ignore");
    let explanation = explain(json!([ignored, rule("deny", "Deny", error)]), &request());
    assert_eq!(
        effects(&explanation),
        [("ignored", Effect::None, erred), ("deny", Effect::Denies, erred)]
    );
    assert_eq!(
        (explanation.verdict.reason, explanation.verdict.policy.as_deref()),
        ("deny-error", Some("deny"))
    );
    let step = &explanation.policies[1].rule.as_ref().unwrap().expressions[0].choices[0].step;
    assert_eq!(step.value, Shown::Error("no such key: x-none".to_owned()));
    assert_eq!(step.parts[0].value, Shown::Error("no such key: x-none".to_owned()));
    let explanation = explain(json!([rule("allow", "Allow", error)]), &request());
    assert_eq!(
        (effects(&explanation), explanation.verdict.reason),
        (vec![("allow", Effect::None, erred)], "no-allow-matched")
    );
}

#[test]
fn shadow_policies_are_told_apart() {
    let mut shadow = rule("shadow", "Deny", "true");
    shadow["mode"] = json!("Shadow");
    let explanation = explain(json!([shadow, rule("allow", "Allow", "true")]), &request());
    let yes = Some(RuleResult::Matches);
    assert_eq!(
        effects(&explanation),
        [("shadow", Effect::WouldDeny, yes), ("allow", Effect::Allows, yes)]
    );
    assert!(explanation.verdict.allowed);
    let explanation = explain(json!([shadow, rule("deny", "Deny", "true")]), &request());
    assert_eq!(
        effects(&explanation),
        [("shadow", Effect::NotAsked, yes), ("deny", Effect::Denies, yes)]
    );
}

#[test]
fn of_policies_for_other_hosts_the_hosts_are_told() {
    let mut elsewhere = rule("elsewhere", "Deny", "true");
    elsewhere["hosts"] = json!(["y.example", "*.x.example"]);
    let mut here = rule("here", "Allow", "true");
    here["hosts"] = json!(["*.example"]);
    let explanation = explain(json!([elsewhere, here]), &request());
    assert_eq!(effects(&explanation), [("here", Effect::Allows, Some(RuleResult::Matches))]);
    assert_eq!(explanation.out_of_scope[0].name, "elsewhere");
    assert_eq!(explanation.out_of_scope[0].hosts, ["y.example", "*.x.example"]);
}

#[test]
fn of_a_request_that_is_refused_before_rules_none_is_asked() {
    for (trial, reason, in_scope) in [
        (Trial { path: "/a/../b".to_owned(), ..request() }, "path-unsafe", 1),
        (Trial { authority: "y.example".to_owned(), ..request() }, "host-mismatch", 1),
        (Trial { authority: "a@x.example".to_owned(), ..request() }, "bad-host", 0),
    ] {
        let explanation =
            explain(json!([rule("allow", "Allow", r#"request.path == "/zen""#)]), &trial);
        assert_eq!(explanation.verdict.reason, reason);
        assert_eq!(effects(&explanation), vec![("allow", Effect::NotAsked, None); in_scope]);
        assert_eq!(explanation.out_of_scope.len(), 0, "{reason}: no policy is for another host");
        for policy in &explanation.policies {
            assert_eq!(
                policy.rule.as_ref().unwrap().expressions[0].choices[0].step.value,
                Shown::NotNeeded
            );
        }
    }
}

#[test]
fn a_request_line_without_a_value_is_denied_by_the_policy_that_sets_it() {
    let set = json!([{"name": ":path", "value": r#"request.headers["x-none"]"#}]);
    let rewriting =
        json!({"name": "rewrite", "traffic": {"transformation": {"request": {"set": set}}}});
    let behind =
        json!({"name": "behind", "traffic": {"transformation": {"request": {"remove": ["x-a"]}}}});
    let explanation = explain(
        json!([rule("allow", "Allow", "true"), rule("late", "Allow", "true"), rewriting, behind]),
        &request(),
    );
    let yes = Some(RuleResult::Matches);
    let expected = [
        ("allow", Effect::None, yes),
        ("late", Effect::NotAsked, yes),
        ("rewrite", Effect::Denies, None),
        ("behind", Effect::None, None),
    ];
    assert_eq!(effects(&explanation), expected);
    assert_eq!(explanation.verdict.reason, "rewrite-error");
    assert_eq!(explanation.policies[2].request[0].error.as_deref(), Some("no such key: x-none"));
    assert!(explanation.policies[3].request.is_empty(), "not applied any more");
    assert!(explanation.request_headers.iter().all(|line| line.fate == Fate::Kept));
}

#[test]
fn each_line_of_a_repeated_header_is_shown_up_to_the_one_that_settles_it() {
    let line = |value: &str| ("x-role".to_owned(), value.to_owned());
    let trial = Trial { headers: vec![line("guest"), line("admin"), line("dev")], ..request() };
    for (action, expression, expected) in [
        (
            "Deny",
            r#"request.headers["x-role"] == "admin""#,
            &[("\"guest\"", "false"), ("\"admin\"", "true")][..],
        ),
        (
            "Allow",
            r#"request.headers["x-role"] != "admin""#,
            &[("\"guest\"", "true"), ("\"admin\"", "false")],
        ),
        (
            "Require",
            r#"request.headers["x-role"] != """#,
            &[("\"guest\"", "true"), ("\"admin\"", "true"), ("\"dev\"", "true")],
        ),
    ] {
        let explanation = explain(json!([rule("p", action, expression)]), &trial);
        let choices = &explanation.policies[0].rule.as_ref().unwrap().expressions[0].choices;
        let shown: Vec<(&str, Shown)> = choices
            .iter()
            .map(|choice| (choice.lines[0].value.as_str(), choice.step.value.clone()))
            .collect();
        let expected: Vec<(&str, Shown)> = expected
            .iter()
            .map(|(line, value)| (*line, Shown::Known((*value).to_owned())))
            .collect();
        assert_eq!(shown, expected, "{action}");
        let read = &choices[1].step.parts[0];
        assert_eq!(
            (read.source.as_str(), &read.value),
            (r#"request.headers["x-role"]"#, &Shown::Known("\"admin\"".to_owned()))
        );
    }
    let many = Trial { headers: (0..513).map(|n| line(&n.to_string())).collect(), ..request() };
    let explanation =
        explain(json!([rule("p", "Deny", r#"request.headers["x-role"] == "admin""#)]), &many);
    let expression = &explanation.policies[0].rule.as_ref().unwrap().expressions[0];
    assert_eq!(expression.answer, Some(RuleResult::PassesLimit));
    assert_eq!(
        expression.choices[0].step.value,
        Shown::Error("headers that the rule reads are repeated too often".to_owned())
    );
}

#[test]
fn values_see_the_headers_as_earlier_policies_left_them() {
    let changes = |name: &str, request: Value| {
        let transformation = json!({"request": request});
        json!({"name": name, "traffic": {"transformation": transformation}})
    };
    let first = changes(
        "first",
        json!({"set": [{"name": "x-a", "value": r#""1""#}], "remove": ["x-gone"]}),
    );
    let second = changes(
        "second",
        json!({"add": [{"name": "x-b", "value": r#"request.headers["x-a"] + "2""#}],
            "set": [{"name": "x-a", "value": r#"request.headers["x-gone"]"#}]}),
    );
    let lines = [("x-a", "client"), ("x-a", "again"), ("x-gone", "secret"), ("x-kept", "k")];
    let trial = Trial {
        headers: lines
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..request()
    };
    let explanation = explain(json!([first, second]), &trial);
    let rules = &explanation.policies[1].request;
    let (add, set) = (&rules[0], &rules[1]);
    assert_eq!(
        (add.operation, &add.value.as_ref().unwrap().value),
        (Operation::Add, &Shown::Known("\"12\"".to_owned()))
    );
    assert_eq!(add.value.as_ref().unwrap().parts[0].value, Shown::Known("\"1\"".to_owned()));
    assert_eq!(
        (set.operation, set.error.as_deref()),
        (Operation::Set, Some("no such key: x-gone"))
    );
    let changed: Vec<(&str, &str, Fate, Option<&str>)> = explanation
        .request_headers
        .iter()
        .filter(|line| line.name.starts_with("x-") && line.name != "x-request-id")
        .map(|line| (line.name.as_str(), line.value.as_str(), line.fate, line.policy.as_deref()))
        .collect();
    // What the first policy made of `x-a` the second took away again, and with it all that there
    // was.
    let expected = [
        ("x-a", "client", Fate::Removed, Some("first")),
        ("x-a", "again", Fate::Removed, Some("first")),
        ("x-gone", "secret", Fate::Removed, Some("first")),
        ("x-kept", "k", Fate::Kept, None),
        ("x-b", "12", Fate::Added, Some("second")),
    ];
    assert_eq!(changed, expected);
}

#[test]
fn one_line_is_replaced_and_what_is_illegal_left_out() {
    let set = json!([
        {"name": "x-a", "value": "request.method"},
        {"name": "x-b", "value": r#""a\nb" + request.method"#},
        {"name": "x-c", "value": r#""a\nb""#},
    ]);
    let policy = json!([{"name": "p", "traffic": {"transformation": {"request": {"set": set}}}}]);
    let trial = Trial { headers: vec![("x-a".to_owned(), "old".to_owned())], ..request() };
    let explanation = explain(policy, &trial);
    let of = |fate: Fate| {
        explanation
            .request_headers
            .iter()
            .find(|line| line.fate == fate)
            .map(|line| line.value.as_str())
    };
    assert_eq!((of(Fate::Replaced), of(Fate::Replacement)), (Some("old"), Some("GET")));
    let errors: Vec<Option<&str>> =
        explanation.policies[0].request.iter().map(|rule| rule.error.as_deref()).collect();
    let illegal = Some("no legal value of this header");
    assert_eq!(errors, [None, illegal, illegal]);
    let audit = explanation.audit.unwrap();
    assert!(audit.contains("value of `x-b`: no legal value of this header"), "{audit}");
}

#[test]
fn a_value_that_passes_a_limit_is_left_out_whatever_catches_it() {
    let set = json!([{"name": "x-a", "value": r#"default(request.headers.cookie("a"), "none")"#}]);
    let policy = json!([{"name": "p", "traffic": {"transformation": {"request": {"set": set}}}}]);
    let cookie = |value: &str| ("cookie".to_owned(), value.to_owned());
    let explanation =
        explain(policy, &Trial { headers: vec![cookie("a=1"), cookie("a=2")], ..request() });
    assert_eq!(
        explanation.policies[0].request[0].error.as_deref(),
        Some("the request passes a limit")
    );
    assert!(
        explanation.request_headers.iter().all(|line| line.fate == Fate::Kept),
        "{:?}",
        explanation.request_headers
    );
}
