//! Rules over bodies, by the size of the body: of the module that reads bodies.

use serde_json::json;

use super::{asked, language, rule};
use crate::BenchError;
use e2e::envoy::bodies_wasm;
use proxy_wasm_host::Module;

/// The sizes of the bodies, in bytes.
pub(super) const SIZES: [usize; 4] = [1 << 10, 16 << 10, 64 << 10, 1 << 20];

/// The pieces in which Envoy hands a body over.
const PIECE: usize = 16 << 10;

/// Rules; `true` comes first, which reads no body.
const RULES: [&str; 6] = [
    "true",
    "request.body.size() != 1",
    r#"!string(request.body).contains("PRIVATE KEY-----")"#,
    r#"!string(request.body).matches("gh[pousr]_[A-Za-z0-9]{36}")"#,
    r#"json(request.body).a != "b""#,
    "sha256.encode(request.body).size() == 64",
];

/// What a rule costs by the size of the body.
#[derive(Debug)]
pub struct Body {
    /// The rule.
    pub rule: &'static str,
    /// For each of the sizes, the instructions of the whole request, and its status.
    pub costs: Vec<(u64, String)>,
}

pub(super) fn measure() -> Result<Vec<Body>, BenchError> {
    let module = Module::load(bodies_wasm())?;
    let cost = |expression: &str, size: usize| {
        let mut configuration = rule(expression);
        if expression != "true" {
            configuration["bodies"] = json!({"maxSize": SIZES[SIZES.len() - 1]});
        }
        // A document, so that it can be read as one.
        let mut body = br#"{"a":""#.to_vec();
        body.resize(size - 2, b'x');
        body.extend(br#""}"#);
        let request = language::request().body(body).in_pieces_of(PIECE);
        let (status, usage) = asked(&module, expression, &configuration, request)?;
        Ok::<_, BenchError>((usage.fuel, status.unwrap_or_default()))
    };
    let body = |expression: &'static str| {
        let costs = SIZES.iter().map(|size| cost(expression, *size));
        Ok(Body { rule: expression, costs: costs.collect::<Result<_, BenchError>>()? })
    };
    RULES.into_iter().map(body).collect()
}
