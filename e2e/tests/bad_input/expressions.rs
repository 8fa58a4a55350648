//! The deepest and longest expressions that load.

use std::sync::{Arc, LazyLock};

use e2e::envoy::{Pod, Waypoint, WaypointOptions};
use e2e::host::{HostOptions, Module, Vm};
use e2e::http1::Request;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use egress_filter::policy::Engine;
use serde_json::{Value, json};

use super::GITHUB;

/// One way to nest, by how deep: a rule that is true.
type Nest = (&'static str, fn(usize) -> String);

const WAYS: &[Nest] = &[
    ("a chain of `+`", |n| format!("{} > 0", vec!["1"; n].join("+"))),
    ("a chain of `+` over strings", |n| format!("{} != ''", vec!["request.method"; n].join(" + "))),
    ("a chain of `*` and `-`", |n| format!("{}1 < 9", "1 * 1 - ".repeat(n))),
    ("a chain of `||`", |n| format!("{}true", "false || ".repeat(n))),
    ("a chain of `&&`", |n| format!("{}true", "true && ".repeat(n))),
    ("`&&` and `||` in turn", |n| {
        format!("{}true{}", "(true && (false || ".repeat(n), "))".repeat(n))
    }),
    ("brackets", |n| format!("{}true{}", "(".repeat(n), ")".repeat(n))),
    ("`!`", |n| format!("{}true", "!!".repeat(n))),
    ("`!` over brackets", |n| format!("{}true{}", "!(!(".repeat(n), "))".repeat(n))),
    ("`-`", |n| format!("{}1 < 9", "-".repeat(n))),
    ("`-` over brackets", |n| format!("{}1{} < 9", "-(".repeat(n), ")".repeat(n))),
    ("conditionals behind `:`", |n| format!("{}true", "false ? false : ".repeat(n))),
    ("conditionals behind `?`", |n| {
        format!("{}true{}", "true ? (".repeat(n), ") : false".repeat(n))
    }),
    ("conditionals before `?`", |n| {
        format!("{}true{}", "(".repeat(n), " ? true : false)".repeat(n))
    }),
    ("lists of lists", |n| format!("size({}1{}) == 1", "[".repeat(n), "]".repeat(n))),
    ("a list's list's item", |n| {
        format!("{}1{}{} == 1", "[".repeat(n), "]".repeat(n), "[0]".repeat(n))
    }),
    ("maps of maps", |n| format!("size({}1{}) == 1", "{1: ".repeat(n), "}".repeat(n))),
    ("a map's map's field", |n| {
        format!("{}1{}{} == 1", "{'a': ".repeat(n), "}".repeat(n), ".a".repeat(n))
    }),
    ("method calls in a chain", |n| format!("'a'{} == 'a'", ".lowerAscii()".repeat(n))),
    ("method calls in arguments", |n| {
        format!("{}''{} != 'b'", "'a'.replace('b', ".repeat(n), ")".repeat(n))
    }),
    ("function calls", |n| format!("{}'a'{} == 'a'", "string(".repeat(n), ")".repeat(n))),
    ("`in`", |n| format!("{}true{}", "true in [".repeat(n), "]".repeat(n))),
    ("`==` over brackets", |n| format!("{}true{}", "true == (".repeat(n), ")".repeat(n))),
    ("a chain of `==`", |n| format!("true{}", " == true".repeat(n))),
    ("`default`", |n| format!("{}'a'{} == 'a'", "default(".repeat(n), ", 'b')".repeat(n))),
    ("`default` in the other argument", |n| {
        format!("{}'a'{} == 'a'", "default(request.headers['none'], ".repeat(n), ")".repeat(n))
    }),
    ("`optMap` in a chain", |n| {
        format!("optional.of('a'){}.value() == 'a'", ".optMap(v, v)".repeat(n))
    }),
    ("`with` in a chain", |n| format!("'a'{} == 'a'", ".with(v, v)".repeat(n))),
    ("`with` in its own result", |n| {
        format!("{}v{} == 'a'", "'a'.with(v, ".repeat(n), ")".repeat(n))
    }),
    ("`coalesce`", |n| format!("coalesce({}'a') == 'a'", "null, ".repeat(n))),
    ("`mapValues` two deep over a chain", |n| {
        format!("{{1: {{1: 1}}}}.mapValues(m, m.mapValues(v, v{}))[1][1] > 0", "+1".repeat(n))
    }),
    ("optional fields in a chain", |n| format!("dyn({{}}){}.orValue('b') == 'b'", ".?a".repeat(n))),
    ("macros two deep over a chain", |n| {
        format!("[1, 2].all(x, [3].exists(y, x + y{} > 0))", "+1".repeat(n))
    }),
    ("macros two deep over brackets", |n| {
        format!("[1].all(x, [1].exists(y, {}x == y{}))", "(".repeat(n), ")".repeat(n))
    }),
    ("method calls in a macro", |n| {
        format!("['a'].all(x, [x].all(y, y{} == 'a'))", ".lowerAscii()".repeat(n))
    }),
    ("method calls in arguments in a macro", |n| {
        format!("['a'].map(x, {}x{}) == ['a']", "'a'.replace('b', ".repeat(n), ")".repeat(n))
    }),
    ("lists of lists in a macro", |n| {
        format!("['a'].map(x, {}x{}).size() == 1", "[".repeat(n), "]".repeat(n))
    }),
    ("macros beside one another", |n| format!("{}true", "[1].all(x, x == 1) && ".repeat(n))),
    ("`math.greatest`", |n| format!("{}1{} == 1", "math.greatest(1, ".repeat(n), ")".repeat(n))),
    ("a long list", |n| format!("1 in [{}]", vec!["1"; n].join(","))),
    ("a long string", |n| format!("'{}' != ''", "a".repeat(n))),
    ("a long pattern", |n| format!("'a'.matches('^{}')", "a?".repeat(n))),
];

/// Policies that let a request through only if every rule is true, and that tell each rule's result
/// in a header too.
fn configuration(rules: &[String], values: &[String]) -> Value {
    let policies = rules.iter().zip(values).enumerate().map(|(index, (rule, value))| {
        json!({"name": format!("p{index}"), "traffic": {
            "authorization": {"action": "Require", "policy": {"matchExpressions": [rule]}},
            "transformation": {
                "request": {"set": [{"name": format!("x-p{index}"), "value": value}]},
            },
        }})
    });
    json!({"hostBinding": "Off", "policies": policies.collect::<Vec<_>>()})
}

fn loads(expression: &str, value: bool) -> Result<(), String> {
    let (rule, value) = if value { ("true", expression) } else { (expression, "'-'") };
    let json = configuration(&[rule.to_owned()], &[value.to_owned()]).to_string();
    Engine::load(json.as_bytes())
        .map(|_| ())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The deepest that a way may go: it must have an end, and that end must be one of the limits'.
fn deepest(name: &str, value: bool, make: impl Fn(usize) -> String) -> String {
    let (mut least, mut most) = (1, 4_200);
    loads(&make(least), value).unwrap_or_else(|error| panic!("{name}: {error}"));
    while most - least > 1 {
        let middle = usize::midpoint(least, most);
        match loads(&make(middle), value) {
            Ok(()) => least = middle,
            Err(error) => {
                assert!(error.contains("the limit is"), "{name}, {middle} deep: {error}");
                most = middle;
            }
        }
    }
    make(least)
}

/// Every way, each as deep as it may be: as rules, and as the values of headers.
static DEEPEST: LazyLock<(Vec<String>, Vec<String>)> = LazyLock::new(|| {
    let rules = WAYS.iter().map(|(name, way)| deepest(name, false, way)).collect();
    let values = WAYS
        .iter()
        .map(|(name, way)| deepest(name, true, |n| format!("({}) ? 'true' : 'false'", way(n))))
        .collect();
    (rules, values)
});

#[test]
fn the_deepest_expressions_are_evaluated_in_the_emulated_host() {
    let (rules, values) = &*DEEPEST;
    let module = Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    let configured = vm.configure(configuration(rules, values).to_string());
    assert!(configured.accepted, "{:?}", configured.logs);
    let result = vm
        .stream(e2e::host::Request::new("GET", GITHUB, "/zen"))
        .run(e2e::host::Response::new(200));
    assert_eq!((result.failure, result.local_response), (None, None), "{:?}", result.logs);
    for (index, (name, _)) in WAYS.iter().enumerate() {
        assert_eq!(
            result.request_headers.text(format!("x-p{index}")).as_deref(),
            Some("true"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_deepest_expressions_are_evaluated_in_envoy() {
    let (rules, values) = &*DEEPEST;
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(configuration(rules, values).to_string());
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    for attempt in 0..3 {
        let response = waypoint
            .pod_request(Pod::TeamA, GITHUB, &Request::get(GITHUB, "/zen"))
            .await
            .expect("a response");
        assert_eq!(
            response.status,
            200,
            "attempt {attempt}: {response:?}\n{:#?}",
            waypoint.audit_lines()
        );
    }
    let seen = &origin.requests()[2];
    for (index, (name, _)) in WAYS.iter().enumerate() {
        assert_eq!(seen.values(&format!("x-p{index}")), ["true"], "{name}");
    }
}

#[test]
fn a_large_request_does_not_make_an_expression_take_all_memory() {
    let module = Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    let rule = r#"request.headers.map(a, request.headers.map(b, request.path + "x")).size() > 0"#;
    assert!(
        vm.configure(configuration(&[rule.to_owned()], &["'-'".to_owned()]).to_string()).accepted
    );
    let request = |path: &str| {
        (0..40).fold(e2e::host::Request::new("GET", GITHUB, path), |request, index| {
            request.header(format!("x-{index}"), "v")
        })
    };
    let small = vm.stream(request("/")).run(e2e::host::Response::new(200));
    assert_eq!(small.local_response, None, "an ordinary request passes: {:?}", small.logs);
    let before = vm.usage().memory;
    let large =
        vm.stream(request(&format!("/{}", "a".repeat(50_000)))).run(e2e::host::Response::new(200));
    assert_eq!(large.failure, None, "{:?}", large.logs);
    assert_eq!(large.local_response.map(|answer| answer.status), Some(403), "{:?}", large.logs);
    let grown = vm.usage().memory - before;
    assert!(grown < 16 << 20, "{grown} bytes more");
}

#[test]
fn an_expression_that_would_double_itself_out_of_memory_is_refused_at_once() {
    for source in [
        format!("{}'a'{} == 'a'", "default(".repeat(22), ", 'b')".repeat(22)),
        format!("{}'a'{} == 'a'", "coalesce(".repeat(22), ", 'b', 'c')".repeat(22)),
        format!("{}'a'{} == 'a'", "coalesce('a', ".repeat(22), ", 'c')".repeat(22)),
    ] {
        let start = std::time::Instant::now();
        let error = loads(&source, false).expect_err(&source);
        assert!(error.contains("the limit is"), "{source}: {error}");
        assert!(start.elapsed().as_secs() < 5, "{source}: {:?}", start.elapsed());
    }
}
