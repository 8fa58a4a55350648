//! A request as expressions see it.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use egress_reading::name::{same_to_some_origin, usual_spelling};
use egress_reading::{cookie, path};

use crate::attributes::{self, PATH};
use crate::cel::attributes::{Attributes, Fault, Id, Table, Unread, utf8};
use crate::cel::data::Data;
use crate::cel::guard::{Guard, Wanted};
use crate::cel::time::Timestamp;
use crate::cel::variables::Memo;
use crate::config::Action;
use crate::identity::peer::{Caller, Callers};
use crate::request::headers::Headers;
use crate::request::{Body, Facts, Property, address_and_port, host};

/// Everything that an expression can look at.
#[derive(Debug)]
pub(crate) struct View<'a> {
    facts: &'a Facts<'a>,
    callers: &'a Callers,
    /// The request's headers as they stand: earlier policies may have changed them.
    request: &'a Headers<'a>,
    /// The response's, where there is one.
    response: Option<&'a Headers<'a>>,
    response_body: Body<'a>,
    /// The one line that each of these repeated headers has in this reading.
    lines: &'a [ChosenLine<'a>],
    /// How cookies are read.
    cookies: cookie::Dialect,
    /// Whether the path has percent escapes: only such a path can have two readings.
    path_has_escapes: bool,
    /// The path without its query, where it is known already and has one reading.
    path: Option<&'a str>,
    /// The path and query with unneeded escapes decoded, if this is the view of that reading.
    plain_path: Option<&'a str>,
    /// That reading of the path, decoded once for all rules.
    other_path: OnceLock<Option<Arc<str>>>,
    /// `request.host`, where it is known already.
    host: Option<&'a str>,
    parsed_host: OnceLock<Option<String>>,
    /// The outcomes of variables in this reading.
    memo: &'a Memo,
    /// The request as it came, if this is one whose headers were changed.
    came: Option<&'a View<'a>>,
}

/// One line of a header that came on several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenLine<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: &'a [u8],
}

/// How long a line may be that is looked through for commas without steps.
const GLANCED: usize = 256;

impl<'a> View<'a> {
    /// A request as it came, with what services have made of its headers.
    pub(crate) fn new(facts: &'a Facts<'a>, callers: &'a Callers) -> Self {
        let (request, cookies) = (facts.provided(), cookie::Dialect::default());
        View {
            facts,
            callers,
            request,
            response: None,
            response_body: facts.response_body(),
            lines: &[],
            cookies,
            path_has_escapes: false,
            path: None,
            plain_path: None,
            other_path: OnceLock::new(),
            host: None,
            parsed_host: OnceLock::new(),
            memo: facts.memo(),
            came: None,
        }
    }

    /// The same view, of a request whose host is known and of whose path it is known whether it has
    /// escapes.
    pub(crate) fn with_host(self, host: &'a str, path_has_escapes: bool) -> Self {
        View { host: Some(host), path_has_escapes, ..self }
    }

    /// The same view, where the path without its query is known of the request as it came, and has
    /// one reading.
    pub(crate) fn with_path(self, path: Option<&'a str>) -> Self {
        // Services may have made another path of it.
        let is_as_it_came = std::ptr::eq(self.request, &self.facts.headers);
        View { path: path.filter(|_| is_as_it_came), ..self }
    }

    /// `request.path`.
    #[inline]
    pub(crate) fn path(&self) -> Result<&'a str, Fault> {
        match self.path {
            Some(path) => Ok(path),
            None => utf8(self.path_and_query().map(path::without_query)),
        }
    }

    /// The other reading of the path, where there is one.
    pub(crate) fn other_path(&self) -> Option<&Arc<str>> {
        if !self.path_has_escapes {
            return None;
        }
        let plain = || path::plain(self.line(b":path")?).map(Arc::from);
        self.other_path.get_or_init(plain).as_ref()
    }

    /// The path with its query, in this view's reading.
    pub(crate) fn path_and_query(&self) -> Option<&'a [u8]> {
        self.plain_path.map(str::as_bytes).or_else(|| self.line(b":path"))
    }

    /// The same with the request's headers as they stand now.
    pub(crate) fn with_request<'b>(&'b self, request: &'b Headers<'b>) -> View<'b>
    where
        'a: 'b,
    {
        let View {
            facts,
            callers,
            response,
            lines,
            cookies,
            path_has_escapes,
            memo,
            response_body,
            ..
        } = *self;
        View {
            facts,
            callers,
            request,
            response,
            response_body,
            lines,
            cookies,
            path_has_escapes,
            path: None,
            plain_path: None,
            other_path: OnceLock::new(),
            host: None,
            parsed_host: OnceLock::new(),
            memo,
            came: Some(self),
        }
    }

    pub(crate) fn with_response(self, response: &'a Headers<'a>) -> Self {
        View { response: Some(response), ..self }
    }

    /// The same with this body of the response.
    pub(crate) fn with_response_body(self, response_body: Body<'a>) -> Self {
        View { response_body, ..self }
    }

    /// Another reading of the same request: with these lines of its repeated headers, and with its
    /// cookies and path read in these ways.
    pub(crate) fn at<'b>(
        &'b self,
        lines: &'b [ChosenLine<'b>],
        cookies: cookie::Dialect,
        plain_path: Option<&'b str>,
        memo: &'b Memo,
    ) -> View<'b>
    where
        'a: 'b,
    {
        let View {
            facts,
            callers,
            request,
            response,
            host,
            path_has_escapes,
            came,
            response_body,
            ..
        } = *self;
        let (other_path, parsed_host) = (OnceLock::new(), OnceLock::new());
        View {
            facts,
            callers,
            request,
            response,
            response_body,
            lines,
            cookies,
            path_has_escapes,
            path: self.path.filter(|_| plain_path.is_none()),
            plain_path,
            other_path,
            host,
            parsed_host,
            memo,
            came,
        }
    }

    pub(crate) fn caller(&self) -> &'a Caller {
        self.facts.caller(self.callers)
    }

    /// The host name of the service that the request came to.
    pub(crate) fn destination(&self) -> Option<&'a str> {
        self.facts.destination()
    }

    /// A property of the proxy, where it has a value.
    pub(crate) fn property(&self, property: Property) -> Option<&'a [u8]> {
        Some(self.facts.property(property)).filter(|value| !value.is_empty())
    }

    /// The peer's own address.
    pub(crate) fn source_address(&self) -> Option<&'a str> {
        std::str::from_utf8(self.property(Property::SourceAddress)?).ok()
    }

    pub(crate) fn source_port(&self) -> Option<i64> {
        let port = self.property(Property::SourcePort)?;
        port.try_into().ok().map(i64::from_le_bytes).filter(|port| u16::try_from(*port).is_ok())
    }

    /// When the request came.
    pub(crate) fn start_time(&self) -> Option<Timestamp> {
        let nanos = self.property(Property::Time)?.try_into().ok().map(i64::from_le_bytes)?;
        Some(Timestamp::of_nanos(nanos))
    }

    /// The scheme that the caller really used: whether this connection has TLS, which no header
    /// says.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.property(Property::TlsVersion).is_none() { "http" } else { "https" }
    }

    pub(crate) fn dialled(&self) -> Option<(&'a str, u16)> {
        address_and_port(self.facts.property(Property::DestinationAddress))
    }

    /// A line of the request's headers by its name, pseudo-headers too.
    pub(crate) fn line(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.request.first(name)
    }

    /// `request.host`, from the authority as it stands.
    pub(crate) fn host(&self) -> Option<&str> {
        let parse = || Some(host::canonical(self.line(b":authority")?).ok()?.into_owned());
        self.host.or_else(|| self.parsed_host.get_or_init(parse).as_deref())
    }

    /// `response.code`.
    pub(crate) fn status(&self) -> Option<i64> {
        std::str::from_utf8(self.response?.first(b":status")?).ok()?.parse().ok()
    }

    /// What external authorization services have said. It is a map.
    pub(crate) fn extauthz(&self) -> Result<&'a Data, Unread> {
        let said = self.facts.said().filter(|data| matches!(data, Data::Map(_)));
        said.ok_or(Unread::Missing("no service has answered"))
    }

    /// The claims of the caller's token. They are a map.
    pub(crate) fn jwt(&self) -> Result<&'a Data, Unread> {
        self.facts.jwt()
    }

    /// `request.body`.
    pub(crate) fn body(&self) -> Body<'a> {
        self.facts.body()
    }

    /// `response.body`.
    pub(crate) fn response_body(&self) -> Body<'a> {
        self.response_body
    }

    /// Whether one of these guards settles the result of its rule, whatever else the request
    /// contains.
    pub(crate) fn settles(&self, guards: &[Guard]) -> bool {
        guards.iter().any(|guard| {
            let fits = |value: &str| {
                guard.values.iter().any(|wanted| match wanted {
                    Wanted::Exactly(text) => **text == *value,
                    Wanted::Prefix(text) => value.starts_with(&**text),
                })
            };
            // In every reading of the path.
            let other = if guard.attribute == PATH { self.other_path() } else { None };
            let other_fits =
                other.is_some_and(|other| fits(other.split('?').next().unwrap_or_default()));
            self.text(guard.attribute).is_ok_and(|value| !fits(value)) && !other_fits
        })
    }

    /// Whether a header of the request is seen, for no steps, to have come on one line at most,
    /// which Envoy has not joined from others that a Deny is to look at.
    pub(crate) fn has_one_line(&self, name: &str, action: Action) -> bool {
        let is_whole = |line: &[u8]| line.len() <= GLANCED && !line.contains(&b',');
        !self.request.may_repeat(name.as_bytes())
            && (action != Action::Deny || self.request.alike(name.as_bytes()).all(is_whole))
    }

    pub(crate) fn request_headers(&self) -> HeadersView<'a> {
        HeadersView { headers: self.request, lines: self.lines, cookies: self.cookies }
    }

    pub(crate) fn response_headers(&self) -> Option<HeadersView<'a>> {
        self.response.map(|headers| HeadersView {
            headers,
            lines: &[],
            cookies: cookie::Dialect::default(),
        })
    }
}

impl Attributes for View<'_> {
    fn table(&self) -> &'static Table {
        &attributes::TABLE
    }

    #[inline]
    fn text(&self, id: Id) -> Result<&str, Fault> {
        attributes::text(id, self)
    }

    fn int(&self, id: Id) -> Option<i64> {
        attributes::int(id, self)
    }

    fn time(&self, id: Id) -> Option<Timestamp> {
        attributes::time(id, self)
    }

    fn bytes(&self, id: Id) -> Result<&[u8], Unread> {
        attributes::bytes(id, self)
    }

    fn data(&self, id: Id) -> Result<&Data, Unread> {
        attributes::data(id, self)
    }

    fn is_there(&self, id: Id) -> bool {
        attributes::is_there(id, self)
    }

    fn header(&self, of: Id, name: &str) -> Option<&[u8]> {
        attributes::headers(of, self)?.value(name)
    }

    fn header_lines(&self, of: Id, name: &str) -> Vec<&[u8]> {
        attributes::headers(of, self).into_iter().flat_map(|headers| headers.values(name)).collect()
    }

    fn header_names(&self, of: Id) -> Vec<Cow<'_, str>> {
        attributes::headers(of, self).map_or_else(Vec::new, |headers| headers.names())
    }

    fn header_count(&self, of: Id) -> usize {
        attributes::headers(of, self).map_or(0, |headers| headers.headers.len())
    }

    fn header_name_bytes(&self, of: Id) -> usize {
        attributes::headers(of, self).map_or(0, |headers| headers.name_bytes())
    }

    fn cookie(&self, of: Id, name: &str) -> Result<String, cookie::Fault> {
        attributes::headers(of, self).ok_or(cookie::Fault::Missing)?.cookie(name)
    }

    fn as_it_came(&self) -> &Self {
        self.came.unwrap_or(self)
    }

    fn as_it_came_dyn(&self) -> &dyn Attributes {
        self.as_it_came()
    }

    fn memo(&self) -> Option<&Memo> {
        Some(self.memo)
    }
}

/// A request's or response's headers as expressions see them: there are no pseudo-headers, `host`
/// is the authority, and `x_role` is one more line of `x-role`, as it is to some origins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadersView<'a> {
    headers: &'a Headers<'a>,
    lines: &'a [ChosenLine<'a>],
    cookies: cookie::Dialect,
}

impl<'a> HeadersView<'a> {
    /// The size of all names in bytes, with 8 more for each line: what listing them costs.
    fn name_bytes(&self) -> usize {
        self.headers
            .lines()
            .fold(0_usize, |sum, (name, _)| sum.saturating_add(name.len()).saturating_add(8))
    }

    /// How many bytes are compared when each line's name is compared with all the others.
    pub(crate) fn comparing_all_names(&self) -> usize {
        self.name_bytes().saturating_mul(self.headers.len())
    }

    /// The header's value: that of the chosen line, else of the first.
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        if name.starts_with(':') {
            return None;
        }
        if let Some(chosen) = self
            .lines
            .iter()
            .find(|line| same_to_some_origin(line.name.as_bytes(), name.as_bytes()))
        {
            return Some(chosen.value);
        }
        self.values(name).next().or_else(|| {
            self.headers.first(b":authority").filter(|_| name.eq_ignore_ascii_case("host"))
        })
    }

    /// The values of all of a header's lines, whichever of them this reading has.
    pub(crate) fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers.alike(name.as_bytes())
    }

    /// The value of a cookie.
    fn cookie(&self, name: &str) -> Result<String, cookie::Fault> {
        cookie::find(self.values("cookie"), name, self.cookies)
    }

    /// Each name once: as it came, and also in its usual spelling if it came in another.
    pub(crate) fn names(&self) -> Vec<Cow<'a, str>> {
        let mut names: Vec<Cow<'a, str>> = Vec::new();
        let mut note = |name: Cow<'a, str>| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        for (name, _) in self.headers.lines() {
            let name = if name == b":authority" { &b"host"[..] } else { name };
            let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.starts_with(':'))
            else {
                continue;
            };
            note(Cow::Borrowed(name));
            if let Some(usual) = usual_spelling(name) {
                note(Cow::Owned(usual));
            }
        }
        names
    }
}
