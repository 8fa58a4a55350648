//! How an index is made.

use super::popularity::Popularity;
use super::table::Table;
use super::together::Together;
use super::{EXACT, Entry, FEW, Group, Index, KeyedBy, PREFIX, key, kind_and_bytes, push_once};
use crate::cel::guard::Guard;
use crate::config::HostPattern;
use crate::hash::{self, Map};

/// What an index is made of.
#[derive(Default)]
struct Made {
    /// The numbers of groups, by hashes that differ.
    groups: Map<u64, u32>,
    /// The numbers of groups, by the hash of the host.
    hosts: Vec<(u64, u32)>,
    /// Policies by their keys.
    keyed: Vec<(u64, u32)>,
    /// The last policy that has each key.
    last: Map<u64, u32>,
}

impl Made {
    /// The group of a host, or of a suffix, which is made if there is none yet.
    fn group<'g>(&mut self, host: &str, groups: &'g mut Vec<Group>) -> Option<&'g mut Group> {
        let hash = hash::bytes(host.as_bytes());
        let mut key = hash;
        while let Some(number) = self.groups.get(&key) {
            let number = usize::try_from(*number).ok()?;
            if *groups.get(number)?.host == *host {
                return groups.get_mut(number);
            }
            key = hash::mix(key, 1);
        }
        let number = u32::try_from(groups.len()).ok()?;
        self.groups.insert(key, number);
        self.hosts.push((hash, number));
        let number = u64::from(number).saturating_add(1);
        groups.push(Group { host: host.into(), number, ..Group::default() });
        groups.last_mut()
    }

    /// Notes that a policy is found by a key.
    fn add(&mut self, key: u64, position: u32) {
        if self.last.insert(key, position) != Some(position) {
            self.keyed.push((key, position));
        }
    }
}

impl Index {
    /// The index of these policies.
    #[inline(never)]
    pub(in crate::policy) fn new(entries: &[Entry<'_>]) -> Index {
        let popularity = Popularity::new(entries);
        let (mut index, mut made) = (Index::default(), Made::default());
        for (position, entry) in entries.iter().enumerate() {
            let Ok(position) = u32::try_from(position) else { continue };
            let guard = popularity.best(entry.guards()).filter(|_| entries.len() >= FEW);
            if entry.hosts.is_empty() {
                index.everywhere.add(position, entry, guard, &mut made);
            }
            for host in entry.hosts {
                let (has, name) = match host {
                    HostPattern::Exact(name) => (&mut index.has_exact, name),
                    HostPattern::Under(suffix) => (&mut index.has_under, suffix),
                };
                *has = true;
                if let Some(group) = made.group(name, &mut index.groups) {
                    group.add(position, entry, guard, &mut made);
                }
            }
        }
        (index.hosts, index.keyed) = (Table::of(&made.hosts), Table::of(&made.keyed));
        index
    }
}

impl Group {
    fn add(&mut self, position: u32, entry: &Entry<'_>, guard: Option<&Guard>, made: &mut Made) {
        self.together.add(&Together::of(position, entry));
        if entry.acts {
            push_once(&mut self.acting, position);
        }
        let Some(rule) = &entry.rule else {
            if !entry.acts {
                push_once(&mut self.idle, position);
            }
            return;
        };
        let Some(guard) = guard else {
            push_once(&mut self.always, position);
            return;
        };
        for wanted in &guard.values {
            let (kind, value) = kind_and_bytes(wanted);
            if kind == PREFIX {
                self.prefixes |= u32::try_from(value.len())
                    .ok()
                    .and_then(|length| 1_u64.checked_shl(length))
                    .unwrap_or(0);
            }
            made.add(key(self.number, guard.attribute, kind, value), position);
        }
        if !self.keys.iter().any(|key| key.attribute == guard.attribute) {
            self.keys.push(KeyedBy {
                attribute: guard.attribute,
                is_exact: false,
                allows: Vec::new(),
                others: Vec::new(),
            });
        }
        if let Some(key) = self.keys.iter_mut().find(|key| key.attribute == guard.attribute) {
            key.is_exact |= guard.values.iter().any(|wanted| kind_and_bytes(wanted).0 == EXACT);
            push_once(if rule.is_allow { &mut key.allows } else { &mut key.others }, position);
        }
    }
}
