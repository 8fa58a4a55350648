//! The commands in the documents print what is shown.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The repository, where the commands run.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(page: &str) -> String {
    let path = Path::new(ROOT).join(page);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The README, the pages of `docs/`, and the README of `filter-config/`, by name and text.
fn pages() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("docs")).expect("docs/");
    let mut names: Vec<String> = entries
        .map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.extend(["README.md".to_owned(), "filter-config/README.md".to_owned()]);
    names.sort();
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// The fenced blocks of a language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(&fence[..]).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
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
fn the_commands_of_the_documents_print_what_is_shown() {
    let mut commands = Vec::new();
    for (name, page) in pages() {
        let shown = blocks(&page, "console")
            .into_iter()
            .filter_map(|block| block.strip_prefix("$ egressctl "));
        for block in shown {
            let (command, shown) = block.split_once('\n').unwrap_or((block, ""));
            commands.push(command.split(' ').next().unwrap_or_default().to_owned());
            let output = run(&format!("egressctl {command}"), "");
            let printed = String::from_utf8(output.stdout).expect("text");
            let shown: Vec<&str> = shown.lines().map(timeless).collect();
            let lines: Vec<&str> = printed.lines().map(timeless).collect();
            assert!(
                is_shown(&shown, &lines),
                "egressctl {command}\n--- {name} shows\n{}\n--- it prints\n{printed}",
                shown.join("\n")
            );
        }
    }
    assert_eq!(commands, ["check", "test", "explain", "convert", "audit", "bundle"]);
}

/// The README has a row for each command, with an example that works.
#[test]
fn the_readme_has_every_command_with_an_example_that_works() {
    let readme = read("README.md");
    let mut commands = Vec::new();
    for row in readme.lines().filter(|line| line.contains("| `egressctl ")) {
        let mut codes = row.split('`').skip(1).step_by(2);
        let (Some(command), Some(example)) = (codes.next(), codes.last()) else { panic!("{row}") };
        assert!(example.starts_with(&format!("egressctl {command} ")), "{row}");
        let output = run(example, "");
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{example}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        commands.push(command.to_owned());
    }
    let help = String::from_utf8(run("egressctl --help", "").stdout).expect("text");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut listed: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|w| !w.is_empty()))
        .collect();
    listed.sort_unstable();
    commands.sort();
    assert_eq!(commands, listed);
}

/// Cases that name a file of policies are run on the workshop's; others have them in themselves.
#[test]
fn the_cases_of_the_documents_pass_and_exercise_every_policy() {
    let mut files = 0;
    for (name, page) in pages() {
        for cases in blocks(&page, "yaml").into_iter().filter(|b| b.contains("\ncases:\n")) {
            files += 1;
            let output = if cases.contains("\nconfig:\n") {
                run("egressctl test --require-coverage -", cases)
            } else {
                run("egressctl test --policies filter-config/05-policy-headers.yaml -", cases)
            };
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success() && printed.contains(" passed"),
                "{name}:\n{cases}\n{printed}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    assert_eq!(files, 21);
}

#[test]
fn the_ci_of_the_documents_uses_options_that_there_are() {
    let page = read("docs/egressctl.md");
    let lines = blocks(&page, "yaml")
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

/// The configuration in a block: that of a recipe, which has its cases beside it, or the whole.
fn configuration(block: &str) -> String {
    let Some((_, below)) = block.split_once("\nconfig:\n") else { return block.to_owned() };
    let lines = below.lines().take_while(|line| line.is_empty() || line.starts_with("  "));
    lines.map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned() + "\n").collect()
}

/// The configurations of the documents have nothing that can hardly be meant.
#[test]
fn the_configurations_of_the_documents_give_no_warning() {
    let mut checked = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "yaml").into_iter().chain(blocks(&page, "json")) {
            let config = configuration(block);
            let found = run("egressctl check -", &config);
            let said = String::from_utf8_lossy(&found.stdout).into_owned();
            // Part of a configuration stands for the whole one.
            if said.contains("error: ") {
                continue;
            }
            checked += 1;
            assert!(!said.contains("warning: "), "{name}:\n{block}\n{said}");
        }
    }
    assert!(checked >= 25, "{checked}");
}
