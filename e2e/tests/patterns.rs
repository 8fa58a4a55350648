//! What patterns cost a worker, counted in executed wasm instructions (fuel), which are the same in
//! every run: an ordinary one little, and the worst no more than a rule's steps allow.

use std::sync::LazyLock;
use std::time::Instant;

use e2e::host::{HostOptions, Module, Request, Response, Vm};
use serde_json::json;

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

/// What a rule may cost in instructions: the bar of `tests/cost.rs`, which V8 takes well under
/// 20 ms for.
const MOST: u64 = 200_000_000;

/// What a request costs under a rule.
fn cost(rule: &str, value: &str) -> u64 {
    // Fuel is to measure, not to limit.
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    let authorization = json!({"action": "Deny", "policy": {"matchExpressions": [rule]}});
    let configuration = json!({
        "audit": {"log": "None"},
        "policies": [{"name": "p", "traffic": {"authorization": authorization}}],
    });
    let configured = vm.configure(configuration.to_string());
    assert!(configured.accepted, "{rule}: {:?}", configured.logs);
    let run = || {
        vm.stream(Request::new("GET", "api.github.com", "/zen").header("x-a", value))
            .run(Response::new(200))
    };
    run();
    let begun = Instant::now();
    let result = run();
    println!(
        "{:>12} {:>8.1} ms {:>6} bytes  {}",
        result.usage.fuel,
        begun.elapsed().as_secs_f64() * 1e3,
        value.len(),
        brief(rule)
    );
    assert_eq!(result.failure, None, "{rule}");
    result.usage.fuel
}

fn brief(rule: &str) -> String {
    rule.chars().take(110).collect()
}

/// Whether it is for comparison with another module, of which nothing is known.
fn only_prints() -> bool {
    std::env::var_os("EGRESS_FILTER_WASM").is_some()
}

#[test]
fn an_ordinary_pattern_costs_little() {
    for (pattern, length, most) in [
        ("^[a-z0-9-]+$", 20, 14_000),
        ("^[a-z0-9-]+$", 4096, 2_500_000),
        ("admin|root", 20, 4_000),
        ("admin|root", 4096, 600_000),
        ("^/repos/[a-z]+(/[0-9]{1,9})?$", 20, 4_000),
        ("(?i)bearer [-._~+/a-z0-9]+=*", 4096, 600_000),
    ] {
        let value = "abcdefghij-012345678".repeat(length / 20 + 1);
        let value = &value[..length];
        let with = cost(&format!(r#"request.headers["x-a"].matches("{pattern}")"#), value);
        let without = cost(r#"request.headers["x-a"] == """#, value);
        println!("{:>12} of them for the match", with.saturating_sub(without));
        assert!(
            only_prints() || with - without < most,
            "{pattern} over {length} bytes: {}",
            with - without
        );
    }
}

#[test]
fn the_worst_patterns_cost_no_more_than_a_rules_steps() {
    const A: &str = r#"request.headers["x-a"]"#;
    let four = |pattern: &str| vec![format!("{A}.matches({pattern:?})"); 4].join(" || ");
    let long = "[a-z]{0,1000}".repeat(4);
    let loops =
        format!("request.headers.exists(k, {A}.matches(k + \"(?i)([!-\u{ff5e}]{{0,150}})b\"))");
    let wide =
        format!("{A}.matches({A}.substring(0, 1) + \"{}\")", "(?i)[!-\u{10ffff}\\\\D]".repeat(10));
    for (rule, part) in [
        (format!(r#"{A}.matches("a{{1,1000}}b")"#), "a"),
        (format!(r#"{A}.matches("gh[pousr]_[A-Za-z0-9_]{{36,255}}[^A-Za-z0-9_]")"#), "ghp_"),
        (format!(r#"{A}.matches("[a-z]{{0,1000}}[a-z]{{0,1000}}0")"#), "a"),
        (format!(r#"{A}.matches("{long}0")"#), "a"),
        (four("[a-z]{0,1000}[a-z]{0,1000}0"), "a"),
        (format!(r#"{A}.matches("(?i)[^k]{{0,900}}[^s]{{0,900}}0")"#), "\u{3c9}"),
        (format!(r#"{A}.regexReplace("((a)|(b)|(c)|(d)){{0,900}}0", "$1") == """#), "abcd"),
        (
            format!(
                r#"{A}.regexReplace("(a)|(b)|(c)|(d)|(e)|(f)|(g)|(h)|(i)|(j)|(k)|(l)", "$1") == """#
            ),
            "z",
        ),
        (loops, "a"),
        (wide, "a"),
        (
            format!(
                "request.headers.exists(k, request.headers.exists(j, \
                 {A}.matches(\"[a-z]{{0,200}}0\")))"
            ),
            "a",
        ),
        (format!(r#"{A}.matches({A}.substring(0, 1) + "{{0,900}}[a-z]{{0,300}}0")"#), "a"),
        (format!(r#"{A}.matches("x")"#), "a"),
    ] {
        let fuel = cost(&rule, &part.repeat(60_000 / part.len()));
        assert!(only_prints() || fuel < MOST, "{rule}: {fuel}");
    }
}
