//! The data of a decision: a request and its connection.

mod body;
pub mod destination;
pub mod headers;
pub mod host;
pub mod inline;
pub mod jwt;
mod property;
mod said;
mod shared;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cel::attributes::Unread;
use crate::cel::data::Data;
use crate::cel::variables::Memo;
use crate::identity::peer::{Caller, Callers, Presented};
use body::Bodies;
pub use body::Body;
use headers::Headers;
pub use property::{Given, Property, Source, Unavailable};
use said::Said;
pub use shared::SharedData;

/// The facts of one request: its headers as they came, and the source of its properties.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The request's headers.
    pub headers: Headers<'a>,
    source: &'a dyn Source,
    caller: OnceLock<Arc<Caller>>,
    /// The outcomes of variables for the request as it came, before any answer.
    memo: Memo,
    /// What external authorization services have said.
    said: Said,
    /// The claims of the caller's token, once something reads them.
    claims: OnceLock<Box<jwt::Claims>>,
    /// Where one was read, or cannot be: most requests have nothing here.
    bodies: Option<Box<Bodies<'a>>>,
}

impl<'a> Facts<'a> {
    /// The facts of a request with these headers.
    #[must_use]
    pub fn new(headers: Headers<'a>, source: &'a dyn Source) -> Self {
        let (caller, memo, said) = (OnceLock::new(), Memo::new(), Said::new());
        Facts { headers, source, caller, memo, said, claims: OnceLock::new(), bodies: None }
    }

    /// The facts of the same request, without its body.
    pub(crate) fn again(&self) -> Facts<'a> {
        Facts::new(self.headers.clone(), self.source)
    }

    /// The same with the request's body.
    #[must_use]
    pub fn with_body(self, body: Body<'a>) -> Self {
        let bodies = Some(Box::new(Bodies { request: body, ..self.bodies() }));
        Facts { bodies, memo: Memo::new(), ..self }
    }

    /// The same with the response's body.
    #[must_use]
    pub fn with_response_body(self, response_body: Body<'a>) -> Self {
        let bodies = Some(Box::new(Bodies { response: response_body, ..self.bodies() }));
        Facts { bodies, ..self }
    }

    pub(crate) fn body(&self) -> Body<'a> {
        self.bodies().request
    }

    pub(crate) fn response_body(&self) -> Body<'a> {
        self.bodies().response
    }

    fn bodies(&self) -> Bodies<'a> {
        self.bodies.as_deref().copied().unwrap_or(Bodies::UNASKED)
    }

    /// Sets `extauthz`: what external authorization services have said about the request, which is
    /// a map. Expressions that are evaluated from now on read it, in the place of what was set
    /// before.
    pub fn set_extauthz(&self, data: Arc<Data>) {
        self.said.add(Some(data), None);
    }

    /// Sets what external authorization services have made of the request's headers. Expressions
    /// that are evaluated from now on take these for the request as it came: what a service has set
    /// or removed is never what the caller says it is.
    pub(crate) fn set_provided(&self, headers: Arc<Headers<'static>>) {
        self.said.add(None, Some(headers));
    }

    /// The request's headers as they came, with what services have made of them.
    pub(crate) fn provided(&self) -> &Headers<'a> {
        self.said.last().and_then(|answer| answer.headers.as_deref()).unwrap_or(&self.headers)
    }

    /// What external authorization services have said; none if none has.
    #[must_use]
    pub fn extauthz(&self) -> Option<Arc<Data>> {
        self.said.last()?.data.clone()
    }

    /// The same, by reference.
    pub(crate) fn said(&self) -> Option<&Data> {
        self.said.last()?.data.as_deref()
    }

    /// The claims of the caller's token, which are a map.
    ///
    /// # Errors
    /// If it has none that was verified, or they cannot be read.
    pub(crate) fn jwt(&self) -> Result<&Data, Unread> {
        let read = || {
            let path = self.headers.first(b":path").unwrap_or_default();
            Box::new(jwt::claims(self.property(Property::Metadata), path))
        };
        self.claims.get_or_init(read).as_ref().as_ref().map_err(|unread| *unread)
    }

    /// Where the outcomes of variables for the request as it came are kept: since the last answer,
    /// as they may have read what was said.
    pub(crate) fn memo(&self) -> &Memo {
        self.said.last().map_or(&self.memo, |answer| &answer.memo)
    }

    /// A property, empty where there is none.
    pub(crate) fn property(&self, property: Property) -> &'a [u8] {
        self.source.property(property)
    }

    pub(crate) fn failed(&self) -> bool {
        self.source.failed()
    }

    /// What the proxy knows of the request, and what its workers share.
    pub(crate) fn source(&self) -> &'a dyn Source {
        self.source
    }

    /// The time, as [`Source::now`] has it.
    pub(crate) fn now(&self) -> Duration {
        self.source.now()
    }

    /// Who the caller is.
    pub(crate) fn caller(&self, callers: &Callers) -> &Caller {
        self.caller.get_or_init(|| callers.of(self))
    }

    /// The host name of the destination that was dialled.
    pub(crate) fn destination(&self) -> Option<&'a str> {
        let of = |property| destination::hostname(self.property(property));
        of(Property::FilterChainName).or_else(|| of(Property::ClusterName))
    }

    /// Whether a quick look shows that this is it, as it is of most requests: the host, which is
    /// canonical, that the request is for.
    pub(crate) fn is_named(&self, host: &str) -> bool {
        destination::is_named(self.property(Property::FilterChainName), host)
    }

    /// Whether a request for this host, which is canonical, has come to a destination that does not
    /// serve it.
    pub(crate) fn is_astray(&self, host: &str) -> bool {
        !self.is_named(host)
            && self.destination().is_some_and(|served| !destination::serves(served, host))
    }

    /// The port of that destination.
    pub(crate) fn destination_port(&self) -> Option<u16> {
        let of = |property| destination::port(self.property(property));
        of(Property::FilterChainName).or_else(|| of(Property::ClusterName))
    }
}

impl Presented for Facts<'_> {
    fn peer_principal(&self) -> &[u8] {
        self.property(Property::PeerPrincipal)
    }

    fn peer_certificate(&self) -> &[u8] {
        self.property(Property::PeerCertificate)
    }

    fn forwarded_client_cert(&self) -> &[u8] {
        self.headers.values(b"x-forwarded-client-cert").last().unwrap_or_default()
    }

    fn local_principal(&self) -> &[u8] {
        self.property(Property::LocalPrincipal)
    }

    fn local_certificate(&self) -> &[u8] {
        self.property(Property::LocalCertificate)
    }
}

/// Splits an address as Envoy writes it (`10.0.0.1:80`, `[::1]:80`) into IP address and port.
pub(crate) fn address_and_port(text: &[u8]) -> Option<(&str, u16)> {
    let (address, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let address =
        address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    Some((address, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_address_loses_its_port_and_brackets() {
        assert_eq!(address_and_port(b"10.0.0.1:80"), Some(("10.0.0.1", 80)));
        assert_eq!(address_and_port(b"[::1]:65535"), Some(("::1", 65535)));
        for text in [&b""[..], b"10.0.0.1", b"10.0.0.1:65536", b"internal", b"\xff:1"] {
            assert_eq!(address_and_port(text), None, "{text:?}");
        }
    }
}
