//! A message made for tests, with a table of attributes of its own.

use std::borrow::Cow;

use egress_reading::cookie;
use egress_reading::name::{same_to_some_origin, usual_spelling};
use egress_reading::path::without_query;

use crate::attributes::{
    Attribute, Attributes, Fault, Id, Kind, Lookup, Phase, Table, Unread, utf8,
};
use crate::data::Data;
use crate::time::Timestamp;
use crate::variables::Memo;

use super::json;

const fn row(name: &'static str, kind: Kind) -> Attribute {
    Attribute { name, kind, from: Phase::Request, lookup: Lookup::None }
}

const fn of_response(name: &'static str, kind: Kind) -> Attribute {
    Attribute { name, kind, from: Phase::Response, lookup: Lookup::None }
}

const fn looked_up(name: &'static str, lookup: Lookup) -> Attribute {
    Attribute { name, kind: Kind::Text, from: Phase::Request, lookup }
}

/// The attributes of the tests.
pub(crate) static TABLE: Table = Table::new(&[
    row("source.identity", Kind::Object),
    row("source.identity.trustDomain", Kind::Text),
    looked_up("source.identity.namespace", Lookup::Exact),
    row("source.identity.serviceAccount", Kind::Text),
    row("source.spiffeId", Kind::Text),
    row("source.address", Kind::Text),
    row("source.port", Kind::Int),
    row("request.method", Kind::Text),
    row("request.scheme", Kind::Text),
    row("request.host", Kind::Text),
    looked_up("request.path", Lookup::Prefix),
    row("request.pathAndQuery", Kind::Text),
    row("request.version", Kind::Text),
    row("request.headers", Kind::Headers),
    row("request.body", Kind::Bytes),
    row("request.id", Kind::Text),
    row("request.startTime", Kind::Time),
    row("destination.hostname", Kind::Text),
    row("destination.address", Kind::Text),
    row("destination.port", Kind::Int),
    of_response("response.code", Kind::Int),
    of_response("response.headers", Kind::Headers),
    of_response("response.body", Kind::Bytes),
    row("extauthz", Kind::Data),
]);

/// A header's name and value.
pub(crate) type Line<'a> = (&'a [u8], &'a [u8]);

/// What a message is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scene<'a> {
    /// The request's headers, pseudo-headers among them.
    pub(crate) lines: Vec<Line<'a>>,
    /// The caller's SPIFFE ID; anything else is none.
    pub(crate) caller: &'a [u8],
    /// Istio's name of the service that was dialled.
    pub(crate) service: &'a [u8],
    /// The source's address, and the destination's, each with its port.
    pub(crate) addresses: [&'a [u8]; 2],
    /// The version of HTTP.
    pub(crate) version: &'a [u8],
    /// When it came, in nanoseconds since 1970.
    pub(crate) time: Option<i64>,
    /// Which line of a header is looked at.
    pub(crate) chosen: Option<(&'a str, usize)>,
    /// What an earlier policy made of one of the request's headers.
    pub(crate) changed: Option<Line<'a>>,
    /// The response's headers.
    pub(crate) response: Vec<Line<'a>>,
    /// The request's body; none where it was not read.
    pub(crate) body: Option<&'a [u8]>,
    /// Whether it cannot be read, nor what was said.
    pub(crate) body_is_unreadable: bool,
    /// What an external authorization service has said, in JSON.
    pub(crate) extauthz: Option<&'a str>,
}

impl<'a> Scene<'a> {
    /// Shows it to an expression of a phase.
    pub(crate) fn view<T>(&self, phase: Phase, run: impl FnOnce(&View<'a>) -> T) -> T {
        run(&self.seen(phase, self.changed, Some(Memo::new())))
    }

    /// The same where no outcome of a variable is kept.
    pub(crate) fn view_without_memo<T>(&self, phase: Phase, run: impl FnOnce(&View<'a>) -> T) -> T {
        run(&self.seen(phase, self.changed, None))
    }

    fn seen(&self, phase: Phase, changed: Option<Line<'a>>, memo: Option<Memo>) -> View<'a> {
        let mut request = self.lines.clone();
        let came =
            changed.map(|_| Box::new(self.seen(phase, None, memo.as_ref().map(|_| Memo::new()))));
        if let Some((name, value)) = changed {
            request.retain(|(line, _)| *line != name);
            request.push((name, value));
        }
        let caller = std::str::from_utf8(self.caller).ok().filter(|id| id.starts_with("spiffe://"));
        let authority = value_of(&request, ":authority").and_then(|line| utf8(Some(line)).ok());
        View {
            scene: self.clone(),
            chosen: self.chosen.and_then(|(name, index)| {
                lines_of(&request, name).nth(index).map(|value| (name, value))
            }),
            host: authority.and_then(host),
            request,
            response: (phase == Phase::Response).then(|| self.response.clone()),
            caller,
            extauthz: self.extauthz.map(json::data),
            came,
            memo,
        }
    }
}

/// A message as an expression reads it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    scene: Scene<'a>,
    request: Vec<Line<'a>>,
    response: Option<Vec<Line<'a>>>,
    chosen: Option<(&'a str, &'a [u8])>,
    caller: Option<&'a str>,
    host: Option<String>,
    extauthz: Option<Data>,
    /// The same before an earlier policy changed it, if one did.
    came: Option<Box<View<'a>>>,
    memo: Option<Memo>,
}

fn lines_of<'l, 'a>(
    lines: &'l [Line<'a>],
    name: &'l str,
) -> impl Iterator<Item = &'a [u8]> + use<'l, 'a> {
    lines
        .iter()
        .filter(|(line, _)| same_to_some_origin(line, name.as_bytes()))
        .map(|(_, value)| *value)
}

fn value_of<'a>(lines: &[Line<'a>], name: &str) -> Option<&'a [u8]> {
    lines_of(lines, name).next()
}

/// A host in lower case, without a port and the dot behind it; what is none has a character that
/// none has.
fn host(authority: &str) -> Option<String> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty() && !host.contains('@')).then_some(host)
}

/// An address and its port.
fn address(text: &[u8]) -> Option<(&str, i64)> {
    let (address, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    Some((address.trim_matches(['[', ']']), port.parse().ok()?))
}

impl<'a> View<'a> {
    /// The trust domain, the namespace and the service account of the caller.
    fn workload(&self) -> Option<[&'a str; 3]> {
        let id = self.caller?.strip_prefix("spiffe://")?;
        match id.split('/').collect::<Vec<_>>().as_slice() {
            [domain, "ns", namespace, "sa", account] => Some([domain, namespace, account]),
            _ => None,
        }
    }

    fn name(id: Id) -> &'static str {
        TABLE.attribute(id).map_or("", |attribute| attribute.name)
    }

    fn headers(&self, of: Id) -> &[Line<'a>] {
        match View::name(of) {
            "request.headers" => &self.request,
            "response.headers" => self.response.as_deref().unwrap_or_default(),
            _ => &[],
        }
    }

    fn path(&self) -> Option<&'a [u8]> {
        value_of(&self.request, ":path")
    }
}

impl Attributes for View<'_> {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn text(&self, id: Id) -> Result<&str, Fault> {
        let workload = self.workload();
        let line = |name: &str| utf8(value_of(&self.request, name));
        let [source, destination] = self.scene.addresses;
        let found = match View::name(id) {
            "source.identity.trustDomain" => workload.map(|[domain, _, _]| domain),
            "source.identity.namespace" => workload.map(|[_, namespace, _]| namespace),
            "source.identity.serviceAccount" => workload.map(|[_, _, account]| account),
            "source.spiffeId" => self.caller,
            "source.address" => address(source).map(|(address, _)| address),
            "request.method" => return line(":method"),
            "request.scheme" => Some("http"),
            "request.host" => self.host.as_deref(),
            "request.path" => return utf8(self.path().map(without_query)),
            "request.pathAndQuery" => return utf8(self.path()),
            "request.version" => {
                return utf8(Some(self.scene.version).filter(|version| !version.is_empty()));
            }
            "request.id" => return line("x-request-id"),
            "destination.hostname" => {
                let name = std::str::from_utf8(self.scene.service).ok();
                name.and_then(|name| name.strip_prefix("inbound-vip|80|http|"))
            }
            "destination.address" => address(destination).map(|(address, _)| address),
            _ => None,
        };
        found.ok_or(Fault::Missing)
    }

    fn int(&self, id: Id) -> Option<i64> {
        let [source, destination] = self.scene.addresses;
        match View::name(id) {
            "source.port" => address(source).map(|(_, port)| port),
            "destination.port" => address(destination).map(|(_, port)| port),
            "response.code" => {
                let status = value_of(self.response.as_deref()?, ":status")?;
                std::str::from_utf8(status).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    fn time(&self, id: Id) -> Option<Timestamp> {
        let is_named = View::name(id) == "request.startTime";
        self.scene.time.filter(|_| is_named).map(Timestamp::of_nanos)
    }

    fn bytes(&self, id: Id) -> Result<&[u8], Unread> {
        let is_named = View::name(id) == "request.body";
        if is_named && self.scene.body_is_unreadable {
            return Err(Unread::Unreadable("it is compressed"));
        }
        self.scene.body.filter(|_| is_named).ok_or(Unread::Missing("it has not been read"))
    }

    fn data(&self, id: Id) -> Result<&Data, Unread> {
        let is_named = View::name(id) == "extauthz";
        if is_named && self.scene.body_is_unreadable {
            return Err(Unread::Unreadable("it is nested too deep"));
        }
        let found = self.extauthz.as_ref().filter(|_| is_named);
        found.ok_or(Unread::Missing("nobody has said it"))
    }

    fn is_there(&self, id: Id) -> bool {
        match View::name(id) {
            "source.identity" => self.workload().is_some(),
            "request.headers" => true,
            "response.headers" => self.response.is_some(),
            _ => false,
        }
    }

    fn header(&self, of: Id, name: &str) -> Option<&[u8]> {
        if name.starts_with(':') {
            return None;
        }
        let is_request = View::name(of) == "request.headers";
        let chosen = self.chosen.filter(|(chosen, _)| {
            is_request && same_to_some_origin(chosen.as_bytes(), name.as_bytes())
        });
        let lines = self.headers(of);
        chosen
            .map(|(_, value)| value)
            .or_else(|| value_of(lines, name))
            .or_else(|| value_of(lines, ":authority").filter(|_| name.eq_ignore_ascii_case("host")))
    }

    fn header_lines(&self, of: Id, name: &str) -> Vec<&[u8]> {
        lines_of(self.headers(of), name).collect()
    }

    fn header_names(&self, of: Id) -> Vec<Cow<'_, str>> {
        let mut names: Vec<Cow<'_, str>> = Vec::new();
        for (name, _) in self.headers(of) {
            let name = if *name == b":authority" { b"host" } else { *name };
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let usual = usual_spelling(name).map(Cow::Owned);
            for name in std::iter::once(Cow::Borrowed(name)).chain(usual) {
                if !name.starts_with(':') && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn header_count(&self, of: Id) -> usize {
        self.headers(of).len()
    }

    fn header_name_bytes(&self, of: Id) -> usize {
        self.headers(of).iter().map(|(name, _)| name.len().saturating_add(8)).sum()
    }

    fn cookie(&self, of: Id, name: &str) -> Result<String, cookie::Fault> {
        cookie::find(lines_of(self.headers(of), "cookie"), name, cookie::Dialect::default())
    }

    fn as_it_came(&self) -> &Self {
        self.came.as_deref().unwrap_or(self)
    }

    fn as_it_came_dyn(&self) -> &dyn Attributes {
        self.as_it_came()
    }

    fn memo(&self) -> Option<&Memo> {
        self.memo.as_ref()
    }
}
