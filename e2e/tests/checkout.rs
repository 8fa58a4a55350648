//! The programs work on the checkout that they run in, wherever they were compiled.

use std::path::Path;
use std::process::{Command, Output};

/// A folder that looks like a checkout in which nothing has been built.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["Cargo.toml", "envoy.yaml"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    std::fs::create_dir_all(folder.path().join("filter-config/deeper")).expect("folders");
    folder
}

fn run(program: &str, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_remove("EGRESS_FILTER_WASM")
        .env_remove("ORIGIN")
        .output()
        .expect("the program runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_demo_looks_for_the_filter_in_the_checkout_that_it_runs_in_or_is_told() {
    let folder = checkout();
    let root = folder.path().canonicalize().expect("the folder's path");
    let module = root.join("target/wasm32-wasip1/release/egress_filter.wasm");
    let demo = env!("CARGO_BIN_EXE_demo");
    let told = root.to_string_lossy();
    let elsewhere = tempfile::tempdir().expect("a folder");
    for (from, arguments) in [
        (root.join("filter-config/deeper"), vec!["--once"]),
        (elsewhere.path().to_owned(), vec!["--checkout", &told, "--once"]),
    ] {
        let said = stderr(&run(demo, &from, &arguments));
        assert!(said.contains(&format!("no filter at `{}`", module.display())), "{said}");
    }
}

#[test]
fn outside_of_a_checkout_each_program_says_what_it_misses() {
    let folder = tempfile::tempdir().expect("a folder");
    for program in [env!("CARGO_BIN_EXE_demo"), env!("CARGO_BIN_EXE_attack")] {
        let output = run(program, folder.path(), &[]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("`envoy.yaml`") && said.contains("`--checkout`"), "{said}");
    }
}

#[test]
fn an_unknown_origin_stops_the_demo_with_the_choices() {
    let folder = checkout();
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .current_dir(folder.path())
        .env("ORIGIN", "foo")
        .output()
        .expect("the demo runs");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("`foo`") && said.contains("`stand-in`") && said.contains("`real`"),
        "{said}"
    );
}
