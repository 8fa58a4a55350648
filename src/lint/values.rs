//! The values that attributes can have.

use egress_reading::host::is_trust_domain;

use super::Known;
use super::formula::{Relation, Subject, quoted};
use super::solve::{Domain, State};
use crate::attributes::{
    self, DESTINATION_PORT, HOST, METHOD, NAMESPACE, PATH, PATH_AND_QUERY, REQUEST_ID, SCHEME,
    SERVICE_ACCOUNT, SOURCE_PORT, SPIFFE_ID, TRUST_DOMAIN, VERSION,
};
use crate::cel::attributes::Id;
use crate::cel::lowered::Comparison;
use crate::config::HostPattern;
use crate::identity::{SpiffeId, is_segment};
use crate::path::PathSafety;
use crate::request::host;

/// The most kinds of hosts that are distinguished by prefix and suffix together.
const MAX_HOST_KINDS: usize = 64;
const PORTS: std::ops::RangeInclusive<i64> = 0..=65_535;
const SPIFFE: &str = "spiffe://";
const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The values of a subject that stand for all it can have.
pub(super) fn states<'t>(
    subject: Subject<'t>,
    mut domain: Domain<'t>,
    known: Known<'t>,
) -> Vec<State<'t>> {
    let mut states = Vec::new();
    let strict = known.strict_paths;
    let (absent, garbled) = match subject {
        Subject::Identity => return vec![State::Missing, State::Other { prefix: "", suffix: "" }],
        Subject::Header(name) if name.starts_with(':') => return vec![State::Missing],
        // A request without a known host is refused before any rule.
        Subject::Attribute(HOST) => (false, false),
        Subject::Attribute(PATH | PATH_AND_QUERY) => (!strict, !strict),
        Subject::Attribute(METHOD | SCHEME | VERSION | REQUEST_ID) | Subject::Header(_) => {
            (true, true)
        }
        Subject::Attribute(_) | Subject::Number(_) => (true, false),
    };
    if absent {
        states.push(State::Missing);
    }
    if garbled {
        states.push(State::NotUtf8);
    }
    domain.prefixes.push("");
    match subject {
        Subject::Number(attribute) => {
            let possible = |number: &i64| !is_port(attribute) || PORTS.contains(number);
            if is_port(attribute) {
                domain.numbers.extend([*PORTS.start(), *PORTS.end()]);
            }
            states.extend(domain.numbers.iter().copied().filter(possible).map(State::Number));
        }
        Subject::Attribute(TRUST_DOMAIN) if !known.trust_domains.is_empty() => {
            states.extend(known.trust_domains.iter().map(|name| State::Exactly(name)));
        }
        Subject::Attribute(HOST) if !known.hosts.is_empty() => {
            hosts(&mut states, &domain, known.hosts)
        }
        _ => {
            let exactly = domain
                .literals
                .iter()
                .filter(|literal| wrong(subject, Relation::Equal(literal), known).is_none());
            states.extend(exactly.map(|literal| State::Exactly(literal)));
            let prefixes = domain
                .prefixes
                .iter()
                .filter(|prefix| wrong(subject, Relation::StartsWith(prefix), known).is_none());
            states.extend(prefixes.map(|prefix| State::Other { prefix, suffix: "" }));
        }
    }
    states
}

fn hosts<'t>(states: &mut Vec<State<'t>>, domain: &Domain<'t>, patterns: &'t [HostPattern]) {
    let mut exact: Vec<&str> = domain
        .literals
        .iter()
        .copied()
        .filter(|host| is_host(host) && is_for(patterns, host))
        .collect();
    let mut suffixes = Vec::new();
    for pattern in patterns {
        match pattern {
            HostPattern::Exact(name) => exact.push(name),
            HostPattern::Under(suffix) => suffixes.push(suffix.as_str()),
        }
    }
    states.extend(exact.into_iter().map(State::Exactly));
    if suffixes.is_empty() {
        return;
    }
    if suffixes.len().saturating_mul(domain.prefixes.len()) > MAX_HOST_KINDS {
        suffixes = vec![""];
    }
    for suffix in suffixes {
        states.extend(
            domain
                .prefixes
                .iter()
                .filter(|prefix| is_host_part(prefix))
                .map(|prefix| State::Other { prefix, suffix }),
        );
    }
}

/// Why a comparison can never be true, for a warning.
pub(super) fn objections(
    subject: Subject<'_>,
    fallback: Option<&str>,
    relation: Relation<'_>,
    known: Known<'_>,
) -> Vec<String> {
    let single;
    let literals: &[Box<str>] = match relation {
        Relation::In(list) => list,
        Relation::Equal(text)
        | Relation::StartsWith(text)
        | Relation::EndsWith(text)
        | Relation::Contains(text) => {
            single = [Box::from(text)];
            &single
        }
        Relation::Other => return Vec::new(),
    };
    let mut found = Vec::new();
    for literal in literals {
        let (one, verb) = match relation {
            Relation::StartsWith(_) => (Relation::StartsWith(literal), "never starts with"),
            Relation::EndsWith(_) => (Relation::EndsWith(literal), "never ends with"),
            Relation::Contains(_) => (Relation::Contains(literal), "never contains"),
            Relation::Equal(_) | Relation::In(_) | Relation::Other => {
                (Relation::Equal(literal), "is never")
            }
        };
        // The fallback of `default` is not a value of the attribute.
        let from_fallback = fallback
            .is_some_and(|fallback| matches!(one, Relation::Equal(text) if text == fallback));
        if from_fallback {
            continue;
        }
        if let Some(why) = wrong(subject, one, known) {
            found
                .push(format!("`{subject}` {verb} `{}`: {why}", quoted(literal).trim_matches('"')));
        } else if let Some(method) = miswritten(subject, one) {
            found.push(format!(
                "`{subject}` is compared with {}: methods are case-sensitive, and `{method}` is \
                 the standard one",
                quoted(literal)
            ));
        }
        if found.len() >= MAX_OBJECTIONS {
            break;
        }
    }
    found
}

/// The most values of one list for which there is a warning.
const MAX_OBJECTIONS: usize = 4;

/// The standard method that differs only in letter case from the compared text.
fn miswritten(subject: Subject<'_>, relation: Relation<'_>) -> Option<&'static str> {
    match (subject, relation) {
        (Subject::Attribute(METHOD), Relation::Equal(text)) => METHODS
            .iter()
            .copied()
            .find(|method| *method != text && method.eq_ignore_ascii_case(text)),
        _ => None,
    }
}

/// Why a number never has the compared value.
pub(super) fn number_objection(
    attribute: Id,
    comparison: Comparison,
    literal: i64,
) -> Option<String> {
    let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    (equality && is_port(attribute) && !PORTS.contains(&literal)).then(|| {
        format!("`{}` is never `{literal}`: ports are 0 to 65535", attributes::name(attribute))
    })
}

fn is_port(attribute: Id) -> bool {
    matches!(attribute, SOURCE_PORT | DESTINATION_PORT)
}

/// Why no value of a subject can have this relation to a text; nothing if one can.
fn wrong(subject: Subject<'_>, relation: Relation<'_>, known: Known<'_>) -> Option<String> {
    let attribute = match subject {
        Subject::Attribute(attribute) => attribute,
        Subject::Header(name) if name.starts_with(':') => {
            return Some("`request.headers` has no pseudo-headers".to_owned());
        }
        Subject::Header(_) | Subject::Number(_) | Subject::Identity => return None,
    };
    match attribute {
        HOST => wrong_host(relation, known.hosts),
        PATH => wrong_path(relation, known.strict_paths),
        PATH_AND_QUERY => wrong_start(relation, known.strict_paths).or_else(|| match relation {
            Relation::Equal(text) if known.strict_paths => refused(text),
            _ => None,
        }),
        TRUST_DOMAIN => wrong_trust_domain(relation, known.trust_domains),
        NAMESPACE | SERVICE_ACCOUNT => match relation {
            Relation::Equal(text) if !is_segment(text) => {
                Some("it is letters, digits, `.`, `-` and `_`".to_owned())
            }
            _ => None,
        },
        SPIFFE_ID => wrong_spiffe_id(relation, known.trust_domains),
        _ => None,
    }
}

fn wrong_host(relation: Relation<'_>, patterns: &[HostPattern]) -> Option<String> {
    match relation {
        Relation::Equal(text) => match host::canonical(text.as_bytes()) {
            Ok(host) if host != text => {
                Some(format!("it is lower-case, with no port and no trailing dot, so `{host}`"))
            }
            Ok(_) => {
                (!is_for(patterns, text)).then(|| "the policy's `hosts` do not have it".to_owned())
            }
            Err(_) => Some("that is no host".to_owned()),
        },
        Relation::StartsWith(text) | Relation::EndsWith(text) | Relation::Contains(text) => {
            if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Some("it is lower-case".to_owned());
            }
            (!is_host_part(text)).then(|| "it is a host without a port".to_owned())
        }
        Relation::In(_) | Relation::Other => None,
    }
}

fn is_for(patterns: &[HostPattern], host: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(host))
}

fn is_host(text: &str) -> bool {
    host::canonical(text.as_bytes()).as_deref() == Ok(text)
}

/// Whether a canonical host may have this in it. `[::1]` is one, too.
fn is_host_part(text: &str) -> bool {
    let named = text.bytes().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    });
    named
        || text.bytes().all(|byte| {
            byte.is_ascii_digit() || matches!(byte, b'a'..=b'f' | b'.' | b':' | b'[' | b']')
        })
}

fn wrong_path(relation: Relation<'_>, strict: bool) -> Option<String> {
    let (Relation::Equal(text)
    | Relation::StartsWith(text)
    | Relation::EndsWith(text)
    | Relation::Contains(text)) = relation
    else {
        return None;
    };
    if text.contains('?') {
        return Some("it has no query: `request.pathAndQuery` does".to_owned());
    }
    wrong_start(relation, strict).or_else(|| match relation {
        Relation::Equal(text) if strict => refused(text),
        _ => None,
    })
}

/// A path that is not absolute.
fn wrong_start(relation: Relation<'_>, strict: bool) -> Option<String> {
    let (Relation::Equal(text) | Relation::StartsWith(text)) = relation else { return None };
    let begins = text.starts_with('/')
        || text == "*"
        || (text.is_empty() && matches!(relation, Relation::StartsWith(_)));
    // Only a query can follow `*`.
    let asterisk = text.starts_with("*?");
    (strict && !begins && !asterisk).then(|| "paths start with `/`".to_owned())
}

/// A path that is refused before any rule.
fn refused(path: &str) -> Option<String> {
    PathSafety::Strict
        .objection(path.as_bytes())
        .map(|why| format!("`pathSafety` refuses it ({why})"))
}

fn wrong_trust_domain(relation: Relation<'_>, believed: &[String]) -> Option<String> {
    let possible = match relation {
        Relation::Equal(text) if !is_trust_domain(text) => {
            return Some("it is lower-case letters, digits, `.`, `-` and `_`".to_owned());
        }
        Relation::Equal(text) => believed.is_empty() || believed.iter().any(|name| name == text),
        Relation::StartsWith(text) => {
            believed.is_empty() || believed.iter().any(|name| name.starts_with(text))
        }
        _ => true,
    };
    (!possible).then(|| "`identity.trustDomains` do not have it".to_owned())
}

fn wrong_spiffe_id(relation: Relation<'_>, believed: &[String]) -> Option<String> {
    match relation {
        Relation::Equal(text) => match SpiffeId::parse(text) {
            Err(why) => Some(format!("that is no SPIFFE ID: {why}")),
            Ok(id)
                if believed.is_empty() || believed.iter().any(|name| name == id.trust_domain()) =>
            {
                None
            }
            Ok(_) => Some("`identity.trustDomains` do not have its trust domain".to_owned()),
        },
        Relation::StartsWith(text) if !SPIFFE.starts_with(text) && !text.starts_with(SPIFFE) => {
            Some(format!("it starts with `{SPIFFE}`"))
        }
        _ => None,
    }
}
