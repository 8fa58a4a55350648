//! `egressctl test`, as it is built, over files of cases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

#[path = "cases/coverage.rs"]
mod coverage;
#[path = "cases/junit.rs"]
mod junit;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use quick_junit::{Report, TestCase, TestCaseStatus};
use serde_json::{Value, json};

/// The repository, where the commands run.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const HERE: &str = "crates/egressctl/tests/cases";
const WORKSHOP: &str = "filter-config/tests/workshop.yaml";

fn egressctl(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .current_dir(ROOT)
        .arg("test")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn json_of(arguments: &[&str]) -> (i32, Value) {
    let arguments: Vec<&str> = ["--output", "json"].iter().chain(arguments).copied().collect();
    let (code, out, _) = egressctl(&arguments, "");
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}")))
}

/// Without the time, which is another each time.
fn timeless(text: &str) -> String {
    let lines = text.lines().map(|line| match line.rsplit_once(" (") {
        Some((before, time)) if time.ends_with(" s)") => before,
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

fn file(name: &str) -> String {
    format!("{HERE}/{name}")
}

fn expected(name: &str) -> String {
    std::fs::read_to_string(PathBuf::from(ROOT).join(HERE).join(name)).unwrap()
}

fn temporary(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("egressctl-cases-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn the_workshops_claims_hold_and_exercise_every_policy() {
    let (code, out, err) = egressctl(&["--require-coverage", WORKSHOP], "");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines.len() > 40
            && lines[..lines.len() - 2]
                .iter()
                .all(|line| line.starts_with("ok      filter-config/tests/")),
        "{out}"
    );
    assert!(
        lines[lines.len() - 1]
            .starts_with(&format!("ok: {} passed, 6 of 6 policies exercised (", lines.len() - 2)),
        "{out}"
    );
}

/// Each step's cases show that step: with the policies of the step before, some fail.
#[test]
fn the_workshops_claims_fail_without_the_steps_that_make_them() {
    let failed = |policies: &str| {
        let (_, report) = json_of(&["--policies", &format!("filter-config/{policies}"), WORKSHOP]);
        let failed = |suite: &str| {
            let cases = report["cases"].as_array().unwrap().iter();
            cases
                .filter(|case| {
                    case["suite"].as_str().unwrap().contains(suite) && case["passed"] == false
                })
                .count()
        };
        (failed("step 3"), failed("step 4"), failed("steps 5"))
    };
    assert!(matches!(failed("03-policy-rbac.yaml"), (0, 1.., 1..)));
    assert!(matches!(failed("04-policy-path.yaml"), (1.., 0, 1..)));
    assert!(matches!(failed("05-policy-headers.yaml"), (1.., 0, 0)));
}

#[test]
fn the_successors_of_the_wasm_plugins_pass_the_same_cases() {
    let successor = "filter-config/traffic-extension/05-policy-headers.yaml";
    let (code, out, _) = egressctl(
        &["--policies", successor, "--filter", "debug header", "--filter", "forged", WORKSHOP],
        "",
    );
    assert_eq!(code, 0, "{out}");
    assert!(timeless(&out).ends_with("\nok: 2 passed, 45 left out by --filter\n"), "{out}");
    let (code, out, _) =
        egressctl(&["--policies", successor, "--filter", "what leaves", WORKSHOP], "");
    assert_eq!(code, 2, "a suite's name is not a case's: {out}");
}

#[test]
fn failures_are_told_with_what_was_expected_and_what_came() {
    let (code, out, err) = egressctl(&[&file("passing.yaml"), &file("failing.yaml")], "");
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(timeless(&out), expected("failing.txt"));
    let (code, out, _) = egressctl(&["--quiet", &file("passing.yaml"), &file("failing.yaml")], "");
    assert_eq!(code, 1);
    assert!(
        !out.contains("ok  ")
            && out
                .contains("\nFAILED crates/egressctl/tests/cases/failing.yaml:10: wrong headers\n"),
        "{out}"
    );
}

#[test]
fn what_passes_is_quiet_or_told_at_length() {
    let (code, out, err) = egressctl(&["--verbose", &file("passing.yaml")], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(timeless(&out), expected("passing.txt"));
    let (code, out, _) = egressctl(&["--quiet", WORKSHOP], "");
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    let (_, out, _) = egressctl(&["--color", "always", WORKSHOP], "");
    assert!(out.contains("\u{1b}[") && !expected("failing.txt").contains('\u{1b}'), "{out}");
}

#[test]
fn json_has_every_fact() {
    let (code, report) = json_of(&[&file("failing.yaml")]);
    assert_eq!(code, 1);
    for (field, value) in [
        ("ok", json!(false)),
        ("passed", json!(1)),
        ("failed", json!(4)),
        ("notRun", json!(0)),
        ("leftOut", json!(0)),
    ] {
        assert_eq!(report[field], value, "{field}");
    }
    let case = &report["cases"][0];
    for (field, value) in [
        ("file", json!("crates/egressctl/tests/cases/failing.yaml")),
        ("line", json!(7)),
        ("suite", json!("what fails")),
        ("name", json!("a wrong verdict")),
        ("policies", json!("crates/egressctl/tests/cases/policies.yaml")),
        ("passed", json!(false)),
        (
            "expected",
            json!({"verdict": "allow", "policy": "teem-a", "status": 200,
                "headers": {"x-caller": "robot"}}),
        ),
        (
            "got",
            json!({"verdict": "deny", "policy": null, "status": 403,
                "headers": {"x-caller": "(the request was denied)"}}),
        ),
        ("differs", json!(["verdict", "policy", "status", "headers.x-caller"])),
        (
            "decision",
            json!({"verdict": "deny", "policy": null, "reason": "no-allow-matched", "detail": null,
                "status": 403, "shadow": [], "errors": []}),
        ),
        (
            "notes",
            json!([
                "of the Allows in scope none matched: `team-a`, `ci`",
                "there is no policy `teem-a` (did you mean `team-a`?)"
            ]),
        ),
    ] {
        assert_eq!(case[field], value, "{field}");
    }
    assert_eq!(case["request"]["headers"], json!([["X-Role", "user"]]));
    let errors = &report["cases"][2]["decision"]["errors"];
    assert_eq!(errors[0], json!({"policy": "team-a", "message": "no such key: identity"}));
    let policy = |name: &str| {
        report["policies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|policy| policy["name"] == name)
            .unwrap()
            .clone()
    };
    let (mirror, headers) = (policy("mirror"), policy("headers"));
    assert_eq!(
        (&mirror["exercised"], &mirror["gaps"], &mirror["inScope"]),
        (&json!(false), &json!(["never in scope"]), &json!(0))
    );
    assert_eq!(
        (&headers["exercised"], &headers["changedRequest"], &headers["changedResponse"]),
        (&json!(true), &json!(2), &json!(2))
    );
}

#[test]
fn policies_that_do_not_load_are_shown_as_check_shows_them() {
    let cases = format!(
        "policies: {}\ncases:\n- {{name: a, caller: none, request: 'http://a', expect: deny}}\n",
        file("unloadable.yaml")
    );
    let (code, out, err) = egressctl(&["-"], &cases);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert_eq!(
        timeless(&out),
        "FAILED  <stdin>: 1 case not run: the policies do not load

error: policy `a`: unknown attribute `source.identty` (did you mean `source.identity`?)
 --> crates/egressctl/tests/cases/unloadable.yaml:4:65
  |
4 |     authorization: {action: Allow, policy: {matchExpressions: ['source.identty.namespace == \
    \"a\"']}}
  |                                                                 ^^^^^^^^^^^^^^^^^^^^^^^^
  |
  = at: policies[0].traffic.authorization.policy.matchExpressions[0]

FAILED: 0 passed, 1 not run
"
    );
}

#[test]
fn what_keeps_cases_from_running_is_told_at_its_place() {
    for (text, expected) in [
        (
            "cases: [{name: a, caller: none, request: http://a, expct: deny}]",
            "a case has no field `expct` (did you mean `expect`?)",
        ),
        ("cases: [", "not valid YAML"),
        (
            "cases: [{name: a, caller: none, request: http://a, expect: deny}]",
            "which policies? Name the file",
        ),
        (
            "policies: none.yaml\ncases: \
             [{name: a, caller: none, request: http://a, expect: deny}]",
            "cannot read `none.yaml`",
        ),
        (
            "policies: filter-config/01-setup.yaml\ncases: \
             [{name: a, caller: none, request: http://a, expect: deny}]",
            "there is no pluginConfig, WasmPlugin or TrafficExtension in it",
        ),
        (
            "policies: [filter-config/03-policy-rbac.yaml, \
             filter-config/traffic-extension/03-policy-rbac.yaml]\n\
             cases: [{name: a, caller: none, request: http://a, expect: deny}]",
            "there are several configurations, `WasmPlugin egress-direct/egress-filter`, \
             `TrafficExtension egress-direct/egress-filter`: say which",
        ),
        (
            "policies: filter-config/03-policy-rbac.yaml\nplugin: other\ncases: \
             [{name: a, caller: none, request: http://a, expect: deny}]",
            "there is no plugin `other` in it",
        ),
    ] {
        let (code, out, err) = egressctl(&["-"], text);
        assert_eq!((code, out.as_str()), (2, ""), "{text}: {err}");
        assert!(err.contains(expected) && err.contains("--> <stdin>:1:"), "{text}: {err}");
        let (code, out, _) = egressctl(&["--output", "json", "-"], text);
        let report: Value = serde_json::from_str(&out).unwrap();
        let message = report["diagnostics"][0]["message"].as_str().unwrap();
        assert!(code == 2 && report["ok"] == false && message.contains(expected), "{report}");
    }
}

#[test]
fn a_command_line_that_cannot_be_done_says_why() {
    for (arguments, expected) in [
        (vec!["none.yaml"], "cannot read `none.yaml`"),
        (vec!["--policies", "none.yaml", WORKSHOP], "cannot read `none.yaml`"),
        (
            vec!["--policies", "filter-config/01-setup.yaml", WORKSHOP],
            "filter-config/01-setup.yaml: there is no pluginConfig",
        ),
        (
            vec!["--filter", "nothing like it", WORKSHOP],
            "no case has `nothing like it` in its name",
        ),
        (vec!["--policies", "-", "-"], "`-` is given twice"),
        (vec!["--junit", "no/such/folder.xml", WORKSHOP], "cannot write `no/such/folder.xml`"),
        (vec!["--filter", "a", "--require-coverage", WORKSHOP], "cannot be used with"),
        (vec![], "required"),
    ] {
        let (code, _, err) = egressctl(&arguments, "");
        assert!(code == 2 && err.contains(expected), "{arguments:?}: {code} {err}");
    }
}

#[test]
fn later_files_take_the_place_of_earlier_ones_of_their_name() {
    let policies = "[filter-config/03-policy-rbac.yaml, filter-config/05-policy-headers.yaml, \
        filter-config/traffic-extension/03-policy-rbac.yaml]";
    let text = format!(
        "policies: {policies}\nplugin: WasmPlugin egress-direct/egress-filter\n\
         cases: \
         [{{name: a, caller: team-a/team-a, request: 'http://api.github.com/users/x', \
         expect: {{policy: github-api-paths}}}}]"
    );
    let (code, out, err) = egressctl(&["-"], &text);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[cfg(unix)]
#[test]
fn policies_are_found_behind_a_link() {
    let folder = temporary("real/tests");
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(temporary(name), text).unwrap();
    write("real/policies.yaml", "policies: []");
    write(
        "real/tests/cases.yaml",
        "policies: ../policies.yaml\ncases: \
         [{name: a, caller: none, request: 'http://a', expect: allow}]",
    );
    let link = temporary("link");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let (code, out, err) = egressctl(&[link.join("cases.yaml").to_str().unwrap()], "");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn policies_come_through_a_pipe() {
    let policies =
        std::fs::read_to_string(PathBuf::from(ROOT).join("filter-config/05-policy-headers.yaml"))
            .unwrap();
    let (code, out, err) =
        egressctl(&["--policies", "-", "--filter", "the list", WORKSHOP], &policies);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
}

#[test]
fn the_schema_and_the_help_need_no_files() {
    let (code, out, _) = egressctl(&["--schema"], "");
    let schema: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &schema["title"]), (0, &json!("Cases for egressctl test")));
    let (code, out, _) = egressctl(&["--help"], "");
    assert!(code == 0 && out.contains("--require-coverage") && out.contains("expect:"), "{out}");
}

/// The example of the help is one that runs.
#[test]
fn the_example_of_the_help_runs() {
    let (_, help, _) = egressctl(&["--help"], "");
    let begin = help.find("  name: egress of team-a").unwrap();
    let example = &help[begin..][..help[begin..].find("\n`for` varies").unwrap()];
    let example = example.replace("../policies.yaml", "filter-config/05-policy-headers.yaml");
    let (code, out, err) = egressctl(&["-"], &example);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("\nok: 7 passed, "), "{out}");
    assert!(help[begin..].lines().all(|line| line.chars().count() <= 80), "{help}");
}
