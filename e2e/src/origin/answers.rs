//! What the origin answers, as each of the real ones or as an echo.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Mode, Received, Script};

/// A sentence of the real api.github.com's `/zen`.
const ZEN: &str = "Half measures are as bad as nothing at all.";

/// An answer to one request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn text(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    fn json(status: u16, body: &Value) -> Self {
        let headers =
            vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self { status, headers, body: format!("{body:#}\n").into_bytes() }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The answer on the wire; to a HEAD request it goes without its body.
    pub(super) fn to_bytes(&self, head: bool) -> Vec<u8> {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason.unwrap_or("Unknown"));
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let bodiless = matches!(self.status, 204 | 304);
        if !bodiless {
            text.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if !head && !bodiless {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Answers a request in the given mode.
pub(super) fn answer(mode: Mode, request: &Received, script: &Script) -> Answer {
    match mode {
        Mode::Scripted => Answer {
            status: script.status,
            headers: script.headers.clone(),
            body: script.body.clone().into_bytes(),
        },
        Mode::Echo => echo(request),
        Mode::Mirror => Answer::text(200, &mirror(request)),
        Mode::Workshop => match request.sni.as_deref() {
            Some("api.github.com") => github(request),
            Some("httpbingo.org") => httpbingo(request),
            _ => Answer::json(404, &json!({ "message": "no such site" })),
        },
    }
}

fn path(request: &Received) -> &str {
    request.target.split('?').next().unwrap_or_default()
}

fn github(request: &Received) -> Answer {
    let path = path(request);
    if path == "/zen" {
        return Answer::text(200, ZEN).header("server", "github.com");
    }
    let answer = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "repos", owner, repository] if !owner.is_empty() && !repository.is_empty() => {
            Answer::json(
                200,
                &json!({
                    "name": repository,
                    "full_name": format!("{owner}/{repository}"),
                    "owner": { "login": owner },
                }),
            )
        }
        ["", "repos", ..] => Answer::json(200, &json!({ "path": path })),
        ["", "users", login] if !login.is_empty() => {
            Answer::json(200, &json!({ "login": login, "type": "User" }))
        }
        ["", "users", ..] => Answer::json(200, &json!({ "path": path })),
        _ => Answer::json(404, &json!({ "message": "Not Found", "status": "404" })),
    };
    answer.header("server", "github.com")
}

fn httpbingo(request: &Received) -> Answer {
    let path = path(request);
    let headers = canonical_headers(request);
    if path == "/headers" {
        return Answer::json(200, &json!({ "headers": headers }));
    }
    if path == "/bearer" {
        return Answer::text(if headers.contains_key("Authorization") { 200 } else { 401 }, "");
    }
    let url = format!("https://{}{}", request.host, request.target);
    let seen = json!({
        "args": arguments(&request.target),
        "headers": headers,
        "method": request.method,
        "url": url,
    });
    if path == "/get" && matches!(request.method.as_str(), "GET" | "HEAD")
        || is_under(path, "/anything")
    {
        return Answer::json(200, &seen);
    }
    Answer::json(404, &json!({ "status_code": 404, "error": "Not Found" }))
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn echo(request: &Received) -> Answer {
    let status = path(request).strip_prefix("/status/").and_then(|code| code.parse().ok());
    let status = status.filter(|code| (200..600).contains(code)).unwrap_or(200);
    let headers: Vec<Value> = request
        .headers
        .0
        .iter()
        .map(|(name, value)| json!([String::from_utf8_lossy(name), String::from_utf8_lossy(value)]))
        .collect();
    let seen = json!({
        "method": request.method,
        "target": request.target,
        "host": request.host,
        "sni": request.sni,
        "headers": headers,
        "body_length": request.body_length,
    });
    Answer::json(status, &seen)
        .header("x-origin-host", &request.sni.clone().unwrap_or_default())
        .header("x-origin-mode", "echo")
        .header("x-origin-repeat", "one")
        .header("x-origin-repeat", "two")
}

fn mirror(request: &Received) -> String {
    let mut text = format!("{} {} HTTP/1.1\n", request.method, request.target);
    for (name, value) in &request.headers.0 {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        text.push_str(&format!("{name}: {value}\n"));
    }
    if request.body_length > 0 {
        text.push_str(&format!("\n[a body of {} bytes]\n", request.body_length));
    }
    text
}

/// httpbingo's shape: each header's name in MIME capitals, with the list of its values.
fn canonical_headers(request: &Received) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &request.headers.0 {
        let value = String::from_utf8_lossy(value).into_owned();
        headers.entry(canonical(&String::from_utf8_lossy(name))).or_default().push(value);
    }
    headers
}

fn canonical(name: &str) -> String {
    let mut start = true;
    let mut canonical = String::with_capacity(name.len());
    for letter in name.chars() {
        canonical.push(if start {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        });
        start = letter == '-';
    }
    canonical
}

fn arguments(target: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut arguments: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        arguments.entry(name).or_default().push(value);
    }
    arguments
}
