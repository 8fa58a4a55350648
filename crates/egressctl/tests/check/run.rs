//! Runs `egressctl check` in the folder of this test's files.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What came of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// A file of this test.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check").join(name)
}

pub(crate) fn check(args: &[&str]) -> Found {
    check_in(&data(""), args, b"")
}

pub(crate) fn check_stdin(args: &[&str], input: &[u8]) -> Found {
    check_in(&data(""), args, input)
}

pub(crate) fn check_in(folder: &Path, args: &[&str], input: &[u8]) -> Found {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egressctl"));
    command.arg("check").args(args).current_dir(folder).env_remove("CLICOLOR_FORCE");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("egressctl starts");
    // One that does not read its input closes it.
    let _ = child.stdin.take().expect("an input").write_all(input);
    let output = child.wait_with_output().expect("egressctl ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Found {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code().expect("an exit code"),
    }
}
