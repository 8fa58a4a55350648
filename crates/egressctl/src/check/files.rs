//! The files to check: those that are named, and all in a folder.

use std::path::{Path, PathBuf};

use crate::{Failure, bundle};

/// A file to check.
#[derive(Debug)]
pub(crate) struct Input {
    /// Its name; `-` for standard input.
    pub(crate) name: String,
    /// It was found in a folder, and may have nothing to check in it.
    pub(crate) in_folder: bool,
}

/// Whether a file or folder is left out.
fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with('.')
}

/// The file of a name, or the YAML and JSON files of a folder and the folders in it, in the order
/// of their names. What begins with a dot is left out. A folder of teams counts as one file, which
/// has the plugin that is made of it.
pub(super) fn below(name: &str) -> Result<Vec<Input>, Failure> {
    if name == "-" || !Path::new(name).is_dir() || bundle::is_folder(name) {
        return Ok(vec![Input { name: name.to_owned(), in_folder: false }]);
    }
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from(name)]);
    while let Some(folder) = folders.pop() {
        let unreadable = |error| Failure::Read { name: folder.display().to_string(), error };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let is_hidden = is_hidden(&entry.file_name());
            // A link to a folder is not followed: it could lead back here.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                let is_bundle = bundle::is_folder(&path.to_string_lossy());
                let to = if is_bundle { &mut found } else { &mut folders };
                to.extend((!is_hidden).then_some(path));
            } else if !is_hidden
                && path.is_file()
                && path
                    .extension()
                    .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found
        .into_iter()
        .map(|path| Input { name: path.display().to_string(), in_folder: true })
        .collect())
}
