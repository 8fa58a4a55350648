//! Bodies that rules read: what is forbidden in them by a simple reading never comes to the origin,
//! and of a body that has not come as a whole nothing does.

use serde_json::{Value, json};

use super::{Answered, Attack, Sent, Tally, finding, numbered};
use crate::attack::arrived::{Arrived, escaped};
use crate::attack::frames;
use crate::attack::generate;
use crate::attack::random::Random;
use crate::attack::readers::{self, Reading};
use crate::attack::record::Finding;
use crate::attack::request::Field;
use crate::attack::rules::SECRET;

/// A rule over texts, and one over JSON.
const TEXT: &str = "text.attack.example";
const JSON: &str = "json.attack.example";

/// `bodies.maxSize`, small so that the bodies around it cost little.
const LIMIT: usize = 1024;

/// `a secret, a secret`, compressed.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 84, 40, 78, 77, 46, 74, 45, 209, 81, 72, 132, 178, 0, 211,
    151, 36, 251, 18, 0, 0, 0,
];

/// The same in UTF-7.
const UTF7: &[u8] = b"a +AHM-ecret";

/// The attack on bodies.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) seed: u64,
}

/// A body and what goes with it.
#[derive(Debug)]
struct Case {
    host: &'static str,
    target: &'static str,
    http2: bool,
    fields: Vec<Field>,
    body: Vec<u8>,
    /// How long a chunk is, or a frame; none where the length is stated and all is sent at once.
    piece: Option<usize>,
    trailers: Vec<Field>,
    /// Whether the end is never sent.
    withholds: bool,
}

impl Case {
    fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::of(seed ^ 0xb0d1, number);
        let random = &mut random;
        let host = if random.percent(60) { TEXT } else { JSON };
        let mut fields = headers(random);
        let mut body = if host == TEXT { text(random) } else { generate::json(random) };
        if random.percent(10) {
            padded(random, host, &mut body);
        }
        if body == GZIP && random.percent(90) {
            let encoding = random.one(&["gzip", "GZIP", "x-gzip", "identity, gzip", "gzip;q=1"]);
            let name = random.one(&["content-encoding", "Content-Encoding"]);
            fields.push((name.into(), encoding.into()));
        }
        let trailers = if random.percent(10) {
            vec![(random.one(&["x-a", "content-type"]).into(), b"secret".to_vec())]
        } else {
            Vec::new()
        };
        let piece = match random.below(10) {
            0..=3 if trailers.is_empty() => None,
            4 | 5 => Some(random.below(3) + 1),
            6 => Some(random.below(40) + 1),
            _ => Some(16_384),
        };
        let (http2, withholds) = (random.percent(35), random.percent(4));
        let target = if random.percent(5) || withholds { "/early" } else { "/zen" };
        if http2 {
            fields.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        } else if random.percent(5) {
            fields.push((b"Expect".to_vec(), b"100-continue".to_vec()));
        }
        Self { host, target, http2, fields, body, piece, trailers, withholds }
    }

    /// The bytes, in pieces.
    fn pieces(&self, number: u64) -> Vec<Vec<u8>> {
        if self.http2 { self.frames(number) } else { self.http1(number) }
    }

    fn http1(&self, number: u64) -> Vec<Vec<u8>> {
        let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\n", self.target, self.host);
        let framing = match self.piece {
            Some(_) => "Transfer-Encoding: chunked".to_owned(),
            // One byte more than ever comes.
            None => format!("Content-Length: {}", self.body.len() + usize::from(self.withholds)),
        };
        head.push_str(&framing);
        let mut bytes = head.into_bytes();
        for (name, value) in self.fields.iter().chain([&numbered(number)]) {
            bytes.extend([b"\r\n", &name[..], b": ", value].concat());
        }
        bytes.extend(b"\r\n\r\n");
        let Some(size) = self.piece else {
            bytes.extend(&self.body);
            return vec![bytes];
        };
        let mut pieces = vec![bytes];
        for chunk in self.chunks(size) {
            let line = format!(
                "{:x}{}\r\n",
                chunk.len(),
                if number.is_multiple_of(7) { ";x=y" } else { "" }
            );
            pieces.push([line.as_bytes(), chunk, b"\r\n"].concat());
        }
        if !self.withholds {
            let mut end = b"0\r\n".to_vec();
            for (name, value) in &self.trailers {
                end.extend([&name[..], b": ", value, b"\r\n"].concat());
            }
            pieces.push([&end[..], b"\r\n"].concat());
        }
        joined(pieces)
    }

    fn frames(&self, number: u64) -> Vec<Vec<u8>> {
        let mut block = Vec::new();
        let pseudo = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", self.host),
            (":path", self.target),
        ];
        for (name, value) in pseudo {
            frames::literal(&mut block, name.as_bytes(), value.as_bytes());
        }
        for (name, value) in self.fields.iter().chain([&numbered(number)]) {
            frames::literal(&mut block, name, value);
        }
        if self.piece.is_none() {
            let length = self.body.len() + usize::from(self.withholds);
            frames::literal(&mut block, b"content-length", length.to_string().as_bytes());
        }
        let mut pieces = vec![frames::headers(1, &block, false)];
        for chunk in self.chunks(self.piece.unwrap_or(16_384)) {
            pieces.push(frames::frame(frames::DATA, 0, 1, chunk));
        }
        if !self.withholds && self.trailers.is_empty() {
            pieces.push(frames::frame(frames::DATA, frames::END_STREAM, 1, &[]));
        } else if !self.withholds {
            let mut block = Vec::new();
            for (name, value) in &self.trailers {
                frames::literal(&mut block, name, value);
            }
            pieces.push(frames::headers(1, &block, true));
        }
        joined(pieces)
    }

    fn is_grpc(&self) -> bool {
        self.fields.iter().any(|(_, value)| value.starts_with(b"application/grpc"))
    }

    /// It as a text; a long body is cut.
    fn shown(&self) -> String {
        let protocol = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        let lines = self.fields.iter().map(|(name, value)| [&name[..], b": ", value].concat());
        let lines: Vec<String> = lines.map(|line| escaped(&line)).collect();
        let end = self.body.len().min(200);
        format!(
            "{protocol} {} | {} | {} bytes in pieces of {:?}: {}{}",
            self.target,
            lines.join(" | "),
            self.body.len(),
            self.piece,
            escaped(&self.body[..end]),
            if self.withholds { ", and no end" } else { "" }
        )
    }

    /// The body in chunks, of which the first are small.
    fn chunks(&self, size: usize) -> Vec<&[u8]> {
        let tiny = self.body.len().min(48);
        let (start, rest) = self.body.split_at(tiny);
        start.chunks(size.max(1)).chain(rest.chunks(16_384)).collect()
    }
}

/// Puts what follows an early piece together, so that a request has a few pauses at most.
fn joined(mut pieces: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let rest = if pieces.len() > 6 { pieces.split_off(6) } else { Vec::new() };
    if !rest.is_empty() {
        pieces.push(rest.concat());
    }
    pieces
}

fn headers(random: &mut Random) -> Vec<Field> {
    const TYPES: &[&str] = &[
        "text/plain",
        "application/json",
        "application/x-www-form-urlencoded",
        "TEXT/PLAIN; Charset=UTF-8",
        "text/plain; charset=utf-7",
        "text/plain;charset=\"utf-7\"",
        "text/plain; charset*=UTF-8''utf-7",
        "text/plain; charset=utf-16le",
        "image/png",
        "text/plain, image/png",
        "",
        "multipart/form-data; boundary=x",
        "application/grpc",
    ];
    let mut fields = Vec::new();
    let lines = [0, 1, 1, 1, 1, 1, 1, 2][random.below(8)];
    for _ in 0..lines {
        let name = random.one(&["content-type", "content-type", "Content-Type", "content_type"]);
        let kind = if random.percent(50) { "text/plain" } else { random.one(TYPES) };
        fields.push((name.into(), kind.into()));
    }
    if random.percent(5) {
        fields.push((b"content-encoding".to_vec(), b"identity".to_vec()));
    }
    fields
}

fn text(random: &mut Random) -> Vec<u8> {
    let utf16: Vec<u8> = "a secret".bytes().flat_map(|byte| [byte, 0]).collect();
    match random.below(12) {
        0..=3 => b"nothing of interest".to_vec(),
        4 | 5 => b"a secret".to_vec(),
        6 => b"secret\xff".to_vec(),
        7 => GZIP.to_vec(),
        8 => UTF7.to_vec(),
        9 => utf16,
        10 => Vec::new(),
        _ => b"\xef\xbb\xbfsec\0ret".to_vec(),
    }
}

/// Makes a body about as long as the limit, at its end or its beginning.
fn padded(random: &mut Random, host: &str, body: &mut Vec<u8>) {
    let length = LIMIT + random.one(&[0, 0, 1, 2, LIMIT]) - random.one(&[0, 1]);
    let filling = if host == JSON { b' ' } else { b'.' };
    let missing = vec![filling; length.saturating_sub(body.len())];
    if random.percent(50) {
        body.splice(..0, missing);
    } else {
        body.extend(missing);
    }
}

/// The reading by which a body must not come to this host's origin.
fn forbidden(host: &str, fields: &[Field], body: &[u8]) -> Option<Reading> {
    let reads = |reader, text: &[u8]| Some(Reading { reader, text: escaped(text) });
    if body.len() > LIMIT {
        return reads("length", format!("{} bytes", body.len()).as_bytes());
    }
    if host == JSON {
        let users = readers::fields(body, "user");
        return users.into_iter().find(|user| user.text == "root");
    }
    let has = |name: &str, part: &str| {
        let mut lines =
            fields.iter().filter(|(own, _)| readers::same_variable(own, name.as_bytes()));
        lines.any(|(_, value)| String::from_utf8_lossy(value).to_lowercase().contains(part))
    };
    let contains = |bytes: &[u8]| bytes.windows(6).any(|part| part == b"secret");
    let plain: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    if contains(body) {
        return reads("bytes", body);
    }
    if contains(&plain) {
        return reads("UTF-16", body);
    }
    if has("content-encoding", "gzip") && body.starts_with(GZIP) {
        return reads("gzip", body);
    }
    if has("content-type", "utf-7") && body.windows(UTF7.len()).any(|part| part == UTF7) {
        return reads("UTF-7", body);
    }
    None
}

impl Attack for Bodies {
    fn hosts(&self) -> &'static [&'static str] {
        &[TEXT, JSON]
    }

    fn configuration(&self) -> Value {
        let deny = |name: &str, host: &str, expression: &str| {
            let rule = json!({"action": "Deny", "policy": {"matchExpressions": [expression]}});
            json!({"name": name, "hosts": [host], "traffic": {"authorization": rule}})
        };
        json!({
            "audit": {"log": "None"},
            "bodies": {"maxSize": LIMIT},
            "policies": [
                deny("text", TEXT, r#"string(request.body).contains("secret")"#),
                deny(
                    "json",
                    JSON,
                    r#"size(request.body) > 0 && default(json(request.body).user, "") == "root""#,
                ),
            ],
        })
    }

    fn request(&self, number: u64) -> Sent {
        let case = Case::of(self.seed, number);
        Sent {
            host: case.host,
            pod: (number % 2) as usize,
            http2: case.http2,
            pieces: case.pieces(number),
            withholds: case.withholds,
        }
    }

    fn judge_arrived(&self, tally: &Tally, arrived: &Arrived, is_whole: bool) {
        let number = arrived.number();
        let case = number.map(|number| Case::of(self.seed, number));
        let hosts = readers::header(&arrived.fields, "host");
        let own = |host: &&str| hosts.iter().any(|reading| reading.text == **host);
        let host = [TEXT, JSON].into_iter().find(own).unwrap_or(TEXT);
        let found = |law, reads: String| {
            let sent = case.as_ref().map_or("unknown".to_owned(), Case::shown);
            let arrived = arrived.shown();
            tally.finds(Finding { sent, arrived, ..finding(law, host, reads, number) });
        };
        if !is_whole {
            if !arrived.body.is_empty() {
                found("a part", format!("{} bytes of a body", arrived.body.len()));
            }
        } else if case.as_ref().is_some_and(|case| case.withholds) {
            found("withheld", "a body that was never sent as a whole".to_owned());
        } else if let Some(reading) = forbidden(host, &arrived.fields, &arrived.body) {
            found(reading.reader, reading.text);
        }
    }

    fn judge_answer(&self, tally: &Tally, number: u64, answer: &Answered) {
        let case = Case::of(self.seed, number);
        let is_origins = match answer {
            Answered::Response(response) => response.headers.get(SECRET).is_some(),
            // A caller of gRPC is refused with a 200 and a `grpc-status`.
            Answered::Status(status) => *status == 200 && !case.is_grpc(),
            Answered::CutOff | Answered::Hung => false,
        };
        let reading = forbidden(case.host, &case.fields, &case.body);
        if is_origins && (case.withholds || reading.is_some()) {
            let law = if case.withholds { "an early answer" } else { "an answer" };
            let reads = "what the origin answered".to_owned();
            let sent = case.shown();
            tally.finds(Finding { sent, ..finding(law, case.host, reads, Some(number)) });
        }
    }
}
