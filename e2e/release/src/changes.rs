//! The section of `CHANGELOG.md` about a version.

/// What `CHANGELOG.md` says of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// What stands behind the version in the heading: the day of the release, or `not released`.
    pub day: String,
    /// The section without its heading.
    pub text: String,
}

/// The file has no section for the version, or an empty one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "CHANGELOG.md says nothing of {0}: give it a section with the heading `## {0}, YYYY-MM-DD`, or \
     set the version in Cargo.toml"
)]
pub struct Missing(pub String);

/// Finds the section with the heading `## VERSION, DAY`.
///
/// # Errors
/// Where there is none, or where nothing is in it.
pub fn of(changelog: &str, version: &str) -> Result<Changes, Missing> {
    let heading = |line: &str| -> Option<String> {
        let rest = line.strip_prefix("## ")?.strip_prefix(version)?;
        if rest.is_empty() {
            return Some(String::new());
        }
        Some(rest.strip_prefix(", ")?.trim().to_owned())
    };
    let mut lines = changelog.lines();
    let day = lines.find_map(heading);
    let text: Vec<_> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let text = text.join("\n").trim().to_owned();
    match day {
        Some(day) if !text.is_empty() => Ok(Changes { day, text }),
        _ => Err(Missing(version.to_owned())),
    }
}
