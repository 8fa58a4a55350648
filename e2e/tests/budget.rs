//! A configuration as large as it may be loads, one that is larger is refused, and neither takes
//! long or much memory; where memory runs out all the same, the record of the load says so.

use std::sync::LazyLock;
use std::time::Instant;

use e2e::host::{Configured, HostOptions, LogLevel, Module, Vm};
use egress_filter::config::{
    MAX_ALL_EXPRESSIONS, MAX_ALL_HOSTS, MAX_ALL_PATTERNS, MAX_ALL_SOURCES, MAX_BYTES, MAX_POLICIES,
    MAX_VALUES,
};
use serde_json::{Value, json};

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

/// The most instructions that loading or refusing a configuration may take: 5 s of a worker that
/// executes 2.2 a nanosecond, which is less than V8 does.
const MOST_FUEL: u64 = 12_000_000_000;
/// The most memory that it may leave the module with, in bytes.
const MOST_MEMORY: u64 = 400 << 20;

fn load(name: &str, configuration: &str, memory: usize) -> Configured {
    // Fuel is to measure, not to limit.
    let options = HostOptions { canary: false, fuel: 1 << 60, memory, ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    let begun = Instant::now();
    let configured = vm.configure(configuration);
    println!(
        "{:>6} M fuel {:>5} MiB {:>5.1} s {:>6.2} MB of JSON  {}: {} {}",
        configured.usage.fuel / 1_000_000,
        configured.usage.memory >> 20,
        begun.elapsed().as_secs_f64(),
        configuration.len() as f64 / 1e6,
        if configured.accepted { "loaded " } else { "refused" },
        name,
        configured
            .logs
            .iter()
            .find(|log| log.level >= LogLevel::Error)
            .map_or("", |log| log.text.get(..150).unwrap_or(&log.text))
    );
    configured
}

/// The record of a load.
fn record(configured: &Configured) -> Value {
    let mut records = configured
        .logs
        .iter()
        .filter(|log| log.text.starts_with(r#"{"event":"egress-configuration""#));
    match (records.next(), records.next()) {
        (Some(record), None) => serde_json::from_str(&record.text).expect("JSON"),
        other => panic!("one record: {other:?}"),
    }
}

fn policies(policies: Vec<Value>) -> String {
    json!({ "policies": policies }).to_string()
}

fn rules(name: usize, expressions: &[String]) -> Value {
    let authorization =
        json!({"action": "Deny", "match": "Any", "policy": {"matchExpressions": expressions}});
    json!({"name": format!("p{name}"), "traffic": {"authorization": authorization}})
}

/// This many expressions, in policies with as many as one may have.
fn expressions(count: usize, of: impl Fn(usize) -> String) -> String {
    let all: Vec<String> = (0..count).map(of).collect();
    policies(all.chunks(64).enumerate().map(|(name, chunk)| rules(name, chunk)).collect())
}

/// An expression of the largest size that is allowed.
fn filled(begin: &str, part: impl Fn(usize) -> String, end: &str) -> String {
    let mut source = begin.to_owned();
    for number in 0.. {
        let part = part(number);
        if source.len() + part.len() + end.len() > 4096 {
            break;
        }
        source.push_str(&part);
    }
    source + end
}

fn ordinary(count: usize) -> String {
    let policy = |number: usize| {
        let (team, host) = (number % 500, format!("api-{number}.example.com"));
        json!({
            "name": format!("team-{team}-{number}"),
            "hosts": [host],
            "traffic": {
                "authorization": {
                    "action": "Allow",
                    "match": "All",
                    "policy": {"matchExpressions": [
                        format!("source.identity.namespace == \"team-{team}\" && \
                                 source.identity.serviceAccount in [\"a-{number}\", \"b\"]"),
                        r#"request.method in ["GET", "HEAD"] || request.path.startsWith("/v1/")"#,
                    ]},
                },
                "transformation": {"request": {
                    "set": [{
                        "name": "x-caller-identity",
                        "value": "source.identity.namespace + \"/\" + \
                                  source.identity.serviceAccount",
                    }],
                    "remove": ["x-internal-debug"],
                }},
            },
        })
    };
    policies((0..count).map(policy).collect())
}

fn hosts(count: usize) -> String {
    let all: Vec<String> = (0..count)
        .map(|number| format!("{}api-{number}.example.com", ["", "*."][number % 2]))
        .collect();
    let policy = |(name, hosts): (usize, &[String])| {
        let mut policy = rules(name, &["request.path == \"/a\"".to_owned()]);
        policy["hosts"] = json!(hosts);
        policy
    };
    policies(all.chunks(256).enumerate().map(policy).collect())
}

/// Configurations at a limit, each with what takes longest or most memory there.
fn at_the_limits() -> Vec<(&'static str, String)> {
    let large = MAX_ALL_SOURCES / 4096;
    let patterns =
        |number: usize| format!(r#"request.path.matches("{number}[a-f]{{300}}(?:b|c){{200}}")"#);
    vec![
        ("20,000 ordinary policies", ordinary(MAX_POLICIES)),
        (
            "expressions",
            expressions(MAX_ALL_EXPRESSIONS, |number| format!("request.path == \"/{number}\"")),
        ),
        (
            "expressions of other shapes",
            expressions(MAX_ALL_EXPRESSIONS, |number| format!("size(request.headers) == {number}")),
        ),
        (
            "loops",
            expressions(MAX_ALL_EXPRESSIONS, |_| "request.headers.exists(k,k=='a')".to_owned()),
        ),
        (
            "large lists",
            expressions(large, |number| {
                filled("request.path in [", |part| format!("\"/{number}{part}\","), "\"\"]")
            }),
        ),
        (
            "large chains",
            expressions(large, |number| {
                filled("request.path=='a'", |part| format!("||request.host=='{number}{part}'"), "")
            }),
        ),
        (
            "large sums",
            expressions(large, |_| {
                filled("size(request.headers)==1", |part| format!("||{part}+1==2"), "")
            }),
        ),
        (
            "large calls",
            expressions(large, |_| {
                filled("request.headers['a']==''", |_| "||cel.bind(a,'b',a==a)".to_owned(), "")
            }),
        ),
        (
            "large maps",
            expressions(large, |_| filled("size({", |part| format!("{part}:1,"), "'':1})==1")),
        ),
        (
            "small patterns",
            expressions(MAX_ALL_EXPRESSIONS, |_| "request.path.matches('a')".to_owned()),
        ),
        ("large patterns", expressions(MAX_ALL_PATTERNS / 16_000, patterns)),
        (
            "contradictions",
            expressions(MAX_ALL_EXPRESSIONS, |number| {
                format!("request.host=='{number}'&&request.host=='a'")
            }),
        ),
        ("hosts", hosts(MAX_ALL_HOSTS)),
    ]
}

/// Configurations that pass a limit or are wrong throughout, each with what its first error says.
fn beyond_the_limits() -> Vec<(&'static str, String, &'static str)> {
    let large = MAX_ALL_SOURCES / 4096;
    let many = |count: usize, value: &str| {
        format!(r#"{{"policies": [{}]}}"#, vec![value; count].join(","))
    };
    vec![
        ("numbers", many(50_000_000, "0"), "bytes, the limit is"),
        ("values", many(MAX_VALUES, "0"), "JSON values"),
        ("values in bytes", many(MAX_BYTES / 2 - 100, "0"), "JSON values"),
        (
            "one too many expressions",
            expressions(MAX_ALL_EXPRESSIONS + 1, |_| "true".to_owned()),
            "expressions in all, the limit is",
        ),
        (
            "expressions of all policies",
            expressions(300_000, |_| "true".to_owned()),
            "expressions in all, the limit is",
        ),
        (
            "sources",
            expressions(large + 1, |_| filled("true", |_| "||true".to_owned(), "")),
            "bytes of expressions in all",
        ),
        ("one too many hosts", hosts(MAX_ALL_HOSTS + 1), "entries of `hosts` in all"),
        (
            "patterns",
            expressions(64_000, |_| {
                r#"request.path.matches("a{1000}b{1000}c{1000}d{1000}")"#.to_owned()
            }),
            "once compiled",
        ),
        (
            "cases",
            expressions(90_000, |_| r#"''.matches("(?i)[\\D][\\D]")"#.to_owned()),
            "once compiled",
        ),
        ("wrong expressions", expressions(MAX_ALL_EXPRESSIONS, |_| "x".to_owned()), "x"),
        (
            "wrong large expressions",
            expressions(large, |_| filled("x", |_| "||x".to_owned(), "")),
            "x",
        ),
        (
            "wrong policies",
            policies(
                (0..20_000)
                    .map(|number| json!({"name": format!("{number} "), "nam": {}, "ho": []}))
                    .collect(),
            ),
            "field",
        ),
        ("wrong fields", format!("{{{}}}", vec![r#""a":1"#; MAX_VALUES / 2].join(",")), "fields"),
        ("a long name", format!(r#"{{"{}": 1}}"#, "policie".repeat(2_000_000)), "unknown field"),
        ("unclosed", "[".repeat(1_000_000), "not valid JSON"),
    ]
}

#[test]
fn what_is_as_large_as_it_may_be_loads() {
    for (name, configuration) in at_the_limits() {
        let configured = load(name, &configuration, 1 << 30);
        assert!(configured.accepted, "{name}: {:?}", configured.logs.last());
        assert!(
            configured.usage.fuel < MOST_FUEL && configured.usage.memory < MOST_MEMORY,
            "{name}: {:?}",
            configured.usage
        );
    }
}

#[test]
fn what_is_larger_is_refused_with_its_numbers() {
    for (name, configuration, expected) in beyond_the_limits() {
        let configured = load(name, &configuration, 1 << 30);
        assert!(!configured.accepted, "{name}");
        let record = record(&configured);
        assert_eq!(record["verdict"], "refused", "{name}");
        let first = record["errors"][0].to_string();
        assert!(first.contains(expected), "{name}: {first}");
        assert!(
            configured.usage.fuel < MOST_FUEL && configured.usage.memory < MOST_MEMORY,
            "{name}: {:?}",
            configured.usage
        );
        let logged: usize = configured.logs.iter().map(|log| log.text.len()).sum();
        assert!(
            configured.logs.len() < 110 && logged < 200_000,
            "{name}: {} lines, {logged} bytes",
            configured.logs.len()
        );
    }
}

#[test]
fn memory_that_runs_out_is_recorded() {
    for mib in [6, 12, 24, 48] {
        let configured = load("little memory", &ordinary(MAX_POLICIES), mib << 20);
        assert!(!configured.accepted, "{mib} MiB");
        let record = record(&configured);
        assert_eq!(record["verdict"], "refused", "{mib} MiB");
        assert!(
            record["errors"][0]["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("memory ran out")),
            "{record}"
        );
        assert!(
            configured
                .logs
                .iter()
                .any(|log| log.level == LogLevel::Error && log.text.contains("memory ran out")),
            "{mib} MiB"
        );
    }
}
