//! What `egressctl completion` prints.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

fn script(shell: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .args(["completion", shell])
        .output()
        .expect("egressctl runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_shell_gets_the_subcommands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        for word in ["check", "schema", "completion", "deny-warnings", "WasmPlugin"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn a_shell_there_is_not_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_egressctl"))
        .args(["completion", "cmd"])
        .output()
        .expect("egressctl runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Bash itself completes with it.
#[test]
fn bash_completes_a_subcommand_and_an_option() {
    let ask = "\
complete_words() {
  COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
  _egressctl egressctl \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD-1]}\"
  echo \"${COMPREPLY[*]}\"
}
complete_words egressctl sch
complete_words egressctl check --deny
complete_words egressctl schema --for Wasm
";
    let mut bash = Command::new("bash")
        .args(["--norc", "-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let input = format!("{}\n{ask}", script("bash"));
    bash.stdin.take().expect("an input").write_all(input.as_bytes()).expect("bash reads");
    let output = bash.wait_with_output().expect("bash ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "schema\n--deny-warnings\nWasmPlugin\n");
}
