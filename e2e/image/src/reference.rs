//! The name under which an image is pushed: `registry/repository:tag`.
//!
//! The grammar is that of the distribution project, less what cannot serve here: the registry is
//! always named, since `oci://egress-filter:dev` would be a host and a port, and a digest is never
//! given, since making the image determines it.

use std::fmt;
use std::str::FromStr;

/// A name that an image can be pushed under, and that `oci://` can stand before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: String,
}

/// Why a text is not such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "IMAGE `{text}`: {reason}; write registry/repository:tag, such as \
     `registry.example.com/platform/egress-filter:0.1.0`"
)]
pub struct Error {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// The registry: a host, with or without a port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag within the repository.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|reason| Error { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<Reference, &'static str> {
    if text.contains("://") {
        return Err("has a scheme, which the manifests have already");
    }
    if text.contains('@') {
        return Err("has a digest, which is what the image's own bytes say");
    }
    let (registry, rest) = text.split_once('/').ok_or("names no registry")?;
    // A first part without a dot or a port is taken for a folder of Docker Hub by the agent's
    // client, `localhost` too.
    if !registry.contains(['.', ':']) {
        return Err("names no registry (a host with a dot or a port)");
    }
    if !is_registry(registry) {
        return Err("has a registry that is no host name and port");
    }
    let (repository, tag) = rest.split_once(':').ok_or("has no tag")?;
    if !(2..=255).contains(&repository.len()) || !repository.split('/').all(is_path_part) {
        return Err(
            "has a repository that is not lower-case letters and digits, separated by `.`, `_`, \
             `-` and `/`",
        );
    }
    if !is_tag(tag) {
        return Err(
            "has a tag that is not up to 128 letters, digits, `_`, `.` and `-`, the first no `.` \
             or `-`",
        );
    }
    Ok(Reference {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
    })
}

fn is_registry(registry: &str) -> bool {
    let (host, port) =
        registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let label = |label: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let port = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    host.split('.').all(label) && port
}

/// Lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_path_part(part: &str) -> bool {
    let separator = |byte: char| matches!(byte, '.' | '_' | '-');
    let words_and_separators =
        part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || separator(c))
            && !part.starts_with(separator)
            && !part.ends_with(separator);
    words_and_separators
        && !part.is_empty()
        && part.split(|c: char| !separator(c)).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_a_repository_and_a_tag_are_a_name() {
        for (text, registry, repository, tag) in [
            (
                "registry.example.com/platform/egress-filter:0.1.0",
                "registry.example.com",
                "platform/egress-filter",
                "0.1.0",
            ),
            ("localhost:5001/egress-filter:dev", "localhost:5001", "egress-filter", "dev"),
            (
                "127.0.0.1:5000/a/b__c/d--e/f.g:V_1.2-x",
                "127.0.0.1:5000",
                "a/b__c/d--e/f.g",
                "V_1.2-x",
            ),
            (
                "registry.kube-system.svc.cluster.local:5000/ef:1",
                "registry.kube-system.svc.cluster.local:5000",
                "ef",
                "1",
            ),
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!(
                (reference.registry(), reference.repository(), reference.tag()),
                (registry, repository, tag),
                "{text}"
            );
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_a_manifest_could_not_name_is_refused_with_the_reason() {
        let zeros = "0".repeat(64);
        for (text, reason) in [
            ("", "names no registry"),
            ("egress-filter:dev", "names no registry"),
            ("platform/egress-filter:dev", "a dot or a port"),
            ("localhost/egress-filter:dev", "a dot or a port"),
            ("oci://registry.example.com/egress-filter:dev", "scheme"),
            (&format!("registry.example.com/egress-filter@sha256:{zeros}"), "digest"),
            ("registry.example.com/egress-filter", "has no tag"),
            ("registry.example.com/egress-filter:", "has a tag that"),
            ("registry.example.com/egress-filter:-x", "has a tag that"),
            ("registry.example.com/egress-filter:a/b", "has a tag that"),
            ("registry.example.com/egress-filter:a b", "has a tag that"),
            (&format!("registry.example.com/egress-filter:{zeros}{zeros}0"), "has a tag that"),
            ("registry.example.com/Egress:1", "repository"),
            ("registry.example.com/e:1", "repository"),
            ("registry.example.com//egress:1", "repository"),
            ("registry.example.com/a/../b:1", "repository"),
            ("registry.example.com/a___b:1", "repository"),
            ("registry.example.com/a-:1", "repository"),
            ("registry.example.com:99999/egress:1", "host name and port"),
            ("registry.example.com:+80/egress:1", "host name and port"),
            ("-registry.example.com/egress:1", "host name and port"),
            ("registry..example.com/egress:1", "host name and port"),
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.contains(reason) && error.contains(text), "{text:?}: {error}");
            assert!(error.contains("write registry/repository:tag"), "{error}");
        }
    }
}
