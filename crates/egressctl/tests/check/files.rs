//! Which files are looked at.

use std::fs;
use std::path::{Path, PathBuf};

use super::run::{check, check_in, check_stdin};

const GOOD: &str = "policies: []\ndefaultAction: Allow\n";

/// A folder of its own for a test, with these files.
fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("egressctl-check-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

#[test]
fn a_folder_is_read_with_those_in_it() {
    let folder = folder(
        "folder",
        &[
            ("b/policy.yml", "policies: 1\n"),
            ("a.yaml", GOOD),
            ("c.json", r#"{"policies": 2}"#),
            ("values.yaml", "replicas: 3\npolicies: {}\n"),
            ("names.yaml", "policies: [a, b]\nreplicas: 3\n"),
            ("service.yaml", "apiVersion: v1\nkind: Service\n"),
            ("tests/cases.yaml", "policies: [../a.yaml]\ncases: []\n"),
            ("notes.txt", "policies: 3\n"),
            (".hidden/d.yaml", "policies: 4\n"),
            (".e.yaml", "policies: 5\n"),
        ],
    );
    let found = check_in(&folder, &["."], b"");
    let places: Vec<&str> =
        found.stdout.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(
        (places, found.code),
        (vec!["./b/policy.yml:1:11", "./c.json:1:14"], 1),
        "{}",
        found.stdout
    );
    let found = check_in(&folder, &["a.yaml", "b/policy.yml", "c.json"], b"");
    let places: Vec<&str> =
        found.stdout.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!((places, found.code), (vec!["b/policy.yml:1:11", "c.json:1:14"], 1));
}

/// One error says what the file is, in place of one for each field that policies do not have.
#[test]
fn a_file_of_cases_is_told_to_be_one() {
    let cases = "policies: a.yaml\ndefaults: {caller: none}\ncases:\n- name: a\n  request: \
        http://a\n  expect: allow\n";
    let folder = folder("cases", &[("cases.yaml", cases), ("a.yaml", GOOD)]);
    for command in [
        vec!["check", "cases.yaml"],
        vec!["explain", "-f", "cases.yaml", "http://a"],
        vec!["test", "--policies", "cases.yaml", "cases.yaml"],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_egressctl"))
            .args(&command)
            .current_dir(&folder)
            .output()
            .expect("a command that runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).expect("a text");
        let errors = text.lines().filter(|line| line.starts_with("error")).count();
        assert!(
            text.contains("these are cases, not policies: run `egressctl test` on this file")
                && text.contains("cases.yaml:3:1")
                && errors == 1,
            "{command:?}: {text}"
        );
    }
}

#[test]
fn a_configuration_of_a_folder_is_found_also_where_it_is_broken() {
    for (text, message) in [
        ("policies: {}\n", "expected a list"),
        ("policies:\n", "field `policies` is null"),
        ("polices: []\n", "did you mean `policies`?"),
        ("identity: {}\npolices: []\n", "did you mean `policies`?"),
    ] {
        let folder = folder("broken", &[("good.yaml", GOOD), ("p.yaml", text)]);
        let found = check_in(&folder, &["."], b"");
        assert!(
            found.code == 1 && found.stdout.contains(message) && found.stdout.contains("./p.yaml:"),
            "{text}\n{}",
            found.stdout
        );
    }
}

#[test]
fn what_is_misspelt_beside_what_is_good_is_an_error() {
    const SPEC: &str = "metadata: {name: a, namespace: b}\nspec: \
        {url: oci://r.example.com/a, pluginConfig: {policies: [], defaultAction: Allow}}\n";
    for (text, message) in [
        (
            format!("kind: WasmPlugin\n{SPEC}"),
            "field `apiVersion` is missing: of a WasmPlugin it is `extensions.istio.io/v1alpha1`",
        ),
        (
            format!("apiVersion: extensions.istio.io/v1alpha1\nkind: Wasmplugin\n{SPEC}"),
            "there is no kind `Wasmplugin` (did you mean `WasmPlugin`?)",
        ),
        (
            format!("apiVersion: extension.istio.io/v1alpha1\nkind: WasmPlugin\n{SPEC}"),
            "unknown version `extension.istio.io/v1alpha1` of a WasmPlugin: expected \
             `extensions.istio.io/v1alpha1`",
        ),
        (format!("apiVersion: extensions.istio.io/v1alpha1\n{SPEC}"), "field `kind` is missing"),
        (
            format!("apiVersion: v1\nkind: List\nitems:\n- {{kind: WasmPlugin, {}}}\n", "spec: {}"),
            "field `apiVersion` is missing",
        ),
        (
            format!(
                "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n{}",
                SPEC.replace("pluginConfig", "pluginconfig")
            ),
            "unknown field `pluginconfig` (did you mean `pluginConfig`?)",
        ),
    ] {
        let found = check_stdin(&["-"], format!("{GOOD}---\n{text}").as_bytes());
        assert!(
            found.code == 1 && found.stdout.contains(&format!("error: {message}")),
            "{text}\n{}",
            found.stdout
        );
    }
    for text in [
        "apiVersion: extensions.higress.io/v1alpha1\nkind: WasmPlugin\n",
        "apiVersion: v1\nkind: Service\n",
    ] {
        let found = check_stdin(&["-"], format!("{GOOD}---\n{text}").as_bytes());
        let summary = "ok: 1 configuration, 0 policies, fingerprint 996c4b2c9855\n";
        assert_eq!((found.stdout.as_str(), found.code), (summary, 0));
    }
    let empty = format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n{}",
        SPEC.replace("{policies: [], defaultAction: Allow}", "{}")
    );
    let found = check_stdin(&["--deny-warnings", "-"], format!("{GOOD}---\n{empty}").as_bytes());
    assert!(
        found.code == 1
            && found
                .stdout
                .contains("warning: not checked: WasmPlugin b/a has an empty `pluginConfig`"),
        "{}",
        found.stdout
    );
}

/// kubectl makes `false` of an unquoted `Off`, so both load; only one says what it does.
#[test]
fn false_is_told_from_an_off_without_quotes() {
    for written in ["Off", "off", "'Off'", "false", "no", "n"] {
        let text = format!(
            "hostBinding: {written}\npolicies:\n- \
             {{name: a, hosts: [a.example], pathSafety: {written}, traffic: {{}}}}\n"
        );
        let found = check_stdin(&["-"], text.as_bytes());
        let told = found.stdout.matches(&format!("warning: `{written}` is read as `Off`")).count();
        let expected = if written.to_lowercase().contains("off") { 0 } else { 2 };
        assert_eq!(
            (told, found.stdout.matches("is read as").count()),
            (expected, expected),
            "{}",
            found.stdout
        );
    }
}

#[test]
fn every_file_of_a_folder_is_told_of() {
    let policy = "policies: [{name: a}]\n";
    let folder = folder(
        "several",
        &[("x/b.yaml", policy), ("a.yaml", policy), ("c.yaml", GOOD), ("d.yaml", "a: [\n")],
    );
    let found = check_in(&folder, &["--output", "github", "."], b"");
    let files: Vec<&str> = found
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("::error file=")?.split(',').next())
        .collect();
    assert_eq!((files, found.code), (vec!["./a.yaml", "./d.yaml", "./x/b.yaml"], 1));
}

#[test]
fn a_folder_without_anything_to_check_cannot_be_checked() {
    let folder = folder("nothing", &[("values.yaml", "replicas: 3\n")]);
    let found = check_in(&folder, &["."], b"");
    assert_eq!((found.stdout.as_str(), found.code), ("", 2));
    assert!(found.stderr.starts_with("error: nothing to check in `.`: "), "{}", found.stderr);
}

#[test]
fn a_file_without_anything_to_check_is_an_error() {
    let folder = folder(
        "other",
        &[("service.yaml", "# why\napiVersion: v1\nkind: Service\n"), ("empty.yaml", "")],
    );
    for name in ["service.yaml", "empty.yaml"] {
        let found = check_in(&folder, &[name], b"");
        assert_eq!(found.code, 1, "{name}");
        assert!(
            found.stdout.starts_with("error: nothing to check: ") && found.stdout.contains(name),
            "{}",
            found.stdout
        );
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = folder("unreadable", &[("a.yaml", GOOD)]);
    fs::write(folder.join("b.yaml"), b"policies: [\xff]\n").expect("a file");
    for (name, message) in [
        ("nowhere.yaml", "error: cannot read `nowhere.yaml`: "),
        ("b.yaml", "error: `b.yaml` is not UTF-8"),
    ] {
        let found = check_in(&folder, &["a.yaml", name], b"");
        assert_eq!((found.stdout.as_str(), found.code), ("", 2), "{name}");
        assert!(found.stderr.starts_with(message), "{}", found.stderr);
    }
    assert_eq!(check(&[]).code, 2, "no file at all");
}

/// What is shipped can be applied as it is, but for the digest of one's own image, of which a
/// comment says so; of the two forms of a step, one.
#[test]
fn nothing_is_told_of_the_files_of_this_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filter-config");
    for files in [
        &["03-policy-rbac.yaml", "04-policy-path.yaml", "05-policy-headers.yaml"][..],
        &["traffic-extension"],
        &["with-secrets"],
        &["with-tokens"],
        &["."],
        &["../docs/examples/rollout", "../docs/examples/teams"],
    ] {
        let output = &["--output", "github", "--deny-warnings"][..];
        let found = check_in(&folder, &[output, files].concat(), b"");
        let is_note = |line: &str| line.starts_with("::notice");
        let told: Vec<&str> =
            found.stdout.lines().filter(|line| line.starts_with("::") && !is_note(line)).collect();
        assert_eq!((told, found.code), (vec![], 0), "{files:?}\n{}", found.stdout);
    }
}

/// What everybody copies is checked without a warning: the policies of the install's example, as
/// the patch has them.
#[test]
fn nothing_is_told_of_the_policies_that_the_install_begins_with() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../filter-config/install/example/policies.yaml");
    let patch = std::fs::read_to_string(file).expect("a patch");
    let (_, policies) = patch.split_once("  value:\n").expect("a value");
    let text = format!("defaultAction: Deny\npolicies:\n{policies}");
    let found = check_in(Path::new("."), &["--deny-warnings", "-"], text.as_bytes());
    assert!(
        found.stdout.starts_with("ok: 1 configuration, 1 policy") && found.code == 0,
        "{}",
        found.stdout
    );
}
