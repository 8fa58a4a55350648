//! Findings about values that a rule reads: headers, queries, JSON, numbers and lists.

use serde_json::json;

use super::{Finding, asked, deny, get, path, rule};

pub(crate) fn of_values() -> Vec<Finding> {
    let finding = |number, traffic, requests| Finding { number, traffic, requests };
    let role = r#"default(request.headers["x-role"], "") == "admin""#;
    let optional = |(number, expression): (&'static str, &str)| Finding {
        number,
        traffic: deny(expression),
        requests: vec![
            get(&[], 200),
            get(&[("x-role", b"user")], 200),
            get(&[("x-role", b"admin\xff")], 403),
        ],
    };
    let optionals = [
        (
            "3: an optional of bound headers",
            r#"cel.bind(h, request.headers, h[?"x-role"].orValue("") == "admin")"#,
        ),
        (
            "3: of headers in `with`",
            r#"request.headers.with(h, h[?"x-role"].orValue("") == "admin")"#,
        ),
        (
            "3: of redacted headers",
            r#"request.headers.redacted()[?"x-role"].orValue("") == "admin""#,
        ),
        ("3: of optional headers", r#"request.?headers["x-role"].orValue("") == "admin""#),
        ("3: of headers of any type", r#"dyn(request.headers)[?"x-role"].orValue("") == "admin""#),
        (
            "3: in `optFlatMap`",
            r#"request.headers[?"x-role"].optFlatMap(r, optional.of(r)).orValue("") == "admin""#,
        ),
    ];
    let mut findings = vec![
        finding(
            "1: blanks around a value",
            deny(role),
            vec![
                get(&[("x-role", b"user")], 200),
                get(&[("x-role", b"admin")], 403),
                get(&[("x-role", b" admin")], 400),
                get(&[("x-role", b"admin ")], 400),
                get(&[("x-role", b"\tadmin")], 400),
                get(&[("x-other", b"a ")], 400),
            ],
        ),
        finding(
            "1: lines that Envoy joins",
            deny(
                "request.headers[\"user-agent\"] == \"evil\" || \
                 request.headers.raw()[\"user-agent\"].exists(l, l == \"evil\")",
            ),
            vec![
                get(&[("user-agent", b"good")], 200),
                get(&[("user-agent", b"good"), ("user-agent", b"evil")], 403),
                get(&[("user-agent", b"good, evil")], 403),
            ],
        ),
        finding(
            "2: a header that cannot be read, in a Deny",
            deny(r#"default(request.headers["x-role"], "").startsWith("admin")"#),
            vec![get(&[], 200), get(&[("x-role", b"admin\xff")], 403)],
        ),
        finding(
            "2: a header that cannot be read, in an Allow",
            rule("Allow", r#"default(request.headers["x-mode"], "safe") == "safe""#),
            vec![get(&[], 200), get(&[("x-mode", b"unsafe\xff")], 403)],
        ),
        finding(
            "2: queries, and ; in them",
            deny(r#""admin" in default(request.pathAndQuery.query("q"), [])"#),
            vec![
                path("/zen?q=user", 200),
                path("/zen?a=1;b=2", 200),
                path("/zen?q=%ff&q=admin", 403),
                path("/zen?a=1;q=admin", 403),
                path("/zen?q[]=admin", 403),
                path("/zen?%71=admin", 403),
                path("/zen?[q]=admin", 403),
                path("/zen?Q=admin", 403),
                path("/zen?q=%u0061dmin", 403),
            ],
        ),
        finding(
            "2: JSON of other types, in a list of the request's",
            deny(r#""7" in default(json(request.headers["x-json"]).blocked, [])"#),
            vec![
                get(&[], 200),
                get(&[("x-json", br#"{"blocked": []}"#)], 200),
                get(&[("x-json", br#"{"blocked": ["8", null]}"#)], 200),
                get(&[("x-json", br#"{"blocked": ["8", "7"]}"#)], 403),
                get(&[("x-json", br#"{"blocked": [7]}"#)], 403),
                get(&[("x-json", br#"{"blocked": ["8", 7]}"#)], 403),
                get(&[("x-json", br#"{"blocked": [null, 7]}"#)], 403),
                get(&[("x-json", br#"{"blocked": [["7"]]}"#)], 403),
                get(&[("x-json", br#"{"blocked": {"7": 1}}"#)], 403),
            ],
        ),
        finding(
            "2: JSON of other types, in a map of the rule's",
            deny(r#"json(request.headers["x-json"]).user in {"7": true}"#),
            vec![
                get(&[("x-json", br#"{"user": "8"}"#)], 200),
                get(&[("x-json", br#"{"user": "7"}"#)], 403),
                get(&[("x-json", br#"{"user": 7}"#)], 403),
            ],
        ),
        finding(
            "2 and 12: cookies",
            deny(r#"default(request.headers.cookie("role"), "") == "admin""#),
            vec![
                get(&[("cookie", b"role=user; x=\xff")], 200),
                get(&[("cookie", b"role=admin; x=\xff")], 403),
                get(&[("cookie", b"role=\"admin\"")], 403),
                get(&[("cookie", b"role=%61dmin")], 403),
                get(&[("cookie", b"a=1,role=admin")], 403),
                get(&[("cookie", b"role=a; role=b")], 403),
                get(&[("cookie", b"Role=admin")], 403),
                get(&[("cookie", b"role[]=admin")], 403),
                get(&[("cookie", b"role=j:\"admin\"")], 403),
                get(&[("cookie", b"a=b role=admin")], 403),
                get(&[("cookie", b"a=b\trole=admin")], 403),
            ],
        ),
        finding(
            "2: JSON",
            deny(r#"default(json(request.headers["x-json"]).user, "") == "admin""#),
            vec![
                get(&[("x-json", br#"{"user":"ann"}"#)], 200),
                get(&[("x-json", b"{}")], 200),
                get(&[("x-json", br#"{"user":"admin"}"#)], 403),
                get(&[("x-json", br#"{"user":"admin","n":1e999}"#)], 403),
                get(&[("x-json", br#"{"user":"admin",}"#)], 403),
                get(&[("x-json", br#"{"user":"admin","n":NaN}"#)], 403),
                get(&[("x-json", br#"{"user":"admin","n":"\ud800"}"#)], 403),
                get(&[("x-json", b"\xef\xbb\xbf{\"user\":\"admin\"}")], 403),
            ],
        ),
        finding(
            "2: numbers and types",
            deny(
                "default(int(request.headers[\"x-age\"]) > 18, false) || \
                 default(json(request.headers[\"x-j\"]).age > 18, false)",
            ),
            vec![
                get(&[("x-age", b"7")], 200),
                get(&[("x-age", b"19")], 403),
                get(&[("x-age", b"19 years")], 403),
                get(&[("x-age", b"99999999999999999999")], 403),
                get(&[("x-j", br#"{"age": 7}"#)], 200),
                get(&[("x-j", br#"{"age": "19"}"#)], 403),
            ],
        ),
        finding(
            "2: comparisons with what is of another type",
            deny(
                "default(json(request.headers[\"x-j\"]).admin, false) == true || \
                 default(json(request.headers[\"x-j\"]).u.role, \"\") == \"a\"",
            ),
            vec![
                get(&[], 200),
                get(&[("x-j", br#"{"admin": false, "u": {"role": "b"}}"#)], 200),
                get(&[("x-j", br#"{"admin": 1}"#)], 403),
                get(&[("x-j", br#"{"admin": "true"}"#)], 403),
                get(&[("x-j", br#"{"u": [{"role": "a"}]}"#)], 403),
                get(&[("x-j", br#"{"admin": false, "Admin": true}"#)], 403),
            ],
        ),
        finding(
            "2: lists, loops and elements",
            json!({
                "authorization": {
                    "action": "Deny",
                    "match": "Any",
                    "policy": {"matchExpressions": [
                        "default(json(request.headers['x-j']).roles.exists(r, r == 'admin'), \
                         false)",
                        r#"default(json(request.headers["x-j"]).role in ["admin", "root"], false)"#,
                    ]},
                },
            }),
            vec![
                get(&[], 200),
                get(&[("x-j", br#"{"roles": ["user"], "role": "user"}"#)], 200),
                get(&[("x-j", br#"{"roles": ["admin"]}"#)], 403),
                get(&[("x-j", br#"{"roles": "admin"}"#)], 403),
                get(&[("x-j", br#"{"role": ["admin"]}"#)], 403),
            ],
        ),
        finding(
            "a browser's cookies",
            deny(
                "request.headers[\"accept\"].startsWith(\"text/evil\") || \
                 default(request.headers.cookie(\"session\"), \"\") == \"stolen\"",
            ),
            vec![get(
                &[
                    (
                        "accept",
                        b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,\
                                 image/webp,*/*;q=0.8",
                    ),
                    (
                        "cookie",
                        b"_ga=GA1.2.3; prefs={\"theme\": \"dark\", \"n\": 1}; \
                                 consent=a%3Ab+c; session=abc",
                    ),
                ],
                200,
            )],
        ),
        finding(
            "a part of a line that has no such element",
            deny(
                "has(request.headers.authorization) && request.headers.authorization.split(\" \
                 \")[1] == \"revoked\"",
            ),
            vec![
                get(
                    &[(
                        "authorization",
                        b"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, \
                                          Signature=c",
                    )],
                    200,
                ),
                get(&[("authorization", b"Bearer revoked")], 403),
            ],
        ),
        finding(
            "parts of lines beside other readings",
            deny(
                "request.headers.exists(k, request.headers[k] == \"evil\") && \
                 request.path.endsWith(\":delete\")",
            ),
            vec![
                asked("GET", "/v1/p%3Adelete", &[("user-agent", b"a,good")], 200),
                asked("GET", "/v1/p%3Adelete", &[("user-agent", b"a,evil")], 403),
            ],
        ),
        finding(
            "a browser, and loops over headers",
            deny(
                "request.headers.exists(k, v, v.contains(\"evil\")) || request.headers.exists(k, \
                 k.startsWith(\"x-internal-\"))",
            ),
            vec![
                get(
                    &[
                        (
                            "accept",
                            b"text/html,application/xhtml+xml,application/xml;q=0.9,image/\
                                     avif,image/webp,*/*;q=0.8",
                        ),
                        ("accept-encoding", b"gzip, deflate, br, zstd"),
                        (
                            "user-agent",
                            b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
                                         (KHTML, like Gecko) Chrome/130.0",
                        ),
                    ],
                    200,
                ),
                get(&[("accept", b"text/html,evil")], 403),
                get(&[("x-internal-a", b"1")], 403),
            ],
        ),
        finding(
            "escapes that honest clients write",
            deny(r#"request.path.endsWith(":delete") || request.path.startsWith("/@internal")"#),
            vec![
                path("/v1/a%3Ab", 200),
                path("/a_1%7eb%2b1.deb", 200),
                path("/v1/p:delete", 403),
                path("/v1/p%3Adelete", 403),
                path("/%40internal/x", 403),
            ],
        ),
        finding(
            "an Allow that names an escape",
            rule(
                "Allow",
                r#"request.path.startsWith("/model/arn%3Aaws") || request.path == "/v1/p:read""#,
            ),
            vec![
                path("/model/arn%3Aaws%3Ax/invoke", 200),
                path("/model/other", 403),
                path("/v1/p:read", 200),
            ],
        ),
        finding(
            "an Allow of what is not named",
            rule("Allow", r#"!request.path.endsWith(":delete")"#),
            vec![path("/v1/p", 200), path("/v1/p:delete", 403), path("/v1/p%3Adelete", 403)],
        ),
        finding(
            "a TAB behind the scheme",
            deny(
                "default(unvalidatedJwtPayload(request.headers.authorization.split(\" \
                 \")[1]).role, \"\") == \"admin\"",
            ),
            vec![
                get(&[], 200),
                get(
                    &[("authorization", b"Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ.")],
                    403,
                ),
                get(
                    &[("authorization", b"Bearer\teyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ.")],
                    400,
                ),
            ],
        ),
    ];
    findings.extend(optionals.map(optional));
    findings
}
