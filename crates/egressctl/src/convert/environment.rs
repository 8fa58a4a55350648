//! The environment variables in which the result finds what the source has in Secrets.

use egress_filter::config::MAX_NAME;

/// An entry of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) namespace: Option<String>,
    pub(super) secret: String,
    pub(super) key: String,
}

/// The variables, each with the entry that it is for.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: Vec<(String, Entry)>,
}

impl Environment {
    /// The variable of an entry, and whether it has been asked for before.
    pub(super) fn variable(&mut self, entry: Entry) -> (String, bool) {
        if let Some((name, _)) = self.variables.iter().find(|(_, known)| *known == entry) {
            return (name.clone(), true);
        }
        let name = name_of(&entry);
        let numbered = (2_usize..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !self.variables.iter().any(|(taken, _)| taken == name))
            .unwrap_or_default();
        self.variables.push((free.clone(), entry));
        (free, false)
    }

    /// The names of all variables, in the order in which they were asked for.
    pub(super) fn names(self) -> Vec<String> {
        self.variables.into_iter().map(|(name, _)| name).collect()
    }
}

/// A name of letters, digits and `_`, as shells have them. A number may follow it.
fn name_of(entry: &Entry) -> String {
    let text = format!("{}_{}", entry.secret, entry.key);
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let mut name: String = text.chars().map(legal).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name.truncate(MAX_NAME.saturating_sub(8));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(secret: &str, key: &str) -> Entry {
        Entry { namespace: None, secret: secret.to_owned(), key: key.to_owned() }
    }

    #[test]
    fn each_entry_has_one_variable_and_no_two_share_one() {
        let mut environment = Environment::default();
        for (secret, key, name, is_known) in [
            ("github-token", "Authorization", "GITHUB_TOKEN_AUTHORIZATION", false),
            ("a-b", "c", "A_B_C", false),
            ("a", "b.c", "A_B_C_2", false),
            ("a-b", "c", "A_B_C", true),
            ("1password", "key", "_1PASSWORD_KEY", false),
        ] {
            let (given, known) = environment.variable(entry(secret, key));
            assert_eq!((given.as_str(), known), (name, is_known), "{secret} {key}");
        }
        assert_eq!(
            environment.names(),
            ["GITHUB_TOKEN_AUTHORIZATION", "A_B_C", "A_B_C_2", "_1PASSWORD_KEY"]
        );
    }

    #[test]
    fn long_names_stay_apart_and_legal() {
        let mut environment = Environment::default();
        let long = "s".repeat(300);
        let names: Vec<String> = ["a", "b", "c"]
            .map(|key| environment.variable(entry(&long, key)).0)
            .into_iter()
            .collect();
        assert!(names.iter().all(|name| name.len() <= MAX_NAME), "{names:?}");
        assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
    }
}
