#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod dead;
mod values;

use serde_json::{Value, json};

use super::{ConfigWarning, MAX_WARNINGS, Warnings};
use crate::config::Spot;
use crate::policy::Engine;

fn warnings(config: &Value) -> Vec<String> {
    let engine = Engine::load(config.to_string().as_bytes())
        .unwrap_or_else(|errors| panic!("{config}: {errors:?}"));
    engine.warnings().iter().map(|warning| warning.message.clone()).collect()
}

fn policy(action: &str, hosts: &[&str], expressions: &[&str]) -> Value {
    let mut policy = json!({"name": "p", "traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": expressions}}}});
    if !hosts.is_empty() {
        policy["hosts"] = json!(hosts);
    }
    policy
}

/// The warnings of one Allow.
fn of(hosts: &[&str], expression: &str) -> Vec<String> {
    warnings(&json!({"policies": [policy("Allow", hosts, &[expression])]}))
}

#[test]
fn what_can_be_meant_gives_no_warning() {
    for (hosts, expression) in [
        (&[][..], "true"),
        (&[], "false"),
        (
            &[],
            concat!(
                r#"source.identity.namespace == "team-a" && source.identity.serviceAccount "#,
                r#"== "team-a""#,
            ),
        ),
        (&[], r#"source.identity.namespace == "team-a" || source.identity.namespace == "team-b""#),
        (&[], r#"source.identity.namespace != "team-a" && source.identity.namespace != "team-b""#),
        (&["a.com"], r#"request.host == "a.com" && request.method == "GET""#),
        (&["a.com", "*.b.com"], r#"request.host == "x.b.com""#),
        (&["*.b.com"], r#"request.host.startsWith("x.") && !request.host.startsWith("x.y.")"#),
        (&["*.b.com"], r#"request.host.endsWith(".y.b.com")"#),
        (&["*.com"], r#"request.host.contains("b")"#),
        (&[], r#"request.host in ["a.com", "10.0.0.1", "[::1]"]"#),
        (
            &[],
            concat!(
                r#"request.path.startsWith("/a") && request.path != "/a" && "#,
                r#"!request.path.startsWith("/a/")"#,
            ),
        ),
        (&[], r#"request.path == "/" || request.path == "*""#),
        (&[], r#"request.path.startsWith("") && request.method == "GET""#),
        (&[], r#"request.path.endsWith("b") && request.path.startsWith("/a")"#),
        (&[], r#"request.method == "GET" && request.method.matches("E")"#),
        (&[], r#"request.method in ["GET", "PROPFIND", "get-all"]"#),
        (&[], r#"default(request.headers["x-a"], "") == "" || request.headers["x-a"] == "b""#),
        (&[], r#"default(source.identity.namespace, "/") == "/""#),
        (&[], r#"has(request.headers.a) && request.headers.a == "b""#),
        (&[], r#"has(source.identity) && source.identity.namespace == "b""#),
        (&[], r#"!has(source.identity) || source.identity.namespace == "b""#),
        (&[], "source.port > 1023 && destination.port == 80"),
        (&[], "source.port >= 80 && source.port <= 80"),
        (&[], "request.startTime.getHours() >= 8 && request.startTime.getHours() < 18"),
        (&[], "request.startTime.getMonth() in [0, 11] && request.startTime.getDate() == 31"),
        (&[], "request.startTime.getFullYear() == 2026 || request.startTime > timestamp(0)"),
        (&[], r#"request.headers.exists(h, h == "a") && !request.headers.exists(h, h == "a")"#),
        (&[], r#"request.headers["x-a"] == "b" && request.headers["x-b"] == "c""#),
        (
            &[],
            concat!(
                r#"(source.identity.namespace == "a" ? request.method == "GET" : "#,
                r#"request.method == "POST")"#,
            ),
        ),
    ] {
        assert_eq!(of(hosts, expression), [""; 0], "{hosts:?} {expression}");
    }
}

#[test]
fn what_never_matches_is_told() {
    for (hosts, expression, message) in [
        (
            &[][..],
            r#"source.identity.namespace == "a" && source.identity.namespace == "b""#,
            concat!(
                r#"`source.identity.namespace == "a"` and `source.identity.namespace == "b"` "#,
                r#"are never true together"#,
            ),
        ),
        (
            &[],
            concat!(
                r#"request.method == "GET" && source.identity.namespace == "a" && "#,
                r#"request.path == "/" && source.identity.namespace in ["b", "c"]"#,
            ),
            concat!(
                r#"`source.identity.namespace == "a"` and `source.identity.namespace in "#,
                r#"[...]` are never true together"#,
            ),
        ),
        (
            &[],
            r#"request.path == "/b" && request.path.startsWith("/a")"#,
            r#"`request.path == "/b"` and `request.path.startsWith("/a")` are"#,
        ),
        (
            &[],
            r#"request.path.startsWith("/b") && request.path.startsWith("/a")"#,
            "are never true together",
        ),
        (
            &[],
            r#"request.path == "/b" && !request.path.startsWith("/b")"#,
            "are never true together",
        ),
        (
            &[],
            r#"request.path == "/b" && request.path != "/b""#,
            r#"`request.path == "/b"` and `request.path != "/b"` are never"#,
        ),
        (&[], r#"request.path == "/b" && request.path.endsWith("a")"#, "are never true together"),
        (
            &[],
            r#"request.path.startsWith("/a/b") && !request.path.contains("a/")"#,
            "are never true together",
        ),
        (
            &[],
            r#"request.headers["x-a"] == "1" && request.headers["X_A"] == "2""#,
            "are never true together",
        ),
        (
            &[],
            r#"!has(request.headers.a) && request.headers.a == "b""#,
            r#"`!has(request.headers["a"])` and `request.headers["a"] == "b"`"#,
        ),
        (
            &[],
            r#"!("a" in request.headers) && has(request.headers.a)"#,
            "never matches: it contradicts itself",
        ),
        (
            &[],
            r#"!has(source.identity) && source.identity.namespace == "b""#,
            "are never true together",
        ),
        (
            &[],
            r#"default(request.headers["a"], "x") == "y" && !has(request.headers.a)"#,
            "are never true together",
        ),
        (
            &[],
            "source.port < 80 && source.port > 80",
            "`source.port < 80` and `source.port > 80` are never true together",
        ),
        (
            &[],
            "80 < source.port && source.port < 81",
            "`source.port > 80` and `source.port < 81` are never true together",
        ),
        (
            &[],
            r#"has(source.identity) && default(source.identity.namespace, "/") == "/""#,
            "are never true together",
        ),
        (&[], "source.port < 0", "`source.port < 0` is never true"),
        (&[], "source.port > 65535", "is never true"),
        (&[], r#"!(request.method == "GET" || request.method != "GET")"#, "it contradicts itself"),
        (
            &["a.com"],
            r#"request.host.endsWith(".b.com")"#,
            r#"`request.host.endsWith(".b.com")` is never true for the policy's `hosts`"#,
        ),
        (
            &["*.b.com"],
            r#"request.host.endsWith(".c.com")"#,
            "is never true for the policy's `hosts`",
        ),
        (
            &["a.com", "b.com"],
            r#"request.host != "a.com" && request.host != "b.com""#,
            "are never true together for the policy's `hosts`",
        ),
        (&[], r#"false && request.method == "GET""#, "`false` is never true"),
    ] {
        let found = of(hosts, expression);
        assert_eq!(found.len(), 1, "{hosts:?} {expression}: {found:?}");
        assert!(
            found[0].starts_with("never matches") && found[0].contains(message),
            "{hosts:?} {expression}: {found:?}"
        );
        assert!(
            found[0].ends_with(", so this Allow lets no request through"),
            "{expression}: {found:?}"
        );
    }
}

#[test]
fn what_always_matches_is_told() {
    for (hosts, expression, message) in [
        (
            &[][..],
            r#"request.method == "GET" || request.method != "GET""#,
            concat!(
                r#"always matches, where it does not err: one of `request.method == "GET"` "#,
                r#"and `request.method != "GET"` is always true, so this Allow lets every "#,
                r#"other request through"#,
            ),
        ),
        (
            &["a.com"],
            r#"request.host == "a.com""#,
            concat!(
                r#"always matches: `request.host == "a.com"` is always true for the policy's "#,
                r#"`hosts`, so this Allow lets every request through"#,
            ),
        ),
        (
            &["*.b.com"],
            r#"request.host.endsWith("b.com")"#,
            concat!(
                r#"always matches: `request.host.endsWith("b.com")` is always true for the "#,
                r#"policy's `hosts`, so this Allow lets every request through"#,
            ),
        ),
        (
            &[],
            "source.port > -5 && source.port < 70000",
            "always matches, where it does not err, so this Allow lets every other request through",
        ),
        (
            &[],
            r#"true || request.path == "/a""#,
            "always matches: `true` is always true, so this Allow lets every request through",
        ),
        (
            &[],
            r#"request.path != "/a" || !request.path.startsWith("/b")"#,
            concat!(
                r#"always matches: one of `request.path != "/a"` and "#,
                r#"`!request.path.startsWith("/b")` is always true, so this Allow lets every "#,
                r#"request through"#,
            ),
        ),
    ] {
        assert_eq!(of(hosts, expression), [message], "{hosts:?} {expression}");
    }
}

#[test]
fn what_comes_of_it_depends_on_the_action() {
    let never = r#"source.identity.namespace == "a" && source.identity.namespace == "b""#;
    let never_and_no_error = r#"request.host == "a.com" && request.host == "b.com""#;
    let always = r#"request.host != "a.com" || request.host != "b.com""#;
    let mostly = r#"request.method != "A" || request.method != "B""#;
    for (action, expression, on_error, effect) in [
        ("Allow", never, "Deny", "this Allow lets no request through"),
        ("Require", never, "Deny", "this Require refuses every request"),
        ("Deny", never, "Deny", "this Deny denies only where it errs"),
        ("Deny", never, "Ignore", "this Deny denies no request"),
        ("Deny", never_and_no_error, "Deny", "this Deny denies no request"),
        ("Allow", always, "Deny", "this Allow lets every request through"),
        ("Require", always, "Deny", "this Require refuses no request"),
        ("Deny", always, "Deny", "this Deny denies every request"),
        ("Allow", mostly, "Deny", "this Allow lets every other request through"),
        ("Require", mostly, "Deny", "this Require refuses only where it errs"),
        ("Deny", mostly, "Deny", "this Deny denies every request"),
        ("Deny", mostly, "Ignore", "this Deny denies every other request"),
    ] {
        let mut policy = policy(action, &[], &[expression]);
        policy["traffic"]["authorization"]["onError"] = json!(on_error);
        let found = warnings(&json!({"policies": [policy]}));
        assert_eq!(found.len(), 1, "{action} {expression}: {found:?}");
        assert!(found[0].ends_with(effect), "{action} {expression} {on_error}: {found:?}");
    }
}

#[test]
fn expressions_of_one_policy_are_looked_at_together() {
    let (a, b) = (r#"source.identity.namespace == "a""#, r#"source.identity.namespace == "b""#);
    let not_a = r#"source.identity.namespace != "a""#;
    for (combine, expressions, expected) in [
        ("Any", [a, b], None),
        (
            "All",
            [a, not_a],
            Some(
                "never matches: `source.identity.namespace == \"a\"` and \
                 `source.identity.namespace != \"a\"` are never true together, so this Allow lets \
                 no request through",
            ),
        ),
        (
            "All",
            [a, b],
            Some(
                "never matches: `source.identity.namespace == \"a\"` and \
                 `source.identity.namespace == \"b\"` are never true together, so this Allow lets \
                 no request through",
            ),
        ),
        (
            "Any",
            [a, not_a],
            Some(
                "always matches, where it does not err: one of `source.identity.namespace == \
                 \"a\"` and `source.identity.namespace != \"a\"` is always true, so this Allow \
                 lets every other request through",
            ),
        ),
    ] {
        let mut policy = policy("Allow", &[], &expressions);
        policy["traffic"]["authorization"]["match"] = json!(combine);
        let engine = Engine::load(json!({"policies": [policy]}).to_string().as_bytes()).unwrap();
        let found: Vec<&str> =
            engine.warnings().iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{combine} {expressions:?}");
        assert!(
            engine
                .warnings()
                .iter()
                .all(|warning| warning.place == "policies[0].traffic.authorization")
        );
    }
    // One of several that never matches, in a policy that does.
    let mut mixed = policy("Allow", &[], &[b, &format!("{a} && {not_a}")]);
    mixed["traffic"]["authorization"]["match"] = json!("Any");
    let engine = Engine::load(json!({"policies": [mixed]}).to_string().as_bytes()).unwrap();
    let [warning] = engine.warnings() else { panic!("{:?}", engine.warnings()) };
    assert_eq!(
        warning.to_string(),
        concat!(
            "policy `p`: policies[0].traffic.authorization.policy.matchExpressions[1]: ",
            r#"never matches: `source.identity.namespace == "a"` and "#,
            r#"`source.identity.namespace != "a"` are never true together"#,
        )
    );
}

#[test]
fn warnings_are_bounded_and_counted() {
    let rule = |index: usize| {
        let mut policy = policy("Allow", &[], &[r#"request.path == "a""#]);
        policy["name"] = json!(format!("p{index}"));
        policy
    };
    let policies: Vec<Value> = (0..150).map(rule).collect();
    let engine = Engine::load(json!({"policies": policies}).to_string().as_bytes()).unwrap();
    assert_eq!((engine.warnings().len(), engine.warning_count()), (100, 150));
}

#[test]
fn what_takes_too_long_to_look_at_is_left() {
    // Satisfiable in one way of 3^24, which no order of trying finds soon: there is no warning, and
    // it takes no time.
    let each: Vec<String> = (0..24)
        .map(|index| {
            format!(
                r#"(request.headers["h{index}"] == "a" ? request.headers["h{}"] == "a"
                    : request.headers["h{index}"] == "b")"#,
                (index + 1) % 24
            )
        })
        .collect();
    assert_eq!(of(&[], &each.join(" && ")), [""; 0]);
    let long = (0..180).map(|index| format!("\"/{index}\"")).collect::<Vec<_>>().join(",");
    let lists: Vec<String> = (0..3)
        .map(|index| {
            format!(
                r#"request.headers["h{index}"] in [{long}] && request.headers["h{index}"] != "/1""#
            )
        })
        .collect();
    assert_eq!(of(&[], &lists.join(" && ")), [""; 0]);
}

#[test]
fn a_warning_points_at_the_part_that_it_is_about() {
    for (hosts, expression, line, column) in [
        (&["a.com"][..], r#"request.host == "b.com""#, 1, 1),
        (&[], r#"request.method == "GET" && request.path == "a""#, 1, 28),
        (
            &[],
            "request.method == 'GET' &&\n  (source.port == 1 || !request.path.startsWith('a'))",
            2,
            25,
        ),
        (&[], r#"request.method in ["GET", "get"]"#, 1, 27),
        (&[], r#"default(request.path, "") == "a?b""#, 1, 1),
        (&[], r#"request.method == "GET" && 70000 == source.port"#, 1, 28),
        (&[], r#"request.method == "GET" ? request.path == "/" : request.path == "x""#, 1, 49),
        (&[], r#""ä" == request.method || request.headers[":path"] == "a""#, 1, 26),
        (&[], r#"[request.method].exists(m, m == "x") || request.path == "x""#, 1, 41),
    ] {
        let engine = Engine::load(
            json!({"policies": [policy("Allow", hosts, &[expression])]}).to_string().as_bytes(),
        )
        .unwrap();
        let spots: Vec<_> = engine.warnings().iter().map(|warning| warning.spot.clone()).collect();
        assert_eq!(spots, [Spot::Source { line, column }], "{expression}: {:?}", engine.warnings());
        assert!(
            engine.warnings()[0]
                .to_string()
                .contains(&format!("]: line {line}, column {column}: ")),
            "{}",
            engine.warnings()[0]
        );
    }
}

#[test]
fn what_is_only_counted_is_not_made() {
    let mut warnings = Warnings::default();
    let warning = || ConfigWarning {
        name: "",
        policy: None,
        place: String::new(),
        spot: Spot::Whole,
        message: String::new(),
    };
    let mut made = 0;
    for _ in 0..MAX_WARNINGS + 5 {
        warnings.add(|| {
            made += 1;
            warning()
        });
    }
    assert_eq!(
        (made, warnings.kept.len(), warnings.count),
        (MAX_WARNINGS, MAX_WARNINGS, MAX_WARNINGS + 5)
    );
}

#[test]
fn names_that_prometheus_takes_for_one_give_a_warning_each() {
    let policies: Vec<Value> = ["p.a", "q", "p-a", "p_a", "P_a", "p__a"]
        .map(|name| {
            let mut policy = policy("Allow", &[], &["request.method == 'GET'"]);
            policy["name"] = name.into();
            policy
        })
        .into();
    let engine = Engine::load(json!({"policies": policies}).to_string().as_bytes()).unwrap();
    let found: Vec<String> = engine.warnings().iter().map(ToString::to_string).collect();
    let of = |name: &str, place: &str| {
        format!(
            "policy `{name}`: {place}.name: where Prometheus does not get the tags \
             `egress_policy` and `egress_plugin`, its metrics are those of policy `p.a` too: \
             both are `p_a` there"
        )
    };
    assert_eq!(found, [of("p-a", "policies[2]"), of("p_a", "policies[3]")]);
}
