//! Values that an attribute never has.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::*;

#[test]
fn a_value_that_never_comes_is_told() {
    for (hosts, expression, message) in [
        (
            &[][..],
            r#"request.host == "API.github.com""#,
            "`request.host` is never `API.github.com`: it is lower-case, with no port and no \
             trailing dot, so `api.github.com`",
        ),
        (
            &[],
            r#"request.method == "GET" || request.host != "a.com:443""#,
            "`request.host` is never `a.com:443`: it is lower-case, with no port and no trailing \
             dot, so `a.com`",
        ),
        (
            &[],
            r#"request.host == "https://a.com""#,
            "`request.host` is never `https://a.com`: that is no host",
        ),
        (
            &[],
            r#"request.host.endsWith("GitHub.com")"#,
            "`request.host` never ends with `GitHub.com`: it is lower-case",
        ),
        (
            &[],
            r#"request.host.startsWith("http://")"#,
            "`request.host` never starts with `http://`: it is a host without a port",
        ),
        (
            &["a.com"],
            r#"request.host == "b.com""#,
            "`request.host` is never `b.com`: the policy's `hosts` do not have it",
        ),
        (
            &["*.a.com"],
            r#"request.host in ["x.a.com", "a.com"]"#,
            "`request.host` is never `a.com`: the policy's `hosts` do not have it",
        ),
        (
            &[],
            r#"request.path == "/a?b""#,
            "`request.path` is never `/a?b`: it has no query: `request.pathAndQuery` does",
        ),
        (
            &[],
            r#"request.path.contains("?b=")"#,
            "`request.path` never contains `?b=`: it has no query: `request.pathAndQuery` does",
        ),
        (
            &[],
            r#"request.path.startsWith("repos")"#,
            "`request.path` never starts with `repos`: paths start with `/`",
        ),
        (
            &[],
            r#"request.pathAndQuery == "repos?a""#,
            "`request.pathAndQuery` is never `repos?a`: paths start with `/`",
        ),
        (
            &[],
            r#"request.path == "/a//b""#,
            "`request.path` is never `/a//b`: `pathSafety` refuses it (empty segment)",
        ),
        (
            &[],
            r#"request.method == "get""#,
            concat!(
                r#"`request.method` is compared with "get": methods are case-sensitive, and "#,
                r#"`GET` is the standard one"#,
            ),
        ),
        (
            &[],
            r#"source.identity.namespace == "team a""#,
            "`source.identity.namespace` is never `team a`: it is letters, digits, `.`, `-` and \
             `_`",
        ),
        (
            &[],
            r#"source.spiffeId == "cluster.local/ns/a/sa/b""#,
            "`source.spiffeId` is never `cluster.local/ns/a/sa/b`: that is no SPIFFE ID: does not \
             start with `spiffe://`",
        ),
        (
            &[],
            r#"source.spiffeId.startsWith("cluster.local")"#,
            "`source.spiffeId` never starts with `cluster.local`: it starts with `spiffe://`",
        ),
        (
            &[],
            r#"request.headers[":path"] == "/a""#,
            r#"`request.headers[":path"]` is never `/a`: `request.headers` has no pseudo-headers"#,
        ),
        (
            &[],
            "destination.port == 80443",
            "`destination.port` is never `80443`: ports are 0 to 65535",
        ),
        (
            &[],
            "request.startTime.getMonth() == 12",
            "`getMonth` is never 12: it is 0 (January) to 11",
        ),
        (
            &[],
            "request.startTime.getDayOfWeek('Europe/Berlin') in [6, 7]",
            "`getDayOfWeek` is never 7: it is 0 (Sunday) to 6",
        ),
        (&[], "0 != request.startTime.getDate()", "`getDate` is never 0: it is 1 to 31"),
        (
            &[],
            "request.startTime.getHours() < 24",
            "`getHours` is 0 to 23: comparing it with 24 always has the same result",
        ),
        (
            &[],
            "24 <= request.startTime.getHours()",
            "`getHours` is 0 to 23: comparing it with 24 always has the same result",
        ),
    ] {
        assert_eq!(of(hosts, expression), [message], "{hosts:?} {expression}");
    }
    let mut config = json!({"identity": {"trustDomains": ["cluster.local"]}, "policies": []});
    for (expression, message) in [
        (
            r#"source.identity.trustDomain == "other""#,
            "`source.identity.trustDomain` is never `other`: `identity.trustDomains` do not have \
             it",
        ),
        (
            r#"source.spiffeId == "spiffe://other/ns/a/sa/b""#,
            "`source.spiffeId` is never `spiffe://other/ns/a/sa/b`: `identity.trustDomains` do \
             not have its trust domain",
        ),
        (
            r#"source.identity.trustDomain.contains("other")"#,
            concat!(
                r#"never matches: `source.identity.trustDomain.contains("other")` is never "#,
                r#"true, so this Allow lets no request through"#,
            ),
        ),
    ] {
        config["policies"] = json!([policy("Allow", &[], &[expression])]);
        assert_eq!(warnings(&config), [message], "{expression}");
    }
}

#[test]
fn a_path_is_only_known_where_path_safety_is_strict() {
    let relative = r#"request.path.startsWith("repos")"#;
    let with = |hosts: &[&str], safety: &str, loose: Option<(&str, &str)>| {
        let mut policies = vec![policy("Allow", hosts, &[relative])];
        if let Some((host, safety)) = loose {
            policies.push(
                json!({"name": "loose", "hosts": [host], "pathSafety": safety, "traffic": {}}),
            );
        }
        warnings(&json!({"pathSafety": safety, "policies": policies})).len()
    };
    assert_eq!(with(&[], "Strict", None), 1);
    assert_eq!(with(&[], "Lenient", None), 0);
    assert_eq!(with(&[], "Off", None), 0);
    assert_eq!(with(&[], "Strict", Some(("gitlab.com", "Lenient"))), 0);
    assert_eq!(with(&["a.com"], "Strict", Some(("gitlab.com", "Lenient"))), 1);
    assert_eq!(with(&["a.com", "gitlab.com"], "Strict", Some(("*.com", "Off"))), 0);
    assert_eq!(with(&["*.b.com"], "Strict", Some(("*.a.b.com", "Off"))), 0);
    assert_eq!(with(&["*.b.com"], "Strict", Some(("b.com", "Off"))), 1);
    assert_eq!(with(&["a.com"], "Strict", Some(("a.com", "Strict"))), 1);
}
