//! Tests of texts that more, or fewer, requests pass than their writer thought: parts of paths and
//! of SPIFFE IDs, addresses that are compared as text, headers that anybody can write.

use std::net::IpAddr;

use super::rules::{Message, literal, subject};
use crate::attributes::{PATH, PATH_AND_QUERY, REQUEST_HEADERS, SCHEME, SPIFFE_ID, name};
use crate::cel::attributes::Id;
use crate::cel::lowered::{Test, Text};
use crate::path::PathSafety;

/// Headers that are taken for the caller's address or identity, and that the caller can write.
const FORGED: &str = "x-forwarded-for x-real-ip x-client-ip true-client-ip forwarded \
    x-forwarded-client-cert";

/// What is doubtful about a test. `opens` says whether more requests pass the more it is true.
pub(super) fn doubt(test: &Test, opens: bool, path_safety: PathSafety) -> Message {
    let (text, how, parts): (&Text, &str, Vec<&str>) = match test {
        Test::Equal(a, b) | Test::NotEqual(a, b) => match (literal(a), literal(b)) {
            (None, Some(written)) => (a, "==", vec![written]),
            (Some(written), None) => (b, "==", vec![written]),
            _ => return None,
        },
        Test::In(text, list) => (text, "==", list.iter().map(|it| &**it).collect()),
        Test::StartsWith(text, part) => (text, "startsWith", vec![literal(part)?]),
        Test::EndsWith(text, part) => (text, "endsWith", vec![literal(part)?]),
        Test::Contains(text, part) => (text, "contains", vec![literal(part)?]),
        Test::Matches(text, _) => (text, "matches", Vec::new()),
        _ => return None,
    };
    if let Some(header) = header(text) {
        return forged(header);
    }
    let id = subject(text)?;
    let of = |written: &&str| match (id, how) {
        (_, _) if matches!(name(id), "source.address" | "destination.address") => {
            address(id, how, written)
        }
        (SCHEME, "==") if *written == "https" => scheme(),
        (PATH | PATH_AND_QUERY, "startsWith") => unsafe_path(id, written, path_safety),
        (PATH | PATH_AND_QUERY, _) if opens => path_part(id, how, written),
        (SPIFFE_ID, "startsWith") if opens => spiffe_id(written),
        _ => None,
    };
    parts.iter().find_map(of)
}

/// The header that a text is, behind a `default` too.
fn header(text: &Text) -> Option<&str> {
    match text.written_out() {
        Text::Header(REQUEST_HEADERS, name) => Some(name),
        Text::Default(parts) => header(parts.first()?),
        _ => None,
    }
}

fn forged(header: &str) -> Message {
    FORGED.split(' ').any(|name| name == header).then(|| {
        let message = format!(
            "whoever calls writes `{header}` as they like: what ztunnel says is `source.address` \
             and `source.identity`"
        );
        ("forgeable-header", message)
    })
}

/// An address that is compared as if it were any text.
fn address(id: Id, how: &str, written: &str) -> Message {
    let name = name(id);
    let mend = format!("`cidr(\"10.1.0.0/16\").containsIP({name})` is a test of a network");
    let message = match how {
        "==" if written.parse::<IpAddr>().is_err() => {
            format!("`{name}` is never `{written}`: it is one address. {mend}")
        }
        // A text that ends with an octet stands for a network.
        "startsWith" if !written.ends_with(['.', ':']) => {
            format!("`{written}` is also the beginning of `{written}1`: {mend}")
        }
        "contains" | "endsWith" => format!("`{written}` may be a part of any address: {mend}"),
        _ => return None,
    };
    Some(("address-as-text", message))
}

fn scheme() -> Message {
    let message = "behind HBONE `request.scheme` is `http`, and TLS to the origin is the \
        waypoint's: this is true only where the filter's own listener has TLS";
    Some(("tunnel-scheme", message.to_owned()))
}

/// The beginning of a path that path safety refuses. What follows may still complete a segment.
fn unsafe_path(id: Id, written: &str, path_safety: PathSafety) -> Message {
    let why = path_safety.objection(format!("{written}x").as_bytes())?;
    let is_other = !written.starts_with('/') || why == "invalid percent escape";
    (!is_other).then(|| {
        let name = name(id);
        let message = format!(
            "`{name}` never starts with `{written}`: `pathSafety` refuses it ({why}); a policy's \
             own `pathSafety: Lenient` takes more, for its hosts"
        );
        ("odd-comparison", message)
    })
}

/// A part of a path that may stand elsewhere in it, or in the query.
fn path_part(id: Id, how: &str, written: &str) -> Message {
    let name = name(id);
    let in_query = id == PATH_AND_QUERY;
    let message = match how {
        "contains" if in_query => format!(
            "`?{written}` contains `{written}` too, and whoever calls writes the query: test \
             `request.path`"
        ),
        "contains" if written.starts_with('/') && written.len() > 1 => format!(
            "`/x{written}` contains `{written}` too: write `{name}.startsWith(\"{written}\")` if \
             that is where it stands"
        ),
        "endsWith" if in_query => format!(
            "`?{written}` ends with `{written}` too, and whoever calls writes the query: test \
             `request.path`"
        ),
        _ => return None,
    };
    Some(("path-part", message))
}

/// The beginning of a SPIFFE ID that ends within a name.
fn spiffe_id(written: &str) -> Message {
    let inner = written.strip_prefix("spiffe://")?;
    let ends_inside = inner.ends_with(|last: char| last.is_ascii_alphanumeric());
    ends_inside.then(|| {
        let message = format!(
            "`{written}` is also the beginning of `{written}x`: end it with `/`, or compare a \
             whole SPIFFE ID by `==`"
        );
        ("prefix-within-segment", message)
    })
}
