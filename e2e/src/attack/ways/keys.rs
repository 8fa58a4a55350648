//! Keys of local limits that the caller makes: of one key no more than the limit is admitted,
//! however it is spelt, and nobody uses up what another key or another caller has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Answered, Attack, Sent, Tally, finding, numbered};
use crate::attack::arrived::{Arrived, escaped};
use crate::attack::frames;
use crate::attack::random::Random;
use crate::attack::readers::{header, listed};
use crate::attack::record::Finding;
use crate::attack::request::Field;

/// A limit for each tenant, of whom there are few; one for each value of two headers; one for
/// values of which there is no end; and one for each caller, whatever else it sends.
const TENANT: &str = "tenant.attack.example";
const PAIR: &str = "pair.attack.example";
const CROWD: &str = "crowd.attack.example";
const CALLER: &str = "caller.attack.example";
const HOSTS: [&str; 4] = [TENANT, PAIR, CROWD, CALLER];

/// How many requests of one key are admitted in an hour.
const LIMIT: u64 = 3;
/// The same for each caller.
const OF_CALLER: u64 = 40;

/// How many tenants there are: fewer than a limit has room for, so that each has its own bucket.
const TENANTS: usize = 900;

/// How many there are where two of them make a key.
const PAIRED: usize = 20;

/// For how many keys of one limit there is room in all likelihood: a limit has 8,192 places, but a
/// key can lie only in a few of them.
const ROOM: usize = 2_000;

/// The attack on keys.
#[derive(Debug)]
pub(super) struct Keys {
    seed: u64,
    begun: Instant,
    seen: Mutex<HashMap<Key, Seen>>,
}

/// A host, and what a plain reading says is counted together there.
type Key = (&'static str, Vec<u8>);

/// What came of the requests of a key.
#[derive(Debug, Default)]
struct Seen {
    arrived: u64,
    admitted: u64,
    refused: u64,
}

impl Keys {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, begun: Instant::now(), seen: Mutex::default() }
    }

    /// How many requests of a key may have been admitted by now.
    fn most(&self, host: &str) -> u64 {
        let full = if host == CALLER { OF_CALLER } else { LIMIT };
        full + self.begun.elapsed().as_secs() * full / 3600
    }

    fn note(&self, key: Key, note: impl FnOnce(&mut Seen)) -> u64 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.entry(key).or_default();
        note(seen);
        seen.arrived
    }
}

/// A request, before it has bytes.
struct Case {
    host: &'static str,
    pod: usize,
    http2: bool,
    fields: Vec<Field>,
}

impl Case {
    fn of(seed: u64, number: u64) -> Self {
        let mut random = Random::of(seed ^ 0x0e75, number);
        let random = &mut random;
        let host = HOSTS[random.below(HOSTS.len())];
        let (pod, http2) = (random.below(2), random.percent(60));
        let mut fields = Vec::new();
        match host {
            TENANT | CALLER => lines(random, &mut fields, ("x-tenant", TENANTS), http2),
            PAIR => {
                lines(random, &mut fields, ("x-tenant", PAIRED), http2);
                lines(random, &mut fields, ("x-team", PAIRED), http2);
            }
            _ => fields.push((b"x-tenant".to_vec(), endless(random, number))),
        }
        Self { host, pod, http2, fields }
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        let fields = self.fields.iter().cloned().chain([numbered(number)]);
        if self.http2 {
            let mut block = Vec::new();
            let pseudo = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", self.host),
                (":path", "/"),
            ];
            for (name, value) in pseudo {
                frames::literal(&mut block, name.as_bytes(), value.as_bytes());
            }
            for (name, value) in fields {
                frames::literal(&mut block, &name.to_ascii_lowercase(), &value);
            }
            return frames::headers(1, &block, true);
        }
        let mut bytes = format!("GET / HTTP/1.1\r\nHost: {}", self.host).into_bytes();
        for (name, value) in fields {
            bytes.extend([b"\r\n", &name[..], b": ", &value].concat());
        }
        bytes.extend(b"\r\n\r\n");
        bytes
    }
}

/// A header as somebody spells it who wants to be counted as another.
fn lines(
    random: &mut Random,
    fields: &mut Vec<Field>,
    (name, tenants): (&str, usize),
    http2: bool,
) {
    const AROUND: &[&[u8]] = &[b"", b"", b"", b" ", b"\t", b"  ", b"\xc2\xa0", b",", b"\xff"];
    // Some are known to all, so that they are used up soon; most are not.
    let tenant = match random.below(4) {
        0 => random.below(8),
        _ => random.below(tenants),
    };
    let value = match random.below(20) {
        0 => Vec::new(),
        1 => b"7|0".to_vec(),
        _ => tenant.to_string().into_bytes(),
    };
    let name = match random.below(12) {
        0 => name.to_uppercase(),
        1 => name.replace('-', "_"),
        _ => name.to_owned(),
    };
    let mut line = |random: &mut Random, value: &[u8]| {
        let (before, after) = (random.one(AROUND), random.one(AROUND));
        let is_plain = random.percent(70);
        let value = if is_plain { value.to_vec() } else { [before, value, after].concat() };
        fields.push((name.clone().into_bytes(), value));
    };
    match random.below(12) {
        0 => {}
        1 => {
            line(random, &value);
            line(random, b"0");
        }
        2 if http2 => {
            line(random, &value);
            line(random, &value);
        }
        _ => line(random, &value),
    }
}

/// A value that has hardly been before: long, or of any bytes.
fn endless(random: &mut Random, number: u64) -> Vec<u8> {
    let number = (number / 2).to_string().into_bytes();
    match random.below(8) {
        0 => [&vec![b'k'; random.below(4000)][..], &number].concat(),
        1 => [&b"\x80\xff"[..], &number].concat(),
        2 => ["\u{1f600}\u{202e}".as_bytes(), &number].concat(),
        3 => number.iter().flat_map(|digit| [*digit, b'%', b'0']).collect(),
        _ => number,
    }
}

/// What may be counted together on a host, by each reading of a request's headers.
fn keys(host: &'static str, fields: &[Field], pod: usize) -> Vec<Key> {
    if host == CALLER {
        return vec![(host, pod.to_string().into_bytes())];
    }
    let values = |name: &str| {
        let mut texts: Vec<String> =
            listed(fields, name).into_iter().map(|reading| reading.text).collect();
        if texts.is_empty() {
            texts.push(String::new());
        }
        texts
    };
    let tenants = values("x-tenant");
    if host != PAIR {
        return tenants.into_iter().map(|tenant| (host, tenant.into_bytes())).collect();
    }
    let teams = values("x-team");
    let pairs = tenants.iter().flat_map(|tenant| {
        teams.iter().map(move |team| (host, format!("{tenant}|{team}").into_bytes()))
    });
    pairs.collect()
}

/// What is counted together, where there is one way to read it: each header has one line at most,
/// under its own name.
fn key(host: &'static str, fields: &[Field], pod: usize) -> Option<Key> {
    let is_plain = |name: &str| match &header(fields, name)[..] {
        [] => true,
        [only] => only.reader == "by name" && !only.text.contains(','),
        _ => false,
    };
    let is_counted = host == CALLER || is_plain("x-tenant") && is_plain("x-team");
    is_counted.then(|| keys(host, fields, pod).pop())?
}

impl Attack for Keys {
    fn hosts(&self) -> &'static [&'static str] {
        &HOSTS
    }

    fn configuration(&self) -> Value {
        let limited = |name: &str, host: &str, limit: Value| {
            let traffic = json!({"rateLimit": {"local": [limit]}});
            json!({"name": name, "hosts": [host], "traffic": traffic})
        };
        let of_key = |key: &str| json!({"requests": LIMIT, "unit": "Hours", "key": key});
        let tenant = r#"default(request.headers["x-tenant"], "")"#;
        let team = r#"default(request.headers["x-team"], "")"#;
        json!({
            "audit": {"log": "None"},
            "policies": [
                limited("tenant", TENANT, of_key(tenant)),
                limited("pair", PAIR, of_key(&format!(r#"{tenant} + "|" + {team}"#))),
                limited("crowd", CROWD, of_key(tenant)),
                limited("caller", CALLER, json!({"requests": OF_CALLER, "unit": "Hours"})),
            ],
        })
    }

    fn request(&self, number: u64) -> Sent {
        let case = Case::of(self.seed, number);
        let pieces = vec![case.bytes(number)];
        Sent { host: case.host, pod: case.pod, http2: case.http2, pieces, withholds: false }
    }

    fn judge_arrived(&self, tally: &Tally, arrived: &Arrived, _: bool) {
        let Some(number) = arrived.number() else { return };
        let case = Case::of(self.seed, number);
        // What arrived is what counts, not what was sent.
        let Some(key) = key(case.host, &arrived.fields, case.pod) else { return };
        let most = self.most(case.host);
        let count = self.note(key.clone(), |seen| seen.arrived += 1);
        if count > most {
            let reads = format!("request {count} of `{}`, of {most}", escaped(&key.1));
            let sent = escaped(&case.bytes(number));
            let arrived = arrived.shown();
            let found = finding("more than the limit", case.host, reads, Some(number));
            tally.finds(Finding { sent, arrived, ..found });
        }
    }

    fn judge_answer(&self, _: &Tally, number: u64, answer: &Answered) {
        let case = Case::of(self.seed, number);
        let status = answer.status();
        if status == Some(429) {
            if let Some(key) = key(case.host, &case.fields, case.pod) {
                self.note(key, |seen| seen.refused += 1);
            }
        } else if status.is_none_or(|status| status < 400) {
            // What was not refused may have taken a token of any of its readings.
            for key in keys(case.host, &case.fields, case.pod) {
                self.note(key, |seen| seen.admitted += 1);
            }
        }
    }

    fn judge_end(&self, tally: &Tally) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |host: &str| seen.keys().filter(|(own, _)| *own == host).count() < ROOM;
        let roomy: Vec<&str> = HOSTS.into_iter().filter(|host| has_room(host)).collect();
        for ((host, key), seen) in seen.iter() {
            let full = if *host == CALLER { OF_CALLER } else { LIMIT };
            // Keys for which there is no room share a bucket.
            if *host != CROWD && roomy.contains(host) && seen.refused > 0 && seen.admitted < full {
                let reads = format!("`{}` refused after {} of {full}", escaped(key), seen.admitted);
                tally.finds(finding("refused before the limit", host, reads, None));
            }
        }
    }
}
