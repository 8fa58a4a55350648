//! What a service is asked about a request.

use super::since_1970;
use crate::attributes::view::View;
use crate::call::Form;
use crate::cel::Expression;
use crate::cel::data::Data;
use crate::config::FailureMode;
use crate::credential::Secret;
use crate::ext_auth::grpc::{CheckRequest, HttpRequest, Peer};
use crate::policy::ext_auth::{ExtAuth, Grpc, Http, Protocol};
use crate::policy::header_rules::{HeaderValue, ILLEGAL, is_legal};
use crate::reading::name::same_to_some_origin;
use crate::request::Property;
use crate::request::headers::Headers;
use crate::stage::Turn;
use crate::stage::choose::original;

/// How many bytes of what is sent can be written for one step.
const BYTES_A_STEP: usize = 64;

/// A call that can be made.
pub(super) struct Prepared {
    /// What its answer is kept under, if it is kept.
    pub(super) key: Option<Secret>,
    pub(super) call: Form,
}

/// Prepares the call for a request. `errors` gets the expressions that fail; none if one of them
/// matters, which depends on the failure mode.
pub(super) fn prepare(
    turn: &Turn<'_, '_, '_>,
    form: &ExtAuth,
    errors: &mut Vec<String>,
) -> Option<Prepared> {
    let came = original(turn.engine, turn.facts, turn.admitted.as_ref());
    let changed;
    let view = match &turn.headers {
        Some(headers) => {
            changed = came.with_request(headers);
            &changed
        }
        None => &came,
    };
    let opens = form.failure_mode == FailureMode::FailOpen;
    let mut preparing =
        Preparing { turn, view, opens, forwards: form.forward_body.is_some(), errors };
    let key = match &form.cache {
        Some(cache) => {
            let key = preparing.key(&cache.key);
            preparing.piece("cache.key", key)?
        }
        None => None,
    };
    let host = &form.service.host;
    let call = match &form.protocol {
        Protocol::Http(http) => preparing.http(http, host)?,
        Protocol::Grpc(grpc) => preparing.grpc(grpc, host)?,
    };
    Some(Prepared { key, call })
}

struct Preparing<'p, 'v> {
    turn: &'p Turn<'p, 'p, 'p>,
    view: &'p View<'v>,
    opens: bool,
    /// Whether the service gets the request's body.
    forwards: bool,
    errors: &'p mut Vec<String>,
}

impl Preparing<'_, '_> {
    /// What of a call can be left out if the failure mode is FailOpen. The outer option is none if
    /// the request must not go on.
    #[expect(clippy::option_option, reason = "one says whether to go on, one whether it is there")]
    fn piece<T>(&mut self, of: &str, result: Result<T, String>) -> Option<Option<T>> {
        match result {
            Ok(value) => Some(Some(value)),
            Err(error) => {
                self.errors.push([of, ": ", &error].concat());
                self.opens.then_some(None)
            }
        }
    }

    /// The body that the service gets.
    fn body(&self) -> &[u8] {
        let body = self.turn.found.body.as_deref().filter(|_| self.forwards);
        let body = body.map(|found| &*found.came).unwrap_or_default();
        self.turn.meter.spend_on(body.len(), BYTES_A_STEP);
        body
    }

    /// What a call cannot be without.
    fn needed<T>(&mut self, of: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|error| self.errors.push([of, ": ", &error].concat())).ok()
    }

    fn text(&self, expression: &Expression) -> Result<Vec<u8>, String> {
        self.turn.meter.rule(|allowance| {
            let value = expression.header_value(self.view, allowance)?;
            allowance.spend_on(value.len(), BYTES_A_STEP);
            match allowance.breached() {
                Some(breach) => Err(breach.to_owned()),
                None => Ok(value),
            }
        })
    }

    fn data(&self, expression: &Expression) -> Result<Data, String> {
        self.turn.meter.rule(|allowance| expression.data(self.view, allowance))
    }

    /// The request's authority and the values of these expressions, each with its type and length,
    /// so that no two lists of values are one key. A service sees the port too.
    fn key(&self, expressions: &[Expression]) -> Result<Secret, String> {
        let mut key = Vec::new();
        let mut push = |kind: u8, bytes: &[u8]| {
            key.push(kind);
            key.extend_from_slice(&bytes.len().to_le_bytes());
            key.extend_from_slice(bytes);
        };
        let authority = self.turn.current().first(b":authority").unwrap_or_default();
        push(0, &authority.to_ascii_lowercase());
        for expression in expressions {
            match self.data(expression)? {
                Data::Text(text) => push(1, text.as_bytes()),
                Data::Bytes(bytes) => push(2, &bytes),
                Data::Bool(value) => push(3, &[u8::from(value)]),
                Data::Int(value) => push(4, &value.to_le_bytes()),
                Data::Uint(value) => push(5, &value.to_le_bytes()),
                _ => return Err("no scalar".to_owned()),
            }
        }
        Ok(Secret::new(key))
    }

    fn http(&mut self, http: &Http, host: &str) -> Option<Form> {
        let current = self.turn.current();
        let path = match &http.path {
            None => current.first(b":path").unwrap_or_default().to_vec(),
            Some(expression) => {
                let path = self.text(expression).and_then(|path| legal(":path", path));
                self.needed("path", path)?
            }
        };
        let body = match &http.body {
            None if self.forwards => self.body().to_vec(),
            None => Vec::new(),
            Some(expression) => {
                let body = self.text(expression);
                self.needed("body", body)?
            }
        };
        let line = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let method = current.first(b":method").unwrap_or_default();
        let mut headers = vec![
            line(":method", method),
            line(":path", &path),
            line(":authority", host.as_bytes()),
        ];
        let mut size = path.len();
        for name in &http.request_headers {
            for value in all_lines(current, name) {
                size = size.saturating_add(value.len());
                headers.push(line(name, value));
            }
        }
        self.turn.meter.spend_on(size, BYTES_A_STEP);
        if self.forwards {
            headers.push(line("x-envoy-auth-partial-body", b"false"));
        }
        for added in &http.added {
            headers.retain(|(name, _)| *name != added.name);
            let value = self.added(added);
            if let Some(value) = self.piece(&added.name, value)? {
                headers.push((added.name.clone(), value));
            }
        }
        Some(Form::Http { headers, body })
    }

    fn added(&self, added: &HeaderValue) -> Result<Vec<u8>, String> {
        match &added.constant {
            Some(value) => Ok(value.clone().into_bytes()),
            None => self.text(&added.value).and_then(|value| legal(&added.name, value)),
        }
    }

    fn grpc(&mut self, grpc: &Grpc, host: &str) -> Option<Form> {
        let mut metadata = Vec::with_capacity(grpc.metadata.len());
        for (name, expression) in &grpc.metadata {
            let value = self.data(expression);
            if let Some(Data::Map(entries)) = self.piece(name, value)? {
                metadata.push((name.clone(), entries));
            }
        }
        let body = self.body();
        let (view, headers) = (self.view, self.turn.current());
        let (dialled, port) = view.dialled().unwrap_or_default();
        let first = |name: &[u8]| headers.first(name).unwrap_or_default();
        let size = headers.lines().fold(0_usize, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len())
        });
        self.turn.meter.spend_on(size, BYTES_A_STEP);
        let request = CheckRequest {
            source: Peer {
                address: view.source_address().unwrap_or_default().as_bytes(),
                port: view.source_port().and_then(|port| port.try_into().ok()).unwrap_or(0),
                principal: view.caller().spiffe_id().unwrap_or_default().as_bytes(),
            },
            destination: Peer { address: dialled.as_bytes(), port, principal: b"" },
            time: since_1970(view),
            http: HttpRequest {
                id: first(b"x-request-id"),
                method: first(b":method"),
                headers,
                path: first(b":path"),
                host: first(b":authority"),
                scheme: view.scheme().as_bytes(),
                protocol: view.property(Property::Protocol).unwrap_or_default(),
                size: i64::try_from(body.len()).unwrap_or(i64::MAX),
                body,
            },
            context_extensions: &grpc.context_extensions,
            metadata: &metadata,
        };
        let message = request.encode().map_err(|error| error.to_string());
        let message = self.needed("requestMetadata", message)?;
        Some(Form::Grpc {
            authority: host.to_owned(),
            service: "envoy.service.auth.v3.Authorization",
            method: "Check",
            message,
        })
    }
}

/// The values of all lines that some origin takes for this header: a service that saw only one of
/// them would judge another request than the origin gets.
fn all_lines<'h>(headers: &'h Headers<'_>, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.may_have(name.as_bytes()).then(|| headers.lines());
    let is_it = move |(line, _): &(&[u8], &[u8])| same_to_some_origin(line, name.as_bytes());
    lines
        .into_iter()
        .flatten()
        .filter(is_it)
        .map(|(_, value)| value)
        .collect::<Vec<_>>()
        .into_iter()
}

fn legal(name: &str, value: Vec<u8>) -> Result<Vec<u8>, String> {
    if is_legal(name, &value) { Ok(value) } else { Err(ILLEGAL.to_owned()) }
}
