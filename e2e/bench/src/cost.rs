//! The rules and requests that cost a worker most, as far as they are known: each is an upper bound
//! that a pod can reach.
//!
//! Costs are the instructions of the compiled module in the emulated host, which are the same in
//! every run. V8 takes about a tenth of a nanosecond for one on the machines that this was measured
//! on, as its own code has fewer, so that a rule's bar of 20 ms is two hundred million of them.

pub mod envoy;
mod functions;
pub mod limits;
mod records;
pub mod search;
mod times;

use serde_json::{Value, json};

use proxy_wasm_host::{HostOptions, Module, Request, Response, Vm};

/// A rule's expression, and the request that makes it cost most.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What is tried.
    pub name: String,
    /// The plugin's configuration.
    pub configuration: Value,
    /// The request's path with its query.
    pub path: String,
    /// The request's header lines.
    pub headers: Vec<(String, String)>,
}

/// What a rule may cost in instructions: about 20 ms of V8.
pub const RULE: u64 = 200_000_000;
/// What a request may cost: about 100 ms.
pub const REQUEST: u64 = 1_000_000_000;

/// How much Envoy lets a request's headers have in all, with its defaults and Istio's, in bytes.
const LARGE: usize = 58_000;
/// How many header lines Envoy lets a request have.
const LINES: usize = 90;

/// When the requests come, in nanoseconds since 1970: in 2026.
const NOW: i64 = 1_795_858_200_250_000_000;

fn denying(expressions: &[&str]) -> Value {
    let rule =
        json!({"action": "Deny", "match": "Any", "policy": {"matchExpressions": expressions}});
    json!({"policies": [{"name": "p", "traffic": {"authorization": rule}}]})
}

/// A Deny of one expression, and a request with a header `x` of this value.
fn pair(name: &str, expression: &str, x: String) -> Pair {
    let headers = vec![("x".to_owned(), x)];
    Pair {
        name: name.to_owned(),
        configuration: denying(&[expression]),
        path: "/".to_owned(),
        headers,
    }
}

/// The same with many small headers besides.
fn looped(name: &str, expression: &str, x: String) -> Pair {
    let mut pair = pair(name, expression, x);
    pair.headers.extend((0..LINES).map(|index| (format!("h-{index}"), "v".to_owned())));
    pair
}

/// All known pairs.
#[must_use]
pub fn worst_pairs() -> Vec<Pair> {
    let a = "a".repeat(LARGE);
    let x = r#"request.headers["x"]"#;
    let mut pairs = Vec::new();
    for pattern in [
        "gh[pousr]_[A-Za-z0-9_]{36,255}[^A-Za-z0-9_]",
        "a{1,1000}b",
        "[a-z]{0,1000}[a-z]{0,1000}0",
        "[a-z]{0,500}[a-z]{0,500}[a-z]{0,500}[a-z]{0,500}0",
        "(a|aa)*b",
        "(?i)(a?){400}b",
        "(.*)(.*)(.*)(.*)(.*)x",
        "[^0-9]{1,100}[0-9]",
    ] {
        let text =
            if pattern.starts_with("gh") { "ghp_aaaaaaaa".repeat(LARGE / 12) } else { a.clone() };
        pairs.push(pair(
            &format!("matches {pattern}"),
            &format!("{x}.matches('{pattern}')"),
            text.clone(),
        ));
        pairs.push(pair(
            &format!("regexReplace {pattern}"),
            &format!("{x}.regexReplace('{pattern}', '') == ''"),
            text,
        ));
    }
    let four = ["b", "c", "d", "e"]
        .map(|last| format!("{x}.matches('[a-z]{{0,1000}}[a-z]{{0,1000}}{last}0')"))
        .join(" || ");
    pairs.push(pair("four patterns in one rule", &four, a.clone()));
    pairs.push(pair(
        "a pattern made at the request",
        &format!("{x}.matches(request.path + 'a{{1,200}}b')"),
        a.clone(),
    ));
    for (name, made) in [("in two loops", "request.headers.exists(g, {f})"), ("in one loop", "{f}")]
    {
        for function in functions::OVER_A_TEXT {
            let condition = made.replace("{f}", &function.replace("{x}", x));
            let text = if function.contains("json") {
                format!("[{}1]", "1,".repeat(900))
            } else {
                a.clone()
            };
            pairs.push(looped(
                &format!("{function} {name}"),
                &format!("request.headers.exists(h, {condition})"),
                text,
            ));
        }
    }
    for function in functions::OVER_A_TEXT {
        let rule = format!("({})", function.replace("{x}", x));
        let count = (4_000 / (rule.len() + 4)).min(60);
        let text =
            if function.contains("json") { format!("[{}1]", "1,".repeat(900)) } else { a.clone() };
        pairs.push(pair(
            &format!("{function} {count} times"),
            &vec![rule.as_str(); count].join(" || "),
            text,
        ));
    }
    pairs.extend(functions::of_headers(LINES, LARGE));
    pairs.extend(times::pairs(LARGE));
    pairs.extend(records::pairs(LARGE));
    pairs.extend(limits::pairs());
    pairs
}

/// What a pair cost.
#[derive(Debug, Clone)]
pub struct Cost {
    /// The pair's name.
    pub name: String,
    /// The module's instructions for the request.
    pub instructions: u64,
    /// How long it took in the emulated host, which is another in every run.
    pub took: std::time::Duration,
    /// The guest's linear memory afterwards, in bytes.
    pub memory: u64,
}

/// Tries a pair; `None` where the configuration is refused.
///
/// # Panics
/// Where the module does not start.
#[must_use]
#[expect(clippy::expect_used, reason = "a module that does not start is no measurement")]
pub fn try_pair(module: &Module, pair: &Pair) -> Option<Cost> {
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(module, options).expect("a VM");
    if !vm.configure(pair.configuration.to_string().as_bytes()).accepted {
        return None;
    }
    let mut request =
        Request::new("GET", "a.example", &pair.path).property(&["request", "time"], NOW);
    for (name, value) in &pair.headers {
        request = request.header(name, value);
    }
    let start = std::time::Instant::now();
    let result = vm.stream(request).run(Response::new(200));
    let took = start.elapsed();
    assert_eq!(vm.failure(), None, "{}", pair.name);
    Some(Cost {
        name: pair.name.clone(),
        instructions: result.usage.fuel,
        took,
        memory: vm.usage().memory,
    })
}
