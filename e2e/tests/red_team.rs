//! What an attacker in a pod could do, finding by finding, in a real Envoy: HTTP/2 inside the
//! tunnel, since it carries what HTTP/1.1 does not. Trailers, upgrades, costs, metrics and
//! configurations have tests of their own; `make attack` looks for what nobody has thought of.

use std::sync::Arc;

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::hbone::HboneClient;
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use http::{HeaderValue, Method, Request, Uri, Version};
use serde_json::{Value, json};

/// What is tried of one finding: its policy's traffic, and requests with the status that each must
/// get.
struct Finding {
    number: &'static str,
    traffic: Value,
    requests: Vec<Asked>,
}

#[derive(Clone)]
struct Asked {
    method: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, &'static [u8])>,
    status: u16,
}

fn rule(action: &str, expression: &str) -> Value {
    json!({"authorization": {"action": action, "policy": {"matchExpressions": [expression]}}})
}

fn deny(expression: &str) -> Value {
    rule("Deny", expression)
}

fn asked(
    method: &'static str,
    target: &'static str,
    headers: &[(&'static str, &'static [u8])],
    status: u16,
) -> Asked {
    Asked { method, target, headers: headers.to_vec(), status }
}

/// `GET /zen` with these headers.
fn get(headers: &[(&'static str, &'static [u8])], status: u16) -> Asked {
    asked("GET", "/zen", headers, status)
}

fn path(target: &'static str, status: u16) -> Asked {
    asked("GET", target, &[], status)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn findings() -> Vec<Finding> {
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
                        "default(json(request.headers['x-j']).roles.exists(r, r == 'admin'), false)",
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
        finding(
            "2: decoding, and onError: Ignore",
            json!({"authorization": {"action": "Deny", "onError": "Ignore",
            "policy": {
                "matchExpressions": [r#"url.decode(request.headers["x-u"]).contains("admin")"#],
            }}}),
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
    ];
    findings.extend(optionals.map(optional));
    findings
}

async fn ask(client: &HboneClient, vip: &str, host: &str, asked: &Asked) -> Option<u16> {
    let tunnel = client.tunnel(vip).await.expect("a tunnel");
    let (sender, connection) =
        h2::client::handshake(tunnel.into_stream()).await.expect("HTTP/2 in the tunnel");
    tokio::spawn(connection);
    let uri = Uri::builder()
        .scheme("http")
        .authority(host)
        .path_and_query(asked.target)
        .build()
        .expect(asked.target);
    let method = Method::from_bytes(asked.method.as_bytes()).expect("a method");
    let mut request = Request::builder().method(method).version(Version::HTTP_2).uri(uri);
    for (name, value) in &asked.headers {
        request = request.header(*name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let mut sender = sender.ready().await.expect("the connection is ready");
    let (response, _) =
        sender.send_request(request.body(()).expect("a request"), true).expect("it is sent");
    let response = tokio::time::timeout(std::time::Duration::from_secs(10), response)
        .await
        .expect("no request hangs");
    response.ok().map(|response| response.status().as_u16())
}

#[tokio::test]
async fn no_finding_of_the_red_team_comes_back() {
    let findings = findings();
    let host = |index: usize| format!("finding-{index}.example");
    let policies: Vec<Value> = findings
        .iter()
        .enumerate()
        .map(|(index, finding)| {
            json!({
                "name": format!("p{index}"),
                "hosts": [host(index)],
                "traffic": finding.traffic,
            })
        })
        .collect();
    let configuration =
        json!({"hostBinding": "Off", "audit": {"log": "All"}, "policies": policies});
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let options =
        WaypointOptions::new(&pki, origin.port()).plugin_configuration(configuration.to_string());
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let client = waypoint.caller(TEAM_A_SPIFFE_ID);
    let vip = waypoint.vip("api.github.com");
    let mut wrong = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        for asked in &finding.requests {
            origin.take_requests();
            let status = ask(&client, &vip, &host(index), asked).await;
            let arrived = origin.take_requests();
            // Another status than the origin's says that the request did not come to it.
            if status != Some(asked.status) || arrived.len() != usize::from(asked.status == 200) {
                let headers: Vec<String> = asked
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
                    .collect();
                wrong.push(format!(
                    "{}: {} {} {headers:?}: {status:?}, {} arrived",
                    finding.number,
                    asked.method,
                    asked.target,
                    arrived.len()
                ));
            }
            if asked.target == "/removed" {
                let lines = arrived.iter().flat_map(|request| &request.headers.0);
                let left: Vec<String> =
                    lines.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
                if left.is_empty() || left.iter().any(|name| name.contains("internal")) {
                    wrong.push(format!(
                        "{}: what is to be removed arrived: {left:?}",
                        finding.number
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
