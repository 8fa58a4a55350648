//! Where a secret must never be seen: everything that a real Envoy logs, counts and shows, and
//! what anybody but the origin gets, is searched for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ecds::PluginFile;
use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, filter_wasm};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Reaction, Service};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use serde_json::{Value, json};

use crate::policies::token;

const STS: &str = "outbound|8080||sts.auth.svc.cluster.local";

/// The environment. Every value has this word.
const WORD: &str = "hush";
const ENVIRONMENT: [(&str, &str); 5] = [
    ("TOKEN", "hush-bearer"),
    ("API_KEY", "hush-key"),
    ("SESSION", "hush-cookie"),
    ("PASSWORD", "hush-password"),
    ("CLIENT_SECRET", "hush-client"),
];
/// The token that is fetched.
const FETCHED: &str = "hush-fetched";
/// `ada:hush-password` and `egress:hush-client` in base64.
const ENCODED: [&str; 2] = ["YWRhOmh1c2gtcGFzc3dvcmQ", "ZWdyZXNzOmh1c2gtY2xpZW50"];

/// The parts of Envoy that write the headers of a request as it is sent into their debug or trace
/// lines. They stay at `info`; all others write all that they have.
const TELLING: &str = "router:info,http:info,client:info,http2:info,pool:info,connection:info";

fn configuration() -> Value {
    let location = |name: &str, of: Value| json!({name: of});
    json!({
        "audit": {"log": "All", "accessLog": true},
        "policies": [
            {"name": "who", "traffic": {"authorization": {
                "policy": {"matchExpressions": ["source.identity.namespace == 'team-a'"]}}}},
            {"name": "headers", "traffic": {"transformation": {"request": {"set": [
                {"name": "x-seen", "value": "default(request.headers['authorization'], '')"},
                {"name": "x-failing", "value": "request.headers['x-not-there']"}]},
                "response": {"set": [{"name": "x-sent", "value":
                    "default(request.headers['authorization'], '') + request.pathAndQuery"}]}}}},
            {"name": "bearer", "hosts": ["api.github.com"], "backend": {"auth": {"env": "TOKEN"}}},
            {"name": "several", "hosts": ["httpbingo.org"], "backend": {
                "auth": {"env": "API_KEY",
                    "location": location("queryParameter", json!({"name": "api_key"}))},
                "credentials": [{"env": "SESSION",
                    "location": location("cookie", json!({"name": "sid"}))}]}},
            {"name": "basic", "hosts": ["basic.example"], "backend": {"auth": {
                "basic": {"username": "ada", "passwordEnv": "PASSWORD"}}}},
            {"name": "token", "hosts": ["token.example"], "backend": {"auth": {
                "oauthClientCredentials": {
                    "backendRef": {"name": "sts", "namespace": "auth", "port": 8080},
                    "path": "/token", "clientId": "egress", "clientSecretEnv": "CLIENT_SECRET"}}}},
            {"name": "failing", "hosts": ["failing.example"], "backend": {"auth": {
                "oauthClientCredentials": {
                    "cluster": "missing", "host": "sts.example", "path": "/token",
                    "clientId": "egress", "clientSecretEnv": "CLIENT_SECRET",
                    "clientAuth": "ClientSecretPost"}}}},
        ],
    })
}

/// A configuration with one change.
fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut configuration = configuration();
    change(&mut configuration);
    configuration.to_string()
}

struct Setting {
    waypoint: Waypoint,
    origin: Origin,
    service: Service,
    plugin: PluginFile,
}

impl Setting {
    fn start() -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
        let service = Service::start(|_| Reaction::answer(200, &[], token(FETCHED, 300)));
        let service = service.expect("the service starts");
        let mut plugin = PluginFile::new(&filter_wasm()).expect("a plugin");
        let names = ENVIRONMENT.map(|(name, _)| name.to_owned());
        plugin.set_environment(names.iter());
        plugin.publish(&configuration().to_string()).expect("a file");
        let levels = ["--log-level", "trace", "--component-log-level", TELLING];
        let mut options = WaypointOptions::new(&pki, origin.port())
            .log_levels(&levels)
            .cluster(STS, Some(service.port()))
            .edit(plugin.attach());
        for (name, value) in ENVIRONMENT {
            options = options.environment(name, value);
        }
        for host in ["basic.example", "token.example", "failing.example", "other.example"] {
            options = options.service(host);
        }
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Self { waypoint, origin, service, plugin }
    }

    async fn ask(&self, caller: &str, destination: &str, request: Request) -> Response {
        let client = self.waypoint.caller(caller).timeout(PATIENCE);
        let response = client.request(&self.waypoint.vip(destination), &request).await;
        response.unwrap_or_else(|error| panic!("{destination}: {error}"))
    }

    fn updates(&self, what: &str) -> u64 {
        let name = format!("extension_config_discovery.http_filter.{}.{what}", e2e::ecds::PLUGIN);
        self.waypoint.stats(&name).expect("statistics").get(&name).copied().unwrap_or(0)
    }

    /// Delivers a configuration, and waits until it is accepted or rejected.
    async fn update(&mut self, configuration: &str, what: &str) {
        let before = self.updates(what);
        self.plugin.publish(configuration).expect("a file");
        let deadline = Instant::now() + PATIENCE;
        while self.updates(what) == before {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether a text has a secret.
fn found(text: &str) -> Option<&str> {
    let mut words = [WORD].into_iter().chain(ENCODED);
    let at = words.find_map(|word| text.find(word))?;
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    Some(text[line..].lines().next().unwrap_or_default())
}

#[tokio::test]
async fn no_secret_is_logged_counted_shown_or_sent_to_anybody_else() {
    let mut setting = Setting::start();
    let hosts =
        ["api.github.com", "httpbingo.org", "basic.example", "token.example", "failing.example"];
    let mut answers = Vec::new();
    for round in 0..2 {
        for host in hosts {
            let get = |path: &str| Request::get(host, path);
            let requests = [
                (TEAM_A_SPIFFE_ID, get("/zen?a=1&api_key=of-the-caller")),
                (TEAM_A_SPIFFE_ID, get("/zen").header("authorization", "Bearer of-the-caller")),
                (TEAM_A_SPIFFE_ID, Request::new("POST", "/zen").header("Host", host).body("body")),
                // Refused: by the rules, for its path, for its method.
                (TEAM_B_SPIFFE_ID, get("/zen")),
                (TEAM_A_SPIFFE_ID, get("/a%2Fb")),
                (TEAM_A_SPIFFE_ID, Request::new("TRACE", "/zen").header("Host", host)),
            ];
            for (caller, request) in requests {
                answers.push(setting.ask(caller, host, request).await);
            }
            // Another host's request, and another destination's.
            let request = Request::get("other.example", "/zen");
            answers.push(setting.ask(TEAM_A_SPIFFE_ID, host, request).await);
            let request = Request::get(host, "/zen");
            answers.push(setting.ask(TEAM_A_SPIFFE_ID, "other.example", request).await);
        }
        let request = Request::get("other.example", "/zen");
        answers.push(setting.ask(TEAM_A_SPIFFE_ID, "other.example", request).await);
        if round == 0 {
            let missing = with(|all| {
                all["policies"][2]["backend"]["auth"]["env"] = "NOT_THERE".into();
            });
            setting.update(&missing, "update_rejected").await;
            // Values that are there, and illegal where they are to go.
            let open = with(|all| all["hostBinding"] = "Off".into());
            setting.update(&open, "update_rejected").await;
            let good = with(|all| all["audit"]["log"] = "Denied".into());
            setting.update(&good, "update_success").await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    // The origins have got them, or the rest would show nothing.
    let got = setting.origin.requests();
    let shown: Vec<String> =
        got.iter().map(|request| format!("{} {request:?}", request.host)).collect();
    for (host, secret) in [
        ("api.github.com", "Bearer hush-bearer"),
        ("httpbingo.org", "api_key=hush-key"),
        ("httpbingo.org", "sid=hush-cookie"),
        ("basic.example", ENCODED[0]),
        ("token.example", "Bearer hush-fetched"),
    ] {
        let has = |request: &&e2e::origin::Received| {
            let lines = request.headers.0.iter();
            let mut values = lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            request.host == host
                && (request.target.contains(secret) || values.any(|value| value.contains(secret)))
        };
        assert!(got.iter().any(|request| has(&request)), "{host} {secret}: {shown:#?}");
    }
    let others = |host: &str| !hosts.contains(&host);
    for request in got.iter().filter(|request| others(&request.host)) {
        assert_eq!(found(&format!("{request:?}")), None);
    }
    assert!(got.iter().any(|request| request.host == "other.example"));
    let calls = setting.service.calls_where(|_| true);
    assert!(!calls.is_empty() && calls.len() <= 2, "{}", calls.len());

    for answer in &answers {
        let lines = answer.headers.0.iter();
        let head: String = lines.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        assert_eq!(found(&head), None);
        assert_eq!(found(&String::from_utf8_lossy(&answer.body)), None);
    }
    let process = setting.waypoint.process();
    for page in
        ["/stats", "/stats/prometheus", "/config_dump?include_eds", "/clusters", "/listeners"]
    {
        let text = process.admin(page).expect("a page");
        assert!(text.len() > 100, "{page}");
        assert_eq!(found(&text), None, "{page}");
    }
    assert!(process.admin("/config_dump").expect("a page").contains("CLIENT_SECRET"));
    for entry in setting.waypoint.access_log() {
        assert_eq!(found(&entry.to_string()), None);
    }
    let log = setting.waypoint.log_lines();
    assert!(log.iter().any(|line| line.contains("[trace]")), "Envoy tells all that it has");
    let telling: Vec<&String> = log.iter().filter(|line| found(line).is_some()).collect();
    assert!(
        telling.is_empty(),
        "{} lines: {:#?}",
        telling.len(),
        telling.iter().take(20).collect::<Vec<_>>()
    );
}
