//! No team grants or denies for others.

use std::path::{Path, PathBuf};

use egress_filter::trial::Trial;
use proptest::prelude::*;

use super::*;

const PLUGIN: &str = "\
defaultAction: Deny
identity: {trustDomains: [cluster.local]}
variables:
- {name: reads, expression: 'request.method == \"GET\"'}
policies:
- name: everybody-reads
  hosts: [b.example, shared.example, x.a.example]
  traffic: {authorization: {policy: {matchExpressions: ['variables.reads']}}}
- name: no-admin
  traffic:
    authorization:
      action: Deny
      policy: {matchExpressions: ['request.path == \"/admin\"']}
";

const TEAMS: &str = "\
plugin: plugin.yaml
teams:
- {name: a, namespaces: [a, 'a-*'], hosts: [a.example, '*.a.example', shared.example]}
- {name: b, namespaces: [b], hosts: [b.example, shared.example]}
";

/// A folder of a test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("egressctl-bundle-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        // What a test that failed has left.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("teams")).unwrap();
        let folder = Folder(folder);
        folder.write("platform.yaml", TEAMS);
        folder.write("plugin.yaml", PLUGIN);
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn bundle(&self) -> Result<Bundle, Vec<String>> {
        of_folder(&self.0.display().to_string()).unwrap().map_err(|errors| {
            let line = |source: &Source, found: &Diagnostic| {
                let file = Path::new(&source.name).file_name().unwrap().to_string_lossy();
                format!("{file}:{}: {}", found.line, found.message)
            };
            errors.iter().flat_map(|(s, found)| found.iter().map(move |f| line(s, f))).collect()
        })
    }

    fn engine(&self) -> Engine {
        let bundle = self.bundle().unwrap();
        Engine::load(yaml::parse(&bundle.to_yaml()).unwrap()[0].to_json().as_bytes()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn policy(hosts: &str, rest: &str) -> String {
    format!("policies:\n- name: p\n  hosts: [{hosts}]\n{rest}\n")
}

const RULE: &str = "traffic: {authorization: {policy: {matchExpressions: ['true']}}}";

#[test]
fn what_is_not_a_teams_is_an_error_in_its_file() {
    let feature = |feature: &str| format!("  traffic: {{{feature}}}");
    let transformation = "transformation: {request: {set: [{name: X-A, value: '\"1\"'}]}}";
    let sets_host =
        "transformation: {request: {set: [{name: ':authority', value: '\"b.example\"'}]}}";
    let fixed = "headerModifiers: {request: {set: [{name: Host, value: b.example}]}}";
    let global = "rateLimit: {global: {cluster: c, host: h, domain: d, descriptors: [{entries: \
                  [{name: a, expression: '\"1\"'}]}]}}";
    for (text, expected) in [
        (format!("policies:\n- name: p\n  {RULE}\n"), "a.yaml:2: a team's policy needs `hosts`"),
        (policy("b.example", &format!("  {RULE}")), "a.yaml:3: `b.example` is no host of team `a`"),
        (
            policy("a.example, \"*.example\"", &format!("  {RULE}")),
            "a.yaml:3: `*.example` is no host of team `a`",
        ),
        (
            policy("a.example", "  defaultAction: Allow"),
            "a.yaml:4: `defaultAction` is not a team's",
        ),
        (
            policy("a.example", &format!("  pathSafety: Off\n  {RULE}")),
            "a.yaml:4: `pathSafety` is not a team's",
        ),
        (
            policy("a.example", &format!("  backend: {{auth: {{env: T}}}}\n  {RULE}")),
            "a.yaml:4: `backend` is not a team's",
        ),
        (
            policy("shared.example", &feature(transformation)),
            "a.yaml:4: `transformation` holds for every caller of a host, and this one is also \
             team `b`'s",
        ),
        (
            policy("shared.example", &format!("  denial: {{body: none}}\n  {RULE}")),
            "a.yaml:4: `denial` holds for every caller",
        ),
        (
            policy("a.example", &feature(sets_host)),
            "a.yaml:4: another `:authority` is not a team's",
        ),
        (policy("a.example", &feature(fixed)), "a.yaml:4: "),
        (
            policy("a.example", &feature("urlRewrite: {hostname: b.example}")),
            "a.yaml:4: another `:authority` is not a team's",
        ),
        (policy("a.example", &feature(global)), "a.yaml:4: `global` is not a team's"),
        (
            policy("a.example", &feature("hostRewrite: {mode: Auto}")),
            "a.yaml:4: `hostRewrite` is not a team's",
        ),
        ("defaultAction: Allow\npolicies: []\n".to_owned(), "a.yaml:1: only `policies` may be"),
        ("polices: []\n".to_owned(), "got `polices` (did you mean `policies`?)"),
        // An expression that ends its brackets, or leaves them open, is none by itself.
        (
            policy(
                "a.example",
                "  traffic: {authorization: {policy: {matchExpressions: ['true) || (true']}}}",
            ),
            "a.yaml:4: ",
        ),
        (
            policy(
                "a.example",
                "  traffic: {authorization: {policy: {matchExpressions: ['(true']}}}",
            ),
            "a.yaml:4: ",
        ),
    ] {
        let folder = Folder::new("errors");
        folder.write("teams/a.yaml", &text);
        let errors = folder.bundle().unwrap_err();
        assert!(errors.iter().any(|error| error.contains(expected)), "{text}\n{errors:#?}");
    }
}

#[test]
fn the_same_features_are_allowed_on_hosts_of_its_own() {
    let folder = Folder::new("own");
    let text = "\
policies:
- name: p
  hosts: [a.example, x.a.example, '*.y.a.example']
  denial: {body: 'no'}
  traffic:
    transformation: {request: {set: [{name: X-A, value: '\"1\"'}]}}
    urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}
";
    folder.write("teams/a.yaml", text);
    let text = folder.bundle().unwrap().to_yaml();
    assert!(text.contains("    # a.yaml\n") || text.contains("# a.yaml\n"), "{text}");
    assert!(text.contains("name: a.p\n"), "{text}");
    assert_eq!(text, folder.bundle().unwrap().to_yaml(), "the same files give the same bytes");
}

#[test]
fn what_is_wrong_with_the_platforms_files_is_told_where_it_is() {
    for (platform, plugin, expected) in [
        ("teams: []", PLUGIN, "platform.yaml:1: field `plugin` is missing"),
        (
            "plugin: p\nteams: [{nam: a}]",
            PLUGIN,
            "platform.yaml:2: unknown field `nam` (did you mean",
        ),
        (
            "plugin: plugin.yaml\nteams:\n- {name: ../a, namespaces: ['*'], hosts: [A.example]}",
            PLUGIN,
            "platform.yaml:3: expected a name of 1 to 63",
        ),
        (
            "plugin: plugin.yaml\nteams:\n- {name: a, namespaces: ['*'], hosts: [a.example]}",
            PLUGIN,
            "platform.yaml:3: expected a namespace",
        ),
        (
            "plugin: plugin.yaml\nteams:\n- {name: a, namespaces: [a], hosts: ['*.']}",
            PLUGIN,
            "platform.yaml:3: expected a host",
        ),
        (TEAMS, "policies: []\n", "plugin.yaml:1: teams need `defaultAction: Deny`"),
        (
            TEAMS,
            "defaultAction: Deny\npolicies:\n\
             - {name: open, hosts: ['*.example'], defaultAction: Allow}\n",
            "platform.yaml:3: policy `open` of the plugin opens this host",
        ),
        (TEAMS, "defaultAction: Deny\npolicies:\n- {nam: x}\n", "plugin.yaml:3: "),
    ] {
        let folder = Folder::new("platform");
        folder.write("platform.yaml", platform);
        folder.write("plugin.yaml", plugin);
        let errors = folder.bundle().unwrap_err();
        assert!(errors.iter().any(|error| error.contains(expected)), "{platform}\n{errors:#?}");
    }
}

#[test]
fn rules_count_for_the_callers_of_the_team_alone() {
    let folder = Folder::new("callers");
    folder.write(
        "teams/a.yaml",
        "policies:\n- name: all\n  hosts: [shared.example]\n  traffic: {authorization: {policy: \
         {matchExpressions: [\"true // everybody\"]}}}\n- name: none\n  hosts: [shared.example]\n  \
         traffic: {authorization: {action: Deny, policy: {matchExpressions: \
         ['request.headers[\"x-none\"] == \"1\" || request.path == \"/no\"']}}}\n",
    );
    folder.write(
        "teams/b.yaml",
        "policies:\n- name: reads\n  hosts: [shared.example]\n  traffic: {authorization: {policy: \
         {matchExpressions: [variables.reads]}}}\n- name: must\n  hosts: [shared.example]\n  \
         traffic: {authorization: {action: Require, policy: {matchExpressions: \
         ['request.path != \"/must\"']}}}\n",
    );
    let engine = folder.engine();
    for (caller, path, expected) in [
        // The Deny of team a fails for its callers, and so denies them, for want of the header.
        ("spiffe://cluster.local/ns/a/sa/x", "/", false),
        ("spiffe://cluster.local/ns/b/sa/x", "/", true),
        ("spiffe://cluster.local/ns/b/sa/x", "/no", true),
        ("spiffe://cluster.local/ns/b/sa/x", "/must", false),
        // What the platform lets everybody do.
        ("spiffe://cluster.local/ns/c/sa/x", "/must", true),
        ("", "/no", true),
        ("", "/admin", false),
    ] {
        let denied = run(&engine, caller, "shared.example", path).denial.is_some();
        assert_eq!(!denied, expected, "{caller} {path}");
    }
}

fn run(engine: &Engine, caller: &str, host: &str, path: &str) -> egress_filter::trial::Tried {
    let trial = Trial {
        principal: caller.to_owned(),
        service: Some(host.to_owned()),
        authority: host.to_owned(),
        path: path.to_owned(),
        ..Trial::default()
    };
    trial.run(engine)
}

#[derive(Debug, Clone)]
struct Written {
    action: &'static str,
    combine: &'static str,
    mode: &'static str,
    host: &'static str,
    expressions: Vec<&'static str>,
}

fn written() -> impl Strategy<Value = Written> {
    use proptest::sample::select;
    let expressions = select(
        &[
            "true",
            "false // x",
            "request.path == '/1'",
            "request.headers['x-none'] == '1'",
            "source.identity.namespace == 'b'",
            "source.identity.namespace != 'a' || true",
            "!has(source.identity)",
            "request.method == 'GET' ? true : false",
            "string(request.body) == 'x'",
        ][..],
    );
    (
        select(&["Allow", "Deny", "Require"][..]),
        select(&["All", "Any"][..]),
        select(&["Enforce", "Shadow"][..]),
        select(&["a.example", "x.a.example", "shared.example"][..]),
        proptest::collection::vec(expressions, 1..4),
    )
        .prop_map(|(action, combine, mode, host, expressions)| Written {
            action,
            combine,
            mode,
            host,
            expressions,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever team a writes: callers from elsewhere are allowed and denied as without its file,
    /// and its own callers too, at hosts that are not its own.
    #[test]
    fn a_teams_file_changes_nothing_for_others(all in proptest::collection::vec(written(), 1..5)) {
        let policies: Vec<_> = all.iter().enumerate().map(|(index, written)| serde_json::json!({
            "name": format!("p{index}"), "hosts": [written.host], "mode": written.mode,
            "traffic": {"authorization": {
                "action": written.action, "match": written.combine,
                "policy": {"matchExpressions": written.expressions},
            }},
        })).collect();
        let folder = Folder::new("law");
        folder.write("teams/b.yaml", &policy("shared.example", &format!("  {RULE}")));
        let without = folder.engine();
        folder.write("teams/a.yaml", &serde_json::json!({"policies": policies}).to_string());
        // Bodies may be read on hosts of its own alone.
        let reads_shared = all.iter().any(|written| {
            written.host == "shared.example"
                && written.expressions.iter().any(|one| one.contains("body"))
        });
        prop_assert_eq!(folder.bundle().is_err(), reads_shared);
        if reads_shared {
            return Ok(());
        }
        let with = folder.engine();
        let of = |namespace: &str| format!("spiffe://cluster.local/ns/{namespace}/sa/x");
        let other = "spiffe://cluster.local/x".to_owned();
        let others = [of("b"), of("c"), of("ab"), String::new(), other];
        for path in ["/", "/1", "/admin"] {
            for host in ["a.example", "x.a.example", "shared.example", "b.example", "c.example"] {
                for caller in &others {
                    let (before, after) =
                        (run(&without, caller, host, path), run(&with, caller, host, path));
                    let denied = (before.denial.is_some(), after.denial.is_some());
                    prop_assert_eq!(denied.0, denied.1, "{} {}", caller, host);
                    prop_assert!(host != "shared.example" || before.upstream == after.upstream);
                }
            }
            for (caller, host) in [(of("a"), "b.example"), (of("a-x"), "c.example")] {
                let (before, after) =
                    (run(&without, &caller, host, path), run(&with, &caller, host, path));
                prop_assert_eq!(before, after);
            }
        }
    }
}
