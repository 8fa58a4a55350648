//! Arguments that a function cannot take, and what is said of them.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn literals_that_can_never_do_are_told_at_load() {
    for (source, message) in [
        (
            r#"ip("10.0.0.256") == ip(source.address)"#,
            "line 1, column 4: `10.0.0.256` is no IP address",
        ),
        (
            r#"cidr("10.0.0.0").containsIP(source.address)"#,
            "line 1, column 6: `10.0.0.0` is no range of IP addresses: write it as `10.0.0.0/8`",
        ),
        (r#"cidr("10.0.0.0/8").containsIP("x")"#, "line 1, column 31: `x` is no IP address"),
        (
            r#"cidr("10.0.0.0/8").containsCIDR("x")"#,
            "line 1, column 33: `x` is no range of IP addresses: write it as `10.0.0.0/8`",
        ),
        (
            r#"request.path.regexReplace("(", "") == """#,
            "line 1, column 27: the pattern cannot be read: unclosed group",
        ),
        (
            r#"request.path.format([1]) == """#,
            "line 1, column 1: `format` takes a literal: what is put together at a request could \
             be as large as the caller likes",
        ),
        (
            "request.path.split(1) == []",
            "line 1, column 1: no `string.split(int)`: expected `string.split(string)`, \
             `string.split(string, int)`, `headers.split()`",
        ),
        (
            "sha256.encode(1) == ''",
            "line 1, column 1: no `sha256.encode(int)`: expected `sha256.encode(string)`, \
             `sha256.encode(bytes)`",
        ),
        (
            "sha265.encode('') == ''",
            "line 1, column 1: unknown function `sha265.encode` (did you mean `sha256.encode`?)",
        ),
        (
            "request.headers.raw().a == 'b'",
            "line 1, column 1: `==` compares list(string) with string, which are never equal",
        ),
        (
            "request.headers.raw() == {}",
            "line 1, column 1: `==` does not compare headers as a whole: compare single ones",
        ),
        (
            "response.headers.raw().a == ['b']",
            "line 1, column 1: `response` is not there yet when this is evaluated: only a response \
             transformation can read it",
        ),
        ("uuid('a') == ''", "line 1, column 1: no `uuid(string)`: expected `uuid()`"),
        (
            "json(1) == 1",
            "line 1, column 1: no `json(int)`: expected `json(string)`, `json(bytes)`",
        ),
        (
            "ip('::1').contains('a')",
            "line 1, column 1: no `ip.contains(string)`: expected `string.contains(string)`",
        ),
    ] {
        assert_eq!(refused(source, Expected::Rule), message, "{source}");
    }
    let clauses = "%s".repeat(17);
    assert!(
        refused(&format!("'{clauses}'.format([]) == ''"), Expected::Rule).contains("more than 16")
    );
}

#[test]
fn errors_name_the_function_and_no_data() {
    for (source, message) in [
        ("json(request.headers['x-list']) == 1", "error in `json`"),
        (
            "unvalidatedJwtPayload(request.headers['x-list']).sub == ''",
            "error in `unvalidatedJwtPayload`",
        ),
        ("ip(request.headers['x-list']).family() == 4", "error in `ip`"),
        ("request.headers.cookie(request.headers['x-list']) == ''", "no such key"),
        ("request.pathAndQuery.query(request.headers['x-list']) == []", "no such key"),
        ("request.headers.raw()[request.headers['x-list']] == []", "no such key"),
        ("'a'.matches('(' + request.headers['x-list'])", "error in `matches`"),
        ("fail('not for ' + request.headers['x-list'])", "error in `fail`"),
        ("fail('not for you')", "error in `fail`: not for you"),
        ("request.headers.raw()['x-bytes'] == []", "error in `x-bytes`"),
    ] {
        assert_eq!(rule(source), Err(message.to_owned()), "{source}");
    }
}
