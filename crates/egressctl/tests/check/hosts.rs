//! Hosts of ServiceEntries and of policies that do not fit together.

use super::run::check_stdin;

fn service_entry(host: &str, labels: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: a\n  \
         namespace: egress-direct\n  labels: {labels}\nspec:\n  hosts:\n  - '{host}'\n---\n"
    )
}

const ROUTED: &str = "{istio.io/use-waypoint: egress}";

fn policy(more: &str, of_policy: &str) -> String {
    format!(
        "{more}policies:\n- name: p\n  {of_policy}traffic:\n    authorization:\n      policy: \
         {{matchExpressions: ['source.identity.namespace == \"a\"']}}\n---\n"
    )
}

/// The first lines of what is told, and the lines that they point at.
fn told(text: &str) -> Vec<(String, String)> {
    let found = check_stdin(&["-"], text.as_bytes());
    let lines: Vec<&str> = found.stdout.lines().collect();
    let at = |line: &&str| line.trim().strip_prefix("--> ").map(str::to_owned);
    lines.windows(2).filter_map(|pair| Some((pair[0].to_owned(), at(&pair[1])?))).collect()
}

#[test]
fn an_open_host_that_no_policy_names_is_told() {
    let text = service_entry("api.github.com", ROUTED) + &policy("", "hosts: [pypi.org]\n  ");
    let expected = [
        (
            "warning: `api.github.com` is open to every caller: it goes through the waypoint, and \
             no policy names it",
            "<stdin>:9:5",
        ),
        (
            "note: `defaultAction` is not set, so what no policy names is open, `api.github.com` \
             here: `defaultAction: Deny` closes it",
            "<stdin>:11:1",
        ),
        (
            "note: policy `p`: no ServiceEntry here has `pypi.org`, so it may never reach the \
             waypoint",
            "<stdin>:13:11",
        ),
    ];
    assert_eq!(told(&text), expected.map(|(what, at)| (what.to_owned(), at.to_owned())));
}

#[test]
fn a_slip_is_told_on_both_sides() {
    let text = service_entry("api.github.com", ROUTED) + &policy("", "hosts: [api.gihub.com]\n  ");
    let told: Vec<String> = told(&text).into_iter().map(|(what, _)| what).collect();
    assert!(told[0].ends_with("; a policy names `api.gihub.com`, which may be a slip"), "{told:?}");
    assert_eq!(
        told[2],
        "warning: policy `p`: no ServiceEntry here has `api.gihub.com` (did you mean \
         `api.github.com`?)"
    );
}

#[test]
fn what_is_closed_or_named_or_goes_elsewhere_is_left_in_peace() {
    let open = service_entry("api.github.com", ROUTED);
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: egress-direct\n  labels: \
        {istio.io/use-waypoint: egress}\n---\n";
    for text in [
        open.clone() + &policy("", "hosts: [api.github.com]\n  "),
        open.clone() + &policy("", "hosts: ['*.github.com']\n  "),
        // An Allow for all hosts, or a default, closes it.
        open.clone() + &policy("", ""),
        open.clone() + &policy("defaultAction: Deny\n", "hosts: ['*.github.com']\n  "),
        // Another configuration names it.
        open.clone()
            + &policy("", "hosts: [api.github.com]\n  ")
            + "policies: [{name: b, \
            traffic: {authorization: {action: Deny, policy: {matchExpressions: \
            ['request.host == \"api.github.com\"']}}}}]\n",
        service_entry("*.github.com", ROUTED) + &policy("", "hosts: [api.github.com]\n  "),
        // It does not go through a waypoint.
        service_entry("a.github.com", "{istio.io/use-waypoint: none}")
            + namespace
            + &policy("", "hosts: ['*.github.com']\n  "),
        // There is nothing to compare with.
        policy("", "hosts: [api.github.com]\n  "),
        open.clone(),
    ] {
        let told: Vec<_> = told(&text)
            .into_iter()
            .filter(|(what, _)| !what.contains("nothing to check"))
            .collect();
        assert_eq!(told, [], "{text}");
    }
    let by_namespace = service_entry("api.github.com", "{}")
        + namespace
        + &policy("defaultAction: Allow\n", "hosts: [gitlab.com]\n  ");
    let told: Vec<String> = told(&by_namespace).into_iter().map(|(what, _)| what).collect();
    assert!(told[0].contains("`api.github.com` is open to every caller"), "{told:?}");
    assert!(!told.iter().any(|what| what.contains("`defaultAction` is not set")), "{told:?}");
}

#[test]
fn a_configuration_without_policies_is_told_unless_it_says_so() {
    for (text, told_of) in [
        ("policies: []\n", Some("so every caller may call every host")),
        ("policies: []\ndefaultAction: Deny\n", Some("nothing goes on")),
        ("policies: []\ndefaultAction: Allow\n", None),
    ] {
        let told = told(text);
        match told_of {
            Some(what) => assert!(told[0].0.contains(what), "{told:?}"),
            None => assert_eq!(told, [], "{text}"),
        }
    }
}
