//! Which requests a rule of an HTTPRoute is for.
//!
//! Of all matches that fit a request, the most specific one decides which rule it belongs to
//! (Gateway API, HTTPRouteRule.matches): an exact path before a prefix, a longer prefix before a
//! shorter one, then a method, then more headers, then the order.

use std::cmp::Reverse;

use crate::convert::note::{At, Effect, Notes};
use crate::convert::policy::literal;

/// One match of a rule.
#[derive(Debug, Clone)]
pub(super) struct Match {
    /// The rule that it is of.
    pub(super) rule: usize,
    path: PathMatch,
    method: Option<String>,
    /// Names, lower-case, and values.
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum PathMatch {
    Exact(String),
    /// Without the final slash, which does not count; so the prefix of every path is empty.
    Prefix(String),
}

impl Match {
    /// The prefix that the path must have, if that is how it is matched.
    pub(super) fn prefix(&self) -> Option<&str> {
        match &self.path {
            PathMatch::Prefix(prefix) if prefix.is_empty() => Some("/"),
            PathMatch::Prefix(prefix) => Some(prefix),
            PathMatch::Exact(_) => None,
        }
    }

    /// As an expression; none if it fits every request.
    fn to_cel(&self) -> Option<String> {
        let mut parts = Vec::new();
        match &self.path {
            PathMatch::Exact(path) => parts.push(format!("request.path == {}", literal(path))),
            PathMatch::Prefix(prefix) if prefix.is_empty() => {}
            PathMatch::Prefix(prefix) => parts.push(format!(
                "(request.path == {} || request.path.startsWith({}))",
                literal(prefix),
                literal(&format!("{prefix}/"))
            )),
        }
        parts.extend(
            self.method.iter().map(|method| format!("request.method == {}", literal(method))),
        );
        for (name, value) in &self.headers {
            let (name, value) = (literal(name), literal(value));
            parts.push(format!("{name} in request.headers && request.headers[{name}] == {value}"));
        }
        (!parts.is_empty()).then(|| parts.join(" && "))
    }

    fn rank(&self) -> impl Ord + use<> {
        let (is_exact, length) = match &self.path {
            PathMatch::Exact(path) => (true, path.len()),
            PathMatch::Prefix(prefix) => (false, prefix.len()),
        };
        Reverse((is_exact, length, self.method.is_some(), self.headers.len()))
    }

    /// Whether no request fits both, as far as that is easily seen.
    fn is_apart_from(&self, other: &Match) -> bool {
        let below = |path: &str, prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let paths = match (&self.path, &other.path) {
            (PathMatch::Exact(one), PathMatch::Exact(other)) => one != other,
            (PathMatch::Exact(path), PathMatch::Prefix(prefix))
            | (PathMatch::Prefix(prefix), PathMatch::Exact(path)) => !below(path, prefix),
            (PathMatch::Prefix(one), PathMatch::Prefix(other)) => {
                !below(one, other) && !below(other, one)
            }
        };
        let methods =
            self.method.is_some() && other.method.is_some() && self.method != other.method;
        paths || methods
    }
}

/// All matches of a route, the most specific first.
#[derive(Debug)]
pub(super) struct Matches(Vec<Match>);

impl Matches {
    /// The matches of all rules; none if one of them is not understood.
    pub(super) fn read<'d>(rules: &[At<'d>], notes: &mut Notes<'d>) -> Option<Matches> {
        let mut all = Some(Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            let items = rule.get("matches").map(|matches| notes.list(&matches));
            let items = items.unwrap_or_default();
            if items.is_empty() {
                let path = PathMatch::Prefix(String::new());
                let every = Match { rule: index, path, method: None, headers: Vec::new() };
                all.iter_mut().for_each(|all| all.push(every.clone()));
            }
            for item in items {
                match (&mut all, read(&item, index, notes)) {
                    (Some(all), Some(one)) => all.push(one),
                    _ => all = None,
                }
            }
        }
        let mut all = all?;
        all.sort_by_key(Match::rank);
        // What is behind a match of every request never counts.
        if let Some(every) = all.iter().position(|one| one.to_cel().is_none()) {
            all.truncate(every.saturating_add(1));
        }
        Some(Matches(all))
    }

    /// The only match, if it fits every request.
    pub(super) fn only(&self) -> Option<&Match> {
        match self.0.as_slice() {
            [only] if only.to_cel().is_none() => Some(only),
            _ => None,
        }
    }

    /// Each match, with the condition on which a request belongs to its rule by it.
    pub(super) fn conditions(&self) -> Vec<(&Match, Option<String>)> {
        let condition = |(index, one): (usize, &'_ Match)| {
            let before = self.0.iter().take(index).filter(|before| before.rule != one.rule);
            let others: Vec<String> = before
                .filter(|before| !before.is_apart_from(one))
                .filter_map(Match::to_cel)
                .map(|cel| format!("!({cel})"))
                .collect();
            let parts: Vec<String> = one.to_cel().into_iter().chain(others).collect();
            (!parts.is_empty()).then(|| parts.join(" && "))
        };
        self.0.iter().enumerate().map(|(index, one)| (one, condition((index, one)))).collect()
    }

    /// The condition on which a request belongs to any rule; none if every request does.
    pub(super) fn any(&self) -> Option<String> {
        let all: Option<Vec<String>> = self.0.iter().map(Match::to_cel).collect();
        let all = all?;
        match all.as_slice() {
            [only] => Some(only.clone()),
            several => {
                let several: Vec<String> = several.iter().map(|cel| format!("({cel})")).collect();
                Some(several.join(" || "))
            }
        }
    }
}

/// A match; none if it is not understood.
fn read<'d>(at: &At<'d>, rule: usize, notes: &mut Notes<'d>) -> Option<Match> {
    let before = notes.losses();
    let mut found =
        Match { rule, path: PathMatch::Prefix(String::new()), method: None, headers: Vec::new() };
    for field in notes.object(at, &["path", "method", "headers", "queryParams"]) {
        match field.name() {
            "path" => {
                notes.object(&field, &["type", "value"]);
                let value = field.text_at("value").unwrap_or("/");
                match field.text_at("type").unwrap_or("PathPrefix") {
                    "Exact" => found.path = PathMatch::Exact(value.to_owned()),
                    "PathPrefix" => {
                        found.path = PathMatch::Prefix(value.trim_end_matches('/').to_owned());
                    }
                    _ => refuse(&field, "of this kind of path", notes),
                }
            }
            "method" => match field.node.as_str() {
                Some(method) => found.method = Some(method.to_owned()),
                None => notes.wrong(&field, "a method"),
            },
            "headers" => {
                for item in notes.list(&field) {
                    notes.object(&item, &["type", "name", "value"]);
                    let is_exact = item.text_at("type").is_none_or(|kind| kind == "Exact");
                    match item.text_at("name").zip(item.text_at("value")) {
                        // An underscore counts as a hyphen here.
                        Some((name, value)) if is_exact && !name.contains('_') => {
                            found.headers.push((name.to_ascii_lowercase(), value.to_owned()));
                        }
                        _ => refuse(&item, "of this kind of header", notes),
                    }
                }
            }
            _ => refuse(&field, "of query parameters", notes),
        }
    }
    (notes.losses() == before).then_some(found)
}

fn refuse<'d>(at: &At<'d>, what: &str, notes: &mut Notes<'d>) {
    let message = format!(
        "a match {what} has no counterpart, so that which requests the route's rules are for is \
         not known: none of its filters is in the result"
    );
    notes.field(at, Effect::Looser, message);
}
