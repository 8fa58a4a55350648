//! The pages, and the parts of Markdown that the tests look at.

use std::path::{Path, PathBuf};

/// A page, by its path from the repository's root.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn page(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    Page { path: path.to_owned(), text }
}

/// The README, the pages of `docs/`, and the README of `filter-config/`.
pub(crate) fn all() -> Vec<Page> {
    let mut docs: Vec<String> = std::fs::read_dir(root().join("docs"))
        .expect("docs/")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    docs.sort();
    assert!(docs.len() > 5, "{docs:?}");
    docs.extend(["README.md".to_owned(), "filter-config/README.md".to_owned()]);
    docs.iter().map(|path| page(path)).collect()
}

impl Page {
    /// The folder from which this page's links are relative.
    pub(crate) fn folder(&self) -> PathBuf {
        root().join(&self.path).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The lines outside of fenced blocks.
    pub(crate) fn prose(&self) -> Vec<&str> {
        let mut fenced = false;
        let outside = |line: &&str| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        };
        self.text.lines().filter(outside).collect()
    }

    /// The fenced blocks of a language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("```{language}\n");
        self.text
            .split(fence.as_str())
            .skip(1)
            .filter_map(|rest| rest.split("\n```").next())
            .collect()
    }

    /// The anchors of the headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for line in self.prose() {
            let heading = line.trim_start_matches('#');
            if heading.len() == line.len() || !heading.starts_with(' ') {
                continue;
            }
            let anchor = anchor(heading.trim());
            let earlier = found.iter().filter(|other| **other == anchor).count();
            found.push(if earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
        }
        found
    }
}

fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// A line with its inline code blanked out.
pub(crate) fn without_code(text: &str) -> String {
    let outside = |(index, part)| if index % 2 == 0 { part } else { "" };
    text.split('`').enumerate().map(outside).collect()
}

#[test]
fn an_anchor_is_the_one_that_github_makes() {
    assert_eq!(
        anchor("Where attributes come from, and who can set them"),
        "where-attributes-come-from-and-who-can-set-them"
    );
    assert_eq!(anchor("The caller's `identity`"), "the-callers-identity");
}
