//! All messages have one voice: where, what, and what to do instead.
//!
//! Judged are the messages that other tests hold word for word (the configurations that must not
//! load, and the output of `egressctl` for broken files), and what each command says when it is
//! called wrongly.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

/// How a message names what to do: it gives it behind a colon, asks whether a name was meant, or
/// tells what would have been right, of which what is wrong follows.
const MENDS: [&str; 8] = [
    ": ",
    "did you mean",
    "expected ",
    "the limit is ",
    " is missing",
    " must be there",
    "a rule gives a bool",
    // Both types are named.
    "are never equal",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// What is wrong with the form of a message, without the place that it begins with.
fn fault(message: &str) -> Option<&'static str> {
    let place =
        r"^(policy `[^`]*`: )?([a-zA-Z]+[\[.][a-zA-Z0-9.\[\]]*: |(policies|audit|identity): )?";
    let place = pattern(&format!("{place}(line [0-9]+, column [0-9]+: )?"));
    let text = place.replace(message, "");
    // How clap names the place in a command line.
    let text = pattern("^invalid value '[^']*' for '[^']*': ").replace(&text, "");
    if !text
        .starts_with(|first: char| first == '`' || first.is_lowercase() || first.is_ascii_digit())
    {
        return Some("begins with a capital letter, or with a sign");
    }
    if text.ends_with(['.', '!']) {
        return Some("ends with a full stop");
    }
    if text.to_lowercase().contains("invalid") {
        return Some("says `invalid`, which says nothing");
    }
    if !MENDS.iter().any(|mend| text.contains(mend)) {
        return Some("names no mend");
    }
    None
}

#[track_caller]
fn all_are_well(messages: &BTreeSet<String>) {
    let faults = messages.iter().filter_map(|it| Some(format!("{}: {it}", fault(it)?)));
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_message_that_is_not_in_the_form_is_found() {
    for message in [
        "Unknown field `a`: expected `b`",
        "policy `p`: policies[0].name: Unknown name: expected another",
        "unknown field `a`: expected `b`.",
        "invalid name `a`: write `b`",
        "policy `p`: policies[0].traffic: line 1, column 2: nothing will come of this",
    ] {
        assert!(fault(message).is_some(), "{message}");
    }
    assert_eq!(fault("policy `p`: policies[0].name: `a b` is no name: write `a-b`"), None);
}

#[test]
fn every_error_of_a_configuration_has_the_form() {
    let text = fs::read_to_string(root().join("e2e/configurations.yaml")).expect("the list");
    let quoted = pattern(r#""((?:[^"\\]|\\.)*)"(?:, |\]|$)"#);
    let messages: BTreeSet<String> = text
        .lines()
        .filter(|line| line.starts_with("  errors: [\"") || line.starts_with("  - \""))
        .flat_map(|line| quoted.captures_iter(line).map(|found| found[1].to_owned()))
        .collect();
    assert!(messages.len() > 100, "only {} messages were found", messages.len());
    all_are_well(&messages);
}

#[test]
fn every_finding_that_is_shown_has_the_form_and_a_place_with_its_line() {
    let mut messages = BTreeSet::new();
    for file in ["broken", "odd"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/check/{file}.txt"));
        let text = fs::read_to_string(path).expect("what `check` says");
        let heading = pattern(r"^(error|warning|note): (.*)");
        let place = pattern(r"^ *--> [^ ]+:[0-9]+:[0-9]+$");
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(found) = heading.captures(line) else { continue };
            assert!(lines.peek().is_some_and(|next| place.is_match(next)), "no place: {line}");
            let shown: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            assert!(shown.iter().any(|line| line.contains('^')), "nothing is marked: {line}");
            messages.insert(found[2].to_owned());
        }
    }
    assert!(messages.len() > 15, "only {} messages were found", messages.len());
    all_are_well(&messages);
}

#[test]
fn what_a_command_says_when_it_is_called_wrongly_has_the_form() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messages");
    fs::create_dir_all(&folder).expect("a folder");
    let cases = "config: {policies: []}\ncases: [{name: a, as: b/c, request: {host: d}}]\n";
    for (name, text) in [
        ("policy.yaml", "policies: []\n"),
        ("cases.yaml", cases),
        ("other.yaml", "kind: Pod\n"),
        ("tab.yaml", "a:\n\tb: 1\n"),
        ("object.yaml", "policies:\n- name: a: b\n"),
        ("text.yaml", "policies: [{name: p, traffic: {directResponse: {body: {x: y}}}}]\n"),
        ("log.txt", "nothing of the filter's\n"),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
    let url = "http://a.example/";
    let mut messages = BTreeSet::new();
    for arguments in [
        &["check", "none.yaml"][..],
        &["check", "cases.yaml"],
        &["check", "other.yaml"],
        &["check", "tab.yaml"],
        &["check", "object.yaml"],
        &["check", "text.yaml"],
        &["test", "policy.yaml"],
        &["test", "cases.yaml"],
        &["test", "none.yaml"],
        &["test", "tab.yaml"],
        &["explain", "-f", "policy.yaml", "--as", "a", url],
        &["explain", "-f", "policy.yaml", "--as", "a/b", "https://a.example/"],
        &["explain", "-f", "policy.yaml", "--as", "a/b", "/path"],
        &["explain", "-f", "policy.yaml", "--as", "a/b", "-H", "x", url],
        &["explain", "-f", "policy.yaml", "--as", "a/b", "--time", "noon", url],
        &["explain", "-f", "cases.yaml", "--as", "a/b", url],
        &["convert", "none.yaml"],
        &["convert", "policy.yaml"],
        &["bundle", "none"],
        &["bundle", "other.yaml"],
        &["audit", "none.log"],
        &["new", "git-pus"],
        &["new", "office"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_egressctl"))
            .args(arguments)
            .current_dir(&folder)
            .output()
            .expect("egressctl runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("UTF-8");
        let errors: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        assert!(!errors.is_empty() && !output.status.success(), "{arguments:?}: {said}");
        messages.extend(errors.into_iter().map(str::to_owned));
    }
    all_are_well(&messages);
}
