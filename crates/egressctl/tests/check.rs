//! What `egressctl check` prints, and how it exits.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "check/allow.rs"]
mod allow;
#[path = "check/attachment.rs"]
mod attachment;
#[path = "check/doubts.rs"]
mod doubts;
#[path = "check/environment.rs"]
mod environment;
#[path = "check/files.rs"]
mod files;
#[path = "check/hosts.rs"]
mod hosts;
#[path = "check/run.rs"]
mod run;

use run::{check, check_stdin, data};
use serde_json::Value;

const ODD: &str = include_str!("check/odd.yaml");

#[test]
fn every_error_is_shown_with_its_line_and_a_caret() {
    let found = check(&["broken.yaml"]);
    assert_eq!(
        (found.stdout.as_str(), found.stderr.as_str(), found.code),
        (include_str!("check/broken.txt"), "", 1)
    );
}

#[test]
fn warnings_are_shown_at_the_part_they_are_about() {
    let found = check(&["odd.yaml"]);
    assert_eq!(
        (found.stdout.as_str(), found.stderr.as_str(), found.code),
        (include_str!("check/odd.txt"), "", 0)
    );
    assert_eq!(check(&["--deny-warnings", "odd.yaml"]).code, 1);
}

#[test]
fn standard_input_is_read_for_a_dash() {
    let found = check_stdin(&["-"], ODD.as_bytes());
    assert_eq!(found.stdout, include_str!("check/odd.txt").replace("odd.yaml", "<stdin>"));
    assert_eq!(found.code, 0);
}

/// An editor's line ends and byte order mark change nothing of what is found.
#[test]
fn line_ends_of_windows_move_nothing() {
    for file in ["broken.yaml", "odd.yaml"] {
        let text = std::fs::read_to_string(data(file)).expect("a file of this test");
        let found =
            check_stdin(&["-"], format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes());
        assert_eq!(found.stdout, check_stdin(&["-"], text.as_bytes()).stdout, "{file}");
    }
}

#[test]
fn json_has_what_the_text_has() {
    let found = check(&["--output", "json", "broken.yaml", "odd.yaml"]);
    let report: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!(found.code, 1);
    let counts =
        ["plugins", "policies", "errors", "warnings", "notes"].map(|name| report[name].as_u64());
    assert_eq!(counts, [2, 6, 15, 3, 0].map(Some));
    assert_eq!(report["fingerprints"], serde_json::json!(["7a58841dc7b9"]));
    let text = format!("{}{}", include_str!("check/broken.txt"), include_str!("check/odd.txt"));
    let diagnostics = report["diagnostics"].as_array().expect("a list");
    assert_eq!(diagnostics.len(), 18);
    for found in diagnostics {
        let of = |name: &str| found[name].as_str().unwrap_or_default();
        let title = match found["policy"].as_str() {
            Some(policy) => format!("{}: policy `{policy}`: {}\n", of("severity"), of("message")),
            None => format!("{}: {}\n", of("severity"), of("message")),
        };
        let place = format!("--> {}:{}:{}\n", of("file"), found["line"], found["column"]);
        assert!(
            text.contains(&title)
                && text.contains(&place)
                && text.contains(&format!("= at: {}\n", of("path"))),
            "{found}"
        );
        assert!(found["endColumn"].as_u64() > found["column"].as_u64(), "{found}");
    }
}

#[test]
fn github_gets_annotations() {
    let found = check(&["--output", "github", "odd.yaml"]);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "::warning file=odd.yaml,line=10,col=11,endColumn=43,title=policy `never`::never \
             matches: `source.identity.namespace == \"a\"` and `source.identity.namespace == \
             \"b\"` are never true together, so this Allow lets no request through \
             [constant-rule]",
            "::warning file=odd.yaml,line=23,col=16,endColumn=28,title=policy \
             `elsewhere`::`request.host` is never `API.github.com`: it is lower-case, with no \
             port and no trailing dot, so `api.github.com` [odd-comparison]",
            "::warning file=odd.yaml,line=24,col=38,endColumn=43,title=policy \
             `elsewhere`::`request.method` is compared with \"get\": methods are case-sensitive, \
             and `GET` is the standard one [odd-comparison]",
            "3 warnings: 1 configuration, 2 policies, fingerprint 7a58841dc7b9",
        ]
    );
    let found = check_stdin(
        &["--output", "github", "-"],
        b"policies:\n- {name: \"100%,\\n:\", traffic: {}}\n",
    );
    assert!(found.stdout.contains(",title=policy `100%25%2C%0A%3A`::"), "{}", found.stdout);
}

#[test]
fn colours_are_left_out_unless_asked_for() {
    assert!(!check(&["odd.yaml"]).stdout.contains('\u{1b}'));
    assert!(check(&["--color", "always", "odd.yaml"]).stdout.contains('\u{1b}'));
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, place) in [
        ("policies:\n- name: [a\n", "<stdin>:3:1"),
        ("policies:\n\t- name: a\n", "<stdin>:2:"),
        ("{\"a\": }}", "<stdin>:1:"),
    ] {
        let found = check_stdin(&["-"], text.as_bytes());
        assert_eq!(found.code, 1, "{text}");
        assert!(
            found.stdout.starts_with("error: not valid YAML: ") && found.stdout.contains(place),
            "{text}\n{}",
            found.stdout
        );
    }
}

#[test]
fn what_yaml_takes_for_a_sign_of_its_own_needs_quotes() {
    for (value, sign) in [
        ("hosts: [*.github.com]", "*"),
        ("hosts: *.github.com", "*"),
        ("mode: !has(request.headers.foo)", "!"),
        ("hosts:\n  - !has(request.headers.foo)", "!"),
    ] {
        let found = check_stdin(&["-"], format!("policies:\n- name: p\n  {value}\n").as_bytes());
        let mend = format!(": a value that begins with `{sign}` needs quotes around it\n");
        assert!(found.stdout.contains(&mend) && found.code == 1, "{value}: {}", found.stdout);
    }
}

/// Who reads the output may have seen enough before its end, and what was found is what it is.
#[test]
fn a_reader_who_goes_changes_no_exit_code() {
    let broken = "policies:\n".to_owned() + &"- {name: a, traffic: 1}\n".repeat(3_000);
    let good = "policies: []\n".to_owned();
    for (text, expected) in [(broken, 1), (good, 0)] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_egressctl"))
            .args(["check", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("egressctl starts");
        drop(child.stdout.take());
        std::io::Write::write_all(&mut child.stdin.take().expect("an input"), text.as_bytes())
            .expect("it is read");
        assert_eq!(child.wait().expect("it ends").code(), Some(expected));
    }
}

/// All of a file may be one line: the time is that of its length, not of its length for each error.
#[test]
fn very_many_errors_on_one_line_are_counted_and_the_first_shown() {
    let policies: Vec<String> = (0..1_000)
        .map(|index| format!(r#"{{"name": "p{index}", "traffic": {{"authorisation": {{}}}}}}"#))
        .collect();
    let found =
        check_stdin(&["-"], format!(r#"{{"policies": [{}]}}"#, policies.join(", ")).as_bytes());
    assert_eq!(found.code, 1);
    assert!(found.stdout.len() < 1_000_000, "{}", found.stdout.len());
    assert!(
        found.stdout.contains("\n... and 1000 more: `--output json` has all of them\n"),
        "{:.2000}",
        found.stdout
    );
    assert!(found.stdout.ends_with("\n2000 errors: 1 configuration, 1000 policies\n"));
}

#[test]
fn a_json_file_is_read_too() {
    let found = check_stdin(
        &["-"],
        b"{\n\t\"policies\": [\n\t\t{\"name\": \"a\", \"traffic\": {\"authorization\": \
         {\"action\": \"Alow\"}}}\n\t]\n}\n",
    );
    assert!(found.stdout.contains("<stdin>:3:57"), "{}", found.stdout);
    assert!(
        found.stdout.contains("did you mean `Allow`?")
            && found.stdout.contains("field `policy` is missing"),
        "{}",
        found.stdout
    );
}

/// A policy's errors are all told, however many policies there are; of warnings, how many more
/// there are.
#[test]
fn many_policies_are_all_looked_at() {
    let many = |rule: &str| {
        let policy = |index: usize| {
            format!(
                "- {{name: p{index}, traffic: \
                 {{authorization: {{action: Allow, policy: {{matchExpressions: ['{rule}']}}}}}}}}\n"
            )
        };
        format!("policies:\n{}", (0..500).map(policy).collect::<String>())
    };
    let found = check_stdin(&["-"], many("source.identty == 1").as_bytes());
    assert!(
        found.stdout.ends_with("\n500 errors: 1 configuration, 500 policies\n")
            && found.stdout.contains("<stdin>:501:")
    );
    let found = check_stdin(&["-"], many("request.path == \"a\"").as_bytes());
    assert!(found.stdout.contains("note: 400 more warnings are not shown\n"));
    let summary = "\n100 warnings, 1 note: 1 configuration, 500 policies, fingerprint ";
    assert!(found.stdout.contains(summary));
}

#[test]
fn a_resource_that_kubernetes_would_not_take_is_told() {
    let sized = |count: usize| {
        let policies: Vec<_> = (0..count)
            .map(|index| {
                serde_json::json!({"name": format!("p{index}"), "hosts": ["a.example"], "traffic": {
                    "authorization": {"policy": {"matchExpressions": [
                        format!("request.path == '/{}'", "x".repeat(1_000)),
                    ]}},
                }})
            })
            .collect();
        serde_json::json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "egress-filter", "namespace": "egress-direct"},
            "spec": {
                "targetRefs": [
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"},
                ],
                "url": "oci://registry.example.org/egress-filter:1",
                "phase": "AUTHZ",
                "failStrategy": "FAIL_RELOAD",
                "pluginConfig": {"policies": policies},
            },
        })
        .to_string()
    };
    for (count, severity, words) in [
        (200, "", ""),
        (240, "warning: ", "use `kubectl apply --server-side`"),
        (1_400, "warning: ", "etcd takes 1572864 in one request"),
        (1_500, "error: ", "etcd takes 1572864 in one request"),
    ] {
        let found = check_stdin(&["-"], sized(count).as_bytes());
        let line = found.stdout.lines().find(|line| line.contains("bytes as JSON"));
        let line = line.unwrap_or_default();
        assert!(line.starts_with(severity) && line.contains(words), "{count}: {line}");
        assert_eq!(line.is_empty(), words.is_empty(), "{count}: {line}");
        // It is told once.
        let told = found.stdout.matches("use `kubectl apply --server-side`").count()
            + found.stdout.matches("that etcd takes").count()
            + found.stdout.matches("etcd takes 1572864").count();
        assert_eq!(told, usize::from(!words.is_empty()), "{count}: {}", found.stdout);
    }
}
