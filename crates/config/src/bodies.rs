//! `bodies`: which bodies are read, and how many bytes of them.

use super::decode::{Errors, Node};
use super::json::Json;
use super::shape::{self, Text};

/// `bodies.maxSize`, where the configuration does not say.
pub const BODY_SIZE: u64 = 64 * 1024;
/// The largest `bodies.maxSize`: what Envoy keeps for a filter of a caller of HTTP/1.1, unless its
/// listener says otherwise.
pub const MAX_BODY_SIZE: u64 = 1024 * 1024;
/// The most entries of `bodies.contentTypes`.
pub const MAX_CONTENT_TYPES: usize = 32;

/// The types of the bodies that are read, where the configuration does not say.
pub const CONTENT_TYPES: [&str; 4] =
    ["application/json", "application/*+json", "application/x-www-form-urlencoded", "text/*"];

/// `bodies`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodiesConfig {
    /// The most bytes that a body may have which is read.
    pub max_size: usize,
    /// The types of the bodies that are read, lower-case. A `*` stands for any characters.
    pub content_types: Vec<String>,
}

impl Default for BodiesConfig {
    fn default() -> Self {
        BodiesConfig {
            max_size: usize::try_from(BODY_SIZE).unwrap_or(usize::MAX),
            content_types: CONTENT_TYPES.map(str::to_owned).to_vec(),
        }
    }
}

/// Reads `bodies`.
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> BodiesConfig {
    let mut config = BodiesConfig::default();
    let Some(fields) = node.object(shape::BODIES, errors) else { return config };
    if let Some(size) =
        fields.get("maxSize").and_then(|node| read_size(&node, MAX_BODY_SIZE, errors))
    {
        config.max_size = size;
    }
    if let Some(node) = fields.get("contentTypes") {
        let items = node.list(shape::CONTENT_TYPES, errors);
        let types = items.iter().filter_map(|item| item.text(Text::MediaType, errors));
        config.content_types = types.map(str::to_ascii_lowercase).collect();
    }
    config
}

/// Reads a number of bytes, from 1 to `most`: a whole number, or a quantity of Kubernetes such as
/// `64Ki`.
pub(super) fn read_size(node: &Node<'_>, most: u64, errors: &mut Errors) -> Option<usize> {
    let bytes = match node.json {
        Json::Number(bytes) => *bytes,
        Json::String(text) => quantity(text),
        _ => None,
    };
    let size = bytes.filter(|bytes| (1..=most).contains(bytes));
    if size.is_none() {
        errors.add(
            &node.place,
            format!("expected a number of bytes from 1 to {most}, such as `8Ki` or `65536`"),
        );
    }
    size.and_then(|size| usize::try_from(size).ok())
}

/// A whole number with a suffix of Kubernetes' quantities, of those that a size can have.
fn quantity(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at_checked(digits)?;
    let unit: u64 = match suffix {
        "" => 1,
        "k" => 1_000,
        "Ki" => 1_024,
        "M" => 1_000_000,
        "Mi" => 1_048_576,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Whether a text is a type and a subtype (RFC 9110 section 8.3.1), with a `*` at most in the
/// place of a subtype, or of what is before its `+`.
pub(super) fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !name.is_empty() && name.bytes().all(legal)
    };
    let Some((kind, subtype)) = text.split_once('/') else { return false };
    let rest = subtype.strip_prefix("*+").or((subtype == "*").then_some("any"));
    text.len() <= MAX_MEDIA_TYPE && is_name(kind) && is_name(rest.unwrap_or(subtype))
        || text == "*/*"
}

/// The longest type, in bytes: of each part RFC 6838 section 4.2 allows 127.
pub const MAX_MEDIA_TYPE: usize = 255;

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_size_is_a_whole_number_with_a_unit() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("64Ki", Some(65_536)),
            ("64k", Some(64_000)),
            ("1Mi", Some(1_048_576)),
            ("1M", Some(1_000_000)),
            ("", None),
            ("Ki", None),
            ("64KiB", None),
            ("64ki", None),
            ("64K", None),
            ("1.5Ki", None),
            ("-1", None),
            (" 1", None),
            ("1 Ki", None),
            ("1m", None),
            ("18446744073709551615Ki", None),
        ] {
            assert_eq!(quantity(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn a_content_type_has_a_wildcard_in_few_places() {
        for (text, is) in [
            ("application/json", true),
            ("application/*+json", true),
            ("text/*", true),
            ("*/*", true),
            ("APPLICATION/JSON", true),
            ("application/vnd.api+json", true),
            ("*/json", false),
            ("application/js*", false),
            ("application/*+", false),
            ("application", false),
            ("application/", false),
            ("/json", false),
            ("text/plain; charset=utf-8", false),
            ("text/a/b", false),
            ("", false),
        ] {
            assert_eq!(is_media_type(text), is, "{text:?}");
        }
    }
}
