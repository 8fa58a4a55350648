//! The cases of this repository pass on the engine, and each of its files is one of cases.

use std::path::Path;

use super::*;

/// The files of cases in a folder of the repository.
fn files(folder: &str) -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{error}"));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    let read = |name: &String| {
        read::read(name).unwrap().unwrap_or_else(|(_, found)| panic!("{name}: {found:#?}"))
    };
    names.iter().map(read).collect()
}

#[test]
fn the_cases_of_the_filters_own_tests_pass() {
    let mut files = files("e2e/cases");
    let cases: Vec<&Case> =
        files.iter().flat_map(|file| &file.suites).flat_map(|suite| &suite.cases).collect();
    let here = cases.iter().filter(|case| case.layers.contains(&Layer::Engine)).count();
    assert!(here > 280, "{here} cases are run on the engine");
    assert_eq!(failures(&mut files), <[String; 0]>::default());
}
