//! Rules that count for the callers of some namespaces only.

use egress_filter::config::Action;

/// Namespaces: one by its name, or those that begin with what stands before a `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Namespace {
    Named(String),
    Beginning(String),
}

impl Namespace {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Option<Namespace> {
        let (stem, is_beginning) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        // A label of RFC 1123, or its beginning. `*` alone would be everybody.
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_legal = !stem.is_empty()
            && stem.len() <= 63
            && stem.bytes().all(legal)
            && !stem.starts_with('-')
            && (is_beginning || !stem.ends_with('-'));
        let stem = stem.to_owned();
        is_legal.then_some(match is_beginning {
            true => Namespace::Beginning(stem),
            false => Namespace::Named(stem),
        })
    }
}

/// An expression of a rule with this action, so that it counts for callers from these namespaces
/// only. It has been compiled by itself before, so it ends within its brackets: they stand on lines
/// of their own because it may end in a comment.
///
/// A caller without an identity is from none of them: an Allow and a Deny do not match it, and a
/// Require does.
pub(super) fn guarded(action: Action, namespaces: &[Namespace], expression: &str) -> String {
    let is_one = is_one_of(namespaces);
    match action {
        Action::Allow => format!("{is_one} && (\n{expression}\n)"),
        Action::Deny => format!("has(source.identity) && {is_one} && (\n{expression}\n)"),
        Action::Require => format!("!has(source.identity) || !({is_one}) || (\n{expression}\n)"),
    }
}

/// A test whether the caller's namespace is one of these.
fn is_one_of(namespaces: &[Namespace]) -> String {
    let named: Vec<String> = namespaces
        .iter()
        .filter_map(|namespace| match namespace {
            Namespace::Named(name) => Some(format!("\"{name}\"")),
            Namespace::Beginning(_) => None,
        })
        .collect();
    let mut tests = match named.as_slice() {
        [] => Vec::new(),
        [one] => vec![format!("source.identity.namespace == {one}")],
        all => vec![format!("source.identity.namespace in [{}]", all.join(", "))],
    };
    tests.extend(namespaces.iter().filter_map(|namespace| match namespace {
        Namespace::Named(_) => None,
        Namespace::Beginning(stem) => {
            Some(format!("source.identity.namespace.startsWith(\"{stem}\")"))
        }
    }));
    match tests.as_slice() {
        [one] => one.clone(),
        all => format!("({})", all.join(" || ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_name_or_the_beginning_of_one() {
        for (text, expected) in [
            ("payments", Some(Namespace::Named("payments".to_owned()))),
            ("ci-*", Some(Namespace::Beginning("ci-".to_owned()))),
            ("*", None),
            ("", None),
            ("a*b", None),
            ("A", None),
            ("-a", None),
            ("a-", None),
            ("a\" || true || \"", None),
        ] {
            assert_eq!(Namespace::parse(text), expected, "{text}");
        }
    }
}
