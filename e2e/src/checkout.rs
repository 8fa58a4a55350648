//! The checkout of this repository that a program works on.
//!
//! A program looks for it from its working directory upwards, or takes the folder that it was told.
//! It does not remember where it was compiled: a checkout that was moved or copied uses its own
//! module and its own policies.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What lies at the root of every checkout, and nowhere below it.
const MARKS: [&str; 3] = ["Cargo.toml", "envoy.yaml", "filter-config"];

static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Why a program has no checkout to work on.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The working directory is in no checkout.
    #[error(
        "`{}` is not in a checkout of this repository: none of it and the folders above it holds \
         `Cargo.toml`, `envoy.yaml` and `filter-config`; run this in a checkout, or name one with \
         `--checkout`",
        .0.display()
    )]
    Outside(
        /// The working directory.
        PathBuf,
    ),
    /// The folder that was named is not the root of a checkout.
    #[error(
        "`{}` is not a checkout of this repository: it lacks `Cargo.toml`, `envoy.yaml` or \
         `filter-config`",
        .0.display()
    )]
    NotOne(
        /// The folder.
        PathBuf,
    ),
    /// The working directory cannot be determined, or the folder cannot be resolved.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Chooses the checkout for the whole process: the folder that was named, or else the one that
/// holds the working directory. Programs call this first; the first choice stays.
///
/// # Errors
/// When there is no checkout there.
pub fn choose(named: Option<&Path>) -> Result<&'static Path, CheckoutError> {
    let found = match named {
        Some(folder) if is_root(folder) => folder.canonicalize()?,
        Some(folder) => return Err(CheckoutError::NotOne(folder.to_owned())),
        None => find(&std::env::current_dir()?)?,
    };
    Ok(ROOT.get_or_init(|| found))
}

/// The nearest folder from `start` upwards that is a checkout.
fn find(start: &Path) -> Result<PathBuf, CheckoutError> {
    let found = start.ancestors().find(|folder| is_root(folder));
    found.map(Path::to_owned).ok_or_else(|| CheckoutError::Outside(start.to_owned()))
}

fn is_root(folder: &Path) -> bool {
    MARKS.iter().all(|mark| folder.join(mark).exists())
}

/// Takes `--checkout FOLDER` out of a program's arguments and chooses the checkout.
///
/// # Errors
/// When there is no checkout there.
pub fn choose_from(arguments: &mut Vec<String>) -> Result<&'static Path, CheckoutError> {
    let at = arguments.iter().position(|argument| argument == "--checkout");
    let Some(at) = at.filter(|at| at + 1 < arguments.len()) else {
        return choose(None);
    };
    let folder = PathBuf::from(arguments.remove(at + 1));
    arguments.remove(at);
    choose(Some(&folder))
}

/// The root of the checkout, where `envoy.yaml` is.
///
/// # Panics
/// When there is none. Programs exclude that with [`choose`].
pub fn workspace_root() -> PathBuf {
    match ROOT.get() {
        Some(root) => root.clone(),
        None => choose(None).unwrap_or_else(|error| panic!("{error}")).to_owned(),
    }
}

/// The compiled filter: `$EGRESS_FILTER_WASM`, or the file that `make wasm` builds.
pub fn filter_wasm() -> PathBuf {
    module("EGRESS_FILTER_WASM", "release")
}

/// The filter that reads bodies: `$EGRESS_BODIES_WASM`, or the file that `make build-bodies`
/// builds.
pub fn bodies_wasm() -> PathBuf {
    module("EGRESS_BODIES_WASM", "bodies")
}

/// The filter that traps on demand: `$EGRESS_TRAPPING_WASM`, or the file that `make build-trapping`
/// builds.
pub fn trapping_wasm() -> PathBuf {
    module("EGRESS_TRAPPING_WASM", "trapping")
}

fn module(variable: &str, profile: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || workspace_root().join(format!("target/wasm32-wasip1/{profile}/egress_filter.wasm")),
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    use super::{CheckoutError, MARKS, choose, find, workspace_root};

    #[test]
    fn a_checkout_is_found_from_any_folder_inside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("e2e/bench/src");
        std::fs::create_dir_all(&below).expect("folders");
        assert!(matches!(find(&below), Err(CheckoutError::Outside(_))));
        for mark in MARKS {
            std::fs::write(folder.path().join(mark), "").expect("a file");
        }
        assert_eq!(find(&below).expect("the checkout"), folder.path());
        assert_eq!(find(folder.path()).expect("the checkout"), folder.path());
    }

    #[test]
    fn the_nearest_checkout_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("target/copy");
        std::fs::create_dir_all(&inner).expect("folders");
        for mark in MARKS {
            std::fs::write(folder.path().join(mark), "").expect("a file");
            std::fs::write(inner.join(mark), "").expect("a file");
        }
        assert_eq!(find(&inner).expect("the checkout"), inner);
    }

    #[test]
    fn a_folder_that_is_no_checkout_is_refused_with_what_it_lacks() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = choose(Some(folder.path())).expect_err("it is refused");
        assert!(matches!(error, CheckoutError::NotOne(_)), "{error}");
        assert!(error.to_string().contains("envoy.yaml"), "{error}");
    }

    #[test]
    fn the_tests_run_in_this_checkout() {
        assert!(workspace_root().join("e2e/src/checkout.rs").is_file());
    }
}
