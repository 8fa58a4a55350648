//! A request as a case gives it, over what its file gives to all cases.

use std::ops::Range;

use egress_filter::request::host;
use egress_filter::trial::{Response, Trial};

use super::fields::{Fields, Object};
use super::model::Lines;
use crate::request::{self, Url};
use crate::yaml::{Node, Value};

/// The fields that say who asks for what, over which connection.
pub(crate) const FIELDS: [&str; 6] =
    ["caller", "destination", "sourceAddress", "destinationAddress", "request", "origin"];
/// The fields that `for` may vary.
pub(crate) const VARIED: [&str; 6] = ["caller", "destination", "request", "method", "host", "path"];
pub(crate) const REQUEST: [&str; 5] = ["method", "host", "path", "version", "headers"];
pub(crate) const ORIGIN: [&str; 2] = ["status", "headers"];
pub(crate) const VERSIONS: [&str; 4] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

/// A request, as far as it is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    /// As it is written.
    caller: Option<(String, Range<usize>)>,
    /// Inside, none: the waypoint has no name for it.
    destination: Option<Option<String>>,
    source_address: Option<String>,
    destination_address: Option<String>,
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
    version: Option<String>,
    headers: Vec<(String, Lines)>,
    status: Option<u16>,
    response_headers: Vec<(String, Lines)>,
    /// What is said of the request is no request, which has been told.
    broken: bool,
}

impl Draft {
    /// Reads the fields of a case, or of `defaults`.
    pub(crate) fn read(fields: &mut Fields<'_>, object: Object<'_>) -> Draft {
        let mut draft = Draft::default();
        for (name, what) in [("caller", "`caller`"), ("destination", "`destination`")] {
            if let Some(node) = object.get(name)
                && let Some(text) = fields.full_text(node, what)
            {
                draft.vary(fields, name, &text, &node.span);
            }
        }
        for (name, what, address) in [
            ("sourceAddress", "`sourceAddress`", &mut draft.source_address),
            ("destinationAddress", "`destinationAddress`", &mut draft.destination_address),
        ] {
            let Some(node) = object.get(name) else { continue };
            *address = fields.full_text(node, what);
            if let Some(Err(message)) =
                address.as_ref().map(|address| request::with_port(address, "80"))
            {
                fields.error(&node.span, message);
            }
        }
        if let Some(node) = object.get("request") {
            draft.read_request(fields, node);
        }
        if let Some(origin) =
            object.get("origin").and_then(|node| fields.object(node, "an origin", &ORIGIN))
        {
            draft.status = origin.get("status").and_then(|node| status(fields, node));
            draft.response_headers =
                origin.get("headers").map(|node| headers(fields, node)).unwrap_or_default();
        }
        draft
    }

    fn read_request(&mut self, fields: &mut Fields<'_>, node: &Node) {
        if let Some(text) = node.as_str() {
            self.read_url(fields, text, &node.span);
            return;
        }
        let Some(request) = fields.object(node, "a request", &REQUEST) else {
            self.broken = true;
            return;
        };
        for (name, what, part) in [
            ("method", "`method`", &mut self.method),
            ("host", "`host`", &mut self.host),
            ("path", "`path`", &mut self.path),
        ] {
            let Some(node) = request.get(name) else { continue };
            *part = fields.text(node, what);
            if let Some(text) = part {
                possible(fields, name, text, &node.span);
            }
        }
        if let Some(node) = request.get("version") {
            self.version = fields.word(node, "`version`", &VERSIONS).map(str::to_owned);
        }
        if let Some(node) = request.get("headers") {
            self.headers = headers(fields, node);
            for (name, _) in &self.headers {
                if name.eq_ignore_ascii_case("host") || name.starts_with(':') {
                    let message = format!(
                        "`{name}` is no header of a case: give `host`, `path` and `method`, and the service dialled as `destination`"
                    );
                    fields.error(&node.span, message);
                }
            }
        }
    }

    /// `http://host/path?query`, with the method before it where it is not GET.
    fn read_url(&mut self, fields: &mut Fields<'_>, text: &str, span: &Range<usize>) {
        let (method, url) = match text.split_once(' ') {
            Some((method, url)) => (Some(method), url.trim_start()),
            None => (None, text),
        };
        let Some(rest) = url.strip_prefix("http://") else {
            let message = match url.strip_prefix("https://") {
                Some(rest) => format!(
                    "`https://` passes the waypoint unseen: callers say `http://{rest}`, and the waypoint speaks TLS"
                ),
                None => format!(
                    "`{text}` is no request: write `http://host/path`, or `POST http://host/path`"
                ),
            };
            fields.error(span, message);
            self.broken = true;
            return;
        };
        let Url { authority, target } = match Url::of_rest(text, rest) {
            Ok(url) => url,
            Err(message) => {
                fields.error(span, message);
                self.broken = true;
                return;
            }
        };
        for (name, part) in
            [("method", method.unwrap_or("GET")), ("host", authority), ("path", &target)]
        {
            possible(fields, name, part, span);
        }
        self.method = method.map(str::to_owned).or(self.method.take());
        self.host = Some(authority.to_owned());
        self.path = Some(target);
    }

    /// Gives one of the fields that vary a value.
    pub(crate) fn vary(
        &mut self,
        fields: &mut Fields<'_>,
        name: &str,
        value: &str,
        span: &Range<usize>,
    ) {
        possible(fields, name, value, span);
        match name {
            "caller" => self.caller = Some((value.to_owned(), span.clone())),
            "destination" => self.destination = Some((value != "none").then(|| value.to_owned())),
            "request" => self.read_url(fields, value, span),
            "method" => self.method = Some(value.to_owned()),
            "host" => self.host = Some(value.to_owned()),
            "path" => self.path = Some(value.to_owned()),
            _ => {}
        }
    }

    /// The caller as it is written, where that is its namespace and service account.
    pub(crate) fn short_caller(&self) -> Option<String> {
        let (caller, _) = self.caller.as_ref()?;
        (caller != "none" && caller != "-" && !caller.starts_with("spiffe://"))
            .then(|| caller.clone())
    }

    /// What is said here, and where nothing is, what the defaults say.
    pub(crate) fn over(self, defaults: &Draft) -> Draft {
        Draft {
            caller: self.caller.or_else(|| defaults.caller.clone()),
            destination: self.destination.or_else(|| defaults.destination.clone()),
            source_address: self.source_address.or_else(|| defaults.source_address.clone()),
            destination_address: self
                .destination_address
                .or_else(|| defaults.destination_address.clone()),
            method: self.method.or_else(|| defaults.method.clone()),
            host: self.host.or_else(|| defaults.host.clone()),
            path: self.path.or_else(|| defaults.path.clone()),
            version: self.version.or_else(|| defaults.version.clone()),
            headers: merged(self.headers, &defaults.headers),
            status: self.status.or(defaults.status),
            response_headers: merged(self.response_headers, &defaults.response_headers),
            broken: self.broken || defaults.broken,
        }
    }

    /// The request and its caller, where all is said that must be.
    pub(crate) fn finish(
        self,
        fields: &mut Fields<'_>,
        case: &Range<usize>,
        trust_domain: &str,
    ) -> Option<(String, Trial)> {
        let caller = self
            .caller
            .as_ref()
            .map(|(caller, span)| (caller, request::principal(caller, trust_domain), span));
        let principal = match caller {
            Some((_, Some(principal), _)) => Some(principal),
            Some((caller, None, span)) => {
                fields.error(span, format!("`{caller}` is no caller: write `namespace/serviceAccount`, a SPIFFE ID, or `none`"));
                None
            }
            None => {
                fields.error(case, "who calls? Give a `caller`: `namespace/serviceAccount`, a SPIFFE ID, or `none`");
                None
            }
        };
        let Some(authority) = self.host else {
            if self.broken {
                return None;
            }
            fields.error(case, "what is called? Give a `request`: a URL, or `host` and `path`");
            return None;
        };
        let principal = principal?;
        let dialled = || {
            host::canonical(authority.as_bytes())
                .ok()
                .filter(|host| !host.is_empty())
                .map(std::borrow::Cow::into_owned)
        };
        let plain = Trial::default();
        let port = request::port(&authority).to_string();
        // What is no address has been told.
        let address = |given: Option<String>, usual: String, port: &str| {
            given.map_or(usual, |given| request::with_port(&given, port).unwrap_or(given))
        };
        let trial = Trial {
            local_principal: request::waypoint(trust_domain),
            service: self.destination.unwrap_or_else(dialled),
            method: self.method.unwrap_or(plain.method),
            path: self.path.unwrap_or(plain.path),
            protocol: self.version.unwrap_or(plain.protocol),
            headers: lines(self.headers),
            source_address: address(self.source_address, plain.source_address, "40000"),
            destination_address: address(
                self.destination_address,
                format!("240.240.0.1:{port}"),
                &port,
            ),
            response: Response {
                status: self.status.unwrap_or(plain.response.status),
                headers: lines(self.response_headers),
            },
            principal,
            authority,
            ..plain
        };
        let caller =
            if trial.principal.is_empty() { "none".to_owned() } else { trial.principal.clone() };
        Some((caller, trial))
    }
}

/// A status, as a number that one can have.
pub(crate) fn status(fields: &mut Fields<'_>, node: &Node) -> Option<u16> {
    let text = fields.text(node, "a status")?;
    let status = text.parse().ok().filter(|status| (100..600).contains(status));
    if status.is_none() {
        fields.error(&node.span, format!("`{text}` is no status: it is a number from 100 to 599"));
    }
    status
}

/// Tells of a part of the request that no request can have.
fn possible(fields: &mut Fields<'_>, name: &str, value: &str, span: &Range<usize>) {
    let found = match name {
        "method" => request::method(value),
        "host" => request::authority(value),
        "path" => request::path(value),
        _ => Ok(()),
    };
    if let Err(message) = found {
        fields.error(span, message);
    }
}

/// Headers: by name, each with one value, a list of them, or null for none; or a list of names and
/// values.
pub(crate) fn headers(fields: &mut Fields<'_>, node: &Node) -> Vec<(String, Lines)> {
    let texts = |fields: &mut Fields<'_>, node: &Node, name: &str| {
        let texts = fields.texts(node, &format!("the value of `{name}`")).unwrap_or_default();
        let mut lines = Lines::with_capacity(texts.len());
        for (text, span) in texts {
            match request::header_value(&text) {
                Ok(value) => lines.push(value.to_owned()),
                Err(message) => fields.error(&span, message),
            }
        }
        lines
    };
    // Pseudo-headers too, of those that are expected.
    let possible = |fields: &mut Fields<'_>, name: &str, span: &Range<usize>| {
        if let Err(message) = request::header_name(name.strip_prefix(':').unwrap_or(name)) {
            fields.error(span, message);
        }
    };
    if node.items().is_none() {
        let Some(object) = fields.any_object(node, "`headers`") else { return Vec::new() };
        return object
            .iter()
            .map(|(key, value)| {
                possible(fields, &key.name, &key.span);
                let is_none = matches!(value.value, Value::Null);
                (
                    key.name.clone(),
                    if is_none { Lines::new() } else { texts(fields, value, &key.name) },
                )
            })
            .collect();
    }
    let mut read = Vec::new();
    for item in node.items().unwrap_or_default() {
        match item.items() {
            Some([name, value]) => {
                let span = name.span.clone();
                let Some(name) = fields.full_text(name, "a header's name") else { continue };
                possible(fields, &name, &span);
                let value = texts(fields, value, &name);
                read.push((name, value));
            }
            _ => fields.error(&item.span, "headers in a list are pairs: `[name, value]`"),
        }
    }
    read
}

/// The lines of the first, and those of the second whose names are not among the first's.
fn merged(mut headers: Vec<(String, Lines)>, defaults: &[(String, Lines)]) -> Vec<(String, Lines)> {
    let own = headers.len();
    for (name, lines) in defaults {
        if !headers.iter().take(own).any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            headers.push((name.clone(), lines.clone()));
        }
    }
    headers
}

fn lines(headers: Vec<(String, Lines)>) -> Vec<(String, String)> {
    headers
        .into_iter()
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)))
        .collect()
}
