//! Which policies can matter to a request, found without looking at the others.
//!
//! A policy's `hosts` put it into groups, one for each host. A group has an entry for each stage in
//! which a policy takes part. Within a group, a rule that can matter only if an attribute has one
//! of certain values ([`Guard`]) is found by that value; every other rule of the group is always a
//! candidate. Candidates are evaluated like any rule, so a collision of hashes costs an evaluation
//! and changes no result. Header rules apply to all of a policy's scope, whatever the result of its
//! rule.

mod popularity;
mod present;
mod together;

use crate::attributes::PATH;
use crate::attributes::view::View;
use crate::cel::attributes::{Attributes, Id};
use crate::cel::guard::{Guard, Wanted};
use crate::config::{DefaultAction, HostPattern};
use crate::hash::{self, Map};
use crate::path::PathSafety;
use popularity::Popularity;
use present::Present;
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
    /// By host.
    exact: Map<Box<str>, Group>,
    /// By the suffix of the host, with its leading dot.
    under: Map<Box<str>, Group>,
    /// By group, attribute and value.
    keyed: Map<u64, Postings>,
    /// Which keys may be among these.
    present: Present,
}

/// The policies for one host, or all under one, or all.
#[derive(Debug, Default)]
struct Group {
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
    allows: Vec<u32>,
    others: Vec<u32>,
}

/// Indices of policies, in order.
#[derive(Debug)]
enum Postings {
    One(u32),
    Many(Vec<u32>),
}

impl Postings {
    fn push(&mut self, position: u32) {
        match self {
            Postings::One(first) if *first == position => {}
            Postings::One(first) => *self = Postings::Many(vec![*first, position]),
            Postings::Many(all) => push_once(all, position),
        }
    }

    fn as_slice(&self) -> &[u32] {
        match self {
            Postings::One(position) => std::slice::from_ref(position),
            Postings::Many(all) => all,
        }
    }
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
    allows: bool,
    path_safety: Option<PathSafety>,
}

impl<'i> Groups<'i> {
    fn new(everywhere: &'i Group) -> Groups<'i> {
        let Together { allows, path_safety, .. } = everywhere.together;
        Groups { everywhere, exact: None, under: Vec::new(), allows, path_safety }
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
    pub(super) fn new(entries: &[Entry<'_>]) -> Index {
        let popularity = Popularity::new(entries);
        let mut index = Index::default();
        let mut groups: u64 = 0;
        for (position, entry) in entries.iter().enumerate() {
            let Ok(position) = u32::try_from(position) else { continue };
            let guard = popularity.best(entry.guards()).filter(|_| entries.len() >= FEW);
            if entry.hosts.is_empty() {
                index.everywhere.add(position, entry, guard, &mut index.keyed);
            }
            for host in entry.hosts {
                let (map, name) = match host {
                    HostPattern::Exact(name) => (&mut index.exact, name),
                    HostPattern::Under(suffix) => (&mut index.under, suffix),
                };
                let group = map.entry(name.as_str().into()).or_insert_with(|| {
                    groups = groups.saturating_add(1);
                    Group { number: groups, ..Group::default() }
                });
                group.add(position, entry, guard, &mut index.keyed);
            }
        }
        index.present = Present::of(index.keyed.keys().copied());
        index
    }

    /// The groups of a canonical host.
    pub(crate) fn groups(&self, host: &str) -> Groups<'_> {
        let mut groups = Groups::new(&self.everywhere);
        if !self.exact.is_empty()
            && let Some(group) = self.exact.get(host)
        {
            groups.add(group);
            groups.exact = Some(group);
        }
        if !self.under.is_empty() {
            // A host is not under itself, so the look-up begins behind its first label.
            let dots =
                host.bytes().enumerate().filter(|(position, byte)| *byte == b'.' && *position > 0);
            for group in dots.filter_map(|(position, _)| self.under.get(host.get(position..)?)) {
                groups.add(group);
                groups.under.push(group);
            }
        }
        groups
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
                self.find(group, key, view, found);
            }
        });
    }

    /// Adds the rest to those that can refuse the request.
    #[inline(never)]
    pub(crate) fn add_allowing(&self, groups: &Groups<'_>, view: &View<'_>, found: &mut Vec<u32>) {
        groups.for_each(|group| {
            for key in group.keys.iter().filter(|key| key.others.is_empty()) {
                self.find(group, key, view, found);
            }
        });
    }

    /// Adds the policies of a group that are found by an attribute.
    #[inline(never)]
    fn find(&self, group: &Group, key: &KeyedBy, view: &View<'_>, found: &mut Vec<u32>) {
        match view.text(key.attribute) {
            Ok(value) => {
                self.look_up(group, key.attribute, value, found);
                if key.attribute == PATH
                    && let Some(other) = view.other_path()
                {
                    self.look_up(group, key.attribute, without_query(other), found);
                }
            }
            Err(_) => {
                merge(found, &key.others);
                merge(found, key.allows.get(..MAX_UNREADABLE).unwrap_or(&key.allows));
            }
        }
    }

    fn look_up(&self, group: &Group, attribute: Id, value: &str, found: &mut Vec<u32>) {
        let mut add = |kind: u64, value: &[u8]| {
            let key = key(group.number, attribute, kind, value);
            if self.present.may_have(key)
                && let Some(postings) = self.keyed.get(&key)
            {
                merge(found, postings.as_slice());
            }
        };
        add(EXACT, value.as_bytes());
        if attribute != PATH {
            return;
        }
        let mut lengths = group.prefixes;
        while lengths != 0 {
            let length = lengths.trailing_zeros();
            lengths &= lengths.wrapping_sub(1);
            let Some(prefix) =
                usize::try_from(length).ok().and_then(|length| value.as_bytes().get(..length))
            else {
                break;
            };
            add(PREFIX, prefix);
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

const EXACT: u64 = 0;
const PREFIX: u64 = 1;

fn key(group: u64, attribute: Id, kind: u64, value: &[u8]) -> u64 {
    let key = group.wrapping_shl(8) | (kind << 7) | u64::from(attribute.position());
    hash::mix(hash::bytes(value), key)
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

impl Group {
    fn add(
        &mut self,
        position: u32,
        entry: &Entry<'_>,
        guard: Option<&Guard>,
        keyed: &mut Map<u64, Postings>,
    ) {
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
            let postings = keyed
                .entry(key(self.number, guard.attribute, kind, value))
                .or_insert(Postings::One(position));
            postings.push(position);
        }
        if !self.keys.iter().any(|key| key.attribute == guard.attribute) {
            self.keys.push(KeyedBy {
                attribute: guard.attribute,
                allows: Vec::new(),
                others: Vec::new(),
            });
        }
        if let Some(key) = self.keys.iter_mut().find(|key| key.attribute == guard.attribute) {
            push_once(if rule.is_allow { &mut key.allows } else { &mut key.others }, position);
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
