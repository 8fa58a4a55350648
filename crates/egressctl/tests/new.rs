//! `egressctl new`, and `--watch`, which runs again what is written with it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_egressctl")).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of a test's own, which is not there yet.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("new-{name}"));
    // What an earlier run has left.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn every_recipe_passes_its_cases_and_has_no_warning() {
    let listed = text(&run(&["new"]).stdout);
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    // Every recipe of the page has a name here, and no title is there twice.
    let page = include_str!("../../../docs/recipes.md");
    let with_cases = page.split("\n## ").filter(|section| section.contains("```yaml\nname: "));
    let mut titles: Vec<&str> = with_cases.filter_map(|section| section.lines().next()).collect();
    let mut known: Vec<&str> =
        listed.lines().filter_map(|line| Some(line.split_once(' ')?.1.trim())).collect();
    titles.sort_unstable();
    known.sort_unstable();
    assert_eq!(known, titles);
    for name in names {
        let folder = folder(name);
        let to = folder.to_str().expect("UTF-8");
        let made = run(&["new", name, "--to", to]);
        assert!(made.status.success(), "{name}: {}", text(&made.stderr));
        let policy = format!("{to}/policy.yaml");
        let checked = run(&["check", "--deny-warnings", &policy]);
        assert!(checked.status.success(), "{name}: {}", text(&checked.stdout));
        let tested = run(&["test", "--require-coverage", &format!("{to}/cases.yaml")]);
        assert!(tested.status.success(), "{name}: {}", text(&tested.stdout));
        // As one file it is the same.
        let printed = run(&["new", name]);
        let whole = folder.join("whole.yaml");
        std::fs::write(&whole, &printed.stdout).expect("a file");
        let tested_whole = run(&["test", "--quiet", whole.to_str().expect("UTF-8")]);
        assert!(tested_whole.status.success(), "{name}: {}", text(&tested_whole.stdout));
        // What is there stays.
        let again = run(&["new", name, "--to", to]);
        assert_eq!(again.status.code(), Some(2), "{name}");
    }
    let misspelt = run(&["new", "git-pus"]);
    assert!(text(&misspelt.stderr).contains("(did you mean `git-push`?)"), "{misspelt:?}");
}

/// A command that goes on, and the lines that it prints.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_egressctl"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let output = child.stdout.take().expect("its output");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Watching { child, lines }
    }

    fn expect(&self, part: &str) {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}: no `{part}` in\n{}", seen.join("\n")),
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_change_of_the_policies_is_checked_and_tested_again() {
    let folder = folder("watch");
    let to = folder.to_str().expect("UTF-8");
    assert!(run(&["new", "path", "--to", to]).status.success());
    let (policy, cases) = (folder.join("policy.yaml"), folder.join("cases.yaml"));
    let check = Watching::start(&["check", "--watch", to]);
    let test = Watching::start(&["test", "--watch", cases.to_str().expect("UTF-8")]);
    check.expect("ok: 1 configuration");
    test.expect("ok: ");
    let good = std::fs::read_to_string(&policy).expect("the policies");
    std::fs::write(&policy, good.replace("hosts:", "host:")).expect("a file");
    check.expect("unknown field `host`");
    test.expect("unknown field `host`");
    std::fs::write(&policy, good.replace("\"payments\"", "\"billing\"")).expect("a file");
    check.expect("ok: 1 configuration");
    test.expect("failed");
    std::fs::write(&policy, good).expect("a file");
    test.expect("ok: ");
    let stdin = run(&["check", "--watch", "-"]);
    assert_eq!(stdin.status.code(), Some(2), "{stdin:?}");
}
