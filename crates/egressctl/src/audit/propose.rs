//! The smallest rules that let denied requests through.

mod check;
mod paths;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use egress_filter::identity::SpiffeId;
use egress_filter::request::host;

use super::summary::{Group, Key, Outcome, Summary};
use crate::emit::{Item, Tree};
use paths::Paths;
use rule::Rule;

pub(super) use check::{Base, Refusal};

/// The most different methods of a caller at a host.
const MAX_METHODS: usize = 16;
/// The longest method. The longest that is registered has 17 letters.
const MAX_METHOD: usize = 32;
/// The most hosts of one policy.
const MAX_HOSTS: usize = 256;
/// The most expressions of one policy.
const MAX_EXPRESSIONS: usize = 64;

/// How rules are proposed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// The most paths of one rule that are listed one by one.
    pub(super) most_paths: usize,
    /// Whether the policies are in shadow mode.
    pub(super) is_shadow: bool,
}

/// A request that the rules are for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Observed {
    pub(super) caller: String,
    pub(super) host: String,
    pub(super) method: String,
    pub(super) path: String,
}

/// Requests that no rule is proposed for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) key: Key,
    pub(super) count: u64,
    pub(super) why: String,
}

/// Policies that let requests through.
#[derive(Debug, Default)]
pub(super) struct Proposal {
    policies: Vec<Policy>,
    /// The requests that they are for.
    pub(super) observed: BTreeSet<Observed>,
    /// How many requests these were.
    pub(super) count: u64,
    pub(super) left_out: Vec<LeftOut>,
    /// The names of shadow policies that reported requests which the rules are for.
    pub(super) reported_by: BTreeSet<String>,
}

/// A proposed policy: an Allow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    name: String,
    hosts: Vec<String>,
    rules: Vec<Rule>,
}

impl Proposal {
    /// Proposes rules for what a log says. No policy gets one of the names that are taken.
    pub(super) fn of(summary: &Summary, manner: Manner, taken: &BTreeSet<String>) -> Proposal {
        let mut proposal = Proposal::default();
        for (key, group) in &summary.groups {
            proposal.add(key, group);
        }
        proposal.policies = policies(&proposal.observed, manner.most_paths, taken);
        proposal
    }

    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// How many policies there are.
    pub(super) fn len(&self) -> usize {
        self.policies.len()
    }

    fn add(&mut self, key: &Key, group: &Group) {
        let mut leave_out = |count: u64, why: &str| {
            if count > 0 {
                let why = why.to_owned();
                self.left_out.push(LeftOut { key: key.clone(), count, why });
            }
        };
        let (caller, host) = match legal(key) {
            Ok(legal) => legal,
            Err(why) => return leave_out(group.count, &why),
        };
        leave_out(group.others, "more different requests than are kept");
        let mut unreadable = 0_u64;
        for ((method, path), count) in &group.requests {
            if !is_legal_method(method) || !is_legal_path(path) {
                unreadable = unreadable.saturating_add(*count);
                continue;
            }
            self.observed.insert(Observed {
                caller: caller.to_owned(),
                host: host.to_owned(),
                method: method.clone(),
                path: path.clone(),
            });
            self.count = self.count.saturating_add(*count);
            if key.outcome == Outcome::WouldBeDenied {
                self.reported_by.extend(key.policies.iter().cloned());
            }
        }
        if unreadable > 0 {
            let why = "the path or the method is cut or is not plain: write a rule for it by hand";
            self.left_out.push(LeftOut {
                key: key.clone(),
                count: unreadable,
                why: why.to_owned(),
            });
        }
    }

    /// As a configuration. What it says goes by the engine's reading of it: [`check`].
    pub(super) fn tree(&self, manner: Manner) -> Tree {
        let items = self.policies.iter().map(|policy| policy.item(manner)).collect();
        Tree::map([("policies", Tree::List(items))])
    }

    /// Whether the rules are to let this request through.
    fn covers(&self, request: &Observed) -> bool {
        let at_host = |policy: &&Policy| policy.hosts.contains(&request.host);
        let mut rules = self.policies.iter().filter(at_host).flat_map(|policy| &policy.rules);
        rules.any(|rule| rule.covers(request))
    }
}

/// The caller and the host of requests that an Allow could let through.
fn legal(key: &Key) -> Result<(&str, &str), String> {
    match (key.outcome, key.reason.as_str()) {
        (Outcome::Denied, "no-allow-matched" | "default-deny") => {}
        (Outcome::Denied, reason) => {
            return Err(format!("an Allow does not help against `{reason}`"));
        }
        (Outcome::WouldBeDenied, "allow-matched") => {
            return Err("an Allow matched already: a Deny or Require would deny them".to_owned());
        }
        (Outcome::WouldBeDenied, _) => {}
    }
    let Some(caller) = &key.caller else {
        return Err("the callers have no identity that a rule could name".to_owned());
    };
    if SpiffeId::parse(caller).is_err() || !caller.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the caller is no SPIFFE ID".to_owned());
    }
    let host = key.host.as_deref().unwrap_or_default();
    let is_name = host::canonical(host.as_bytes()).is_ok_and(|canonical| canonical == host);
    if !is_name || host.starts_with('[') {
        return Err("the host is no name that a policy can have".to_owned());
    }
    Ok((caller, host))
}

fn is_legal_method(method: &str) -> bool {
    crate::request::method(method).is_ok() && method.len() <= MAX_METHOD
}

/// Whether a record has a path as the request had it, and a rule can name it.
fn is_legal_path(path: &str) -> bool {
    let is_cut = path.len() >= 1024 && path.ends_with("...");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'\\');
    path.starts_with('/') && !is_cut && path.bytes().all(is_plain)
}

/// The policies that let these requests through.
fn policies(
    observed: &BTreeSet<Observed>,
    most_paths: usize,
    taken: &BTreeSet<String>,
) -> Vec<Policy> {
    // By host and caller, the methods of each path.
    let mut seen: BTreeMap<&str, BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>>> = BTreeMap::new();
    for Observed { caller, host, method, path } in observed {
        let paths = seen.entry(host).or_default().entry(caller).or_default();
        paths.entry(path).or_default().insert(method);
    }
    // Hosts of the same rules are hosts of one policy.
    let mut hosts: BTreeMap<Vec<Rule>, Vec<String>> = BTreeMap::new();
    for (host, callers) in seen {
        hosts.entry(rules(callers, most_paths)).or_default().push(host.to_owned());
    }
    let mut parts: Vec<(Vec<String>, Vec<Rule>)> = Vec::new();
    for (rules, hosts) in hosts {
        for hosts in hosts.chunks(MAX_HOSTS) {
            for rules in rules.chunks(MAX_EXPRESSIONS) {
                parts.push((hosts.to_vec(), rules.to_vec()));
            }
        }
    }
    parts.sort();
    let mut taken = taken.clone();
    let named = parts.into_iter().map(|(hosts, rules)| {
        let name = name(hosts.first().map_or("", String::as_str), &mut taken);
        Policy { name, hosts, rules }
    });
    named.collect()
}

/// The rules of one host.
fn rules(callers: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>>, most_paths: usize) -> Vec<Rule> {
    // What each caller does, by its methods; and who else does just that.
    let mut doing: BTreeMap<(BTreeSet<String>, Paths, usize), BTreeSet<String>> = BTreeMap::new();
    for (caller, paths) in callers {
        let mut by_methods: BTreeMap<BTreeSet<&str>, BTreeSet<String>> = BTreeMap::new();
        for (path, methods) in paths {
            by_methods.entry(methods).or_default().insert(path.to_owned());
        }
        for (methods, paths) in by_methods {
            let methods = methods.into_iter().map(str::to_owned).collect();
            let seen = paths.len();
            let key = (methods, Paths::of(paths, most_paths), seen);
            doing.entry(key).or_default().insert(caller.to_owned());
        }
    }
    let rules = doing.into_iter().flat_map(|((methods, paths, seen), callers)| {
        Rule { callers, methods, paths, seen }.in_parts()
    });
    rules.collect()
}

/// A policy's name, made from its host, and unlike all others.
fn name(host: &str, taken: &mut BTreeSet<String>) -> String {
    let stem = host.replace('.', "-");
    let stem = format!("allow-{}", stem.get(..200).unwrap_or(&stem));
    let numbered = (2_usize..).map(|number| format!("{stem}-{number}"));
    let name = std::iter::once(stem.clone()).chain(numbered).find(|name| !taken.contains(name));
    let name = name.unwrap_or(stem);
    taken.insert(name.clone());
    name
}

impl Policy {
    fn item(&self, manner: Manner) -> Item {
        let expressions = Tree::texts(self.rules.iter().map(Rule::to_cel));
        let mut authorization = Vec::new();
        if self.rules.len() > 1 {
            authorization.push(("match", Tree::text("Any")));
        }
        authorization.push(("policy", Tree::map([("matchExpressions", expressions)])));
        let mut fields = vec![
            ("name", Tree::text(&self.name)),
            ("hosts", Tree::texts(self.hosts.iter().cloned())),
        ];
        if manner.is_shadow {
            fields.push(("mode", Tree::text("Shadow")));
        }
        fields.push(("traffic", Tree::map([("authorization", Tree::map(authorization))])));
        let comment = self.rules.iter().filter_map(Rule::generalised).collect();
        Item { comment, tree: Tree::map(fields) }
    }
}
