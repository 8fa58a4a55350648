//! Answers of an authorization service that an attacker has a hand in: what it has denied never
//! comes to the origin, what no answer may change is as the caller sent it, and the caller's own
//! copies of what an answer may set never arrive.

mod generate;

use std::io;

use serde_json::{Value, json};

use super::{Answered, Attack, Sent, Tally, finding, numbered};
use crate::attack::arrived::{Arrived, escaped};
use crate::attack::frames;
use crate::attack::random::Random;
use crate::attack::readers::{self, Reading, same_variable};
use crate::attack::record::Finding;
use crate::attack::request::{Field, NUMBER};
use crate::attack::rules::SECRET;
use crate::envoy::WaypointOptions;
use crate::origin::{self, Service};
use crate::stand_ins::{self, AuthorizationService};

use generate::{Said, of_grpc, of_http};

/// Whose service speaks gRPC, whose HTTP, and whose HTTP under `FailOpen`.
const GRPC: &str = "grpc.attack.example";
const HTTP: &str = "http.attack.example";
const OPEN: &str = "open.attack.example";
const HOSTS: [&str; 3] = [GRPC, HTTP, OPEN];
const GRPC_CLUSTER: &str = "attack-grpc";
const HTTP_CLUSTER: &str = "attack-http";

/// The headers that answers of HTTP may set, and the one that holds a credential.
const USER: &str = "x-user";
const ROLE: &str = "x-role";
const TOKEN: &str = "x-token";
/// The value of the caller's own copies.
const FORGED: &[u8] = b"forged";
/// What stands in every value of a name that no answer may set, and in whatever is injected.
const EVIL: &str = "evil";

/// The attack by answers.
pub(super) struct Answers {
    seed: u64,
    grpc: AuthorizationService,
    http: Service,
}

impl Answers {
    pub(super) fn start(seed: u64) -> io::Result<Self> {
        let grpc = AuthorizationService::start(move |call| {
            let http = call.attributes.as_ref().and_then(|all| all.request.as_ref()?.http.as_ref());
            let number = http.and_then(|http| http.headers.get(NUMBER)?.parse().ok());
            stand_ins::Reaction::answer(of_grpc(seed, number.unwrap_or_default()).0)
        })?;
        let http = Service::start(move |call| {
            let number = call.headers.get(NUMBER);
            let number = number.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            let (bytes, _) = of_http(seed, number.unwrap_or_default());
            origin::Reaction::cut_off(bytes)
        })?;
        Ok(Self { seed, grpc, http })
    }

    /// Whether a request may go on, by what the service says about it.
    fn is_forbidden(&self, number: u64) -> bool {
        let said = match host(number) {
            GRPC => of_grpc(self.seed, number).1,
            _ => of_http(self.seed, number).1,
        };
        match said {
            Said::Allowed => false,
            Said::Denied => true,
            Said::Unclear => host(number) != OPEN,
        }
    }

    fn found(&self, tally: &Tally, number: u64, law: &'static str, reads: String, arrived: String) {
        let rule = host(number);
        let said = match rule {
            GRPC => format!("{:?}", of_grpc(self.seed, number).0),
            _ => escaped(&of_http(self.seed, number).0),
        };
        let mut said: String = said.chars().take(1500).collect();
        said.push_str(" was the answer to ");
        let sent = self.request(number).pieces.concat();
        let sent = said + &escaped(&sent);
        tally.finds(Finding { sent, arrived, ..finding(law, rule, reads, Some(number)) });
    }
}

fn host(number: u64) -> &'static str {
    HOSTS[(number % 3) as usize]
}

/// Names of one connection, and of what a request or response is.
fn is_untouchable(name: &[u8]) -> bool {
    const NAMES: [&str; 10] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
        "keep-alive",
        "proxy-connection",
        "trailer",
        "x-injected",
    ];
    name.starts_with(b":") || NAMES.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
}

fn has_evil(value: &[u8]) -> bool {
    value.windows(EVIL.len()).any(|part| part == EVIL.as_bytes())
}

/// What an answer must not have brought about in these lines.
fn touched(fields: &[Field]) -> Option<Reading> {
    let mut lines = fields.iter();
    let (name, value) = lines.find(|(name, value)| is_untouchable(name) && has_evil(value))?;
    let text = format!("{}: {}", escaped(name), escaped(value));
    Some(Reading { reader: "untouchable", text })
}

impl Attack for Answers {
    fn hosts(&self) -> &'static [&'static str] {
        &HOSTS
    }

    fn configuration(&self) -> Value {
        let ask = |name: &str, host: &str, mut form: Value| {
            form["host"] = json!("auth.example");
            form["timeout"] = json!("2s");
            form["credentialHeaders"] = json!([TOKEN]);
            json!({"name": name, "hosts": [host], "traffic": {"extAuth": form}})
        };
        let of_http = |mode: &str| {
            json!({"cluster": HTTP_CLUSTER, "failureMode": mode, "http": {
                "allowedRequestHeaders": [NUMBER],
                "allowedResponseHeaders": [USER, ROLE],
                "responseMetadata": {"whole": "response.body"},
            }})
        };
        json!({
            "audit": {"log": "None"},
            "callouts": {"deadline": "4s"},
            "policies": [
                ask("grpc", GRPC, json!({"cluster": GRPC_CLUSTER, "grpc": {}})),
                ask("http", HTTP, of_http("FailClosed")),
                ask("open", OPEN, of_http("FailOpen")),
                {"name": "late", "traffic": {"authorization": {
                    "action": "Deny",
                    "policy": {"matchExpressions": [
                        r#"default(request.headers["x-role"], "") == "admin""#,
                    ]},
                }}},
                {"name": "told", "traffic": {"transformation": {"request": {"set": [
                    {"name": "x-told", "value": "string(extauthz.role)"},
                ]}}}},
            ],
        })
    }

    fn prepare(&self, options: WaypointOptions) -> WaypointOptions {
        options
            .grpc_cluster(GRPC_CLUSTER, Some(self.grpc.port()))
            .cluster(HTTP_CLUSTER, Some(self.http.port()))
    }

    fn request(&self, number: u64) -> Sent {
        let mut random = Random::of(self.seed ^ 0x5e4d, number);
        let random = &mut random;
        let (host, http2) = (host(number), random.percent(40));
        let mut fields = vec![numbered(number)];
        for name in [USER, ROLE, TOKEN] {
            for _ in 0..random.below(3) {
                let name = match random.below(4) {
                    0 => name.replace('-', random.one(&["_", ".", "~", "__", "+", "!"])),
                    1 if !http2 => name.to_uppercase(),
                    _ => name.to_owned(),
                };
                fields.push((name.into_bytes(), FORGED.to_vec()));
            }
        }
        let target = random.one(&["/zen", "/zen?a=b", "/zen?q=1&q=2", "/a%20b?x=%26"]);
        let mut bytes = Vec::new();
        if http2 {
            let mut block = Vec::new();
            for (name, value) in
                [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", target)]
            {
                frames::literal(&mut block, name.as_bytes(), value.as_bytes());
            }
            fields.iter().for_each(|(name, value)| frames::literal(&mut block, name, value));
            bytes.extend(frames::headers(1, &block, true));
        } else {
            bytes.extend(format!("GET {target} HTTP/1.1\r\nHost: {host}").into_bytes());
            for (name, value) in &fields {
                bytes.extend([b"\r\n", &name[..], b": ", value].concat());
            }
            bytes.extend(b"\r\n\r\n");
        }
        Sent { host, pod: random.below(2), http2, pieces: vec![bytes], withholds: false }
    }

    fn judge_arrived(&self, tally: &Tally, arrived: &Arrived, _: bool) {
        let Some(number) = arrived.number() else {
            tally.finds(finding("no number", GRPC, arrived.shown(), None));
            return;
        };
        let found = |law, reads| self.found(tally, number, law, reads, arrived.shown());
        if self.is_forbidden(number) {
            found("denied", "a request that the service has not allowed".to_owned());
        }
        if let Some(reading) = touched(&arrived.fields) {
            found(reading.reader, reading.text);
        }
        let hosts: Vec<_> = readers::header(&arrived.fields, "host");
        if hosts.len() != 1 || hosts[0].text != host(number) {
            found("another host", format!("{hosts:?}"));
        }
        let path = arrived.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        if arrived.method != b"GET" || !matches!(path, b"/zen" | b"/a%20b") {
            found("another target", arrived.shown());
        }
        // Answers of gRPC may set any header, so only the credential is theirs alone.
        let of_service = [TOKEN, USER, ROLE];
        let count = if host(number) == GRPC { 1 } else { 3 };
        for (name, value) in arrived.fields.iter().chain(&arrived.trailers) {
            let is_own = |own: &str| same_variable(name, own.as_bytes());
            if of_service.iter().take(count).any(|own| is_own(own)) && value.ends_with(FORGED) {
                found("the caller's own copy", format!("{}: {}", escaped(name), escaped(value)));
            }
        }
        for reading in readers::header(&arrived.fields, ROLE) {
            if reading.text == "admin" {
                found("a rule about what was said", reading.text);
            }
        }
    }

    fn judge_answer(&self, tally: &Tally, number: u64, answer: &Answered) {
        let found = |law, reads| self.found(tally, number, law, reads, "the pod".to_owned());
        if self.is_forbidden(number)
            && let Some(status @ 200..300) = answer.status()
        {
            found("success", format!("{status} for a request that was not allowed"));
        }
        if matches!(answer, Answered::Hung) {
            found("no answer", "nothing".to_owned());
        }
        let Answered::Response(response) = answer else { return };
        if let Some(reading) = touched(&response.headers.0) {
            found("untouchable, in an answer", reading.text);
        }
        if response.headers.get(SECRET).is_some() {
            return;
        }
        // A denial has neither the cookies of a service of HTTP, nor hints to Envoys.
        let is_private = |name: &[u8]| {
            name.starts_with(b"x-envoy-") || host(number) != GRPC && name == b"set-cookie"
        };
        for (name, value) in &response.headers.0 {
            if is_private(&name.to_ascii_lowercase()) && has_evil(value) {
                found("private", format!("{}: {}", escaped(name), escaped(value)));
            }
        }
    }
}
