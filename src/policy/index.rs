//! Which policies can matter to a request, found without looking at the others.
//!
//! A policy's `hosts` put it into groups, one for each host. A group has an entry for each stage in
//! which a policy takes part. Within a group, a rule that can matter only if an attribute has one
//! of certain values ([`Guard`]) is found by that value; every other rule of the group is always a
//! candidate. Candidates are evaluated like any rule, so a collision of hashes costs an evaluation
//! and changes no result. Header rules apply to all of a policy's scope, whatever the result of its
//! rule.

mod made;
mod popularity;
mod table;
mod together;

use crate::attributes::view::View;
use crate::attributes::{HOST, PATH};
use crate::cel::attributes::{Attributes, Id};
use crate::cel::guard::{Guard, Wanted};
use crate::config::{DefaultAction, HostPattern};
use crate::hash;
use crate::path::PathSafety;
use table::Table;
pub(crate) use together::SetBy;
use together::Together;

/// With fewer policies than this, all are candidates: a look-up would cost more than evaluating
/// them.
const FEW: usize = 8;
/// The longest prefix that is looked up. Of a longer one, only its start is.
const MAX_PREFIX: usize = 63;
/// How many Allows are evaluated that read an attribute which the request does not have. None of
/// them can match; they are evaluated so that the audit record shows why.
pub(crate) const MAX_UNREADABLE: usize = 16;

/// A policy as the index sees it.
#[derive(Debug)]
pub(super) struct Entry<'c> {
    pub(super) hosts: &'c [HostPattern],
    /// Its authorization rule, if it has one.
    pub(super) rule: Option<RuleEntry>,
    /// Whether it does anything with the messages in its scope beside deciding about them.
    pub(super) acts: bool,
    pub(super) enforced: bool,
    pub(super) path_safety: Option<PathSafety>,
    pub(super) default_action: Option<DefaultAction>,
    pub(super) has_denial: bool,
}

/// An authorization rule as the index sees it.
#[derive(Debug)]
pub(super) struct RuleEntry {
    /// The guards by any of which the rule may be found; none if it is always a candidate.
    pub(super) guards: Vec<Guard>,
    pub(super) is_allow: bool,
}

impl Entry<'_> {
    fn guards(&self) -> &[Guard] {
        self.rule.as_ref().map_or(&[], |rule| &rule.guards)
    }
}

/// The policies by what they are for, as indices into the configuration's list.
#[derive(Debug, Default)]
pub(crate) struct Index {
    everywhere: Group,
    /// The others, each for one host or for all under one.
    groups: Vec<Group>,
    /// Their numbers, by the hash of the host, or of the suffix with its leading dot.
    hosts: Table,
    /// Whether some are for a host, and some for all under one.
    has_exact: bool,
    has_under: bool,
    /// Policies by group, attribute and value.
    keyed: Table,
}

/// The policies for one host, or all under one, or all.
#[derive(Debug, Default)]
struct Group {
    /// The host, or the suffix with its leading dot; empty for that of all hosts.
    host: Box<str>,
    number: u64,
    /// Policies whose rules are always candidates.
    always: Vec<u32>,
    /// Policies that do anything beside deciding.
    acting: Vec<u32>,
    /// Policies that take part in no stage.
    idle: Vec<u32>,
    keys: Vec<KeyedBy>,
    /// Bit n is set if prefixes of n bytes are looked up.
    prefixes: u64,
    together: Together,
}

/// An attribute by which policies of a group are found, and those policies. If the attribute cannot
/// be read, each of them fails.
#[derive(Debug)]
struct KeyedBy {
    attribute: Id,
    /// Whether some of them are found by a whole value, and not by a prefix.
    is_exact: bool,
    allows: Vec<u32>,
    others: Vec<u32>,
}

fn push_once(all: &mut Vec<u32>, position: u32) {
    if all.last() != Some(&position) {
        all.push(position);
    }
}

/// The groups that a host is in.
#[derive(Debug)]
pub(crate) struct Groups<'i> {
    everywhere: &'i Group,
    exact: Option<&'i Group>,
    under: Vec<&'i Group>,
    /// The hash of the host, where it was needed already.
    host_hash: Option<u64>,
    allows: bool,
    path_safety: Option<PathSafety>,
}

impl<'i> Groups<'i> {
    fn new(everywhere: &'i Group) -> Groups<'i> {
        let Together { allows, path_safety, .. } = everywhere.together;
        Groups { everywhere, exact: None, under: Vec::new(), host_hash: None, allows, path_safety }
    }

    /// Adds what every request needs of one more group to that of all groups together.
    fn add(&mut self, group: &Group) {
        self.allows |= group.together.allows;
        self.path_safety = self.path_safety.max(group.together.path_safety);
    }

    /// What all groups say together.
    #[inline(never)]
    fn together(&self) -> Together {
        let mut together = Together::default();
        self.for_each(|group| together.add(&group.together));
        together
    }

    /// Runs a function on each group. A loop over chained iterators would cost more than the
    /// function.
    #[inline(always)]
    fn for_each(&self, mut run: impl FnMut(&'i Group)) {
        run(self.everywhere);
        self.exact.into_iter().for_each(&mut run);
        self.under.iter().for_each(|group| run(group));
    }

    /// Whether an enforced Allow is in scope, also if it is no candidate.
    pub(crate) fn allows(&self) -> bool {
        self.allows
    }

    /// The strictest path safety that an enforced policy in scope sets.
    pub(crate) fn path_safety(&self) -> Option<PathSafety> {
        self.path_safety
    }

    /// The default action that enforced policies in scope set, and the first policy that sets it.
    pub(crate) fn default_action(&self) -> Option<SetBy> {
        self.together().default_action
    }

    /// The first enforced policy in scope that has a denial of its own.
    pub(crate) fn denial(&self) -> Option<u32> {
        self.together().denial
    }

    /// Whether a shadow policy in scope would close the host by default.
    pub(crate) fn closes_in_shadow(&self) -> bool {
        self.together().closes_in_shadow
    }

    /// All policies in scope, candidates or not, in configuration order.
    pub(crate) fn everyone(&self) -> Vec<u32> {
        let mut found = Vec::new();
        self.for_each(|group| {
            let keyed = group.keys.iter().flat_map(|key| [&key.allows, &key.others]);
            let all = [&group.always, &group.acting, &group.idle].into_iter().chain(keyed);
            all.for_each(|more| merge(&mut found, more));
        });
        found
    }
}

impl Index {
    /// The groups of a canonical host.
    pub(crate) fn groups(&self, host: &str) -> Groups<'_> {
        let mut groups = Groups::new(&self.everywhere);
        if self.has_exact {
            let hash = hash::bytes(host.as_bytes());
            groups.host_hash = Some(hash);
            if let Some(group) = self.group(host, hash) {
                groups.add(group);
                groups.exact = Some(group);
            }
        }
        if self.has_under {
            // A host is not under itself, so the look-up begins behind its first label.
            let dots =
                host.bytes().enumerate().filter(|(position, byte)| *byte == b'.' && *position > 0);
            for suffix in dots.filter_map(|(position, _)| host.get(position..)) {
                if let Some(group) = self.group(suffix, hash::bytes(suffix.as_bytes())) {
                    groups.add(group);
                    groups.under.push(group);
                }
            }
        }
        groups
    }

    /// The group of a host, or of a suffix, which has this hash.
    fn group(&self, host: &str, hash: u64) -> Option<&Group> {
        let mut group = None;
        self.hosts.find(hash, |number| {
            let own = self.group_at(number);
            group = group.or(own.filter(|own| hash::same(own.host.as_bytes(), host.as_bytes())));
        });
        group
    }

    fn group_at(&self, number: u32) -> Option<&Group> {
        self.groups.get(usize::try_from(number).ok()?)
    }

    /// Finds the policies in scope that do anything beside deciding, in configuration order.
    pub(crate) fn acting(&self, groups: &Groups<'_>, found: &mut Vec<u32>) {
        found.clear();
        groups.for_each(|group| merge(found, &group.acting));
    }

    /// Finds the policies in scope whose rules can matter to a request, in configuration order.
    pub(crate) fn candidates(&self, groups: &Groups<'_>, view: &View<'_>, found: &mut Vec<u32>) {
        self.refusing(groups, view, found);
        self.add_allowing(groups, view, found);
    }

    /// Finds all of them that can refuse the request, and perhaps others. A request that is refused
    /// does not pay for looking up those that could only allow it.
    #[inline(never)]
    pub(crate) fn refusing(&self, groups: &Groups<'_>, view: &View<'_>, found: &mut Vec<u32>) {
        found.clear();
        groups.for_each(|group| {
            merge(found, &group.always);
            for key in group.keys.iter().filter(|key| !key.others.is_empty()) {
                self.find(group, key, groups.host_hash, view, found);
            }
        });
    }

    /// Adds the rest to those that can refuse the request.
    #[inline(never)]
    pub(crate) fn add_allowing(&self, groups: &Groups<'_>, view: &View<'_>, found: &mut Vec<u32>) {
        groups.for_each(|group| {
            for key in group.keys.iter().filter(|key| key.others.is_empty()) {
                self.find(group, key, groups.host_hash, view, found);
            }
        });
    }

    /// Adds the policies of a group that are found by an attribute. `host_hash` is that of the
    /// view's host, where it is known.
    #[inline(never)]
    fn find(
        &self,
        group: &Group,
        key: &KeyedBy,
        host_hash: Option<u64>,
        view: &View<'_>,
        found: &mut Vec<u32>,
    ) {
        let Ok(value) = view.text(key.attribute) else {
            merge(found, &key.others);
            merge(found, key.allows.get(..MAX_UNREADABLE).unwrap_or(&key.allows));
            return;
        };
        let known = host_hash.filter(|_| key.attribute == HOST);
        self.look_up(group, key, value, known, found);
        if key.attribute == PATH
            && let Some(other) = view.other_path()
        {
            self.look_up(group, key, without_query(other), None, found);
        }
    }

    /// Adds those that are found by a value, whose hash may be known.
    #[inline]
    fn look_up(
        &self,
        group: &Group,
        key: &KeyedBy,
        value: &str,
        known: Option<u64>,
        found: &mut Vec<u32>,
    ) {
        if key.is_exact {
            let hash = known.unwrap_or_else(|| hash::bytes(value.as_bytes()));
            self.add_keyed(in_group(hash, group.number, key.attribute, EXACT), found);
        }
        if key.attribute == PATH {
            self.look_up_prefixes(group, value, found);
        }
    }

    fn look_up_prefixes(&self, group: &Group, path: &str, found: &mut Vec<u32>) {
        let mut lengths = group.prefixes;
        while lengths != 0 {
            let length = lengths.trailing_zeros();
            lengths &= lengths.wrapping_sub(1);
            let Some(prefix) =
                usize::try_from(length).ok().and_then(|length| path.as_bytes().get(..length))
            else {
                break;
            };
            self.add_keyed(in_group(hash::bytes(prefix), group.number, PATH, PREFIX), found);
        }
    }

    fn add_keyed(&self, key: u64, found: &mut Vec<u32>) {
        self.keyed.find(key, |policy| merge(found, &[policy]));
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

const EXACT: u64 = 0;
const PREFIX: u64 = 1;

fn key(group: u64, attribute: Id, kind: u64, value: &[u8]) -> u64 {
    in_group(hash::bytes(value), group, attribute, kind)
}

/// The key of a value that has this hash.
fn in_group(hash: u64, group: u64, attribute: Id, kind: u64) -> u64 {
    hash::mix(hash, group.wrapping_shl(8) | (kind << 7) | u64::from(attribute.position()))
}

/// What a value is looked up by: a number for its kind, and its bytes.
fn kind_and_bytes(wanted: &Wanted) -> (u64, &[u8]) {
    match wanted {
        Wanted::Exactly(text) => (EXACT, text.as_bytes()),
        Wanted::Prefix(text) => {
            (PREFIX, text.as_bytes().get(..MAX_PREFIX).unwrap_or(text.as_bytes()))
        }
    }
}

/// Adds the indices that are not there yet. Both lists are sorted, and so is the result.
fn merge(found: &mut Vec<u32>, more: &[u32]) {
    let Some(first) = more.first() else { return };
    if found.last().is_none_or(|last| last < first) {
        found.extend_from_slice(more);
        return;
    }
    if let [one] = more {
        if let Err(position) = found.binary_search(one) {
            found.insert(position, *one);
        }
        return;
    }
    let before = std::mem::take(found);
    found.reserve(before.len().saturating_add(more.len()));
    let (mut left, mut right) = (before.iter().peekable(), more.iter().peekable());
    while let Some(next) = match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if a <= b => left.next(),
        (_, Some(_)) => right.next(),
        (_, None) => left.next(),
    } {
        push_once(found, *next);
    }
}
