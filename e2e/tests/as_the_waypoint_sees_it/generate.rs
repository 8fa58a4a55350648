//! Random requests, and the rules that look at them.

use serde_json::{Value, json};

/// A small generator (xorshift), so that a seed is enough to repeat a run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    fn of<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }

    /// Whether one of so many falls to this one.
    fn is_one_of(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// What paths are made of. A fragment is left out: a stock Envoy refuses it.
const PARTS: &[&str] = &[
    "/", "/", "/", "admin", "public", "a", "~u", ".", "..", "%2e", "%2E", ".%2e", "..;", ";x=1",
    "//", "\\", "%5c", "%2f", "%2F", "%61", "%7Eb", "%", "%4", "%zz", "%25", "%252e", "%00", "^",
    "\"", "{b}", "...", ".git",
];
const QUERIES: &[&str] = &["", "", "?", "?q=1", "?q=/../b", "?q=%61%2F", "?a?b"];

/// Headers that Envoy keeps on one line, and others; those that it or the waypoint may write.
const HEADERS: &[(&str, &[&str])] = &[
    ("user-agent", &["curl/8", "bot"]),
    ("accept", &["*/*", "text/html", "application/json"]),
    ("authorization", &["Bearer a", "Basic b", ""]),
    ("cache-control", &["no-cache", "max-age=0"]),
    ("referer", &["http://a/", "http://b/"]),
    ("content-type", &["text/plain", "application/grpc"]),
    ("x-team", &["blue", "red", ""]),
    ("x_team", &["blue", "red"]),
    ("X-Team", &["blue", " red", "red "]),
    ("x.team", &["red"]),
    ("x-other", &["a, b", "c"]),
    ("x-forwarded-for", &["10.0.0.1", "192.168.0.1, 10.0.0.2", "nobody"]),
    ("x-forwarded-proto", &["https", "http"]),
    ("x-forwarded-host", &["admin.example"]),
    ("forwarded", &["for=10.0.0.1"]),
    ("x-envoy-original-path", &["/admin"]),
    ("x-original-url", &["/admin"]),
    ("x-http-method-override", &["DELETE"]),
    ("cookie", &["a=1", "b=2", "team=red"]),
    ("te", &["trailers", "gzip"]),
    ("via", &["1.1 a"]),
    ("connection", &["close", "keep-alive", "x-team", "keep-alive, x-other", "te", MANY]),
    ("connection", &["x-forwarded-for", "X-Forwarded-Host", "connection"]),
    ("connection", &["upgrade", "accept, close", "a,b,c,d,e,f,g,h,i", " , ,x-team"]),
    ("keep-alive", &["timeout=5"]),
    ("proxy-authorization", &["Basic a"]),
    ("proxy-connection", &["keep-alive"]),
    ("expect", &["200-maybe"]),
];

/// More than Envoy takes.
const MANY: &str = "a,b,c,d,e,f,g,h,i,close";

/// Ways of asking for an upgrade: `Connection`, and `Upgrade`.
const UPGRADES: &[(&str, &str)] = &[
    ("upgrade", "websocket"),
    ("Upgrade, keep-alive", "websocket"),
    ("upgrade, x-team", "websocket"),
    ("Upgrade", "WebSocket"),
    ("close, upgrade", "websocket"),
    ("keep-alive", "websocket"),
    ("upgrade", "h2c"),
    ("upgrade, http2-settings", "h2c"),
    ("upgrade", "something/1"),
    ("upgrade", "websocket, h2c"),
];

/// Those that Envoy's parser of HTTP/1.1 takes, and others.
const METHODS: &[&str] = &[
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "MSEARCH",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SOURCE",
    "SUBSCRIBE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "CONNECT",
    "CONNECT",
    "M-SEARCH",
    "QUERY",
    "get",
    "Delete",
    "BREW",
    "X_Y",
    "GETS",
    "PRI",
    LONG,
];
const LONG: &str =
    "GETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGET";

/// Ways of writing an authority, `HOST` standing for the host.
const AUTHORITIES: &[&str] = &[
    "HOST",
    "HOST",
    "HOST",
    "HOST:80",
    "HOST:8443",
    "HOST.",
    "HOST.:80",
    "HOST:",
    "HOST:0",
    "HOST:99999",
    "HOST:http",
    "user@HOST",
    "user:pass@HOST",
    "HOST@other.example",
    "HOST,HOST",
    "HOST..",
    ".HOST",
    "xHOST",
    "HOSTx",
    "HOST%2e",
    "[::1]",
    "[HOST]",
    "127.0.0.1",
    "HOST/a",
    "HOST?a",
    "HOST#a",
    "HOST\\a",
    "H O S T",
    "",
];

fn authority(random: &mut Random, host: &str) -> String {
    let host = match random.below(6) {
        0 => host.to_uppercase(),
        1 => host.replacen('a', "A", 1),
        _ => host.to_owned(),
    };
    random.of(AUTHORITIES).replace("HOST", &host)
}

/// A request as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) caller: &'static str,
    /// The host that the caller dials.
    pub(crate) destination: &'static str,
    pub(crate) method: &'static str,
    /// The authority: of `Host`, or of the target where that is an absolute one.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    /// What stands before the authority in an absolute target, and the `Host` beside it.
    pub(crate) absolute: Option<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Written {
    pub(crate) fn generate(random: &mut Random) -> Self {
        let host = random.of(&["api.github.com", "api.github.com", "httpbingo.org"]);
        let mut path = "/".to_owned();
        for _ in 0..random.below(8) {
            path.push_str(random.of(PARTS));
        }
        path.push_str(random.of(QUERIES));
        if random.is_one_of(40) {
            path = random.of(&["*", "a", "?a", "//HOST/a", "", "HOST:443"]).replace("HOST", host);
        }
        let mut headers = Vec::new();
        for _ in 0..random.below(5) {
            let (name, values) = HEADERS[random.below(HEADERS.len())];
            headers.push((name, random.of(values)));
            // The same once more.
            if random.is_one_of(4) {
                headers.push((name, random.of(values)));
            }
        }
        if random.is_one_of(6) {
            let (connection, upgrade) = UPGRADES[random.below(UPGRADES.len())];
            headers.extend([("connection", connection), ("upgrade", upgrade)]);
        }
        let mut method = random.of(&["GET", "GET", "POST", "DELETE"]);
        if random.is_one_of(5) {
            method = random.of(METHODS);
        }
        let mut form =
            || if random.is_one_of(3) { authority(random, host) } else { host.to_owned() };
        let (authority, other) = (form(), form());
        // An absolute target ends its authority at the first of these.
        let may = path.starts_with('/') && !authority.contains(['/', '?', '#', '\\']);
        let absolute = (may && random.is_one_of(6))
            .then(|| (random.of(&["http", "http", "https", "HTTP"]), other));
        Written {
            caller: random.of(&[
                "team-a/team-a",
                "team-a/team-a",
                "team-a/team-a",
                "team-b/team-b",
            ]),
            destination: host,
            method,
            authority,
            path,
            absolute,
            headers,
        }
    }

    /// As a case. The authority and the path of an absolute target are those of the request, but
    /// for user information, which Envoy leaves out.
    pub(crate) fn case(&self) -> Value {
        let host = match &self.absolute {
            Some(_) => self.authority.rsplit('@').next().unwrap_or_default(),
            None => &self.authority,
        };
        let request = json!({"host": host, "method": self.method, "path": self.path,
            "headers": self.headers});
        json!({"name": "random", "caller": self.caller, "destination": self.destination,
            "request": request, "expect": {"verdict": "allow"}})
    }

    pub(crate) fn spiffe_id(&self) -> String {
        let (namespace, account) = self.caller.split_once('/').unwrap_or_default();
        format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
    }

    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let line = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.headers.iter().map(line).collect()
    }

    /// The `Host` and the target that go on the wire.
    pub(crate) fn on_the_wire(&self) -> (String, String) {
        match &self.absolute {
            None => (self.authority.clone(), self.path.clone()),
            Some((scheme, host)) => {
                (host.clone(), format!("{scheme}://{}{}", self.authority, self.path))
            }
        }
    }
}

/// The headers that show what rules have seen.
pub(crate) const SHOWN: &[(&str, &str)] = &[
    ("x-path", "request.path"),
    ("x-whole", "request.pathAndQuery"),
    ("x-accept", r#"default(request.headers["accept"], "none")"#),
    ("x-auth", r#"default(request.headers["authorization"], "none")"#),
    ("x-cookies", r#"default(request.headers["cookie"], "none")"#),
    ("x-others", r#"default(request.headers.join()["x-other"], "none")"#),
    ("x-host", "request.host"),
    ("x-method", "request.method"),
    ("x-scheme", "request.scheme"),
    ("x-source", "source.address"),
    ("x-dialled", r#"destination.address + ":" + string(destination.port)"#),
    ("x-hostname", "destination.hostname"),
    ("x-te", r#"default(request.headers["te"], "none")"#),
    ("x-connection", r#"default(request.headers["connection"], "none")"#),
    ("x-upgrade", r#"default(request.headers["upgrade"], "none")"#),
];

/// The configuration: rules that look at what a proxy could have changed, and headers that show it.
pub(crate) fn configuration(path_safety: &str) -> Value {
    let rule = |name: &str, action: &str, expression: &str| {
        json!({"name": name, "traffic": {"authorization": {"action": action,
            "policy": {"matchExpressions": [expression]}}}})
    };
    let set: Vec<Value> =
        SHOWN.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"pathSafety": path_safety, "audit": {"log": "All"}, "policies": [
        rule("admin", "Deny", r#"request.path.startsWith("/admin")"#),
        rule("git", "Deny", r#"request.path.endsWith(".git")"#),
        rule("red", "Deny", r#"default(request.headers["x-team"], "") == "red""#),
        rule("bot", "Deny", r#"default(request.headers["user-agent"], "").contains("bot")"#),
        rule("deletes", "Deny", r#"request.method == "DELETE""#),
        rule("forged", "Deny", r#"cidr("10.0.0.0/8").containsIP(source.address)"#),
        rule("secure", "Deny", r#"request.scheme == "https""#),
        rule("h2c", "Deny", r#"default(request.headers["upgrade"], "").contains("h2c")"#),
        rule("callers", "Require", r#"source.identity.namespace == "team-a""#),
        {"name": "shown", "traffic": {"transformation": {"request": {"set": set}}}},
    ]})
}
