//! A message as expressions read it, made of data.

use std::sync::Arc;

use super::json;
use crate::attributes::view::{ChosenLine, View};
use crate::cel::Phase;
use crate::cel::variables::Memo;
use crate::config::IdentityConfig;
use crate::identity::peer::Callers;
use crate::reading::cookie;
use crate::request::headers::Headers;
use crate::request::{Body, Facts, Given, address_and_port};

/// A header's name and value.
pub(crate) type Line<'a> = (&'a [u8], &'a [u8]);

/// What a message is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scene<'a> {
    /// The request's headers, pseudo-headers among them.
    pub(crate) lines: Vec<Line<'a>>,
    /// The caller's principal.
    pub(crate) caller: &'a [u8],
    /// Istio's name of the filter chain.
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
    /// Whether it cannot be read.
    pub(crate) body_is_unreadable: bool,
    /// What an external authorization service has said, in JSON.
    pub(crate) extauthz: Option<&'a str>,
}

impl Scene<'_> {
    /// Shows it to an expression of a phase.
    pub(crate) fn view<T>(&self, phase: Phase, run: impl FnOnce(&View<'_>) -> T) -> T {
        let [source, destination] = self.addresses;
        let (address, port) = address_and_port(source).unwrap_or_default();
        let port = i64::from(port).to_le_bytes();
        let time = self.time.map(i64::to_le_bytes);
        let source = Given {
            peer_principal: self.caller,
            time: time.as_ref().map_or(&[], |time| time),
            source_port: if address.is_empty() { &[] } else { &port },
            filter_chain_name: self.service,
            protocol: self.version,
            source_address: address.as_bytes(),
            destination_address: destination,
            ..Given::default()
        };
        let body = match self.body {
            _ if self.body_is_unreadable => Body::Unreadable("it is compressed"),
            Some(body) => Body::Read(body),
            None => Body::Missing("it has not been read"),
        };
        let facts = Facts::new(self.lines.iter().copied().collect(), &source).with_body(body);
        if let Some(said) = self.extauthz {
            facts.set_extauthz(Arc::new(json::data(said)));
        }
        let IdentityConfig { sources, trust_domains } = IdentityConfig::default();
        let callers = Callers::new(sources, trust_domains);
        let mut request = facts.headers.clone();
        if let Some((name, value)) = self.changed {
            request.remove(name, |line| line == name);
            request.add(name, value);
        }
        let response: Headers<'_> = self.response.iter().copied().collect();
        let (came, memo) = (View::new(&facts, &callers), Memo::new());
        let plain = came.with_request(&request);
        let of =
            |(name, index): &(&'_ str, usize)| plain.request_headers().values(name).nth(*index);
        let chosen: Vec<ChosenLine<'_>> = self
            .chosen
            .iter()
            .filter_map(|chosen| Some(ChosenLine { name: chosen.0.into(), value: of(chosen)? }))
            .collect();
        let view = plain.at(&chosen, cookie::Dialect::default(), None, &memo);
        run(&if phase == Phase::Response { view.with_response(&response) } else { view })
    }
}
