//! The request for a token (RFC 6749 section 4.4.2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::call::{Call, CallId, Form};
use crate::config::{ClientAuth, ClientCredentials};
use crate::credential::Secret;
use egress_reading::query::encoded;

/// A client of an authorization server, and the request that it sends.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) cluster: String,
    pub(crate) timeout: Duration,
    host: String,
    path: String,
    authorization: Option<Secret>,
    body: Secret,
}

impl Client {
    /// The client of a configuration, with its secret.
    pub(crate) fn new(config: &ClientCredentials, secret: &[u8]) -> Client {
        let mut body = b"grant_type=client_credentials".to_vec();
        let mut add = |name: &str, value: &[u8]| {
            body.push(b'&');
            body.extend_from_slice(name.as_bytes());
            body.push(b'=');
            body.extend(encoded(value));
        };
        if !config.scopes.is_empty() {
            add("scope", config.scopes.join(" ").as_bytes());
        }
        // RFC 6749 section 2.3.1: both are encoded before they are joined.
        let id = config.client_id.as_bytes();
        let authorization = match config.client_auth {
            ClientAuth::Basic => {
                let pair = [&encoded(id)[..], b":", &encoded(secret)].concat();
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair)).into_bytes()))
            }
            ClientAuth::Post => {
                add("client_id", id);
                add("client_secret", secret);
                None
            }
        };
        Client {
            cluster: config.service.cluster.clone(),
            timeout: config.timeout,
            host: config.service.host.clone(),
            path: config.path.clone(),
            authorization,
            body: Secret::new(body),
        }
    }

    pub(crate) fn call(&self) -> Call {
        let line = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        let mut headers = vec![
            line(":method", b"POST"),
            line(":path", self.path.as_bytes()),
            line(":authority", self.host.as_bytes()),
            line("content-type", b"application/x-www-form-urlencoded"),
            line("accept", b"application/json"),
        ];
        if let Some(authorization) = &self.authorization {
            headers.push(line("authorization", authorization.expose()));
        }
        Call {
            id: CallId(0),
            cluster: self.cluster.clone(),
            form: Form::Http { headers, body: self.body.expose().to_vec() },
            timeout: self.timeout,
        }
    }
}
