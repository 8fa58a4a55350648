//! Paths of files that other files name.

use std::path::{Component, Path, PathBuf};

/// The path of a file that another names relative to itself, as seen from the working folder and
/// without detours.
pub(crate) fn beside(file: &str, named: &str) -> String {
    let whole = Path::new(file).parent().unwrap_or(Path::new("")).join(named);
    let plain = plain(&whole);
    // Behind a link, `..` is not the folder that the path has before it.
    let same = whole
        .canonicalize()
        .is_ok_and(|whole| plain.canonicalize().is_ok_and(|plain| whole == plain));
    let name = if same || !whole.exists() { plain } else { whole };
    name.to_string_lossy().into_owned()
}

/// The path without `.`, and without `..` behind a folder's name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_relative_to_the_file_that_has_it() {
        for (file, named, expected) in [
            ("filter-config/tests/a.yaml", "../b.yaml", "filter-config/b.yaml"),
            ("a.yaml", "b.yaml", "b.yaml"),
            ("./t/a.yaml", "./b.yaml", "t/b.yaml"),
            ("../t/a.yaml", "../../b.yaml", "../../b.yaml"),
            ("t/a.yaml", "/b.yaml", "/b.yaml"),
            ("<stdin>", "b.yaml", "b.yaml"),
        ] {
            assert_eq!(beside(file, named), expected, "{file} {named}");
        }
    }
}
