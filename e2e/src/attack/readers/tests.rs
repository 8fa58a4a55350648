use super::*;
use crate::attack::request::Field;

fn line(name: &str, value: &[u8]) -> Vec<Field> {
    vec![(name.into(), value.to_vec())]
}

fn reads(readings: &[Reading], text: &str) -> bool {
    readings.iter().any(|reading| reading.text == text)
}

#[test]
fn a_header_is_read_past_blanks_marks_and_broken_bytes() {
    let dodges: [(&str, &[u8]); 6] = [
        ("X-Role", b" admin\t"),
        ("x_role", b"admin"),
        ("X.Role", b"admin"),
        ("x~role", b"admin"),
        ("x-role", b"admin\xff"),
        ("x-role", b"\xffad\xfemin"),
    ];
    for (name, value) in dodges {
        assert!(reads(&header(&line(name, value), "x-role"), "admin"), "{name}: {value:?}");
    }
    assert!(header(&line("x-roles", b"admin"), "x-role").is_empty());
    assert!(reads(&listed(&line("user-agent", b"good, evil"), "user-agent"), "evil"));
    assert!(nominated(&line("Connection", b"Upgrade, X-Caller-Identity"), "x-caller-identity"));
}

#[test]
fn a_cookie_is_read_past_quotes_and_escapes() {
    let dodges: [&[u8]; 7] = [
        b"role=admin; x=\xff",
        b"role=\"admin\"",
        b"role=%61dmin",
        b"role=\"%61dmin\"",
        b"role=\"ad\\155in\"",
        b"role=\"ad\\min\"",
        b"a=1;\trole = admin ",
    ];
    for cookie in dodges {
        assert!(
            reads(&cookies(&line("cookie", cookie), "role"), "admin"),
            "{}",
            cookie.escape_ascii()
        );
    }
    assert!(!reads(&cookies(&line("cookie", b"xrole=admin; role=user"), "role"), "admin"));
}

#[test]
fn a_path_is_read_past_escapes_of_any_kind() {
    let dodges: [&[u8]; 12] = [
        b"/admin",
        b"/x/../admin",
        b"/x/%2e%2e/admin",
        b"/x/%252e%252e/admin",
        b"/x/..%2fadmin",
        b"/x/..;/admin",
        b"/x/..%20/admin",
        b"/x/..%EF%BC%8Fadmin",
        b"/x/..%C0%AFadmin",
        b"/x/..%F8%80%80%80%AFadmin",
        b"/x/..%FC%80%80%80%80%AFadmin",
        b"//%61dmin?x#y",
    ];
    for target in dodges {
        let readings = paths(target);
        let text = target.escape_ascii();
        assert!(
            readings.iter().any(|reading| reading.text.starts_with("/admin")),
            "{text}: {readings:?}"
        );
    }
    assert!(paths(b"/zen?/../admin").iter().all(|reading| reading.text == "/zen"));
}

#[test]
fn a_query_is_read_past_separators_and_escapes() {
    for target in [
        &b"/?q=%ff&q=admin"[..],
        b"/?a=1;q=admin",
        b"/?%71=%61dmin",
        b"/?q[]=admin",
        b"/?q%5B0%5D=admin",
    ] {
        assert!(reads(&query(target, "q"), "admin"), "{}", target.escape_ascii());
    }
    assert!(!reads(&query(b"/q=admin?q=ad+min", "q"), "admin"));
}

#[test]
fn json_is_read_as_far_as_it_goes() {
    let dodges = [
        r#"{"user":"root","n":1e999}"#,
        r#"{"s":"\ud800","user":"root"}"#,
        "\u{feff}{\"user\":\"root\"}",
        r#"{"n":NaN,"user":"root",}"#,
        r#"{"user":"a","us\u0065r":"root"}"#,
        r#"{"a":[1,{"b":2},],"user":"root"} x"#,
    ];
    for text in dodges {
        assert!(reads(&fields(text.as_bytes(), "user"), "root"), "{text}");
    }
    assert!(!reads(&fields(br#"{"a":{"user":"root"}}"#, "user"), "root"));
    // {"user":"root"}
    for token in
        ["h.eyJ1c2VyIjoicm9vdCJ9.s", " h.eyJ1c2VyIjoi cm9vdCJ9==.s", "h.eyJ1c2VyIjoicm9vdCJ9"]
    {
        assert!(reads(&claims(token.as_bytes(), "user"), "root"), "{token}");
    }
}
