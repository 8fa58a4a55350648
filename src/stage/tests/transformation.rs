//! What is done to headers.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn changed(transformation: Value, headers: &[(&str, &[u8])]) -> (Vec<Change<'static>>, usize) {
    let policy = json!({"name": "p", "traffic": {"transformation": {"request": transformation}}});
    let outcome = decide(&[policy], &Request { headers, ..ZEN });
    (outcome.changes, outcome.errors.len())
}

#[test]
fn headers_change_in_the_order_add_set_remove() {
    let add = |value: &str| Change::Add("x-a".into(), value.as_bytes().to_vec().into());
    let replace = |value: &str| Change::Replace("x-a".into(), value.as_bytes().to_vec().into());
    let remove = || Change::Remove("x-a".into());
    let one = |value: &str| json!([{"name": "X-A", "value": value}]);
    let client = [("x-a", &b"1"[..])];
    let twice = [("x-a", &b"1"[..]), ("x-a", &b"2"[..])];
    let missing = r#"request.headers["none"]"#;
    for (rules, headers, changes, errors) in [
        (json!({"set": one("'s'")}), &[][..], vec![replace("s")], 0),
        (json!({"set": one("'s'")}), &client, vec![replace("s")], 0),
        (json!({"set": one("'s'")}), &twice, vec![remove(), add("s")], 0),
        (json!({"add": one("'a'")}), &client, vec![add("a")], 0),
        (json!({"remove": ["X-A"]}), &twice, vec![remove()], 0),
        (json!({"remove": ["X-A"]}), &[], vec![], 0),
        (
            json!({"set": one("request.headers['x-a'] + '!'"), "add": one("'a'")}),
            &[],
            vec![add("a"), replace("a!")],
            0,
        ),
        (json!({"set": one("'s'"), "remove": ["x-a"]}), &[], vec![replace("s"), remove()], 0),
        (json!({"set": one(missing)}), &client, vec![remove()], 1),
        (json!({"set": one(missing)}), &[], vec![], 1),
        (json!({"add": one(missing)}), &client, vec![], 1),
        (json!({"set": one("'a\\r\\nb: c'")}), &client, vec![remove()], 1),
        (json!({"set": one("dyn(1)")}), &client, vec![remove()], 1),
        (json!({"set": one("''")}), &client, vec![replace("")], 0),
    ] {
        assert_eq!(changed(rules.clone(), headers), (changes, errors), "{rules} {headers:?}");
    }
}

#[test]
fn a_spoofed_spelling_does_not_survive() {
    let rules = json!({"set": [{"name": "x-caller-identity", "value": "'a'"}]});
    let (changes, _) = changed(rules, &[("x_caller_identity", b"forged")]);
    assert_eq!(
        changes,
        [
            Change::Remove("x_caller_identity".into()),
            Change::Replace("x-caller-identity".into(), b"a".into())
        ]
    );
}

#[test]
fn pseudo_headers_are_set_to_legal_values_only() {
    let set = |name: &str, value: &str| json!({"set": [{"name": name, "value": value}]});
    for (name, value, legal) in [
        (":path", "'/b?x'", true),
        (":path", "'b'", false),
        (":path", "'/a b'", false),
        (":path", "'/a/../b'", false),
        (":authority", "'other.example:80'", true),
        (":authority", "'a@b'", false),
        (":method", "'POST'", true),
        (":method", "'PO ST'", false),
    ] {
        let (changes, errors) = changed(set(name, value), &[]);
        assert_eq!((changes.len(), errors), if legal { (1, 0) } else { (0, 1) }, "{name} {value}");
    }
    let request = set(":path", "request.headers['none']");
    let policy = json!({"name": "p", "traffic": {"transformation": {"request": request}}});
    let outcome = decide(&[policy], &ZEN);
    assert_eq!(
        (outcome.reason.as_str(), outcome.policy_name.as_deref()),
        ("rewrite-error", Some("p")),
        "the caller's own path must not stay"
    );
}

#[test]
fn later_policies_see_what_earlier_ones_left() {
    let set = |name: &str, header: &str, value: &str| {
        let transformation = json!({"request": {"set": [{"name": header, "value": value}]}});
        json!({"name": name, "traffic": {"transformation": transformation}})
    };
    let outcome = decide(
        &[
            set("a", "x-a", "'1'"),
            set("b", "x-b", "request.headers['x-a'] + '2'"),
            set("c", ":path", "'/p'"),
            set("d", "x-d", "request.path"),
        ],
        &ZEN,
    );
    let replaced = |name: &'static str, value: &str| {
        Change::Replace(name.into(), value.as_bytes().to_vec().into())
    };
    assert_eq!(
        outcome.changes,
        [
            replaced("x-a", "1"),
            replaced("x-b", "12"),
            replaced(":path", "/p"),
            replaced("x-d", "/p")
        ]
    );
}

#[test]
fn a_denied_request_is_not_changed() {
    let policies = [
        rule("p", "Deny", "true"),
        json!({"name": "t", "traffic": {"transformation": {"request": {"remove": ["x-a"]}}}}),
    ];
    assert_eq!(decide(&policies, &Request { headers: &[("x-a", b"1")], ..ZEN }).changes, []);
}

#[test]
fn a_response_is_changed_by_what_it_says() {
    let set = json!([{"name": "x-code",
        "value": "string(response.code) + request.method + response.headers['x-o']"}]);
    let config = json!({"policies": [{"name": "p", "traffic": {"transformation":
        {"response": {"set": set, "remove": ["server"]}}}}]});
    let engine = load(&config);
    let request: Headers<'_> =
        [(&b":method"[..], &b"GET"[..]), (b":authority", b"api.github.com"), (b":path", b"/zen")]
            .into_iter()
            .collect();
    let response: Headers<'_> =
        [(&b":status"[..], &b"201"[..]), (b"server", b"x"), (b"x-o", b"o")].into_iter().collect();
    let source = Given::default();
    let mut driven = Driven::decide(&engine, &request, &source);
    let (changes, errors) = driven.respond(&response);
    assert_eq!(
        changes,
        [Change::Replace("x-code".into(), b"201GETo".into()), Change::Remove("server".into())]
    );
    assert_eq!(errors, []);
}
