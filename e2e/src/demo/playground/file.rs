//! The file or folder that has the policy: checked as `egressctl check` does, and watched.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::workshop::stand_in;

/// The policies that a file has, as the waypoint is given them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    /// The filter's configuration, with every decision logged.
    pub(super) configuration: Value,
    /// What the file itself says of which decisions are logged, where that is not all.
    pub(super) logs: Option<String>,
}

impl Policy {
    /// The policies of a configuration that `egressctl check` accepts.
    pub(super) fn checked(mut configuration: Value) -> Self {
        let audit = &mut configuration["audit"];
        let filter = audit.as_object_mut().and_then(|audit| audit.remove("filter"));
        let log = audit["log"].as_str().unwrap_or("Denied").to_owned();
        audit["log"] = json!("All");
        let logs = match filter {
            Some(filter) => Some(format!("log: {log}, filter: {filter}")),
            None => (log != "All").then(|| format!("log: {log}")),
        };
        Self { configuration, logs }
    }

    /// The names of the policies.
    pub(super) fn names(&self) -> Vec<&str> {
        self.policies().filter_map(|policy| policy["name"].as_str()).collect()
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &Value> {
        self.configuration["policies"].as_array().into_iter().flatten()
    }

    /// The hosts that policies are for, in order, and those with a wildcard.
    pub(super) fn hosts(&self) -> (Vec<&str>, Vec<&str>) {
        let mut seen = BTreeSet::new();
        let hosts = self.policies().flat_map(|policy| policy["hosts"].as_array());
        let hosts = hosts.flatten().filter_map(Value::as_str).filter(|host| seen.insert(*host));
        hosts.partition(|host| !host.starts_with('*'))
    }

    /// The trust domain of callers: the first that the configuration believes.
    pub(super) fn trust_domain(&self) -> &str {
        self.configuration["identity"]["trustDomains"][0].as_str().unwrap_or("cluster.local")
    }
}

/// What an environment variable of the waypoint holds: what it holds here, or a stand-in.
pub(super) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| stand_in(name))
}

/// A file's name, time and length: what tells that it was saved.
type Trace = Vec<(PathBuf, SystemTime, u64)>;

/// A file or folder that is watched.
#[derive(Debug)]
pub(super) struct PolicyFile {
    name: String,
    /// When it was last checked.
    checked: Option<Trace>,
    /// When it was last looked at.
    seen: Option<Trace>,
}

impl PolicyFile {
    /// # Errors
    /// When there is no such file or folder.
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let file = Self { name: name.to_owned(), checked: None, seen: None };
        let trace = file.trace();
        trace.map_err(|error| io::Error::new(error.kind(), format!("`{name}`: {error}")))?;
        Ok(file)
    }

    /// Checks it, with the output of `egressctl check`; nothing where there is an error.
    pub(super) fn check(&mut self) -> Option<Policy> {
        self.checked = self.trace().ok();
        self.seen.clone_from(&self.checked);
        egressctl::policy::check(&self.name).map(Policy::checked)
    }

    /// Whether it was saved since it was last checked. An editor may need a moment for that, so it
    /// must have been the same at two looks; a file that is away for a moment is still to come.
    pub(super) fn has_changed(&mut self) -> bool {
        let Ok(now) = self.trace() else { return false };
        let is_settled = self.seen.as_ref() == Some(&now);
        let is_new = self.checked.as_ref() != Some(&now);
        self.seen = Some(now);
        is_settled && is_new
    }

    fn trace(&self) -> io::Result<Trace> {
        let files = egressctl::policy::files(&self.name)?.into_iter();
        files
            .map(|file| {
                let metadata = file.metadata()?;
                Ok((file, metadata.modified()?, metadata.len()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_is_logged_and_the_files_own_choice_remembered() {
        for (audit, logs) in [
            (json!(null), Some("log: Denied")),
            (json!({"log": "All"}), None),
            (json!({"log": "None"}), Some("log: None")),
            (
                json!({"log": "All", "filter": "true", "accessLog": true}),
                Some("log: All, filter: \"true\""),
            ),
        ] {
            let policy = Policy::checked(json!({"policies": [], "audit": audit}));
            assert_eq!(policy.logs.as_deref(), logs, "{audit}");
            let mut expected = json!({"log": "All"});
            if audit["accessLog"] == true {
                expected["accessLog"] = json!(true);
            }
            assert_eq!(policy.configuration["audit"], expected);
        }
    }

    #[test]
    fn hosts_come_once_each_and_wildcards_apart() {
        let policy = Policy::checked(json!({"policies": [
            {"name": "a", "hosts": ["b.example", "*.a.example"]},
            {"name": "b", "hosts": ["a.example", "b.example"]},
            {"name": "c"},
        ]}));
        assert_eq!(policy.hosts(), (vec!["b.example", "a.example"], vec!["*.a.example"]));
        assert_eq!(policy.names(), ["a", "b", "c"]);
    }

    #[test]
    fn a_save_is_seen_once_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, "policies: []\n").expect("a file");
        let mut file = PolicyFile::new(&path.to_string_lossy()).expect("it is there");
        assert!(file.check().is_some());
        assert!(!file.has_changed() && !file.has_changed());
        std::fs::write(&path, "policies: []\naudit: {log: None}\n").expect("a file");
        assert!(!file.has_changed(), "it may be half of it");
        assert!(file.has_changed());
        std::fs::remove_file(&path).expect("it was there");
        assert!(!file.has_changed() && !file.has_changed(), "it may come back");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_that_names_it() {
        let error = PolicyFile::new("no/such.yaml").expect_err("there is none");
        assert!(error.to_string().contains("no/such.yaml"), "{error}");
    }
}
