//! The way from an open mesh to default deny, as `docs/rollout.md` goes it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What stands for the cluster: it keeps what is applied, and its waypoint has the sample's log.
const KUBECTL: &str = "#!/bin/sh
case \"$*\" in
  *' logs '*) cat log ;;
  'apply -f '*) cat \"$3\" > applied ;;
  *) echo \"kubectl $*\" >&2; exit 3 ;;
esac
";

fn read(name: &str) -> String {
    let path = Path::new(ROOT).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A folder with the sample's files and a `kubectl`.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rollout");
    // What a test that failed has left.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("bin")).expect("a folder");
    for (from, to) in
        [("policy.yaml", "policy.yaml"), ("enforced.yaml", "enforced.yaml"), ("audit.log", "log")]
    {
        let text = read(&format!("docs/examples/rollout/{from}"));
        std::fs::write(folder.join(to), text).expect("a file");
    }
    let kubectl = folder.join("bin/kubectl");
    std::fs::write(&kubectl, KUBECTL).expect("a file");
    let made = Command::new("chmod").arg("+x").arg(&kubectl).status().expect("chmod");
    assert!(made.success());
    folder
}

fn run(folder: &Path, command: &str) -> Output {
    let binaries = Path::new(env!("CARGO_BIN_EXE_egressctl")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{}:{}:{path}", folder.join("bin").display(), binaries.display()))
        .output()
        .expect("a shell")
}

/// The commands of the page's `sh` blocks.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_walk_works_and_ends_in_default_deny() {
    let folder = folder();
    let commands = commands(&read("docs/rollout.md"));
    assert_eq!(commands.len(), 12, "{commands:#?}");
    for command in &commands {
        let output = run(&folder, command);
        // One request of the sample's is of a caller without an identity.
        let expected = i32::from(command.contains("--propose"));
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{command}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // What is in force at the end.
    let test = |caller: &str, method: &str, url: &str, expected: &str| {
        let command = format!(
            "egressctl explain -f applied --as {caller} -X {method} --expect {expected} {url}"
        );
        let output = run(&folder, &command);
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stdout));
    };
    for (caller, method, url, expected) in [
        ("payments/api", "POST", "http://api.stripe.com/v1/charges", "allow"),
        ("payments/api", "GET", "http://api.stripe.com/v1/charges/ch_1", "allow"),
        ("payments/api", "GET", "http://api.stripe.com/v1/charges/ch_2", "deny"),
        ("ci-web/runner", "GET", "http://pypi.org/simple/anything/", "allow"),
        ("ci-web/runner", "GET", "http://files.pythonhosted.org/packages/other.whl", "deny"),
        ("payments/api", "GET", "http://pypi.org/simple/rich/", "deny"),
        ("none", "GET", "http://pypi.org/simple/left-pad/", "deny"),
        ("payments/api", "GET", "http://example.com/", "deny"),
    ] {
        test(caller, method, url, expected);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn the_proposal_in_shadow_mode_denies_nothing_and_reports_only_what_it_lacks() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rollout-shadow");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let sample = Path::new(ROOT).join("docs/examples/rollout");
    let script = format!(
        "egressctl audit --propose --shadow -f {0}/policy.yaml {0}/audit.log > proposed.yaml; \
         egressctl bundle {0}/policy.yaml proposed.yaml > tried.yaml",
        sample.display()
    );
    assert!(run(&folder, &script).status.success());
    for (url, expected) in [
        ("http://pypi.org/simple/rich/", "[]"),
        ("http://pypi.org/upload", r#"["everything-else","allow-pypi-org"]"#),
        ("http://example.com/", r#"["everything-else"]"#),
    ] {
        let command = format!(
            "egressctl explain -f tried.yaml --as ci-web/runner --expect allow --output json {url} \
             | tr -d ' \\n' | grep -oF '\"shadow\":{expected}'"
        );
        let output = run(&folder, &command);
        let shown =
            run(&folder, &format!("egressctl explain -f tried.yaml --as ci-web/runner {url}"));
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&shown.stdout));
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// What a caller puts into a path is text wherever it comes out.
#[test]
fn nothing_that_a_caller_sends_reaches_the_terminal_or_a_rule_as_it_is() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rollout-hostile");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let record = |path: &str| {
        format!(
            "{{\"event\":\"egress\",\"verdict\":\"deny\",\"policy\":null,\"reason\":\
             \"default-deny\",\"shadow\":[],\"caller\":\"spiffe://cluster.local/ns/a/sa/b\",\
             \"method\":\"GET\",\"host\":\"a.example\",\"path\":\"{path}\"}}\n"
        )
    };
    let log = [
        r"/\u001b]0;title\u0007\u009b31m",
        r"/x\n\ndenied\n\n  forged  b.example\n",
        r"/\u202e\u2066",
        r#"/\") || true || (\""#,
        "/'}]}\\n- name: x",
        r#"/plain\"':{}[]|>&*!%7B"#,
    ];
    let log: String = log.iter().map(|path| record(path)).collect();
    std::fs::write(folder.join("log"), log).expect("a file");
    let report = run(&folder, "egressctl audit --color always log");
    let shown = String::from_utf8(report.stdout).expect("UTF-8");
    let plain = shown.replace("\u{1b}[", "");
    assert!(!plain.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2066}']), "{shown:?}");
    assert!(!shown.lines().any(|line| line.trim_start().starts_with("forged")), "{shown}");
    let proposed = run(&folder, "egressctl audit --propose log > proposed.yaml");
    assert_eq!(proposed.status.code(), Some(1));
    let text = std::fs::read_to_string(folder.join("proposed.yaml")).expect("a file");
    assert!(text.contains("request.path == \"/plain\\\"':{}[]|>&*!%7B\""), "{text}");
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
    assert_eq!(text.matches("- name:").count(), 1, "{text}");
    let checked = run(&folder, "egressctl check --deny-warnings proposed.yaml");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let _ = std::fs::remove_dir_all(&folder);
}
