//! Links lead to files and headings that exist, and so do the paths that are named.

use crate::pages::{self, Page, page, root, without_code};

/// The most lines that a stranger is asked to read first.
const MAX_README_LINES: usize = 130;

/// The widest line of prose; a table's rows cannot be broken.
const MAX_WIDTH: usize = 100;

#[test]
fn the_readme_is_short() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= MAX_README_LINES, "the README has {lines} lines");
}

/// The targets of the links and pictures in the prose. A link's text may be broken between lines.
fn links(page: &Page) -> Vec<String> {
    let prose = page.prose().join("\n");
    without_code(&prose)
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

fn is_relative(link: &str) -> bool {
    !link.starts_with("https://") && !link.starts_with("http://")
}

/// What is wrong with a relative link, if anything is.
fn objection(from: &Page, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(f, a)| (f, Some(a)));
    let path = if file.is_empty() { root().join(&from.path) } else { from.folder().join(file) };
    if !path.exists() {
        return Some(format!("{}: there is no `{link}`", from.path));
    }
    let anchor = anchor?;
    let path = path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let anchors = Page { path, text }.anchors();
    let is_there = anchors.iter().any(|heading| heading == anchor);
    (!is_there).then(|| format!("{}: `{link}` leads to no heading of {anchors:?}", from.path))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages::all() {
        for link in links(&page).iter().filter(|link| is_relative(link)) {
            count += 1;
            wrong.extend(objection(&page, link));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 50, "only {count} links were found");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = Page { path: "docs/x.md".to_owned(), text: "# A\n## B c\n".to_owned() };
    assert_eq!(objection(&page, "semantics.md#authorization"), None);
    assert!(objection(&page, "nowhere.md").is_some());
    assert!(objection(&page, "semantics.md#nothing").is_some());
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let linked = links(&page("README.md"));
    for page in pages::all().iter().filter(|page| page.path != "README.md") {
        assert!(linked.contains(&page.path), "the README has no link to {}", page.path);
    }
}

/// The words of each piece of inline code, and of each line of shell commands.
fn commands(page: &Page) -> Vec<Vec<String>> {
    let prose = page.prose().join("\n");
    let inline = prose.split('`').skip(1).step_by(2);
    let shell = page.blocks("sh").into_iter().flat_map(str::lines);
    let words = |code: &str| code.split_whitespace().map(str::to_owned).collect();
    inline.chain(shell).map(words).collect()
}

#[test]
fn every_path_that_is_named_exists() {
    const FOLDERS: [&str; 5] = ["src/", "e2e/", "docs/", "crates/", "filter-config/"];
    for page in pages::all() {
        for path in commands(&page).into_iter().flatten() {
            // `make image` copies filter-config/ to there.
            let path = path.strip_prefix("target/").unwrap_or(&path);
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
            if is_path && !path.contains('*') {
                assert!(root().join(path).exists(), "{} names `{path}`", page.path);
            }
        }
    }
}

#[test]
fn every_target_of_make_that_is_named_exists() {
    let makefile = page("Makefile").text;
    let mut count = 0;
    for page in pages::all() {
        for command in commands(&page) {
            let [make, target, ..] = command.as_slice() else { continue };
            if make != "make" || target.contains('=') {
                continue;
            }
            count += 1;
            let rule = format!("\n{target}:");
            assert!(makefile.contains(&rule), "{}: there is no `make {target}`", page.path);
        }
    }
    assert!(count > 10, "only {count} targets were found");
}

#[test]
fn lines_of_prose_are_at_most_a_hundred_columns_wide() {
    // The figures are written by `make bench`, with the prose between them.
    let pages = pages::all().into_iter().filter(|page| page.path != "docs/benchmarks.md");
    for page in pages {
        for line in page.prose().into_iter().filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= MAX_WIDTH, "{}: {line}", page.path);
        }
    }
}
