//! A policy's `backend`: the credentials that its hosts get from the waypoint.

use std::time::Duration;

use super::callouts::read_timeout;
use super::decode::{Errors, Node};
use super::read::read_header_name;
use super::service::{self, ServiceConfig, text_of};
use super::shape::{self, Text};
use egress_reading::header_name::Direction;

/// The most entries of `credentials`.
pub const MAX_CREDENTIALS: usize = 8;
/// The longest prefix of a credential in a header, in characters.
pub const MAX_PREFIX: usize = 256;
/// The most scopes that a token may be asked for with.
pub const MAX_SCOPES: usize = 64;
/// The longest client ID, in characters.
pub const MAX_CLIENT_ID: usize = 1_024;
/// The longest time that a token endpoint's answer is waited for.
pub const MAX_TOKEN_TIMEOUT: Duration = Duration::from_secs(300);
/// How long it is waited for where the configuration does not say.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential: what it is, and where the origin looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialConfig {
    /// The JSON path, for messages.
    pub place: String,
    /// What it is.
    pub value: CredentialValue,
    /// Where it goes.
    pub location: Location,
}

/// What a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialValue {
    /// `env`: the value of an environment variable.
    Environment(Variable),
    /// `basic`: a user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The variable of the password.
        password: Variable,
    },
    /// `extAuth.credentialHeaders`: what an authorization service answers about the request.
    Answered,
    /// `oauthClientCredentials`: a token of an authorization server.
    ClientCredentials(Box<ClientCredentials>),
}

/// The name of an environment variable, and its place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The JSON path, for messages.
    pub place: String,
    /// The name.
    pub name: String,
}

/// `location`: where the origin looks for a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a header.
    Header {
        /// The name, lower-case.
        name: String,
        /// What stands before the value.
        prefix: String,
        /// Whether the configuration leaves the location out.
        is_default: bool,
    },
    /// In a parameter of the query of this name.
    QueryParameter(String),
    /// In a cookie of this name.
    Cookie(String),
}

/// `oauthClientCredentials`: where tokens come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// The authorization server.
    pub service: ServiceConfig,
    /// The path of the token endpoint.
    pub path: String,
    /// The client's ID.
    pub client_id: String,
    /// The variable of the client's secret.
    pub client_secret: Variable,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// How the client proves who it is.
    pub client_auth: ClientAuth,
    /// How long an answer is waited for; never zero.
    pub timeout: Duration,
}

/// `clientAuth`: how a client proves who it is (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// Reads `backend`: `auth` first, then `credentials`.
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> Vec<CredentialConfig> {
    let Some(backend) = node.object(shape::BACKEND, errors) else {
        return Vec::new();
    };
    backend.check(shape::BACKEND_IS, errors);
    let auth = backend.get("auth").and_then(|node| read_auth(&node, errors));
    let listed = backend.get("credentials").map(|node| node.list(shape::CREDENTIALS, errors));
    let listed = listed.unwrap_or_default();
    auth.into_iter().chain(listed.iter().filter_map(|node| read_listed(node, errors))).collect()
}

fn read_auth(node: &Node<'_>, errors: &mut Errors) -> Option<CredentialConfig> {
    let auth = node.object(shape::AUTH, errors)?;
    auth.check(shape::AUTH_IS, errors);
    let location = auth.get("location");
    let environment = auth
        .get("env")
        .and_then(|node| read_variable(&node, errors))
        .map(CredentialValue::Environment);
    let basic = auth.get("basic").and_then(|node| read_basic(&node, errors));
    let fetched = auth.get("oauthClientCredentials").and_then(|node| read_client(&node, errors));
    let is_basic = auth.get("basic").is_some();
    let location = match location {
        Some(node) => read_location(&node, is_basic, errors)?,
        None => Location::Header {
            name: "authorization".to_owned(),
            prefix: if is_basic { "Basic ".to_owned() } else { "Bearer ".to_owned() },
            is_default: true,
        },
    };
    let value = environment.or(basic).or(fetched)?;
    Some(CredentialConfig { place: node.place.clone(), value, location })
}

fn read_listed(node: &Node<'_>, errors: &mut Errors) -> Option<CredentialConfig> {
    let fields = node.object(shape::CREDENTIAL, errors)?;
    let variable = fields.get("env").and_then(|node| read_variable(&node, errors));
    let location = fields.get("location").and_then(|node| read_location(&node, false, errors));
    let value = CredentialValue::Environment(variable?);
    Some(CredentialConfig { place: node.place.clone(), value, location: location? })
}

fn read_variable(node: &Node<'_>, errors: &mut Errors) -> Option<Variable> {
    let name = node.text(Text::Environment, errors)?.to_owned();
    Some(Variable { place: node.place.clone(), name })
}

fn read_basic(node: &Node<'_>, errors: &mut Errors) -> Option<CredentialValue> {
    let fields = node.object(shape::BASIC, errors)?;
    let username = text_of(&fields, "username", Text::UserName, errors);
    let password = fields.get("passwordEnv").and_then(|node| read_variable(&node, errors));
    Some(CredentialValue::Basic { username: username?, password: password? })
}

fn read_location(node: &Node<'_>, is_basic: bool, errors: &mut Errors) -> Option<Location> {
    let fields = node.object(shape::LOCATION, errors)?;
    fields.check(shape::LOCATION_IS, errors);
    let header = fields.get("header").and_then(|node| read_header(&node, is_basic, errors));
    let parameter = fields
        .get("queryParameter")
        .and_then(|node| node.object(shape::PARAMETER, errors))
        .and_then(|fields| text_of(&fields, "name", Text::Token, errors))
        .map(Location::QueryParameter);
    let cookie = fields
        .get("cookie")
        .and_then(|node| node.object(shape::COOKIE, errors))
        .and_then(|fields| text_of(&fields, "name", Text::Token, errors))
        .map(Location::Cookie);
    header.or(parameter).or(cookie)
}

fn read_header(node: &Node<'_>, is_basic: bool, errors: &mut Errors) -> Option<Location> {
    let fields = node.object(shape::HEADER, errors)?;
    let prefix = fields.get("prefix");
    let prefix = prefix.and_then(|node| {
        let text = node.text(Text::Free(MAX_PREFIX), errors)?;
        if text.chars().any(char::is_control) {
            errors.add(&node.place, "the prefix has a control character: leave it out");
        }
        Some(text.to_owned())
    });
    let name = fields
        .get("name")
        .and_then(|node| read_header_name(&node, Direction::Request, false, errors))?;
    let usual = if is_basic { "Basic " } else { "" };
    let prefix = prefix.unwrap_or_else(|| usual.to_owned());
    Some(Location::Header { name, prefix, is_default: false })
}

fn read_client(node: &Node<'_>, errors: &mut Errors) -> Option<CredentialValue> {
    let fields = node.object(shape::CLIENT_CREDENTIALS, errors)?;
    fields.check(shape::CLIENT_CREDENTIALS_ARE, errors);
    let service = service::read(&fields, errors);
    let path = text_of(&fields, "path", Text::Path, errors);
    let client_id = text_of(&fields, "clientId", Text::Free(MAX_CLIENT_ID), errors);
    let client_secret = fields.get("clientSecretEnv").and_then(|node| read_variable(&node, errors));
    let scopes = fields.get("scopes").map(|node| node.list(shape::SCOPES, errors));
    let scopes = scopes.unwrap_or_default();
    let scopes = scopes.iter().filter_map(|item| item.text(Text::Scope, errors).map(str::to_owned));
    let scopes = scopes.collect();
    let client_auth =
        fields.get("clientAuth").and_then(|node| node.word(shape::CLIENT_AUTH, errors));
    let timeout = match fields.get("timeout") {
        Some(node) => read_timeout(&node, MAX_TOKEN_TIMEOUT, "`1ms` to `5m`", errors)?,
        None => TOKEN_TIMEOUT,
    };
    Some(CredentialValue::ClientCredentials(Box::new(ClientCredentials {
        service: service?,
        path: path?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes,
        client_auth: client_auth.unwrap_or_default(),
        timeout,
    })))
}
