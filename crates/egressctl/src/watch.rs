//! Runs a command again whenever a file that it reads changes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::terminal::{FAINT, Terminal, painted};
use crate::{Exit, Failure};

/// How often it is looked whether something has changed.
const PAUSE: Duration = Duration::from_millis(200);

/// A file as it was when it was looked at; nothing where it was not there.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

/// Runs a command, and again after each change of the files that it reads, until the process is
/// ended. What goes wrong is shown, and the next change waited for.
///
/// # Errors
/// If standard input is among the files, which cannot be read again, or the output cannot be
/// written.
pub(crate) fn repeat(
    names: &dyn Fn() -> Vec<String>,
    terminal: &mut Terminal,
    run: &dyn Fn(&mut Terminal) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    if names().iter().any(|name| name == "-") {
        return Err(Failure::Usage("`--watch` cannot read standard input again".to_owned()));
    }
    loop {
        // Before it runs: what changes meanwhile is a change.
        let before = stamps(&names());
        if let Err(failure) = run(terminal) {
            terminal.fail(&failure);
        }
        writeln!(terminal.err, "{}", painted(FAINT, "waiting for a change; Ctrl-C ends it"))?;
        while stamps(&names()) == before {
            std::thread::sleep(PAUSE);
        }
        writeln!(terminal.out)?;
    }
}

/// The files behind names, folders among them, as they are now.
fn stamps(names: &[String]) -> Vec<Stamp> {
    let mut files: Vec<PathBuf> = Vec::new();
    for name in names {
        files.extend(below(Path::new(name), 0));
    }
    let stamp = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).ok();
        let seen = metadata.and_then(|seen| Some((seen.modified().ok()?, seen.len())));
        (path, seen)
    };
    let mut stamps: Vec<Stamp> = files.into_iter().map(stamp).collect();
    stamps.sort();
    stamps
}

/// A file, or the files below a folder; those that a command would read, and perhaps others.
fn below(path: &Path, depth: usize) -> Vec<PathBuf> {
    const DEEPEST: usize = 16;
    let mut files = vec![path.to_owned()];
    if path.is_dir() && depth < DEEPEST {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let is_shown = |name: std::ffi::OsString| !name.to_string_lossy().starts_with('.');
        for entry in entries.filter(|entry| is_shown(entry.file_name())) {
            files.extend(below(&entry.path(), depth.saturating_add(1)));
        }
    }
    files
}
