//! What an attacker in a pod may send: request number `n` of a seed is the same on every machine.

mod documents;
mod headers;
mod targets;

pub(super) use documents::json;

use super::random::Random;
use super::request::{Field, Hostile, NUMBER};
use super::rules::{CALLER, DEBUG, Lure, RULES, Rule};

/// How many requests in a row come from one pod and are for one policy, in one tunnel while it
/// lasts.
pub(super) const BLOCK: u64 = 32;

/// What the requests of a block have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// The policy, by its place.
    pub(super) rule: usize,
    /// The pod, by its place.
    pub(super) pod: usize,
    /// Whether the origin speaks HTTP/2.
    pub(super) to_http2: bool,
    /// What the pod speaks.
    pub(super) spoken: Spoken,
}

/// What a pod speaks in its tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, of frames written by hand.
    Http2,
    /// HTTP/2 of a library, which reads answers in full.
    Library,
}

impl Block {
    /// The block that a request belongs to.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::of(!seed, number / BLOCK);
        // The last policy, which sets and removes headers, offers the most to try and so gets two
        // turns.
        let rule = random.below(RULES.len() + 1).min(RULES.len() - 1);
        let spoken = match random.below(100) {
            // Answers are only of interest where something is to be taken out of them.
            share if share < 30 && RULES[rule].lure == Lure::Changes => Spoken::Library,
            share if share < 60 => Spoken::Http2,
            _ => Spoken::Http1,
        };
        Self { rule, pod: random.below(super::CALLERS.len()), to_http2: random.percent(40), spoken }
    }

    /// The policy.
    pub(super) fn rule(&self) -> &'static Rule {
        &RULES[self.rule]
    }
}

/// A request of a seed, by its number.
pub(super) fn request(seed: u64, number: u64) -> Hostile {
    let block = Block::of(seed, number);
    let http2 = block.spoken != Spoken::Http1;
    let mut random = Random::of(seed, number);
    let random = &mut random;
    let mut request = Hostile {
        method: b"GET".to_vec(),
        target: b"/zen".to_vec(),
        host: block.rule().host().into_bytes(),
        fields: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
    };
    match block.rule().lure {
        Lure::Header(name, value) => {
            headers::lines(random, &mut request.fields, name, value.as_bytes())
        }
        Lure::Cookie => documents::cookies(random, &mut request.fields),
        Lure::Method => request.method = targets::method(random, http2),
        Lure::Path => request.target = targets::path(random),
        Lure::Query => request.target = targets::query(random),
        Lure::Json(name) => {
            let json = documents::json(random);
            headers::line(random, &mut request.fields, name, json);
        }
        Lure::Token(name) => {
            let token = documents::token(random);
            headers::line(random, &mut request.fields, name, token);
        }
        Lure::Address => headers::addresses(random, &mut request.fields),
        Lure::Changes => changes(random, &mut request, http2),
    }
    besides(random, &mut request, http2);
    if request.upgrades() {
        // A body would be the first of what follows HTTP.
        request.body.clear();
    }
    let place = random.below(request.fields.len() + 1);
    request.fields.insert(place, (NUMBER.into(), number.to_string().into_bytes()));
    if http2 {
        for (name, _) in request.fields.iter_mut().chain(&mut request.trailers) {
            // An upper-case letter ends the whole connection, so it is tried seldom.
            if random.below(1000) > 0 {
                name.make_ascii_lowercase();
            }
        }
    }
    request
}

fn changes(random: &mut Random, request: &mut Hostile, http2: bool) {
    if random.percent(60) {
        headers::lines(random, &mut request.fields, DEBUG, b"secret");
    }
    if random.percent(60) {
        headers::lines(random, &mut request.fields, CALLER, b"admin/root");
    }
    if random.percent(25) {
        for name in [CALLER, DEBUG] {
            headers::lines(random, &mut request.trailers, name, b"admin/root");
        }
    } else if !http2 && random.percent(30) {
        upgrade(random, request);
    }
}

/// Headers that may accompany any attack.
fn besides(random: &mut Random, request: &mut Hostile, http2: bool) {
    match random.below(40) {
        0 => request.host = targets::host(random, &String::from_utf8_lossy(&request.host)),
        1 if !http2 => {
            let scheme = random.one(&["http", "https", "HTTP"]);
            request.target = [scheme.as_bytes(), b"://", &request.host, &request.target].concat();
        }
        2 | 3 => headers::addresses(random, &mut request.fields),
        4 => request.body = vec![b'b'; random.below(3000)],
        5 => request.trailers.push((
            random.one(&["x-role", "x-mode", "x-key", "host", "cookie"]).as_bytes().into(),
            b"admin".into(),
        )),
        6 if !http2 && request.trailers.is_empty() => upgrade(random, request),
        7 => request.fields.push(junk(random)),
        8 => request.fields.push((b"x-long".to_vec(), vec![b'l'; random.below(4000)])),
        _ => {}
    }
    if request.method == b"POST" && request.trailers.is_empty() {
        request.body = b"body".to_vec();
    }
}

fn junk(random: &mut Random) -> Field {
    let value = (0..random.below(20))
        .map(|_| random.one(&[b'a', b' ', b',', b';', b'"', b'\t', 0x80, 0xff, b'%', b'\\']));
    let value = value.collect();
    (random.one(&["x-junk", "accept", "referer", "x_junk", "forwarded"]).as_bytes().into(), value)
}

fn upgrade(random: &mut Random, request: &mut Hostile) {
    let named = random.one(&[
        CALLER,
        CALLER,
        "X-Caller-Identity",
        "x_caller_identity",
        "x-role",
        "cookie",
        "close",
        "te",
        "",
    ]);
    let connection = match random.below(4) {
        0 => format!("{named}, Upgrade"),
        1 => format!("Upgrade,{named}"),
        2 => format!("upgrade , \t{named} ,"),
        _ => format!("Upgrade, {named}"),
    };
    request.fields.push((b"Connection".to_vec(), connection.into_bytes()));
    if random.percent(20) {
        request.fields.push((b"Connection".to_vec(), named.as_bytes().to_vec()));
    }
    request.fields.push((
        b"Upgrade".to_vec(),
        random.one(&["websocket", "WebSocket", "websocket, h2c"]).as_bytes().to_vec(),
    ));
}

#[cfg(test)]
mod tests;
