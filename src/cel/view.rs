//! A request as expressions see it.

use std::sync::OnceLock;

use crate::header_name::same_to_some_origin;
use crate::identity::Workload;
use crate::identity::peer::Peer;
use crate::request::headers::Headers;
use crate::request::{Facts, address_and_port, host};

/// Everything that an expression can look at.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts<'a>,
    /// The request's headers as they stand: earlier policies may have changed them.
    pub(crate) request: &'a Headers<'a>,
    /// The response's, where there is one.
    pub(crate) response: Option<&'a Headers<'a>>,
    pub(crate) peer: Peer<'a>,
    /// The host name of the service that the request came to.
    pub(crate) destination: Option<&'a str>,
    /// Which line of a header that came on several is looked at.
    pub(crate) lines: &'a [ChosenLine],
    host: OnceLock<Option<String>>,
}

/// One line of a header that came on several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenLine {
    pub(crate) name: String,
    pub(crate) index: usize,
}

impl<'a> View<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, request: &'a Headers<'a>, peer: Peer<'a>) -> Self {
        let destination = crate::request::destination::hostname(facts.service);
        View { facts, request, response: None, peer, destination, lines: &[], host: OnceLock::new() }
    }

    pub(crate) fn with_response(self, response: &'a Headers<'a>) -> Self {
        View { response: Some(response), ..self }
    }

    pub(crate) fn with_lines(self, lines: &'a [ChosenLine]) -> Self {
        View { lines, ..self }
    }

    pub(crate) fn workload(&self) -> Option<Workload<'a>> {
        self.peer.id.and_then(|id| id.workload())
    }

    pub(crate) fn source(&self) -> Option<(&'a str, u16)> {
        address_and_port(self.facts.source_address)
    }

    pub(crate) fn dialled(&self) -> Option<(&'a str, u16)> {
        address_and_port(self.facts.destination_address)
    }

    /// `request.host`, from the authority as it stands.
    pub(crate) fn host(&self) -> Option<&str> {
        let authority = || self.request.first(b":authority");
        self.host.get_or_init(|| host::canonical(authority()?).ok()).as_deref()
    }

    /// `response.code`.
    pub(crate) fn status(&self) -> Option<i64> {
        std::str::from_utf8(self.response?.first(b":status")?).ok()?.parse().ok()
    }

    pub(crate) fn request_headers(&self) -> HeadersView<'a> {
        HeadersView { headers: self.request, lines: self.lines }
    }

    pub(crate) fn response_headers(&self) -> Option<HeadersView<'a>> {
        self.response.map(|headers| HeadersView { headers, lines: &[] })
    }
}

/// A request's or response's headers as expressions see them: without pseudo-headers, `host` being the authority, and
/// `x_role` one more line of `x-role`, as it is to some origins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadersView<'a> {
    headers: &'a Headers<'a>,
    lines: &'a [ChosenLine],
}

impl<'a> HeadersView<'a> {
    /// The header's value: that of the chosen line, else of the first.
    pub(crate) fn value(&self, name: &str) -> Option<&'a [u8]> {
        if name.starts_with(':') {
            return None;
        }
        let chosen = |line: &&ChosenLine| same_to_some_origin(line.name.as_bytes(), name.as_bytes());
        let index = self.lines.iter().find(chosen).map_or(0, |line| line.index);
        let found = self.values(name).nth(index);
        found.or_else(|| self.headers.first(b":authority").filter(|_| name.eq_ignore_ascii_case("host")))
    }

    /// On how many lines the header came.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.values(name).count()
    }

    /// All its lines.
    pub(crate) fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.headers.lines().filter(move |(line, _)| same_to_some_origin(line, name.as_bytes())).map(|(_, value)| value)
    }

    /// The names, each once.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.headers.lines() {
            let name = if name == b":authority" { &b"host"[..] } else { name };
            if let Ok(name) = std::str::from_utf8(name)
                && !name.starts_with(':')
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }
}
