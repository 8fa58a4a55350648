//! The dearest known request for each limit that the documents state: what a pod can make a worker
//! do under a configuration that goes as far as the limit.

use serde_json::{Value, json};

use super::{Cost, LARGE, LINES, Pair, envoy, try_pair, worst_pairs};
use proxy_wasm_host::Module;

/// A limit, as the documents call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// All that a request may cost: 500,000 steps.
    Request,
    /// What a policy may have many of.
    Policy,
    /// The expressions of one authorization.
    Expressions,
    /// The values of one's own in an audit record.
    Fields,
    /// One expression as long as it may be.
    Expression,
    /// Loops, nested as deep as they may be.
    Nested,
    /// A pattern.
    Pattern,
    /// One loop.
    Loop,
    /// One function.
    Function,
}

impl Limit {
    /// All of them, that of the whole request first.
    pub const ALL: [Self; 9] = [
        Self::Request,
        Self::Expressions,
        Self::Fields,
        Self::Policy,
        Self::Expression,
        Self::Nested,
        Self::Pattern,
        Self::Loop,
        Self::Function,
    ];

    /// What the report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "thousands of policies; all rules of a request: 500,000 steps",
            Self::Expressions => "64 expressions in one authorization",
            Self::Fields => "32 values in `audit.fields`, and a filter",
            Self::Policy => {
                "64 headers in one `set`, 16 entries of a `conditional` or of local limits"
            }
            Self::Expression => "one expression of 4,096 bytes: 100,000 steps",
            Self::Nested => "two loops, one in the other",
            Self::Pattern => "a pattern, 256 KiB once compiled",
            Self::Loop => "one loop",
            Self::Function => "one function, or a list of them",
        }
    }

    /// Whether more than one rule or value takes part, so that the bar is that of a request.
    pub(crate) fn is_of_a_request(self) -> bool {
        matches!(self, Self::Request | Self::Policy)
    }

    /// The limit that a pair goes up to.
    fn of(pair: &Pair) -> Self {
        let policies = pair.configuration["policies"].as_array();
        if pair.configuration["audit"]["fields"].is_object() {
            return Self::Fields;
        }
        let policy = match policies.map(Vec::as_slice) {
            Some([policy]) => policy,
            _ => return Self::Request,
        };
        let rule = &policy["traffic"]["authorization"]["policy"]["matchExpressions"];
        let expression = match rule.as_array().map(Vec::as_slice) {
            Some([Value::String(expression)]) => expression.as_str(),
            Some(_) => return Self::Expressions,
            None => return Self::Policy,
        };
        let loops: usize = [".exists(", ".all(", ".map(", ".transform"]
            .iter()
            .map(|name| expression.matches(name).count())
            .sum();
        let is_pattern = expression.contains("matches(") || expression.contains("regexReplace(");
        match loops {
            _ if expression.len() > 1_500 => Self::Expression,
            2.. => Self::Nested,
            _ if is_pattern => Self::Pattern,
            1 => Self::Loop,
            _ => Self::Function,
        }
    }
}

/// Policies that change as many headers as one may, and that have as many entries as one may.
pub(super) fn pairs() -> Vec<Pair> {
    let mut headers = vec![("x".to_owned(), "a".repeat(LARGE))];
    headers.extend((0..LINES).map(|index| (format!("h-{index}"), "v".to_owned())));
    let pair = |name: &str, traffic: Value| Pair {
        name: format!("whole request: {name}"),
        configuration: json!({"policies": [{"name": "p", "traffic": traffic}]}),
        path: "/".to_owned(),
        headers: headers.clone(),
    };
    let set = |value: &str| {
        let header = |index: usize| json!({"name": format!("x-{index}"), "value": value});
        json!((0..64).map(header).collect::<Vec<_>>())
    };
    let limits: Vec<Value> = (1..=16)
        .map(|requests| {
            json!({"requests": requests, "unit": "Seconds", "key": "request.headers['x']"})
        })
        .collect();
    let remove: Vec<String> = (0..64).map(|index| format!("h-{index}")).collect();
    let entry = |index: usize| {
        let condition = format!("request.headers.exists(h, request.headers[h] == 'w{index}')");
        json!({"condition": condition, "policy": {"request": {"set": set("'v'")}}})
    };
    let conditional: Vec<Value> = (0..16).map(entry).collect();
    vec![
        pair(
            "64 headers set to a large one",
            json!({"transformation": {"request": {"set": set("request.headers['x']")}}}),
        ),
        pair(
            "64 headers set to a digest of a large one",
            json!({"transformation": {"request": {
                "set": set("sha256.encode(request.headers['x'])")}}}),
        ),
        pair(
            "64 headers removed, and 64 added to",
            json!({"transformation": {"request": {
                "remove": remove, "add": set("request.headers['x'].substring(57000)")}}}),
        ),
        pair(
            "16 entries whose conditions go through all headers",
            json!({"transformation": {"conditional": conditional}}),
        ),
        pair("16 local limits by a large header", json!({"rateLimit": {"local": limits}})),
    ]
}

/// The dearest known request for one limit.
#[derive(Debug)]
pub struct Worst {
    /// Which limit.
    pub limit: Limit,
    /// What it cost in the emulated host.
    pub cost: Cost,
    /// What the rules took in a real Envoy.
    pub took: Option<envoy::Took>,
}

/// The dearest known request for each limit, in the emulated host and in a real Envoy.
///
/// # Errors
/// Where Envoy does not start, or does not answer.
pub fn worst(module: &Module) -> Result<Vec<Worst>, String> {
    let mut dearest: Vec<(Limit, Pair, Cost)> = Vec::new();
    for pair in worst_pairs() {
        let Some(cost) = try_pair(module, &pair) else { continue };
        let limit = Limit::of(&pair);
        match dearest.iter_mut().find(|(known, ..)| *known == limit) {
            Some(known) if known.2.instructions < cost.instructions => *known = (limit, pair, cost),
            Some(_) => {}
            None => dearest.push((limit, pair, cost)),
        }
    }
    // A record is written of the request without a rule as well, so there is nothing to compare.
    let timed = dearest.iter().filter(|(limit, ..)| *limit != Limit::Fields);
    let pairs: Vec<Pair> = timed.map(|(_, pair, _)| pair.clone()).collect();
    let took = envoy::times(&pairs)?;
    let worst = |(limit, pair, cost): (Limit, Pair, Cost)| Worst {
        limit,
        took: took.iter().find(|took| took.name == pair.name).cloned(),
        cost,
    };
    let mut worst: Vec<Worst> = dearest.into_iter().map(worst).collect();
    worst.sort_by_key(|worst| Limit::ALL.iter().position(|limit| *limit == worst.limit));
    Ok(worst)
}
