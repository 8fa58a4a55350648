//! The policies that are attacked, each on a host of its own, and what each of them plainly means.

use serde_json::{Value, json};

use super::arrived::Arrived;
use super::readers::{self, Reading};

/// The header that no origin may see, and the one that it must see as the filter has set it.
pub(super) const DEBUG: &str = "x-internal-debug";
pub(super) const CALLER: &str = "x-caller-identity";

/// The header of answers that no pod may see.
pub(super) const SECRET: &str = "x-origin-secret";

/// Where a rule looks, and so where an attack on it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lure {
    /// A header, and the value that is not to come through.
    Header(&'static str, &'static str),
    /// The cookie `role`.
    Cookie,
    /// The method.
    Method,
    /// The path.
    Path,
    /// The field `q` of the query.
    Query,
    /// JSON in a header.
    Json(&'static str),
    /// A token in a header.
    Token(&'static str),
    /// The caller's address.
    Address,
    /// The headers that the filter removes and sets.
    Changes,
}

/// A policy under attack.
pub(super) struct Rule {
    /// Its name, and the first label of its host.
    pub(super) name: &'static str,
    action: &'static str,
    expression: &'static str,
    /// Where it looks.
    pub(super) lure: Lure,
    /// The reading by which a request should not have arrived, of a caller where that is known.
    judge: fn(&Arrived, Option<&str>) -> Option<Reading>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).finish_non_exhaustive()
    }
}

const ROLE: Lure = Lure::Header("x-role", "admin");

/// A Deny.
const fn deny(
    name: &'static str,
    expression: &'static str,
    lure: Lure,
    judge: fn(&Arrived, Option<&str>) -> Option<Reading>,
) -> Rule {
    Rule { name, action: "Deny", expression, lure, judge }
}

/// All policies.
pub(super) static RULES: [Rule; 19] = [
    deny("role", r#"default(request.headers["x-role"], "") == "admin""#, ROLE, admin),
    deny("list", r#"default(request.headers["x-role"], "") in ["admin", "root"]"#, ROLE, admin),
    deny("pattern", r#"default(request.headers["x-role"], "").matches("^admin$")"#, ROLE, admin),
    deny(
        "prefix",
        r#"default(request.headers["x-role"], "").startsWith("admin")"#,
        ROLE,
        |arrived, _| {
            first(readers::header(&arrived.fields, "x-role"), |text| text.starts_with("admin"))
        },
    ),
    deny("optional", r#"request.headers[?"x-role"].orValue("") == "admin""#, ROLE, admin),
    deny(
        "bound",
        r#"cel.bind(h, request.headers, h[?"x-role"].orValue("") == "admin")"#,
        ROLE,
        admin,
    ),
    deny("selected", r#"request.?headers["x-role"].orValue("") == "admin""#, ROLE, admin),
    deny(
        "raw",
        r#"default(request.headers.raw()["x-role"], []).exists(v, v == "admin")"#,
        ROLE,
        admin,
    ),
    deny(
        "agent",
        r#"default(request.headers["user-agent"], "") == "evil""#,
        Lure::Header("user-agent", "evil"),
        |arrived, _| first(readers::listed(&arrived.fields, "user-agent"), |text| text == "evil"),
    ),
    Rule {
        name: "mode",
        action: "Allow",
        expression: r#"default(request.headers["x-mode"], "safe") == "safe""#,
        lure: Lure::Header("x-mode", "unsafe"),
        judge: |arrived, _| {
            first(readers::header(&arrived.fields, "x-mode"), |text| text != "safe")
        },
    },
    deny(
        "each",
        r#"request.headers.exists(k, v, k == "x-key" && v == "evil")"#,
        Lure::Header("x-key", "evil"),
        |arrived, _| first(readers::header(&arrived.fields, "x-key"), |text| text == "evil"),
    ),
    deny(
        "cookie",
        r#"default(request.headers.cookie("role"), "") == "admin""#,
        Lure::Cookie,
        |arrived, _| first(readers::cookies(&arrived.fields, "role"), |text| text == "admin"),
    ),
    deny("method", r#"request.method == "DELETE""#, Lure::Method, |arrived, _| {
        first(readers::methods(&arrived.method), |text| text == "DELETE")
    }),
    deny("path", r#"request.path.startsWith("/admin")"#, Lure::Path, |arrived, _| {
        first(readers::paths(&arrived.target), |text| text.starts_with("/admin"))
    }),
    deny(
        "query",
        r#""admin" in default(request.pathAndQuery.query("q"), [])"#,
        Lure::Query,
        |arrived, _| first(readers::query(&arrived.target, "q"), |text| text == "admin"),
    ),
    deny(
        "json",
        r#"default(json(request.headers["x-json"]).user, "") == "root""#,
        Lure::Json("x-json"),
        |arrived, _| {
            let lines =
                arrived.fields.iter().filter(|(name, _)| readers::same_variable(name, b"x-json"));
            first(lines.flat_map(|(_, value)| readers::fields(value, "user")).collect(), |text| {
                text == "root"
            })
        },
    ),
    deny(
        "token",
        r#"default(unvalidatedJwtPayload(request.headers["x-token"]).user, "") == "root""#,
        Lure::Token("x-token"),
        |arrived, _| {
            let lines =
                arrived.fields.iter().filter(|(name, _)| readers::same_variable(name, b"x-token"));
            first(lines.flat_map(|(_, value)| readers::claims(value, "user")).collect(), |text| {
                text == "root"
            })
        },
    ),
    Rule {
        name: "address",
        action: "Allow",
        // Every pod here calls from 127.0.0.1, so nothing may arrive.
        expression: r#"cidr("10.0.0.0/8").containsIP(source.address)"#,
        lure: Lure::Address,
        judge: |_, _| {
            Some(Reading { reader: "anybody", text: "a request from 10.0.0.0/8".to_owned() })
        },
    },
    Rule { name: "changes", action: "", expression: "", lure: Lure::Changes, judge: changes },
];

fn first(readings: Vec<Reading>, denied: impl Fn(&str) -> bool) -> Option<Reading> {
    readings.into_iter().find(|reading| denied(&reading.text))
}

fn admin(arrived: &Arrived, _: Option<&str>) -> Option<Reading> {
    first(readers::header(&arrived.fields, "x-role"), |text| text == "admin")
}

/// No reader may find the removed header, and every reader must find the caller in the one that is
/// set.
fn changes(arrived: &Arrived, caller: Option<&str>) -> Option<Reading> {
    let found = |reader, text: String| Some(Reading { reader, text });
    for (name, value) in &arrived.trailers {
        if readers::same_variable(name, DEBUG.as_bytes())
            || readers::same_variable(name, CALLER.as_bytes())
        {
            return found("trailers", format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        }
    }
    if let Some(reading) = readers::header(&arrived.fields, DEBUG).into_iter().next() {
        return Some(reading);
    }
    let known = |text: &str| caller.map_or(super::CALLERS.contains(&text), |caller| caller == text);
    let readings = readers::header(&arrived.fields, CALLER);
    if readings.is_empty() {
        return found("by name", "no caller at all".to_owned());
    }
    if readers::nominated(&arrived.fields, CALLER) {
        return found("httpd", "no caller at all, as `Connection` names it".to_owned());
    }
    first(readings, |text| !known(text))
}

impl Rule {
    /// The host of this policy alone.
    pub(super) fn host(&self) -> String {
        format!("{}.attack.example", self.name)
    }

    /// The policy, as an operator writes it.
    pub(super) fn policy(&self) -> Value {
        let traffic = if self.lure == Lure::Changes {
            json!({"transformation": {
                "request": {
                    "set": [{
                        "name": CALLER,
                        "value": "source.identity.namespace + '/' + source.identity.serviceAccount",
                    }],
                    "remove": [DEBUG],
                },
                "response": {"remove": [SECRET]},
            }})
        } else {
            json!({
                "authorization": {
                    "action": self.action,
                    "policy": {"matchExpressions": [self.expression]},
                },
            })
        };
        json!({"name": self.name, "hosts": [self.host()], "traffic": traffic})
    }

    /// The reading by which a request of this caller should not have come to this host's origin.
    pub(super) fn breach(&self, arrived: &Arrived, caller: Option<&str>) -> Option<Reading> {
        let hosts = readers::header(&arrived.fields, "host");
        let own = |text: &str| {
            let text = text.to_ascii_lowercase();
            let name = text.rsplit_once(':').map_or(&text[..], |(name, _)| name);
            name.trim_end_matches('.') == self.host()
        };
        first(hosts, |text| !own(text)).or_else(|| (self.judge)(arrived, caller))
    }
}
