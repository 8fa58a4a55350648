//! Which policies are for a host, found without looking at the others.

use std::collections::HashMap;

use crate::config::{HostPattern, PolicyConfig};

/// The policies by the hosts they are for, as indices into the configuration's list.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Policies of no particular host.
    everywhere: Vec<usize>,
    /// Policies by host.
    exact: HashMap<String, Vec<usize>>,
    /// Policies by what a host must end in, its leading dot included.
    under: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn new(policies: &[PolicyConfig]) -> Index {
        let mut index = Index::default();
        for (position, policy) in policies.iter().enumerate() {
            if policy.hosts.is_empty() {
                index.everywhere.push(position);
            }
            for host in &policy.hosts {
                let (map, key) = match host {
                    HostPattern::Exact(name) => (&mut index.exact, name),
                    HostPattern::Under(suffix) => (&mut index.under, suffix),
                };
                map.entry(key.clone()).or_default().push(position);
            }
        }
        index
    }

    /// The policies for a canonical host, in configuration order.
    pub(super) fn find(&self, host: &str) -> Vec<usize> {
        let mut found = self.everywhere.clone();
        if !self.exact.is_empty() {
            found.extend(self.exact.get(host).into_iter().flatten());
        }
        if !self.under.is_empty() {
            // A host is never under itself, so its own first label is not asked for.
            let dots = host.match_indices('.').filter(|(position, _)| *position > 0);
            for (position, _) in dots {
                found.extend(host.get(position..).and_then(|suffix| self.under.get(suffix)).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
