//! No line is wider than a hundred columns.

use std::path::{Path, PathBuf};

use crate::{entries, read, root};

const MAX_WIDTH: usize = 100;

/// Files with lines that cannot be broken, and why.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// The files of these endings below a folder, without what is built.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files(&path, found);
            }
        } else if name == "Makefile"
            || [".rs", ".toml", ".sh"].iter().any(|ending| name.ends_with(ending))
        {
            found.push(path);
        }
    }
}

/// The pages are held to the same width by `tests/documents`, which knows what is prose in them.
#[test]
fn lines_of_source_are_at_most_a_hundred_columns_wide() {
    let mut found = Vec::new();
    files(root(), &mut found);
    assert!(found.len() > 200, "only {} files were found", found.len());
    let mut wide = Vec::new();
    for path in found {
        let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == shown) {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            if line.chars().count() > MAX_WIDTH {
                wide.push(format!("{shown}:{}", number.saturating_add(1)));
            }
        }
    }
    assert!(wide.is_empty(), "wider than {MAX_WIDTH} columns:\n{}", wide.join("\n"));
}
