//! A request as a case gives it, on top of the defaults of its file.

use std::ops::Range;
use std::time::Duration;

use egress_filter::request::{host, jwt};

use super::{headers, time};
use crate::cases::expect::{Expect, Values};
use crate::cases::fields::{Fields, Object};
use crate::cases::model::{Caller, Certificate, Claims, Origin, Request, Step};
use crate::request::{self, Url};
use crate::yaml::{Node, Value};

/// The fields of a request and its connection.
pub(crate) const FIELDS: [&str; 8] = [
    "time",
    "caller",
    "jwt",
    "destination",
    "sourceAddress",
    "destinationAddress",
    "request",
    "origin",
];
/// The fields that `for` may vary.
pub(crate) const VARIED: [&str; 7] =
    ["time", "caller", "destination", "request", "method", "host", "path"];
pub(crate) const REQUEST: [&str; 6] = ["method", "host", "path", "version", "headers", "body"];
pub(crate) const ORIGIN: [&str; 3] = ["status", "headers", "body"];
pub(crate) const CERTIFICATE: [&str; 2] = ["uris", "dns"];
/// What an origin answers with, unless the file says it.
const BODY: &str = "Keep it logically awesome.";
pub(crate) const VERSIONS: [&str; 4] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

/// A request, as far as the file defines it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    time: Option<i64>,
    caller: Option<(Written, Range<usize>)>,
    /// Inside, `None`: there is no token.
    jwt: Option<Option<Claims>>,
    /// Inside, `None`: the waypoint has no name for it.
    destination: Option<Option<String>>,
    source_address: Option<String>,
    destination_address: Option<String>,
    method: Option<String>,
    /// Inside, `None`: the client sends no `Host`.
    host: Option<Option<String>>,
    path: Option<String>,
    version: Option<String>,
    headers: Vec<(String, Values)>,
    body: Option<String>,
    origin: DraftOrigin,
    /// The given request is not one, which has been reported.
    broken: bool,
}

/// An origin's response, as far as the file defines it.
#[derive(Debug, Clone, Default)]
struct DraftOrigin {
    status: Option<u16>,
    headers: Vec<(String, Values)>,
    body: Option<String>,
}

/// A caller, as it is written.
#[derive(Debug, Clone)]
enum Written {
    Text(String),
    Certificate(Certificate),
}

impl Draft {
    /// Reads the fields of a case, or of `defaults`.
    pub(crate) fn read(fields: &mut Fields<'_>, object: Object<'_>) -> Draft {
        let mut draft = Draft::default();
        for (name, what) in
            [("time", "`time`"), ("caller", "`caller`"), ("destination", "`destination`")]
        {
            let Some(node) = object.get(name) else { continue };
            if name == "caller" && node.fields().is_some() {
                let certificate = certificate(fields, node);
                draft.caller = Some((Written::Certificate(certificate), node.span.clone()));
            } else if let Some(text) = fields.full_text(node, what) {
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
        draft.jwt = object.get("jwt").map(|node| claims(fields, node));
        if let Some(node) = object.get("request") {
            draft.read_request(fields, node);
        }
        if let Some(node) = object.get("origin") {
            draft.origin = DraftOrigin::read(fields, node);
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
        for (name, what) in [("method", "`method`"), ("host", "`host`"), ("path", "`path`")] {
            let Some(node) = request.get(name) else { continue };
            if name == "host" && matches!(node.value, Value::Null) {
                self.host = Some(None);
            } else if let Some(text) = fields.text(node, what) {
                self.vary(fields, name, &text, &node.span);
            }
        }
        if let Some(node) = request.get("body") {
            self.body = fields.text(node, "`body`");
        }
        if let Some(node) = request.get("version") {
            self.version = fields.word(node, "`version`", &VERSIONS).map(str::to_owned);
        }
        if let Some(node) = request.get("headers") {
            self.headers = headers::read(fields, node);
            for (name, _) in &self.headers {
                if name.eq_ignore_ascii_case("host") || name.starts_with(':') {
                    let message = format!(
                        "`{name}` is no header of a case: give `host`, `path` and `method`, \
                         and the service dialled as `destination`"
                    );
                    fields.impossible(&node.span, message);
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
                    "`https://` passes the waypoint unseen: callers say `http://{rest}`, and the \
                     waypoint speaks TLS"
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
        self.host = Some(Some(authority.to_owned()));
        self.path = Some(target);
    }

    /// Sets one of the fields that may vary.
    pub(crate) fn vary(
        &mut self,
        fields: &mut Fields<'_>,
        name: &str,
        value: &str,
        span: &Range<usize>,
    ) {
        possible(fields, name, value, span);
        match name {
            "time" => self.time = time::time(fields, value, span),
            "caller" => self.caller = Some((Written::Text(value.to_owned()), span.clone())),
            "destination" => self.destination = Some((value != "none").then(|| value.to_owned())),
            "request" => self.read_url(fields, value, span),
            "method" => self.method = Some(value.to_owned()),
            "host" => self.host = Some(Some(value.to_owned())),
            "path" => self.path = Some(value.to_owned()),
            _ => {}
        }
    }

    /// The caller as written, where the file gives its namespace and service account.
    pub(crate) fn short_caller(&self) -> Option<String> {
        let (Written::Text(caller), _) = self.caller.as_ref()? else { return None };
        (caller != "none" && caller != "-" && !caller.starts_with("spiffe://"))
            .then(|| caller.clone())
    }

    /// This draft, completed by the defaults.
    pub(crate) fn over(self, defaults: &Draft) -> Draft {
        Draft {
            time: self.time.or(defaults.time),
            caller: self.caller.or_else(|| defaults.caller.clone()),
            jwt: self.jwt.or_else(|| defaults.jwt.clone()),
            destination: self.destination.or_else(|| defaults.destination.clone()),
            source_address: self.source_address.or_else(|| defaults.source_address.clone()),
            destination_address: self
                .destination_address
                .or_else(|| defaults.destination_address.clone()),
            method: self.method.or_else(|| defaults.method.clone()),
            host: self.host.or_else(|| defaults.host.clone()),
            path: self.path.or_else(|| defaults.path.clone()),
            version: self.version.or_else(|| defaults.version.clone()),
            headers: headers::merged(self.headers, &defaults.headers),
            body: self.body.or_else(|| defaults.body.clone()),
            origin: self.origin.over(&defaults.origin),
            broken: self.broken || defaults.broken,
        }
    }

    /// The step with its request and caller but without expectations, if nothing is missing.
    pub(crate) fn finish(
        self,
        fields: &mut Fields<'_>,
        case: &Range<usize>,
        trust_domain: Option<&str>,
    ) -> Option<Step> {
        let short_caller = self.short_caller().filter(|_| trust_domain.is_none());
        let trust_domain = trust_domain.unwrap_or("cluster.local");
        let caller = self.finished_caller(fields, case, trust_domain);
        let Some(host) = self.host else {
            if !self.broken {
                fields.error(case, "what is called? Give a `request`: a URL, or `host` and `path`");
            }
            return None;
        };
        let caller = caller?;
        let named = host.clone().unwrap_or_default();
        let dialled = || {
            host::canonical(named.as_bytes())
                .ok()
                .filter(|host| !host.is_empty())
                .map(std::borrow::Cow::into_owned)
        };
        let port = request::port(&named).to_string();
        // A text that is not an address has been reported.
        let address = |given: String, port: &str| request::with_port(&given, port).unwrap_or(given);
        let request = Request {
            method: self.method.unwrap_or_else(|| "GET".to_owned()),
            path: self.path.unwrap_or_else(|| "/".to_owned()),
            version: self.version.unwrap_or_else(|| "HTTP/1.1".to_owned()),
            headers: headers::lines(self.headers),
            body: self.body.unwrap_or_default(),
            host,
        };
        let line = (request.method.as_str(), request.path.as_str());
        if let Err(message) = request::arrives(line, &request.headers, &request.version) {
            fields.impossible(case, message);
        }
        Some(Step {
            normalize_path: true,
            after: Duration::ZERO,
            worker: 0,
            update: None,
            time: self.time,
            caller,
            jwt: self.jwt.flatten(),
            destination: self.destination.unwrap_or_else(dialled),
            source_address: self.source_address.map(|given| address(given, "40000")),
            destination_address: self.destination_address.map(|given| address(given, &port)),
            request,
            origin: self.origin.finish(),
            expect: Expect::default(),
            short_caller,
            trust_domain: trust_domain.to_owned(),
        })
    }

    fn finished_caller(
        &self,
        fields: &mut Fields<'_>,
        case: &Range<usize>,
        trust_domain: &str,
    ) -> Option<Caller> {
        const FORMS: &str = "`namespace/serviceAccount`, a SPIFFE ID, or `none`";
        match &self.caller {
            Some((Written::Certificate(certificate), _)) => {
                Some(Caller::Certified(certificate.clone()))
            }
            Some((Written::Text(caller), span)) => {
                let principal = request::principal(caller, trust_domain);
                if principal.is_none() {
                    fields.error(span, format!("`{caller}` is no caller: write {FORMS}"));
                }
                Some(of_principal(&principal?))
            }
            None => {
                fields.error(case, format!("who calls? Give a `caller`: {FORMS}"));
                None
            }
        }
    }
}

impl DraftOrigin {
    fn read(fields: &mut Fields<'_>, node: &Node) -> DraftOrigin {
        let Some(given) = fields.object(node, "an origin", &ORIGIN) else {
            return DraftOrigin::default();
        };
        DraftOrigin {
            status: given.get("status").and_then(|node| status(fields, node)),
            headers: given
                .get("headers")
                .map(|node| headers::read(fields, node))
                .unwrap_or_default(),
            body: given.get("body").and_then(|node| fields.text(node, "`body`")),
        }
    }

    fn over(self, defaults: &DraftOrigin) -> DraftOrigin {
        DraftOrigin {
            status: self.status.or(defaults.status),
            headers: headers::merged(self.headers, &defaults.headers),
            body: self.body.or_else(|| defaults.body.clone()),
        }
    }

    fn finish(self) -> Origin {
        Origin {
            status: self.status.unwrap_or(200),
            headers: headers::lines(self.headers),
            body: self.body.unwrap_or_else(|| BODY.to_owned()),
        }
    }
}

/// The caller with this principal.
fn of_principal(principal: &str) -> Caller {
    match principal {
        "" => Caller::Anonymous,
        "-" => Caller::Certified(Certificate::default()),
        // Several URI SANs are one text, with commas.
        uris => Caller::Certified(Certificate {
            uris: uris.split(',').map(str::to_owned).collect(),
            dns: Vec::new(),
        }),
    }
}

/// The claims of a token; none for `none`.
fn claims(fields: &mut Fields<'_>, node: &Node) -> Option<Claims> {
    if node.as_str() == Some("none") {
        return None;
    }
    fields.any_object(node, "the claims of a token, or `none`")?;
    let claims = serde_json::from_str(&node.to_json()).ok()?;
    if let Err(error) = jwt::metadata(&claims) {
        fields.error(&node.span, format!("Envoy cannot keep these claims: {error}"));
    }
    Some(claims)
}

/// The names in a certificate.
fn certificate(fields: &mut Fields<'_>, node: &Node) -> Certificate {
    let Some(given) = fields.object(node, "a certificate", &CERTIFICATE) else {
        return Certificate::default();
    };
    let mut names = |name: &str| {
        let texts = given.get(name).and_then(|node| fields.texts(node, "a name"));
        texts.unwrap_or_default().into_iter().map(|(name, _)| name).collect()
    };
    Certificate { uris: names("uris"), dns: names("dns") }
}

/// A status of HTTP.
pub(crate) fn status(fields: &mut Fields<'_>, node: &Node) -> Option<u16> {
    let text = fields.text(node, "a status")?;
    let status = text.parse().ok().filter(|status| (100..600).contains(status));
    if status.is_none() {
        fields.error(&node.span, format!("`{text}` is no status: it is a number from 100 to 599"));
    }
    status
}

/// Reports a part of the request that no request can have.
fn possible(fields: &mut Fields<'_>, name: &str, value: &str, span: &Range<usize>) {
    let found = match name {
        "method" => request::method(value),
        "host" => request::authority(value),
        "path" => request::path(value),
        _ => Ok(()),
    };
    if let Err(message) = found {
        fields.impossible(span, message);
    }
}
