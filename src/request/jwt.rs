//! The claims of a token (RFC 7519) that Istio's RequestAuthentication has verified.
//!
//! For a RequestAuthentication, istiod puts Envoy's filter `jwt_authn` before this one. It checks
//! the token, and refuses a request whose token is wrong. It writes the claims of a right one into
//! the request's dynamic metadata, under its own name and the key `payload`. No caller can write
//! there. Envoy gives the metadata of all filters as one message, because a single claim would come
//! without its type.

use serde_json::{Map, Value};

use egress_reading::query;

use crate::cel::attributes::Unread;
use crate::cel::data::Data;
use crate::protobuf::{Malformed, Reader, Writer, value};

/// The filter that writes the claims, and the key under which istiod has it write them.
const FILTER: &str = "envoy.filters.http.jwt_authn";
const KEY: &str = "payload";
/// The parameter in which Envoy looks for a token (RFC 6750 section 2.3).
const IN_QUERY: &str = "access_token";
/// From here on, a double does not hold every integer.
const INEXACT: f64 = (1_u64 << 53) as f64;

/// The claims, which are a map, or why there are none.
pub(crate) type Claims = Result<Data, Unread>;

/// Reads the claims from the metadata (`envoy.config.core.v3.Metadata`) of a request with this
/// path.
///
/// Where RequestAuthentication names no place, Envoy takes tokens from the query as well, and of
/// several it tells the claims of one. It takes a right one out of the query, but not where it is
/// to forward tokens. So beside a token in the query nothing is known of what the origin gets.
pub(crate) fn claims(metadata: &[u8], path_and_query: &[u8]) -> Claims {
    const NONE: Unread = Unread::Missing("there is no verified token");
    match payload(metadata) {
        Ok(None) => Err(NONE),
        Ok(Some(_)) if is_in_query(path_and_query) => {
            Err(Unread::Unreadable("there is a token in the query, which the origin may read"))
        }
        Ok(Some(mut claims @ Data::Map(_))) => {
            let is_exact = whole(&mut claims);
            let inexact = Unread::Unreadable("a number in the token is larger than Envoy can keep");
            if is_exact { Ok(claims) } else { Err(inexact) }
        }
        Ok(Some(_)) | Err(_) => Err(Unread::Unreadable("the token's claims are too many or deep")),
    }
}

/// Whether some origin, or Envoy, may find a token in the query.
fn is_in_query(path_and_query: &[u8]) -> bool {
    let query = path_and_query.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    query.split(|byte| matches!(byte, b'&' | b';')).any(|pair| query::may_be(pair, IN_QUERY))
}

/// The value of the key in the filter's `google.protobuf.Struct`.
fn payload(metadata: &[u8]) -> Result<Option<Data>, Malformed> {
    let mut found = Vec::new();
    let mut message = Reader::new(metadata);
    while let Some(field) = message.field()? {
        // map<string, google.protobuf.Struct> filter_metadata
        if field.number != 1 {
            continue;
        }
        let (mut is_filter, mut entry) = (None, field.message()?);
        while let Some(field) = entry.field()? {
            match (field.number, is_filter) {
                (1, _) => is_filter = Some(field.bytes()? == FILTER.as_bytes()),
                (2, Some(true)) => value::merge(&mut found, field.message()?)?,
                // Envoy writes the key first; what it does not write is not guessed at.
                (2, None) => return Err(Malformed::Key),
                _ => {}
            }
        }
    }
    Ok(found.into_iter().find(|(key, _)| key == KEY).map(|(_, value)| value))
}

/// Makes ints of the doubles that are whole: `Struct` has no ints. False if there is one that may
/// stand for another number.
fn whole(data: &mut Data) -> bool {
    match data {
        Data::Double(number) if number.abs() < INEXACT => {
            #[expect(clippy::cast_possible_truncation, reason = "it is below 2^53")]
            let int = *number as i64;
            if int as f64 == *number {
                *data = Data::Int(int);
            }
        }
        Data::Double(_) => return false,
        Data::List(items) => return items.iter_mut().all(whole),
        Data::Map(entries) => return entries.iter_mut().all(|(_, value)| whole(value)),
        _ => {}
    }
    true
}

/// The metadata of a request whose token has these claims, for tools and tests.
///
/// # Errors
/// If the claims are nested too deep.
pub fn metadata(claims: &Map<String, Value>) -> Result<Vec<u8>, Malformed> {
    let payload =
        Data::Map(claims.iter().map(|(name, value)| (name.clone(), of_json(value))).collect());
    let mut out = Writer::default();
    out.message(1, |entry| {
        entry.text(1, FILTER.as_bytes());
        entry.message(2, |out| value::write(out, &[(KEY.to_owned(), payload)]))
    })?;
    Ok(out.finish())
}

/// JSON as Envoy keeps it: every number is a double.
fn of_json(value: &Value) -> Data {
    match value {
        Value::Null => Data::Null,
        Value::Bool(value) => Data::Bool(*value),
        Value::Number(number) => Data::Double(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Data::Text(text.clone()),
        Value::Array(items) => Data::List(items.iter().map(of_json).collect()),
        Value::Object(fields) => {
            Data::Map(fields.iter().map(|(name, value)| (name.clone(), of_json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::tests::json;

    fn given(claims: &str) -> Vec<u8> {
        metadata(&serde_json::from_str(claims).unwrap()).unwrap()
    }

    fn read(metadata: &[u8]) -> Claims {
        claims(metadata, b"/zen?token=x&x=access_token")
    }

    #[test]
    fn beside_a_token_in_the_query_there_is_nothing_to_read() {
        let token = given(r#"{"sub": "ann"}"#);
        for path in [
            "/?access_token=x",
            "/?a&access_token=",
            "/?a;access%5Ftoken=x",
            "/?a?b&%61ccess_token",
            "/a?access%255ftoken=x",
            "/?ACCESS.TOKEN[]=x",
        ] {
            let read = claims(&token, path.as_bytes());
            assert!(matches!(read, Err(Unread::Unreadable(_))), "{path}: {read:?}");
            let none = claims(b"", path.as_bytes());
            assert!(matches!(none, Err(Unread::Missing(_))), "{path}: {none:?}");
        }
        for path in ["/access_token", "/?my_access_token=x", "/?x=access_token", "/"] {
            assert!(claims(&token, path.as_bytes()).is_ok(), "{path}");
        }
    }

    #[test]
    fn claims_are_what_the_token_has() {
        let token = r#"{"sub": "ann", "exp": 1800000000, "rate": 1.5, "n": -3, "admin": true,
                        "groups": ["dev", {"a": [1, null]}], "realm": {"roles": ["r"]}}"#;
        assert_eq!(read(&given(token)), Ok(json::data(token)));
        assert_eq!(read(&given("{}")), Ok(Data::Map(Vec::new())));
    }

    #[test]
    fn without_a_verified_token_there_are_none() {
        let none = Err(Unread::Missing("there is no verified token"));
        assert_eq!(read(b""), none);
        // Another filter has written, under the same key.
        let mut others = given(r#"{"sub": "ann"}"#);
        let at = others.windows(9).position(|name| name == b"jwt_authn").unwrap();
        others[at] = b'J';
        assert_eq!(read(&others), none);
        // The same filter has written another key.
        let mut other = given(r#"{"sub": "ann"}"#);
        let at = other.windows(7).position(|name| name == b"payload").unwrap();
        other[at] = b'P';
        assert_eq!(read(&other), none);
        // Both are found among those of others.
        let both = [others, other, given(r#"{"sub": "bob"}"#)].concat();
        assert_eq!(read(&both), Ok(json::data(r#"{"sub": "bob"}"#)));
    }

    #[test]
    fn what_cannot_be_read_is_not_missing() {
        let is_unreadable = |bytes: &[u8]| matches!(read(bytes), Err(Unread::Unreadable(_)));
        let whole = given(r#"{"sub": "ann"}"#);
        for end in 1..whole.len() {
            assert!(is_unreadable(&whole[..end]), "{end}");
        }
        assert!(is_unreadable(&given(r#"{"list": [{"uid": 9007199254740993}]}"#)));
        assert!(is_unreadable(&given(r#"{"uid": -1e300}"#)));
        assert!(read(&given(r#"{"uid": 9007199254740991}"#)).is_ok());
        let deep = |levels: usize| {
            let deep = (0..levels).fold(Value::from(1), |deep, _| Value::Array(vec![deep]));
            metadata(&Map::from_iter([("deep".to_owned(), deep)]))
        };
        assert!(read(&deep(14).unwrap()).is_ok());
        assert_eq!(deep(15), Err(Malformed::Depth));
        let many: Map<String, Value> = (0..2_000).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(is_unreadable(&metadata(&many).unwrap()));
    }
}
