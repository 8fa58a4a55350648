//! Whether the image is valid, pinned, and the one that was meant.

use std::ops::Range;

use super::{Lints, Place, name_or_first_line, present};
use crate::yaml::Node;

const DIGITS: usize = 64;

/// The parts of a `url`.
#[derive(Debug, PartialEq, Eq)]
struct Image<'u> {
    scheme: Option<&'u str>,
    tag: Option<&'u str>,
    digest: Option<&'u str>,
}

impl<'u> Image<'u> {
    fn parse(url: &'u str) -> Self {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, url),
        };
        if !matches!(scheme, Some("oci") | None) {
            return Image { scheme, tag: None, digest: None };
        }
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) => (name, Some(digest.strip_prefix("sha256:").unwrap_or(digest))),
            None => (rest, None),
        };
        // A colon before the last slash is that of the registry's port.
        let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
        Image { scheme, tag, digest }
    }

    fn is_in_registry(&self) -> bool {
        matches!(self.scheme, Some("oci") | None)
    }
}

/// Whether a `url` names the image that reads bodies, as far as that can be seen.
pub(super) fn is_for_bodies(url: &str) -> bool {
    Image::parse(url).tag.is_none_or(|tag| tag.ends_with("-bodies"))
}

pub(super) fn lint(module: Place<'_>, module_name: &Range<usize>, lints: &mut Lints<'_>) {
    let path = format!("{}.url", module.path);
    let Some(node) = present(module.node, "url") else {
        let message = "field `url` is missing: name the filter's image, such as \
            `oci://registry.example.com/egress-filter:0.1.0`";
        lints.error(module_name.clone(), module.path, message);
        return;
    };
    // A value that is not a string has been reported already.
    let Some(url) = node.as_str() else { return };
    let span = node.span.clone();
    let image = Image::parse(url);
    match image.scheme {
        Some("oci" | "http" | "https") => {}
        Some("file") => lints.note(
            span.clone(),
            path.as_str(),
            "a `file://` is that of the waypoint's own pod: mount it there",
        ),
        Some(scheme) => {
            let message = format!(
                "unknown scheme `{}`: expected `oci://`, `https://`, `http://` or `file://`",
                scheme.escape_debug()
            );
            lints.error(span.clone(), path.as_str(), message);
        }
        None => {
            lints.note(span.clone(), path.as_str(), "without a scheme this is read as `oci://`")
        }
    }
    if image.is_in_registry()
        && image.digest.is_none()
        && matches!(image.tag, None | Some("latest"))
    {
        let message = match image.tag {
            Some(_) => "the tag `latest` is another image tomorrow: name a version",
            None => {
                "without a tag the image is `latest`, which is another tomorrow: name a version"
            }
        };
        lints.warning("moving-tag", span.clone(), path.as_str(), message);
    }
    match image.digest.and_then(objection) {
        Some(objection) => lints.error(span, path, format!("the digest in `url` {objection}")),
        None => checksum(module, &image, lints),
    }
}

fn checksum(module: Place<'_>, image: &Image<'_>, lints: &mut Lints<'_>) {
    let path = format!("{}.sha256", module.path);
    let value = present(module.node, "sha256");
    let span =
        value.map_or_else(|| name_or_first_line(module.node, "url"), |value| value.span.clone());
    match value.map(Node::as_str) {
        // The value that is not a string has been reported.
        Some(None) => {}
        Some(Some(digest)) if !digest.is_empty() => {
            if let Some(objection) = objection(digest) {
                lints.error(span, path, format!("`sha256` {objection}"));
            } else if image.digest.is_some_and(|other| other != digest) {
                lints.error(
                    span,
                    path,
                    "`sha256` is not the digest in `url`: the image is refused",
                );
            } else if digest.bytes().all(|digit| digit == b'0') {
                let message = "this digest is a placeholder: `make image \
                    IMAGE=registry/repository:tag` writes the files with your image and its digest";
                lints.warning("placeholder-digest", span, path, message);
            }
        }
        _ if image.digest.is_some() || image.scheme == Some("file") => {}
        _ => {
            let what = if image.is_in_registry() {
                "the digest of the image's manifest"
            } else {
                "the file's"
            };
            let message = format!(
                "without `sha256` whoever can write to where `url` points can replace the filter: \
                 give {what}"
            );
            lints.warning("no-digest", span, path, message);
        }
    }
}

/// What is wrong with a digest.
fn objection(digest: &str) -> Option<String> {
    if digest.starts_with("sha256:") {
        return Some("is given without `sha256:` before its digits".to_owned());
    }
    let legal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if digest.len() == DIGITS && digest.chars().all(legal) {
        return None;
    }
    let length = digest.chars().count();
    Some(match length == DIGITS {
        true => format!("is {DIGITS} digits, `0` to `9` and `a` to `f`"),
        false => format!("is {DIGITS} digits, `0` to `9` and `a` to `f`; this has {length}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_digests_are_told_from_ports() {
        for (url, scheme, tag, digest) in [
            ("oci://r.example.com/a/b:1.0", Some("oci"), Some("1.0"), None),
            ("oci://r.example.com:5000/a/b", Some("oci"), None, None),
            ("oci://r.example.com:5000/a/b:1", Some("oci"), Some("1"), None),
            ("r.example.com/a:latest", None, Some("latest"), None),
            ("oci://r/a@sha256:0a", Some("oci"), None, Some("0a")),
            ("oci://r/a:1@sha256:0a", Some("oci"), Some("1"), Some("0a")),
            ("https://r:443/a.wasm", Some("https"), None, None),
        ] {
            assert_eq!(Image::parse(url), Image { scheme, tag, digest }, "{url}");
        }
    }
}
