//! What a service may say, by the number of the request that it is asked about.

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption, QueryParameter};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, NullValue, Struct, Value};
use envoy_types::pb::google::rpc::Status;

use super::{EVIL, ROLE, TOKEN, USER};
use crate::attack::random::Random;

/// What an answer says in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The request may go on.
    Allowed,
    /// It may not.
    Denied,
    /// Neither: it is a failure, or may be taken for one.
    Unclear,
}

/// Names that answers try to set, with values that are looked for where they must not be.
const NAMES: &[&str] = &[
    USER,
    TOKEN,
    ROLE,
    "X-Role",
    "x_role",
    "x.user",
    "set-cookie",
    "x-envoy-upstream-service-time",
    "host",
    "Host",
    ":path",
    ":authority",
    ":method",
    ":status",
    "connection",
    "Connection",
    "content-length",
    "transfer-encoding",
    "te",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "trailer",
    "",
    " ",
    "a b",
    "x\r\nx-injected",
    "x-\u{e9}",
    "x:y",
];

/// How many of them anybody may set; the first of these have values of all kinds.
const HARMLESS: usize = 7;

fn name(random: &mut Random) -> &'static str {
    // Most answers can be used.
    if random.percent(70) { NAMES[random.below(HARMLESS)] } else { random.one(NAMES) }
}

fn value(random: &mut Random, name: &str) -> Vec<u8> {
    let plain = NAMES.iter().take(6).any(|own| *own == name);
    if !plain {
        return match random.below(3) {
            0 => EVIL.into(),
            1 => format!("{EVIL}.attack.example").into_bytes(),
            _ => format!("{EVIL}, close").into_bytes(),
        };
    }
    let long = vec![b'v'; random.below(3000)];
    match random.below(16) {
        0 => b"admin".to_vec(),
        1 => b" admin ".to_vec(),
        2 => b"ada\r\nx-injected: evil".to_vec(),
        3 => b"ada\nx-injected: evil".to_vec(),
        4 => b"ada\0".to_vec(),
        5 => b"\xff\x80".to_vec(),
        6 => Vec::new(),
        7 => long,
        8 => b"admin, user".to_vec(),
        _ => b"ada".to_vec(),
    }
}

fn options(random: &mut Random) -> Vec<HeaderValueOption> {
    let count = random.below(4);
    (0..count)
        .map(|_| {
            let key = name(random);
            let bytes = value(random, key);
            // A value is text, or bytes in a field of their own.
            let text = String::from_utf8(bytes.clone()).ok().filter(|_| random.percent(70));
            let raw_value = if text.is_some() { Vec::new() } else { bytes };
            HeaderValueOption {
                header: Some(HeaderValue {
                    key: key.to_owned(),
                    value: text.unwrap_or_default(),
                    raw_value,
                }),
                append_action: random.below(6) as i32,
                keep_empty_value: random.percent(30),
                ..HeaderValueOption::default()
            }
        })
        .collect()
}

fn metadata(random: &mut Random) -> Option<Struct> {
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let value = |kind| Value { kind: Some(kind) };
    let kind = match random.below(9) {
        0 => return None,
        1 => Kind::NullValue(NullValue::NullValue.into()),
        2 => Kind::NumberValue(f64::NAN),
        3 => Kind::NumberValue(-1e300),
        4 => Kind::BoolValue(true),
        5 => text("a\r\nx-injected: evil"),
        6 => {
            // As deep as an attacker likes, but for what the stand-in can write.
            let deep = (0..40).fold(value(text("deep")), |inner, _| {
                value(Kind::ListValue(ListValue { values: vec![inner] }))
            });
            return Some(Struct { fields: [("role".to_owned(), deep)].into() });
        }
        7 => return Some(Struct { fields: [("role".to_owned(), Value { kind: None })].into() }),
        _ => text("user"),
    };
    Some(Struct { fields: [("role".to_owned(), value(kind))].into() })
}

/// An answer of gRPC.
pub(super) fn of_grpc(seed: u64, number: u64) -> (CheckResponse, Said) {
    let mut random = Random::of(seed ^ 0x6a9c, number);
    let random = &mut random;
    let code = [0, 0, 0, 0, 0, 0, 7, 16, 2, -1][random.below(10)];
    let status = (!random.percent(5)).then(|| Status { code, ..Status::default() });
    let parameter = |random: &mut Random| QueryParameter {
        key: random.one(&["q", "a", "x", "", "a&b", "..", "\r\n", "#"]).to_owned(),
        value: random.one(&["1", "a b", "\0", "&q=2", "#", "%2e%2e", "\u{e9}"]).to_owned(),
    };
    let response = match random.below(10) {
        0 => None,
        1 | 2 => Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus {
                code: random
                    .one(&[0, 100, 101, 103, 200, 204, 299, 302, 304, 401, 403, 599, 600, -1]),
            }),
            headers: options(random),
            body: "denied".repeat(random.one(&[0, 1, 1, 20_000])),
        })),
        _ => {
            let removed =
                if random.percent(20) { vec![name(random).to_owned()] } else { Vec::new() };
            let queries = random.below(2);
            Some(HttpResponse::OkResponse(OkHttpResponse {
                headers: options(random),
                headers_to_remove: removed,
                response_headers_to_add: if random.percent(30) {
                    options(random)
                } else {
                    Vec::new()
                },
                query_parameters_to_set: (0..queries).map(|_| parameter(random)).collect(),
                query_parameters_to_remove: random
                    .one(&[&[][..], &[], &["q"], &[""]])
                    .iter()
                    .map(|key: &&str| (*key).to_owned())
                    .collect(),
                ..OkHttpResponse::default()
            }))
        }
    };
    let is_ok = status.as_ref().is_none_or(|status| status.code == 0);
    let said = match &response {
        Some(HttpResponse::OkResponse(_)) if is_ok => Said::Allowed,
        None if is_ok && status.is_some() => Said::Allowed,
        _ => Said::Denied,
    };
    let answer =
        CheckResponse { status, http_response: response, dynamic_metadata: metadata(random) };
    (answer, said)
}

/// An answer of HTTP, byte for byte.
pub(super) fn of_http(seed: u64, number: u64) -> (Vec<u8>, Said) {
    let mut random = Random::of(seed ^ 0x477b, number);
    let random = &mut random;
    let status = match random.below(10) {
        0..=5 => random.one(&[200, 200, 200, 201, 204, 299]),
        _ => random.one(&[100, 101, 103, 199, 300, 302, 304, 401, 403, 407, 429, 500, 503, 599]),
    };
    let hints = random.percent(5);
    let mut bytes = if hints {
        b"HTTP/1.1 103 Early Hints\r\nx-role: admin\r\n\r\n".to_vec()
    } else {
        Vec::new()
    };
    // Whether nothing is in it for which an Envoy could take it for a failure.
    let mut is_plain = !hints;
    bytes.extend(format!("HTTP/1.1 {status} Said\r\n").into_bytes());
    for _ in 0..random.below(5) {
        let name = name(random);
        let mut value = value(random, name);
        // These would be the framing of this very answer, for which Envoy refuses it.
        if matches!(name, "content-length" | "transfer-encoding") && random.percent(80) {
            continue;
        }
        if name.starts_with(':') && random.percent(80) {
            continue;
        }
        // Here, a line's end in a value would make another line and not a value that holds it.
        if name.contains('\n') {
            continue;
        }
        value.retain(|byte| *byte != b'\n' && (*byte != 0 || random.percent(20)));
        is_plain &= NAMES[..HARMLESS].contains(&name) && !value.iter().any(u8::is_ascii_control);
        bytes.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
    }
    let length = random.one(&[0, 2, 2, 2, 500, 70_000]);
    let has_body = status >= 200 && status != 204 && status != 304;
    let length = if has_body { length } else { 0 };
    if has_body {
        // Some promise more than comes.
        let is_cut = random.percent(4);
        is_plain &= !is_cut;
        let stated = length + usize::from(is_cut);
        bytes.extend(format!("content-length: {stated}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(vec![b'b'; length]);
    let said = match status {
        200..300 => Said::Allowed,
        300..500 if is_plain => Said::Denied,
        _ => Said::Unclear,
    };
    (bytes, said)
}
