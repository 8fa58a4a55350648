//! Which paths a proposed rule lets through.

use std::collections::{BTreeMap, BTreeSet};

/// Paths, one by one or by what is above them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Paths {
    /// These paths.
    pub(super) exact: BTreeSet<String>,
    /// These paths, without a slash at their ends, and all below them; all paths, if one is empty.
    pub(super) below: BTreeSet<String>,
}

impl Paths {
    /// These paths, each by itself if they are not more than `most`. Of more, those with a path
    /// above them in common are put together until they are not, the deepest first.
    pub(super) fn of(seen: BTreeSet<String>, most: usize) -> Paths {
        let mut paths = Paths { exact: seen, below: BTreeSet::new() };
        while paths.exact.len().saturating_add(paths.below.len()) > most.max(1) {
            let mut children: BTreeMap<&str, usize> = BTreeMap::new();
            for path in paths.exact.iter().chain(&paths.below) {
                let count = children.entry(above(path)).or_default();
                *count = count.saturating_add(1);
            }
            // Of those with several below them; of none, the deepest, so that there is always one.
            let depth = |path: &str| path.matches('/').count();
            let best =
                children.into_iter().max_by_key(|(path, count)| (*count > 1, depth(path), *count));
            let Some(chosen) = best.map(|(path, _)| path.to_owned()) else { break };
            paths.put_together(chosen);
        }
        paths
    }

    fn put_together(&mut self, above: String) {
        self.exact.retain(|path| !is_below(path, &above));
        self.below.retain(|path| !is_below(path, &above));
        self.below.insert(above);
    }

    /// Whether a path is among them.
    pub(super) fn contain(&self, path: &str) -> bool {
        self.exact.contains(path) || self.below.iter().any(|above| is_below(path, above))
    }

    /// Whether all paths are.
    pub(super) fn are_all(&self) -> bool {
        self.below.contains("")
    }
}

/// The path above one, without a slash at its end: that of `/a/b` and of `/a/` is `/a`.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

/// Whether a path is another one or below it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seen: &[&str], most: usize) -> (Vec<String>, Vec<String>) {
        let seen: BTreeSet<String> = seen.iter().map(|path| (*path).to_owned()).collect();
        let paths = Paths::of(seen.clone(), most);
        assert!(seen.iter().all(|path| paths.contain(path)), "{seen:?}: {paths:?}");
        assert!(paths.exact.iter().chain(&paths.below).count() <= most.max(1));
        (paths.exact.into_iter().collect(), paths.below.into_iter().collect())
    }

    #[test]
    fn paths_are_put_together_only_where_there_are_too_many_and_deep_down_first() {
        for (seen, most, exact, below) in [
            (&["/a", "/b"][..], 2, &["/a", "/b"][..], &[][..]),
            (&["/a/1", "/a/2", "/b"], 2, &["/b"], &["/a"]),
            (&["/a/x/1", "/a/x/2", "/a/y", "/b"], 3, &["/a/y", "/b"], &["/a/x"]),
            (&["/a/x/1", "/a/x/2", "/a/y", "/b"], 2, &["/b"], &["/a"]),
            (&["/a", "/b"], 1, &[], &[""]),
            (&["/a/b/c", "/d/e/f", "/g"], 2, &[], &[""]),
            (&["/a/1/x", "/a/2/x", "/a/3/x", "/b"], 2, &["/b"], &["/a"]),
            (&["/", "/x/1", "/x/2"], 2, &["/"], &["/x"]),
            (&["/x/", "/x/2", "/y"], 2, &["/y"], &["/x"]),
            (&["/a"], 0, &["/a"], &[]),
        ] {
            let expected = (exact, below);
            let (exact, below) = of(seen, most);
            let got: (Vec<&str>, Vec<&str>) = (
                exact.iter().map(String::as_str).collect(),
                below.iter().map(String::as_str).collect(),
            );
            assert_eq!((&*got.0, &*got.1), expected, "{seen:?} in {most}");
        }
    }

    #[test]
    fn what_only_begins_alike_is_not_below() {
        let paths = Paths { below: ["/v1/charges".to_owned()].into(), ..Paths::default() };
        for (path, expected) in [
            ("/v1/charges", true),
            ("/v1/charges/", true),
            ("/v1/charges/1/2", true),
            ("/v1/chargesback", false),
            ("/v1", false),
        ] {
            assert_eq!(paths.contain(path), expected, "{path}");
        }
    }
}
