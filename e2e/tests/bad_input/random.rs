//! Ten thousand random requests: mutations of valid ones, over several tunnels that are kept while
//! they last.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::http1::{Connection, Response};
use e2e::pki::{TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};
use tokio::io::AsyncWriteExt;

use super::{Answer, GITHUB, Setting};

const REQUESTS: u64 = 10_000;
const TUNNELS: u64 = 8;
/// How long what is no whole request may keep Envoy waiting before the client ends it.
const PATIENCE: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(10);

/// splitmix64: small, good enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// A request, and whether it is whole: then it must be answered, whatever it says.
struct Sent {
    bytes: Vec<u8>,
    whole: bool,
}

const SEGMENTS: [&[u8]; 8] =
    [b"zen", b"repos", b"a", b"/a", b"/b.git", b"?x=1", b"&y=%2f", b"/%20"];
const TRICKS: [&[u8]; 18] = [
    b"/",
    b"//",
    b"/..",
    b"/./",
    b"%2e",
    b"%2E%2e/",
    b"%2f",
    b"%5c",
    b"\\",
    b";",
    b"#",
    b"%",
    b"%zz",
    b"%00",
    b"forbidden",
    b"\xff",
    b" ",
    b"@",
];
const NAMES: [&[u8]; 13] = [
    b"x-in",
    b"X-Token",
    b"x_token",
    b"x-caller-identity",
    b"x_caller_identity",
    b"x-internal-debug",
    b"x-copy",
    b"x-forwarded-client-cert",
    b"x-request-id",
    b"cookie",
    b"accept",
    b"content-type",
    b"x-forwarded-for",
];
const VALUES: [&[u8]; 12] = [
    b"",
    b"a",
    b"bad",
    b"good",
    b"api.github.com",
    b"httpbingo.org",
    b"application/grpc",
    b"\xff\xfe",
    "caf\u{e9}".as_bytes(),
    b"a, b",
    b"\"}{",
    b"spiffe://cluster.local/ns/team-a/sa/team-a",
];

fn target(random: &mut Random) -> Vec<u8> {
    let mut target = match random.below(16) {
        0 => b"http://api.github.com/".to_vec(),
        1 => b"*".to_vec(),
        2 => random.bytes(12),
        3..6 => b"/users/".to_vec(),
        _ => b"/".to_vec(),
    };
    for _ in 0..random.below(6) {
        match random.below(60) {
            0 => target.extend(random.bytes(20)),
            1..20 => target.extend_from_slice(random.pick(&TRICKS)),
            _ => target.extend_from_slice(random.pick(&SEGMENTS)),
        }
    }
    // A line feed would end the request line, and what follows would be headers or another request.
    target.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    target
}

fn request(random: &mut Random) -> Sent {
    // Each part is wrong now and then only, so that most requests get past Envoy's codec to the
    // filter.
    let method = match random.below(16) {
        0 => random.pick(&["CONNECT", "TRACE", "get", "G\u{e9}T", ""]),
        _ => {
            random.pick(&["GET", "GET", "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"])
        }
    };
    let version = if random.one_in(40) {
        random.pick(&["HTTP/1.0", "HTTP/9", "HTTP/1.1 x", ""])
    } else {
        "HTTP/1.1"
    };
    let mut bytes =
        [method.as_bytes(), b" ", &target(random), b" ", version.as_bytes(), b"\r\n"].concat();
    if !random.one_in(30) {
        let other = ["API.github.com:80", "httpbingo.org", "", "a b", "u@api.github.com", "[::1]"];
        let host = if random.one_in(6) { random.pick(&other) } else { GITHUB };
        bytes.extend_from_slice(format!("host: {host}\r\n").as_bytes());
    }
    for _ in 0..random.below(6) {
        let name = if random.one_in(100) { random.bytes(10) } else { random.pick(&NAMES).to_vec() };
        let mut value =
            if random.one_in(6) { random.bytes(60) } else { random.pick(&VALUES).to_vec() };
        if !random.one_in(50) {
            value.retain(|byte| !byte.is_ascii_control());
        }
        let line = [&name, &b": "[..], &value].concat();
        bytes.extend(line.into_iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
        bytes.extend_from_slice(b"\r\n");
    }
    if random.one_in(20) {
        bytes.extend_from_slice(b"host: api.github.com\r\n");
    }
    if random.one_in(200) {
        bytes.extend(format!("x-long: {}\r\n", "l".repeat(random.below(64 << 10))).into_bytes());
    }
    match random.below(8) {
        0 => {
            let body = random.bytes(2_000);
            bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend(body);
        }
        1 => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        _ => bytes.extend_from_slice(b"\r\n"),
    }
    let mut whole = true;
    if random.one_in(6) {
        whole = false;
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, random);
        }
    }
    Sent { bytes, whole }
}

/// Changes bytes without regard for what they mean.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len().max(1));
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at.min(bytes.len()), random.next() as u8),
        2 if !bytes.is_empty() => drop(bytes.remove(at)),
        3 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        _ => {
            let copy: Vec<u8> = bytes.iter().skip(at).take(30).copied().collect();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
    }
}

/// One client's share: its own sequence, so that it does not depend on how the others get on.
async fn client(setting: &Setting, seed: u64) -> BTreeMap<String, u64> {
    let mut random = Random(seed);
    let mut seen = BTreeMap::new();
    let mut connection = None;
    for number in 0..REQUESTS / TUNNELS {
        let Sent { bytes, whole } = request(&mut random);
        let shown =
            || format!("request {number} of seed {seed}: {:?}", bytes.escape_ascii().to_string());
        let mut stream = match connection.take() {
            Some(stream) => stream,
            None => {
                let caller = if random.one_in(8) { TEAM_B_SPIFFE_ID } else { TEAM_A_SPIFFE_ID };
                let tunnel = setting
                    .waypoint
                    .caller(caller)
                    .tunnel(&setting.vip())
                    .await
                    .unwrap_or_else(|error| panic!("{}: {error}", shown()));
                Connection::new(tunnel.into_stream())
            }
        };
        let head = bytes.starts_with(b"HEAD ");
        let first = tokio::time::timeout(
            if whole { LIMIT } else { PATIENCE },
            stream.send_raw(&bytes, head),
        )
        .await;
        let outcome = match first {
            Ok(Ok(response)) => {
                let outcome =
                    judge(&response, &bytes).unwrap_or_else(|| panic!("{}: {response:?}", shown()));
                // What Envoy refused it closes, and what was no whole request may have left bytes
                // behind.
                if whole
                    && !response.closes
                    && !head
                    && matches!(Answer::of(&response), Answer::Origin(_) | Answer::Filter(_))
                {
                    connection = Some(stream);
                }
                outcome
            }
            Ok(Err(error)) if whole => panic!("{}: no answer: {error}", shown()),
            Ok(Err(_)) => "closed".to_owned(),
            Err(_) if whole => panic!("{}: hung for {LIMIT:?}", shown()),
            // Envoy waits for the rest, and must give up when it does not come.
            Err(_) => {
                let mut stream = stream.into_inner();
                let ended = async {
                    let _ = stream.shutdown().await;
                    let mut rest = Vec::new();
                    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
                };
                tokio::time::timeout(LIMIT, ended)
                    .await
                    .unwrap_or_else(|_| panic!("{}: hung after its end for {LIMIT:?}", shown()));
                "ended".to_owned()
            }
        };
        *seen.entry(outcome).or_default() += 1;
    }
    seen
}

/// The group that an answer is counted in; `None` for one that must not occur.
fn judge(response: &Response, request: &[u8]) -> Option<String> {
    let answer = Answer::of(response);
    // Envoy's own: 400 for what is no HTTP, 403 for an upgrade that is none to WebSocket, 404 for
    // `*` and CONNECT, which no route of a waypoint serves, 426 for HTTP/1.0, 431 for headers past
    // its limits. A gRPC call has the status in a header.
    let grpc = response.header("grpc-status").unwrap_or_default();
    let designed = match answer {
        Answer::Origin(status) => (200..300).contains(&status),
        Answer::Filter(status) => matches!(status, 400 | 403),
        Answer::Envoy(200) => matches!(grpc.as_str(), "3" | "7" | "12" | "13"),
        // The codec's answer to a transfer coding other than chunked, and to any with CONNECT (RFC
        // 9112 section 6.1).
        Answer::Envoy(501) => {
            request.to_ascii_lowercase().windows(17).any(|part| part == b"transfer-encoding")
        }
        Answer::Envoy(status) => matches!(status, 400 | 403 | 404 | 426 | 431),
    };
    designed.then(|| format!("{answer:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_random_requests_do_no_harm() {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`SEED={text}` is no number")),
        Err(_) => 20_261_123,
    };
    println!("seed {seed}: set SEED to run another");
    let setting = std::sync::Arc::new(Setting::start(true));
    let clients: Vec<_> = (0..TUNNELS)
        .map(|index| {
            let setting = std::sync::Arc::clone(&setting);
            tokio::spawn(async move { client(&setting, seed + index).await })
        })
        .collect();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for client in clients {
        for (outcome, count) in client.await.expect("no client fails") {
            *seen.entry(outcome).or_default() += count;
        }
    }
    println!("{seen:?}");
    assert_eq!(seen.values().sum::<u64>(), REQUESTS);
    // If Envoy refused all of them, the filter would not have been tested.
    for (outcome, least) in [
        ("Origin(200)", 1_000),
        ("Filter(403)", 800),
        ("Filter(400)", 1_000),
        ("Envoy(400)", 1_000),
    ] {
        assert!(
            seen.get(outcome).is_some_and(|count| *count >= least),
            "fewer than {least} of {outcome}: {seen:?}"
        );
    }
    setting.assert_unharmed().await;
    for entry in setting.waypoint.access_log() {
        let code = entry["response_code"].as_u64().unwrap_or_default();
        let codec = entry["response_code_details"] == "http1.invalid_transfer_encoding";
        assert!(code < 500 || codec, "{entry}");
    }
}
