//! `egressctl convert` as it is called: files, exit codes, and what goes where.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn egressctl(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .args(arguments)
        .current_dir(ROOT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const WORKSHOP: [&str; 3] = [
    "e2e/workshop/03-policy-rbac.yaml",
    "e2e/workshop/04-policy-path.yaml",
    "e2e/workshop/05-policy-headers.yaml",
];

/// An AuthorizationPolicy with one rule.
fn authorization(rule: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: \
         {{name: p, namespace: egress-direct}}\nspec:\n  targetRefs: \
         [{{group: gateway.networking.k8s.io, kind: Gateway, name: egress}}]\n  action: ALLOW\n  \
         rules: [{rule}]\n"
    )
}

#[test]
fn the_workshop_is_converted_with_hints_alone_and_check_takes_the_result() {
    for (kind, resource) in
        [("WasmPlugin", true), ("TrafficExtension", true), ("pluginConfig", false)]
    {
        let image = [
            "--image",
            "registry.example.com/platform/egress-filter:0.1.0",
            "--sha256",
            &"ab".repeat(32),
        ];
        let converted =
            egressctl(&[&["convert", "--kind", kind], &image[..], &WORKSHOP[..]].concat(), "");
        let (yaml, notes) = (text(&converted.stdout), text(&converted.stderr));
        assert_eq!(converted.status.code(), Some(0), "{notes}");
        assert_eq!(yaml.contains(&format!("kind: {kind}")), resource, "{yaml}");
        assert!(
            !yaml.contains("note:") && notes.contains("ok: 3 policies read, 3 policies converted"),
            "{yaml}{notes}"
        );
        assert!(
            notes.contains(
                "e2e/workshop/04-policy-path.yaml:22:11 \
            spec.traffic.authorization.policy.matchExpressions[0]"
            ),
            "{notes}"
        );
        let checked = egressctl(&["check", "--deny-warnings", "--output", "json", "-"], yaml);
        let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
        assert_eq!(checked.status.code(), Some(0), "{report:#}");
        assert_eq!((&report["plugins"], &report["policies"]), (&Value::from(1), &Value::from(3)));
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let arguments = [&["convert"], &WORKSHOP[..]].concat();
    assert_eq!(egressctl(&arguments, "").stdout, egressctl(&arguments, "").stdout);
}

#[test]
fn the_resource_has_what_the_command_line_says() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let arguments = [
        "convert",
        "--name",
        "n",
        "--namespace",
        "ns",
        "--gateway",
        "g",
        "--image",
        "oci://registry.example.com/i:1",
        "--sha256",
        &digest,
    ];
    for (kind, module) in [("WasmPlugin", "/spec"), ("TrafficExtension", "/spec/wasm")] {
        let converted = egressctl(
            &[&arguments[..], &["--output", "json", "--kind", kind], &WORKSHOP[..]].concat(),
            "",
        );
        let report: Value = serde_json::from_slice(&converted.stdout).unwrap();
        let resource = &report["resource"];
        for (place, expected) in [
            ("/metadata/name".to_owned(), "n"),
            ("/metadata/namespace".to_owned(), "ns"),
            ("/spec/targetRefs/0/name".to_owned(), "g"),
            ("/spec/targetRefs/0/kind".to_owned(), "Gateway"),
            ("/spec/phase".to_owned(), "AUTHZ"),
            (format!("{module}/failStrategy"), "FAIL_RELOAD"),
            (format!("{module}/url"), "oci://registry.example.com/i:1"),
            (format!("{module}/sha256"), &digest["sha256:".len()..]),
            (format!("{module}/pluginConfig/policies/2/name"), "github-api-headers"),
        ] {
            assert_eq!(
                resource.pointer(&place).and_then(Value::as_str),
                Some(expected),
                "{kind} {place}: {resource:#}"
            );
        }
        assert!(!report["notes"].to_string().contains("placeholder"), "{report:#}");
    }
}

#[test]
fn what_is_stricter_is_written_with_a_warning() {
    let policy = authorization(
        "{from: [{source: {namespaces: [a]}}, {source: {remoteIpBlocks: [10.0.0.0/8]}}]}",
    );
    let converted = egressctl(&["convert", "-"], &policy);
    let (yaml, notes) = (text(&converted.stdout), text(&converted.stderr));
    assert_eq!(converted.status.code(), Some(1), "{notes}");
    assert!(yaml.contains(r#"'source.identity.namespace == "a"'"#), "{yaml}");
    assert!(
        yaml.contains(
            "# not as in the source: spec.rules[0].from[1].source.remoteIpBlocks: a waypoint's"
        ),
        "{yaml}"
    );
    assert!(
        notes.contains("warning: policy `p`: a waypoint's callers are pods")
            && notes.contains("--> <stdin>:7:"),
        "{notes}"
    );
}

/// All of a rule over a token is converted, and the result says what it depends on.
#[test]
fn what_depends_on_verified_tokens_says_so() {
    let policy =
        authorization("{from: [{source: {requestPrincipals: ['https://a.example/ann']}}]}");
    let converted = egressctl(&["convert", "-"], &policy);
    let (yaml, notes) = (text(&converted.stdout), text(&converted.stderr));
    assert_eq!(converted.status.code(), Some(0), "{notes}");
    assert!(
        yaml.contains(r#"jwt.iss == "https://a.example" && jwt.sub == "ann""#)
            && yaml.contains("# needs more than is here: spec.rules[0].from[0].source.requestPr")
            && yaml.contains("phase: AUTHZ"),
        "{yaml}"
    );
    assert!(
        notes.contains("warning: policy `p`: tokens are verified by a RequestAuthentication"),
        "{notes}"
    );
}

/// A result that closes everything is not told as any other.
#[test]
fn a_policy_that_lets_nothing_through_is_counted() {
    let closed = authorization("{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}");
    let converted = egressctl(&["convert", "-"], &closed);
    let notes = text(&converted.stderr);
    assert!(
        notes.contains("1 policy read, 1 policy converted (1 of them lets nothing through)"),
        "{notes}"
    );
    let open = egressctl(&["convert", "-"], &authorization("{}"));
    assert!(!text(&open.stderr).contains("lets nothing"), "{}", text(&open.stderr));
}

#[test]
fn what_is_looser_is_written_only_where_that_is_asked_for() {
    let policy = "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: \
        {name: p, namespace: ns}\nspec:\n  targetRefs: \
        [{group: gateway.networking.k8s.io, kind: Gateway, name: egress}]\n  traffic:\n    \
        extProc: {backendRef: {name: authz}}\n    authorization: {policy: {matchExpressions: \
        ['request.method == \"GET\"']}}\n";
    let refused = egressctl(&["convert", "-"], policy);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), ""));
    let notes = text(&refused.stderr);
    assert!(
        notes.contains("error: policy `p`: `extProc`: no counterpart")
            && notes.contains("--> <stdin>:7:5"),
        "{notes}"
    );
    assert!(
        notes.contains("1 error: 1 policy read, 1 policy converted; nothing is written"),
        "{notes}"
    );

    let json = egressctl(&["convert", "--output", "json", "-"], policy);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), text(&json.stderr)), (Some(1), ""));
    assert_eq!(
        (&report["written"], &report["resource"], &report["errors"]),
        (&Value::from(false), &Value::Null, &Value::from(1))
    );
    let note =
        report["notes"].as_array().unwrap().iter().find(|note| note["effect"] == "looser").unwrap();
    assert_eq!(note["severity"], "error");
    assert_eq!(
        (&note["line"], &note["column"], &note["file"]),
        (&Value::from(7), &Value::from(5), &Value::from("<stdin>"))
    );
    assert_eq!(
        (&note["path"], &note["policy"]),
        (&Value::from("spec.traffic.extProc"), &Value::from("p"))
    );

    let forced = egressctl(&["convert", "--allow-lossy", "-"], policy);
    assert_eq!(forced.status.code(), Some(1));
    let yaml = text(&forced.stdout);
    assert!(
        yaml.contains("# not as in the source: spec.traffic.extProc: ")
            && yaml.contains("request.method"),
        "{yaml}"
    );
    assert!(text(&forced.stderr).contains("the result is looser than the source"));
    assert_eq!(egressctl(&["check", "-"], yaml).status.code(), Some(0));
}

#[test]
fn other_resources_are_passed_over_and_counted() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: \
        {name: team-a}}\n";
    let converted = egressctl(
        &["convert", "--output", "json", "-"],
        &format!("{list}---\n{}", authorization("{}")),
    );
    let report: Value = serde_json::from_slice(&converted.stdout).unwrap();
    assert_eq!(
        report["passedOver"],
        serde_json::json!([{"file": "<stdin>", "line": 4, "kind": "Namespace", "name": "team-a"}])
    );
    assert_eq!(
        (&report["policiesRead"], &report["policiesWritten"]),
        (&Value::from(1), &Value::from(1))
    );
}

#[test]
fn what_cannot_be_read_is_no_finding() {
    for (arguments, stdin, message) in [
        (vec!["convert", "-"], "a: [", "not valid YAML"),
        (vec!["convert", "-"], "kind: Namespace\napiVersion: v1\n", "nothing to convert"),
        (vec!["convert", "no-such-file.yaml"], "", "cannot read `no-such-file.yaml`"),
        (vec!["convert", "--sha256", "12", "-"], "", "64 lower-case hexadecimal digits"),
        (vec!["convert", "--kind", "Deployment", "-"], "", "WasmPlugin"),
        (vec!["convert"], "", "FILE"),
    ] {
        let failed = egressctl(&arguments, stdin);
        assert_eq!(failed.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&failed.stderr).contains(message) && failed.stdout.is_empty(),
            "{arguments:?}: {}",
            text(&failed.stderr)
        );
    }
}

#[test]
fn help_has_examples_and_says_what_a_loss_is() {
    let help = egressctl(&["convert", "--help"], "");
    for part in [
        "egressctl convert policies.yaml | egressctl check -",
        "--allow-lossy",
        "Exit codes",
        "looser",
    ] {
        assert!(text(&help.stdout).contains(part), "{part}");
    }
}
