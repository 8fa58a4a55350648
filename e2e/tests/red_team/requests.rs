//! Findings about the request itself: names, methods, paths, addresses, and what a rule leaves out.

use serde_json::json;

use super::{Finding, asked, deny, get, path, rule};

pub(crate) fn of_requests() -> Vec<Finding> {
    let finding = |number, traffic, requests| Finding { number, traffic, requests };
    let role = r#"default(request.headers["x-role"], "") == "admin""#;
    vec![
        finding(
            "2: decoding, and onError: Ignore",
            json!({
                "authorization": {
                    "action": "Deny",
                    "onError": "Ignore",
                    "policy": {"matchExpressions": [
                        r#"url.decode(request.headers["x-u"]).contains("admin")"#,
                    ]},
                },
            }),
            vec![get(&[], 200), get(&[("x-u", b"user")], 200), get(&[("x-u", b"%ffadmin")], 403)],
        ),
        finding(
            "8: separators in names",
            json!({
                "authorization": {"action": "Deny", "policy": {"matchExpressions": [role]}},
                "transformation": {"request": {"remove": ["x-internal-debug"]}},
            }),
            vec![
                get(&[("x.role", b"admin")], 403),
                get(&[("x_role", b"admin")], 403),
                get(&[("x+role", b"admin")], 403),
                asked(
                    "GET",
                    "/removed",
                    &[("x.internal.debug", b"1"), ("x~internal_debug", b"1")],
                    200,
                ),
            ],
        ),
        finding(
            "9: a method's case",
            deny(r#"request.method == "DELETE""#),
            vec![
                asked("PUT", "/zen", &[], 200),
                asked("DELETE", "/zen", &[], 403),
                asked("delete", "/zen", &[], 400),
            ],
        ),
        finding(
            "10: paths",
            deny(r#"request.path.startsWith("/admin")"#),
            vec![
                path("/x%20y", 200),
                path("/x%F8%80%80%80%AFadmin", 400),
                path("/%FC%80%80%80%80%AFadmin", 400),
                path("/admin%20", 400),
                path("/..%20/admin", 400),
                path("/%20admin", 400),
                path("/x%EF%BC%8Fadmin", 400),
                path("/%EF%BC%8E%EF%BC%8E/admin", 400),
            ],
        ),
        finding(
            "11: iterating over names",
            deny(r#"request.headers.exists(k, v, k == "x-key" && v == "evil")"#),
            vec![
                get(&[("x_key", b"good")], 200),
                get(&[("x_key", b"evil")], 403),
                get(&[("x.key", b"evil")], 403),
            ],
        ),
        finding(
            "A: addresses and schemes that the caller claims",
            rule(
                "Allow",
                r#"cidr("10.0.0.0/8").containsIP(source.address) || request.scheme == "https""#,
            ),
            vec![
                get(&[], 403),
                get(&[("x-forwarded-for", b"10.1.2.3")], 403),
                get(&[("x-forwarded-proto", b"https")], 403),
                get(&[("forwarded", b"for=10.1.2.3;proto=https")], 403),
            ],
        ),
        finding(
            "A: the peer's own address",
            rule(
                "Allow",
                r#"source.address == "127.0.0.1" && source.port > 0 && request.scheme == "http""#,
            ),
            vec![get(&[("x-forwarded-for", b"10.1.2.3")], 200)],
        ),
        finding(
            "D: the action left out",
            json!({
                "authorization": {"policy": {"matchExpressions": [r#"request.method == "GET""#]}},
            }),
            vec![path("/zen", 200), asked("POST", "/zen", &[], 403)],
        ),
    ]
}
