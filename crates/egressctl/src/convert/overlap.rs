//! Policies whose services or routes share hosts. In the source, a request belongs to one of them;
//! in the result, to every policy that lists its host.

use super::note::{At, Effect, Notes};

/// A service or route that a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    /// The hosts; `None` for every host that no other policy lists.
    pub(super) hosts: Vec<String>,
}

impl Part {
    fn is(&self, other: &Part) -> bool {
        let same_namespace = self.namespace.is_none()
            || other.namespace.is_none()
            || self.namespace == other.namespace;
        self.kind == other.kind && self.name == other.name && same_namespace
    }

    /// Whether some requests to the hosts of another policy belong to this one in the source.
    fn takes_of(&self, other: &Part) -> bool {
        if other.hosts.is_empty() || self.hosts.is_empty() {
            return other.hosts.is_empty();
        }
        self.hosts.iter().any(|host| other.hosts.iter().any(|wide| is_within(host, wide)))
    }

    fn title(&self) -> String {
        format!("{} `{}`", self.kind.escape_debug(), self.name.escape_debug())
    }
}

/// Whether a pattern is the same as another, or narrower.
pub(super) fn is_within(host: &str, wide: &str) -> bool {
    let (host, wide) = (host.to_ascii_lowercase(), wide.to_ascii_lowercase());
    host == wide || wide.strip_prefix('*').is_some_and(|suffix| host.ends_with(suffix))
}

/// A policy with Allows, and the services or routes that it is for; none where it is for the whole
/// Gateway.
pub(super) type Allows<'a, 'd> = (&'a At<'d>, Vec<Part>);

/// Notes where the Allows of one service or route would let requests to another one through, to
/// which other policies apply. `known` are those that count even without a policy.
pub(super) fn check<'d>(allows: &[Allows<'_, 'd>], known: &[Part], notes: &mut Notes<'d>) {
    let is_of = |parts: &[Part], part: &Part| parts.iter().any(|own| own.is(part));
    for (index, (document, parts)) in allows.iter().enumerate() {
        let others = || {
            allows
                .iter()
                .enumerate()
                .filter(move |(other, _)| *other != index)
                .map(|(_, (_, parts))| parts)
        };
        // Without an Allow of another policy all of its requests go through in the source.
        let is_restricted =
            |part: &Part| others().any(|parts| parts.is_empty() || is_of(parts, part));
        let foreign = others()
            .flatten()
            .chain(known)
            .filter(|part| !is_of(parts, part) && is_restricted(part));
        let pairs = foreign.flat_map(|part| parts.iter().map(move |own| (own, part)));
        if let Some((own, part)) = pairs.into_iter().find(|(own, part)| part.takes_of(own)) {
            let message = format!(
                "what is allowed to the hosts of {} would be allowed to those of {} too, to which \
                 only other Allows apply. Target both, or say in the expressions which \
                 `request.host` they are for",
                own.title(),
                part.title()
            );
            notes.add(document, Effect::Looser, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(hosts: &[&str]) -> Part {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Part { kind: "ServiceEntry".to_owned(), name: "a".to_owned(), namespace: None, hosts }
    }

    #[test]
    fn the_narrower_takes_of_the_wider() {
        for (narrow, wide, takes, back) in [
            ("b.example.com", "*.example.com", true, false),
            ("B.Example.com", "b.example.com", true, true),
            ("*.b.example.com", "*.example.com", true, false),
            ("example.com", "*.example.com", false, false),
            ("a.example", "b.example", false, false),
        ] {
            let (narrow, wide) = (part(&["x.example.net", narrow]), part(&[wide]));
            assert_eq!(
                (narrow.takes_of(&wide), wide.takes_of(&narrow)),
                (takes, back),
                "{narrow:?} {wide:?}"
            );
        }
        let (rest, some) = (part(&[]), part(&["a.example"]));
        assert!(some.takes_of(&rest) && rest.takes_of(&rest) && !rest.takes_of(&some));
    }
}
