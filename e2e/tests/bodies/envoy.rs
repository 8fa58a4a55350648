//! In a real Envoy: what the origin has of a request whose body is judged, under a plain plugin and
//! with Envoy's own buffer filter behind it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use e2e::envoy::{PATIENCE, Waypoint, WaypointOptions, bodies_wasm, workspace_root};
use e2e::http1::{Request, Response};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use serde_json::{Value, json};

/// `bodies.maxSize`, where it is left out.
const LIMIT: usize = 64 * 1024;

pub(crate) const HOST: &str = "guarded.example";
/// Where the paths begin of requests that the origin answers before their bodies are there.
pub(crate) const EARLY: &str = "/early";
pub(crate) const REWRITTEN: &str = "rewritten.example";

/// What one connection to the origin has brought, byte for byte.
#[derive(Debug, Default, Clone)]
pub(crate) struct Arrived {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_closed: bool,
}

/// An origin that keeps what comes, and answers a request once it is whole.
pub(crate) struct RawOrigin {
    pub(crate) port: u16,
    connections: Arc<Mutex<Vec<Arrived>>>,
}

fn locked(connections: &Mutex<Vec<Arrived>>) -> MutexGuard<'_, Vec<Arrived>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RawOrigin {
    pub(crate) fn start() -> RawOrigin {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let index = {
                    let mut all = locked(&all);
                    all.push(Arrived::default());
                    all.len() - 1
                };
                let all = Arc::clone(&all);
                std::thread::spawn(move || serve(stream, index, &all));
            }
        });
        RawOrigin { port, connections }
    }

    /// What has come of the requests with this mark in their path.
    pub(crate) fn of(&self, mark: &str) -> Vec<Arrived> {
        let all = locked(&self.connections);
        all.iter().filter(|one| contains(&one.bytes, mark.as_bytes())).cloned().collect()
    }

    /// The same, once it is so.
    pub(crate) fn once(&self, mark: &str, holds: impl Fn(&[Arrived]) -> bool) -> Vec<Arrived> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.of(mark);
            if holds(&found) || Instant::now() > deadline {
                return found;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Serves one request; its connection is then closed, so that no two share one.
fn serve(mut stream: TcpStream, index: usize, all: &Mutex<Vec<Arrived>>) {
    let mut buffer = [0; 16_384];
    let mut is_answered = false;
    loop {
        match stream.read(&mut buffer) {
            Ok(size) if size > 0 => {
                let bytes = {
                    let mut all = locked(all);
                    all[index].bytes.extend_from_slice(&buffer[..size]);
                    all[index].bytes.clone()
                };
                let is_early = contains(&bytes, EARLY.as_bytes()) && split(&bytes).is_some();
                if !is_answered && (is_early || is_whole(&bytes)) {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\
                                  connection: close\r\n\r\nthe secret";
                    let _ = stream.write_all(answer.as_bytes());
                    if !is_early {
                        return;
                    }
                    // What comes of the body all the same is kept.
                    is_answered = true;
                }
            }
            _ => {
                locked(all)[index].is_closed = true;
                return;
            }
        }
    }
}

pub(crate) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Splits a message into its head, in lower case, and what is behind it.
pub(crate) fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    Some((String::from_utf8_lossy(&bytes[..end]).to_lowercase(), &bytes[end..]))
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with(b"0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.trim().parse().expect("a length"))
}

pub(crate) struct Setting {
    pub(crate) origin: RawOrigin,
    pub(crate) waypoint: Waypoint,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// A waypoint with the module for bodies, and behind it what there is to be.
fn setting(with_buffer: bool) -> Setting {
    let pki = Arc::new(Pki::new());
    let origin = RawOrigin::start();
    let policies = json!({"policies": [
        {"name": "guarded", "hosts": [HOST], "traffic": {
            "authorization": {"action": "Deny", "policy": {
                "matchExpressions": [r#"string(request.body).contains("secret")"#]}},
            "transformation": {"request": {"set": [{"name": "x-mark", "value": "\"marked\""}]}},
        }},
        {"name": "rewritten", "hosts": [REWRITTEN], "traffic": {"transformation": {
            "request": {"body": r#"string(request.body) + " of " + source.identity.namespace"#},
            "response": {"body": r#"string(response.body).replace("secret", "***")"#},
        }}},
    ], "audit": {"log": "All"}});
    let port = origin.port;
    let options = WaypointOptions::new(&pki, port)
        .wasm(bodies_wasm())
        .plugin_configuration(policies.to_string())
        .service(HOST)
        .service(REWRITTEN)
        .edit(move |envoy| {
            speak_plainly(envoy, port);
            if with_buffer {
                add_buffer(envoy);
            }
        });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    Setting { origin, waypoint, runtime }
}

/// The origin has no TLS, so that a test sees the bytes.
pub(crate) fn speak_plainly(envoy: &mut Value, port: u16) {
    let clusters = envoy["static_resources"]["clusters"].as_array_mut().expect("clusters");
    for host in [HOST, REWRITTEN] {
        let name = format!("inbound-vip|80|http|{host}");
        let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name.as_str());
        let cluster = cluster.expect("its cluster").as_object_mut().expect("an object");
        cluster.remove("transport_socket");
        cluster.remove("typed_extension_protocol_options");
        let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0];
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = json!(port);
    }
}

/// Puts the filter of `filter-config/with-bodies/11-hold-headers.yaml` where the file says: before
/// the router of each chain that has the plugin.
fn add_buffer(envoy: &mut Value) {
    let path = workspace_root().join("filter-config/with-bodies/11-hold-headers.yaml");
    let file = std::fs::read_to_string(path).expect("the step");
    let step: Value = serde_yaml_ng::from_str(&file).expect("the step is YAML");
    let [patch] = &step["spec"]["configPatches"].as_array().expect("patches")[..] else {
        panic!("one patch")
    };
    assert_eq!(patch["applyTo"], "HTTP_FILTER");
    assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
    let next = &patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"];
    insert_before(envoy, next, &patch["patch"]["value"]);
}

fn insert_before(value: &mut Value, next: &Value, filter: &Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Array(filters)) = object.get_mut("http_filters") {
                let is_wasm = |filter: &Value| filter.to_string().contains("http.wasm.v3.Wasm");
                if filters.iter().any(is_wasm) {
                    let at = filters.iter().position(|filter| filter["name"] == *next);
                    filters.insert(at.expect("a router"), filter.clone());
                }
            }
            object.values_mut().for_each(|value| insert_before(value, next, filter));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|value| insert_before(value, next, filter));
        }
        _ => {}
    }
}

pub(crate) static PLAIN: LazyLock<Setting> = LazyLock::new(|| setting(false));
pub(crate) static BUFFERED: LazyLock<Setting> = LazyLock::new(|| setting(true));

impl Setting {
    /// Sends bytes in the pieces given, and reads the answer.
    pub(crate) fn send(&self, host: &str, pieces: &[&[u8]]) -> Response {
        let vip = self.waypoint.vip(host);
        let caller = self.waypoint.caller(TEAM_A_SPIFFE_ID);
        self.runtime.block_on(async {
            let tunnel = caller.tunnel(&vip).await.expect("a tunnel");
            let mut stream = tunnel.into_stream();
            for piece in pieces {
                use tokio::io::AsyncWriteExt;
                // Envoy may have answered before the end.
                if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            let mut connection = e2e::http1::Connection::new(stream);
            connection.read_response(false).await.expect("an answer")
        })
    }

    pub(crate) fn post(&self, host: &str, mark: &str, body: &[u8]) -> Response {
        let request = Request::new("POST", format!("/{mark}")).header("Host", host).body(body);
        self.send(host, &[&request.to_bytes()])
    }

    pub(crate) fn reason(&self, mark: &str) -> String {
        let path = format!("/{mark}");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = self.waypoint.audit_records();
            let found = records.iter().find(|record| record["path"] == path.as_str());
            if let Some(found) = found {
                return found["reason"].as_str().unwrap_or_default().to_owned();
            }
            assert!(Instant::now() < deadline, "no record of {mark}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn chunked(host: &str, mark: &str, chunks: &[&str]) -> Vec<Vec<u8>> {
    let head =
        format!("POST /{mark} HTTP/1.1\r\nHost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut pieces = vec![head.into_bytes()];
    pieces.extend(chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len()).into()));
    pieces.push(b"0\r\n\r\n".to_vec());
    pieces
}

fn parts(pieces: &[Vec<u8>]) -> Vec<&[u8]> {
    pieces.iter().map(Vec::as_slice).collect()
}

#[test]
fn under_a_plain_plugin_the_origin_has_the_head_and_nothing_of_a_denied_body() {
    let setting = &*PLAIN;
    let chunks = chunked(HOST, "denied-plain", &["a ", "s", "e", "c", "r", "e", "t"]);
    let response = setting.send(HOST, &parts(&chunks));
    assert_eq!((response.status, response.text().as_str()), (403, "authorization failed"));
    assert_eq!(setting.reason("denied-plain"), "deny-matched");
    let arrived =
        setting.origin.once("denied-plain", |found| found.first().is_some_and(|one| one.is_closed));
    let [one] = &arrived[..] else { panic!("{arrived:?}") };
    assert!(one.is_closed, "the stream to the origin is reset");
    let (head, body) = split(&one.bytes).expect("the head");
    assert!(head.contains("x-mark: marked"), "{head}");
    assert_eq!(body, b"", "not one byte of the body");
}

#[test]
fn with_the_buffer_filter_behind_the_origin_has_nothing_of_a_denied_request() {
    let setting = &*BUFFERED;
    let chunks = chunked(HOST, "denied-buffered", &["a ", "s", "e", "c", "r", "e", "t"]);
    let response = setting.send(HOST, &parts(&chunks));
    assert_eq!((response.status, response.text().as_str()), (403, "authorization failed"));
    assert_eq!(setting.reason("denied-buffered"), "deny-matched");
    // What comes later shows that this would have come.
    assert_eq!(setting.post(HOST, "allowed-buffered", b"fine").status, 200);
    assert_eq!(setting.origin.once("allowed-buffered", |found| !found.is_empty()).len(), 1);
    assert_eq!(setting.origin.of("denied-buffered").len(), 0);
}

#[test]
fn a_body_that_is_allowed_arrives_as_it_was_sent() {
    for (setting, name) in [(&*PLAIN, "plain"), (&*BUFFERED, "buffered")] {
        let body = vec![b'a'; LIMIT];
        let mark = format!("whole-{name}");
        assert_eq!(setting.post(HOST, &mark, &body).status, 200, "{name}");
        let arrived = setting.origin.of(&mark);
        let (head, sent) = split(&arrived[0].bytes).expect("a request");
        assert!(head.contains("x-mark: marked"), "{head}");
        assert!(contains(sent, &body), "all of it");

        let mark = format!("chunks-{name}");
        let chunks = chunked(HOST, &mark, &["o", "n", "e"]);
        assert_eq!(setting.send(HOST, &parts(&chunks)).status, 200, "{name}");

        let mark = format!("empty-{name}");
        let request = Request::new("GET", format!("/{mark}")).header("Host", HOST);
        assert_eq!(setting.send(HOST, &[&request.to_bytes()]).status, 200, "{name}");
    }
}

#[test]
fn a_body_over_the_limit_gets_413() {
    for (setting, name) in [(&*PLAIN, "plain"), (&*BUFFERED, "buffered")] {
        // Its length is stated: nothing goes on.
        let mark = format!("stated-{name}");
        let response = setting.post(HOST, &mark, &vec![b'a'; LIMIT + 1]);
        assert_eq!((response.status, response.text().as_str()), (413, "request body too large"));
        assert_eq!(setting.reason(&mark), "body-too-large");
        assert_eq!(setting.origin.of(&mark).len(), 0);
        // It is not: nothing of the body does.
        let mark = format!("grown-{name}");
        let chunk = "a".repeat(LIMIT / 2 + 1);
        let chunks = chunked(HOST, &mark, &[&chunk, &chunk]);
        let response = setting.send(HOST, &parts(&chunks));
        assert_eq!(response.status, 413, "{name}");
        assert_eq!(setting.reason(&mark), "body-too-large");
        for one in setting.origin.of(&mark) {
            assert!(!contains(&one.bytes, b"aaaa"), "{name}: nothing of the body");
        }
    }
}

#[test]
fn bodies_are_replaced_in_both_directions() {
    for (setting, name) in [(&*PLAIN, "plain"), (&*BUFFERED, "buffered")] {
        let mark = format!("replaced-{name}");
        let response = setting.post(REWRITTEN, &mark, b"a text");
        assert_eq!((response.status, response.text().as_str()), (200, "the ***"), "{name}");
        let arrived = setting.origin.of(&mark);
        let (head, body) = split(&arrived[0].bytes).expect("a request");
        assert!(contains(body, b"a text of team-a"), "{name}: {}", String::from_utf8_lossy(body));
        assert!(!head.contains("content-length: 6"), "{name}: {head}");
    }
}

#[test]
fn a_caller_that_leaves_with_its_body_half_sent_is_reported() {
    let setting = &*PLAIN;
    let vip = setting.waypoint.vip(HOST);
    let caller = setting.waypoint.caller(TEAM_A_SPIFFE_ID);
    setting.runtime.block_on(async {
        use tokio::io::AsyncWriteExt;
        let mut stream = caller.tunnel(&vip).await.expect("a tunnel").into_stream();
        let half =
            format!("POST /left HTTP/1.1\r\nHost: {HOST}\r\ncontent-length: 100\r\n\r\nhalf");
        stream.write_all(half.as_bytes()).await.expect("it is sent");
        stream.flush().await.expect("it is sent");
        tokio::time::sleep(Duration::from_millis(300)).await;
    });
    assert_eq!(setting.reason("left"), "gone");
    for one in setting.origin.of("/left") {
        assert!(!contains(&one.bytes, b"half"));
    }
}
