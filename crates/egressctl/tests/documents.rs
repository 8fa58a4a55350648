//! The README's commands print what it shows.

#![expect(
    clippy::expect_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The repository, where the commands run.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn readme() -> String {
    let path = Path::new(ROOT).join("README.md");
    std::fs::read_to_string(path).expect("the README")
}

/// The fenced blocks of a language.
fn blocks<'r>(readme: &'r str, language: &str) -> Vec<&'r str> {
    let fence = format!("```{language}\n");
    readme.split(&fence[..]).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Runs a command as a shell at the repository's root would.
fn run(command: &str, input: &str) -> Output {
    let folder = Path::new(env!("CARGO_BIN_EXE_egressctl")).parent().expect("the binary's folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut child = Command::new("bash")
        .args(["-c", command])
        .current_dir(ROOT)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

/// Whether lines are as shown; a line `...` stands for any lines.
fn is_shown(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        ["...", rest @ ..] => (0..=lines.len()).any(|skipped| is_shown(rest, &lines[skipped..])),
        [first, rest @ ..] => {
            lines.split_first().is_some_and(|(line, lines)| first == line && is_shown(rest, lines))
        }
    }
}

/// Without how long it took.
fn timeless(line: &str) -> &str {
    line.split(" (0.").next().unwrap_or(line)
}

#[test]
fn the_readmes_commands_print_what_it_shows() {
    let readme = readme();
    let shown = blocks(&readme, "console")
        .into_iter()
        .filter_map(|block| block.strip_prefix("$ egressctl "));
    let mut commands = Vec::new();
    for block in shown {
        let (command, shown) = block.split_once('\n').unwrap_or((block, ""));
        commands.push(command.split(' ').next().unwrap_or_default());
        let output = run(&format!("egressctl {command}"), "");
        let printed = String::from_utf8(output.stdout).expect("text");
        let shown: Vec<&str> = shown.lines().map(timeless).collect();
        let lines: Vec<&str> = printed.lines().map(timeless).collect();
        assert!(
            is_shown(&shown, &lines),
            "egressctl {command}\n--- the README shows\n{}\n--- it prints\n{printed}",
            shown.join("\n")
        );
    }
    assert_eq!(commands, ["check", "test", "explain", "convert"]);
}

#[test]
fn the_readmes_cases_pass() {
    let readme = readme();
    let cases: Vec<&str> =
        blocks(&readme, "yaml").into_iter().filter(|block| block.contains("\ncases:\n")).collect();
    let [cases] = cases.as_slice() else { panic!("{} files of cases", cases.len()) };
    let output = run("egressctl test --policies filter-config/05-policy-headers.yaml -", cases);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && printed.contains("5 passed"),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_readmes_ci_uses_options_that_there_are() {
    let readme = readme();
    let lines = blocks(&readme, "yaml")
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("- run: egressctl "));
    let mut count = 0;
    for line in lines {
        let (command, options) = line.split_once(' ').expect("a subcommand");
        let help = String::from_utf8(run(&format!("egressctl {command} --help"), "").stdout)
            .expect("text");
        for option in options.split(' ').filter(|word| word.starts_with("--")) {
            count += 1;
            assert!(help.contains(option), "egressctl {command} has no {option}");
        }
    }
    assert_eq!(count, 4);
}
