//! A proposal lets through what it is for, and nothing else.

use std::collections::BTreeSet;

use egress_filter::policy::Engine;
use egress_filter::trial::Trial;
use proptest::prelude::*;

use super::*;
use crate::yaml;

const MANNER: Manner = Manner { most_paths: 8, is_shadow: false };

fn line(caller: &str, host: &str, method: &str, path: &str) -> String {
    let record = serde_json::json!({
        "event": "egress", "verdict": "deny", "policy": null, "reason": "default-deny",
        "shadow": [], "caller": caller, "method": method, "host": host, "path": path,
    });
    // The order of the fields is that of a record.
    let rest = record.to_string().replacen("\"event\":\"egress\",", "", 1);
    format!("{{\"event\":\"egress\",{}\n", rest.trim_start_matches('{'))
}

fn summary(log: &str) -> Summary {
    let mut summary = Summary::default();
    summary.read(log.as_bytes()).unwrap();
    summary
}

fn proposal(log: &str, manner: Manner) -> Proposal {
    Proposal::of(&summary(log), manner, &BTreeSet::new())
}

/// The engine under a default of Deny with what is written.
fn engine(proposal: &Proposal) -> Engine {
    let text = format!(
        "defaultAction: Deny\nidentity: {{trustDomains: [cluster.local, other.example, x, q]}}\n{}",
        proposal.tree(MANNER).to_yaml()
    );
    let documents = yaml::parse(&text).unwrap();
    Engine::load(documents[0].to_json().as_bytes())
        .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

fn allows(engine: &Engine, caller: &str, host: &str, method: &str, path: &str) -> bool {
    let trial = Trial {
        principal: caller.to_owned(),
        service: Some(host.to_owned()),
        method: method.to_owned(),
        authority: host.to_owned(),
        path: path.to_owned(),
        ..Trial::default()
    };
    trial.run(engine).denial.is_none()
}

const A: &str = "spiffe://cluster.local/ns/a/sa/web";
const B: &str = "spiffe://cluster.local/ns/b/sa/job";

#[test]
fn callers_that_do_the_same_and_hosts_that_get_the_same_share_a_rule() {
    let log = [
        line(A, "pypi.org", "GET", "/simple/x/"),
        line(B, "pypi.org", "GET", "/simple/x/"),
        line(A, "files.pythonhosted.org", "GET", "/simple/x/"),
        line(B, "files.pythonhosted.org", "GET", "/simple/x/"),
        line(A, "api.example.com", "POST", "/v1/orders"),
        line(A, "api.example.com", "GET", "/v1/orders"),
        line(A, "api.example.com", "GET", "/it's \"quoted\"".replace(' ', "").as_str()),
    ];
    let proposal = proposal(&log.concat(), MANNER);
    assert_eq!(proposal.check(MANNER, None), Ok(vec![]));
    assert_eq!(
        proposal.tree(MANNER).to_yaml(),
        r#"policies:
- name: allow-api-example-com
  hosts:
  - api.example.com
  traffic:
    authorization:
      match: Any
      policy:
        matchExpressions:
        - |-
          source.spiffeId == "spiffe://cluster.local/ns/a/sa/web" &&
          request.method == "GET" &&
          request.path == "/it's\"quoted\""
        - |-
          source.spiffeId == "spiffe://cluster.local/ns/a/sa/web" &&
          request.method in ["GET", "POST"] &&
          request.path == "/v1/orders"
- name: allow-files-pythonhosted-org
  hosts:
  - files.pythonhosted.org
  - pypi.org
  traffic:
    authorization:
      policy:
        matchExpressions:
        - |-
          source.spiffeId in [
            "spiffe://cluster.local/ns/a/sa/web",
            "spiffe://cluster.local/ns/b/sa/job"
          ] &&
          request.method == "GET" &&
          request.path == "/simple/x/"
"#
    );
}

#[test]
fn what_is_generalised_is_said_and_goes_no_further() {
    let paths = (0..12).map(|number| line(A, "pypi.org", "GET", &format!("/simple/p{number}/")));
    let proposal = proposal(&paths.collect::<String>(), MANNER);
    assert_eq!(proposal.check(MANNER, None), Ok(vec![]));
    let text = proposal.tree(MANNER).to_yaml();
    let said = "# generalised from 12 paths: GET /simple and all below it of a/web\n";
    assert!(text.contains(said), "{text}");
    let engine = engine(&proposal);
    for (method, path, expected) in [
        ("GET", "/simple/another/", true),
        ("GET", "/simple", true),
        ("GET", "/simplex", false),
        ("GET", "/", false),
        ("POST", "/simple/p1/", false),
    ] {
        assert_eq!(allows(&engine, A, "pypi.org", method, path), expected, "{method} {path}");
    }
    assert!(!allows(&engine, B, "pypi.org", "GET", "/simple/p1/"));
    assert!(!allows(&engine, A, "pypi.org.example", "GET", "/simple/p1/"));
}

#[test]
fn what_an_allow_cannot_help_or_name_is_left_out_with_the_reason() {
    let cut = format!("/{}...", "x".repeat(1024));
    let log = [
        line(A, "a.example", "GET", "/ok"),
        line(A, "a.example", "GET", &cut),
        line(A, "a.example", "GET", "/caf\u{e9}"),
        line(A, "a.example", "GET", "/\u{fffd}"),
        line(A, "a.example", "GET\nPOST", "/x"),
        line(A, "[::1]", "GET", "/"),
        line(A, "*.example", "GET", "/"),
        line(A, "a.example\" || true || \"", "GET", "/"),
        line("spiffe://x/\") || true //", "a.example", "GET", "/"),
        line("", "a.example", "GET", "/"),
        line(A, "b.example", "GET", "/").replace("default-deny", "require-not-matched"),
        line(A, "c.example", "GET", "/").replace(&format!("\"{A}\""), "null"),
    ];
    let proposal = proposal(&log.concat(), MANNER);
    assert_eq!(proposal.check(MANNER, None), Ok(vec![]));
    assert_eq!(proposal.observed.len(), 1);
    let mut why: Vec<(u64, &str)> =
        proposal.left_out.iter().map(|left| (left.count, left.why.as_str())).collect();
    why.sort_unstable();
    let expected = [
        (1, "an Allow does not help against `require-not-matched`"),
        (1, "the caller is no SPIFFE ID"),
        (1, "the caller is no SPIFFE ID"),
        (1, "the callers have no identity that a rule could name"),
        (1, "the host is no name that a policy can have"),
        (1, "the host is no name that a policy can have"),
        (1, "the host is no name that a policy can have"),
        (4, "the path or the method is cut or is not plain: write a rule for it by hand"),
    ];
    assert_eq!(why, expected);
}

/// The policies in force count: those that reported are enforced, and a Deny stays one.
#[test]
fn what_the_policies_in_force_deny_all_the_same_is_told() {
    let base = Base::new(serde_json::json!({"policies": [
        {"name": "everything-else", "mode": "Shadow", "defaultAction": "Deny"},
        {"name": "allow-a-example", "hosts": ["b.example"], "defaultAction": "Allow"},
        {"name": "no-admin", "mode": "Shadow", "traffic": {"authorization": {
            "action": "Deny", "policy": {"matchExpressions": ["request.path.startsWith('/admin')"]},
        }}},
    ]}));
    let shadow = |line: String| {
        line.replace("\"verdict\":\"deny\"", "\"verdict\":\"allow\"")
            .replace("default-deny", "no-allow-rule")
    };
    let by = |names: &str, line: String| {
        shadow(line).replace("\"shadow\":[]", &format!("\"shadow\":[{names}]"))
    };
    let log = [
        by("\"everything-else\"", line(A, "a.example", "GET", "/x")),
        by("\"everything-else\",\"no-admin\"", line(A, "a.example", "GET", "/admin")),
    ];
    let proposal = Proposal::of(&summary(&log.concat()), MANNER, &base.names());
    let refused = proposal.check(MANNER, Some(&base)).unwrap();
    let [refusal] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!(
        (&*refusal.request.path, refusal.reason.as_str(), refusal.policy.as_deref()),
        ("/admin", "deny-matched", Some("no-admin"))
    );
    let text = proposal.tree(MANNER).to_yaml();
    assert!(text.contains("- name: allow-a-example-2\n"), "{text}");
}

#[test]
fn long_lists_become_several_expressions_and_policies_that_load() {
    let mut log = String::new();
    for caller in 0..300 {
        let caller = format!("spiffe://cluster.local/ns/team-{caller}/sa/{}", "s".repeat(200));
        for number in 0..8 {
            let path = format!("/{}{number}", "long".repeat(100 + number % 2));
            log += &line(&caller, "a.example", "GET", &path);
        }
    }
    let proposal = proposal(&log, MANNER);
    assert_eq!(proposal.check(MANNER, None), Ok(vec![]));
    assert_eq!(proposal.observed.len(), 2400);
    assert!(proposal.len() > 1, "{}", proposal.len());
}

fn words(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(words)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whoever called what: of all combinations just those are allowed that were seen, or that a
    /// generalisation names.
    #[test]
    fn of_all_combinations_those_that_were_seen_are_allowed(
        seen in proptest::collection::vec(
            (
                words(&[A, B, "spiffe://other.example/ns/a/sa/web", "spiffe://x/y"]),
                words(&["a.example", "b.example", "c_d.example"]),
                words(&["GET", "POST", "M-SEARCH"]),
                words(&["/", "/a", "/a/b", "/a/bc", "/x'\"y", "/$%7B", "/a/b/c", "/z/${x}"]),
            ),
            1..30,
        ),
        most_paths in 1_usize..6,
    ) {
        let log: String = seen.iter().map(|(c, h, m, p)| line(c, h, m, p)).collect();
        let manner = Manner { most_paths, is_shadow: false };
        let proposal = proposal(&log, manner);
        prop_assert_eq!(&proposal.left_out, &vec![]);
        prop_assert_eq!(proposal.check(manner, None), Ok(vec![]));
        let engine = engine(&proposal);
        let others = ["spiffe://q/ns/a/sa/b"];
        let callers: BTreeSet<_> = seen.iter().map(|seen| seen.0).chain(others).collect();
        let hosts: BTreeSet<_> = seen.iter().map(|seen| seen.1).chain(["d.example"]).collect();
        let methods: BTreeSet<_> = seen.iter().map(|seen| seen.2).chain(["PUT"]).collect();
        let paths: BTreeSet<_> = seen.iter().map(|seen| seen.3).chain(["/n", "/a/n"]).collect();
        for caller in &callers {
            for host in &hosts {
                for method in &methods {
                    for path in &paths {
                        let observed = seen.contains(&(*caller, *host, *method, *path));
                        let stated = proposal.covers(&Observed {
                            caller: (*caller).to_owned(),
                            host: (*host).to_owned(),
                            method: (*method).to_owned(),
                            path: (*path).to_owned(),
                        });
                        let generalised = stated && !observed;
                        let is_allowed = allows(&engine, caller, host, method, path);
                        prop_assert_eq!(is_allowed, observed || generalised);
                        if generalised {
                            prop_assert!(proposal.tree(manner).to_yaml().contains("# generalised"));
                        }
                    }
                }
            }
        }
    }
}
