//! No module at the top level of a crate uses another in a circle, and no crate does.
//! `make modules` prints what uses what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::source::{Token, shipped};
use crate::{entries, read, root};

/// What each module, or crate, uses.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The names in an order in which each uses only earlier ones; otherwise a circle of names.
fn ordered(graph: &Graph) -> Result<Vec<&str>, Vec<&str>> {
    let mut order: Vec<&str> = Vec::new();
    while order.len() < graph.len() {
        let next = graph.iter().find(|(name, uses)| {
            !order.contains(&name.as_str()) && uses.iter().all(|used| order.contains(&&**used))
        });
        match next {
            Some((name, _)) => order.push(name),
            None => return Err(circle(graph, &order)),
        }
    }
    Ok(order)
}

/// A circle among the names that are not in the order: each of them uses another such name.
fn circle<'g>(graph: &'g Graph, order: &[&str]) -> Vec<&'g str> {
    let is_left = |name: &str| !order.contains(&name);
    let mut path: Vec<&str> = Vec::new();
    let mut at = graph.keys().map(String::as_str).find(|name| is_left(name));
    while let Some(name) = at {
        if let Some(start) = path.iter().position(|earlier| *earlier == name) {
            path.push(name);
            return path.split_off(start);
        }
        path.push(name);
        let uses = graph.get(name);
        at = uses.and_then(|uses| uses.iter().map(String::as_str).find(|used| is_left(used)));
    }
    path
}

/// The top-level modules of the crate whose sources are in this folder.
fn modules(sources: &Path) -> Graph {
    let library = shipped(&read(&sources.join("lib.rs")));
    let names = declared(&library);
    assert!(names.len() > 3, "{}: {names:?}", sources.display());
    names
        .iter()
        .map(|name| {
            let mut uses = BTreeSet::new();
            collect(sources, &[name], &mut uses);
            uses.retain(|used| used != name && names.contains(used));
            (name.clone(), uses)
        })
        .collect()
}

/// The modules that a file declares and that have files of their own.
fn declared(tokens: &[Token]) -> Vec<String> {
    let declaration = |window: &[Token]| match window {
        [first, Token::Word(name), third] if first.word() == Some("mod") && third.is(';') => {
            Some(name.clone())
        }
        _ => None,
    };
    tokens.windows(3).filter_map(declaration).collect()
}

/// Collects what a module and those in it use of the crate's top level.
fn collect(sources: &Path, module: &[&str], uses: &mut BTreeSet<String>) {
    let mut file = sources.to_path_buf();
    file.extend(module);
    file.set_extension("rs");
    let tokens = shipped(&read(&file));
    let mut rest = tokens.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        rest = match first.word() {
            Some("crate") => names_behind(behind, 0, uses),
            Some("super") => names_behind(behind, module.len().saturating_sub(1), uses),
            _ => behind,
        };
    }
    for child in declared(&tokens) {
        collect(sources, &[module, &[child.as_str()]].concat(), uses);
    }
}

/// Adds the names that follow a path's first word, behind as many `super` as lead to the root.
fn names_behind<'t>(
    mut rest: &'t [Token],
    supers: usize,
    uses: &mut BTreeSet<String>,
) -> &'t [Token] {
    for _ in 0..supers {
        match rest {
            [a, b, word, behind @ ..] if a.is(':') && b.is(':') && word.word() == Some("super") => {
                rest = behind;
            }
            _ => return rest,
        }
    }
    match rest {
        [a, b, Token::Word(name), behind @ ..] if a.is(':') && b.is(':') => {
            uses.insert(name.clone());
            behind
        }
        [a, b, open, behind @ ..] if a.is(':') && b.is(':') && open.is('{') => group(behind, uses),
        _ => rest,
    }
}

/// Adds the first name of each path in a group, behind its `{`.
fn group<'t>(tokens: &'t [Token], uses: &mut BTreeSet<String>) -> &'t [Token] {
    let mut depth = 1_usize;
    let mut is_first = true;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('{') => depth = depth.saturating_add(1),
            Token::Mark('}') => depth = depth.saturating_sub(1),
            Token::Mark(',') if depth == 1 => is_first = true,
            Token::Word(name) if depth == 1 && is_first => {
                uses.insert(name.clone());
                is_first = false;
            }
            _ => {}
        }
        if depth == 0 {
            return tokens.get(index.saturating_add(1)..).unwrap_or_default();
        }
    }
    &[]
}

/// The crates of the filter and of `egressctl`, by the paths in their manifests.
fn crates() -> Graph {
    let mut folders = vec![root().to_path_buf()];
    folders.extend(entries(&root().join("crates")));
    let manifests = folders.iter().map(|folder| read(&folder.join("Cargo.toml")));
    manifests
        .map(|manifest| {
            let name = section(&manifest, "[package]")
                .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
                .expect("a name");
            let uses = section(&manifest, "[dependencies]")
                .filter(|line| line.contains("path = "))
                .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
                .collect();
            (name.to_owned(), uses)
        })
        .collect()
}

fn section<'m>(manifest: &'m str, heading: &'m str) -> impl Iterator<Item = &'m str> {
    let lines = manifest.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

/// The graph as a list in which each name stands behind those that it uses.
fn listed(what: &str, graph: &Graph) -> String {
    let order =
        ordered(graph).unwrap_or_else(|circle| panic!("{what}: a circle: {}", circle.join(" -> ")));
    let mut list = format!("{what}:\n");
    for name in order {
        let uses: Vec<&str> = graph.get(name).into_iter().flatten().map(String::as_str).collect();
        let _ = writeln!(list, "  {name:<16} {}", uses.join(" "));
    }
    list
}

#[test]
fn no_module_and_no_crate_is_in_a_circle() {
    let mut list = listed("crates, and those that each uses", &crates());
    list +=
        &listed("modules of the filter, and those that each uses", &modules(&root().join("src")));
    // `make modules` shows it; otherwise a test's output is hidden.
    print!("{list}");
}

#[test]
fn the_modules_are_found_with_what_they_use() {
    let graph = modules(&root().join("src"));
    let uses = |name: &str| graph.get(name).unwrap_or_else(|| panic!("no {name}: {graph:?}"));
    assert!(uses("exchange").contains("stage"));
    assert!(uses("host").contains("exchange"));
    assert!(!uses("stage").contains("exchange"));
    assert!(!graph.contains_key("tests") && !graph.contains_key("fuzzing"));
}

#[test]
fn paths_and_groups_of_paths_are_found() {
    let mut uses = BTreeSet::new();
    let tokens = shipped("::{self, a, b::{c, d}, e::*}; f");
    let rest = names_behind(&tokens, 0, &mut uses);
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert_eq!(uses, ["a", "b", "e", "self"].map(str::to_owned).into());
    uses.clear();
    names_behind(&shipped("::super::g::h"), 1, &mut uses);
    names_behind(&shipped("::i::j"), 1, &mut uses);
    assert_eq!(uses, ["g"].map(str::to_owned).into());
}

#[test]
fn a_circle_is_found() {
    let graph = |edges: &[(&str, &[&str])]| -> Graph {
        let uses = |used: &[&str]| used.iter().map(|name| (*name).to_owned()).collect();
        edges.iter().map(|(name, used)| ((*name).to_owned(), uses(used))).collect()
    };
    let tree = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(ordered(&tree), Ok(vec!["c", "b", "a"]));
    let knot = graph(&[("a", &["b"]), ("b", &["c", "d"]), ("c", &["b"]), ("d", &[])]);
    assert_eq!(ordered(&knot), Err(vec!["b", "c", "b"]));
}
