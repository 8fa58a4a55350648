//! `extAuth`: which service is asked about a request, how, and what its answer may do.

use std::time::Duration;

use super::backend::{CredentialConfig, CredentialValue, Location};
use super::bodies::{MAX_BODY_SIZE, read_size};
use super::callouts::{FailureMode, MAX_DEADLINE, read_timeout};
use super::conditional::{self, ConditionalConfig};
use super::decode::{Errors, Node, Object, shown};
use super::read::{read_expression, read_header_name};
use super::service::{self, ServiceConfig};
use super::shape::{self, Bounds, Text};
use super::{Expr, HeaderValueConfig, text};
use egress_reading::header_name::{self, Direction};
use egress_reading::name::same_to_some_origin;

/// The most expressions of a cache's key.
pub const MAX_CACHE_KEYS: usize = 16;
/// The most answers that a cache may keep.
pub const MAX_CACHE_ENTRIES: u64 = 100_000;
/// The longest value of `contextExtensions`, in characters.
pub const MAX_EXTENSION: usize = 1_024;
/// The longest name in `contextExtensions` and in metadata, in characters.
pub const MAX_METADATA_NAME: usize = 256;
/// The longest time for which an answer is kept.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an answer is waited for where the configuration does not say.
const TIMEOUT: Duration = Duration::from_millis(200);
const CACHE_ENTRIES: u64 = 10_000;

/// One form of `extAuth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtAuthConfig {
    /// The JSON path, for messages.
    pub place: String,
    /// The service that is asked.
    pub service: ServiceConfig,
    /// What becomes of a request about which it gives no answer.
    pub failure_mode: FailureMode,
    /// How long an answer is waited for; never zero.
    pub timeout: Duration,
    /// How it is asked.
    pub protocol: ExtAuthProtocol,
    /// The names, lower-case, of headers of an answer that are credentials.
    pub credential_headers: Vec<String>,
    /// Which answers are kept.
    pub cache: Option<AnswerCacheConfig>,
    /// The most bytes of a request's body, which the service gets; none if it gets none.
    pub forward_body: Option<usize>,
}

/// How an authorization service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtAuthProtocol {
    /// `grpc`
    Grpc(GrpcAuthConfig),
    /// `http`
    Http(Box<HttpAuthConfig>),
}

/// `extAuth.grpc`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcAuthConfig {
    /// Texts that the service gets with each request.
    pub context_extensions: Vec<(String, String)>,
    /// Name spaces, and the expressions of what is in each.
    pub metadata: Vec<(String, Expr)>,
}

/// `extAuth.http`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpAuthConfig {
    /// The path of the call; that of the request where there is none.
    pub path: Option<Expr>,
    /// Where a caller is sent whom the service answers with 401 or 403.
    pub redirect: Option<Expr>,
    /// The body of the call.
    pub body: Option<Expr>,
    /// The names, lower-case, of the request's headers that the service gets.
    pub request_headers: Vec<String>,
    /// Headers of the call, in the place of the request's.
    pub added: Vec<HeaderValueConfig>,
    /// The names, lower-case, of the answer's headers that the request gets.
    pub response_headers: Vec<String>,
    /// What expressions read as `extauthz`.
    pub metadata: Vec<(String, Expr)>,
}

/// `extAuth.cache`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerCacheConfig {
    /// The JSON path, for messages.
    pub place: String,
    /// What requests that share an answer have in common.
    pub key: Vec<Expr>,
    /// How long an answer is kept.
    pub ttl: Ttl,
    /// How many answers are kept at most.
    pub max_entries: usize,
}

/// How long an answer is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ttl {
    /// This long.
    Fixed(Duration),
    /// What this expression says.
    Computed(Expr),
}

/// Reads `extAuth`.
#[inline(never)]
pub(super) fn read(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<ExtAuthConfig>> {
    conditional::read(node, shape::EXT_AUTH, errors, read_form)
}

/// The credentials that answers may bring, one for each header.
pub(super) fn credentials(config: &ConditionalConfig<ExtAuthConfig>) -> Vec<CredentialConfig> {
    let mut found: Vec<CredentialConfig> = Vec::new();
    for form in config.forms() {
        for name in &form.credential_headers {
            let (prefix, is_default) = (String::new(), false);
            let location = Location::Header { name: name.clone(), prefix, is_default };
            if found.iter().all(|other| other.location != location) {
                let place = [&form.place, ".credentialHeaders"].concat();
                found.push(CredentialConfig { place, value: CredentialValue::Answered, location });
            }
        }
    }
    found
}

fn read_form(fields: &Object<'_>, errors: &mut Errors) -> Option<ExtAuthConfig> {
    if fields.get("cluster").is_some() && fields.get("host").is_none() {
        errors.add(&fields.place, "`cluster` needs `host`: the authority that the service gets");
    }
    let service = service::read(fields, errors);
    let failure_mode = fields.get("failureMode").map(|node| node.word(shape::FAILURE_MODE, errors));
    let timeout = fields
        .get("timeout")
        .map_or(Some(TIMEOUT), |node| read_timeout(&node, MAX_DEADLINE, "`1ms` to `1m`", errors));
    let grpc = fields.get("grpc").and_then(|node| read_grpc(&node, errors));
    let http = fields.get("http").and_then(|node| read_http(&node, errors));
    let credential_headers = fields.get("credentialHeaders");
    let credential_headers = credential_headers
        .map(|node| read_names(&node, shape::CREDENTIAL_HEADERS, errors))
        .unwrap_or_default();
    if let Some(http) = &http {
        let is_both = |name: &&String| {
            let mut others = http.response_headers.iter();
            others.any(|other| same_to_some_origin(other.as_bytes(), name.as_bytes()))
        };
        if let Some(name) = credential_headers.iter().find(is_both) {
            errors.add(
                &fields.place,
                format!(
                    "`{name}` is in `credentialHeaders` and in `allowedResponseHeaders`: leave it \
                     out of the latter, or it would be no secret"
                ),
            );
        }
    }
    let cache = fields.get("cache").map(|node| read_cache(&node, errors));
    let forward = fields.get("forwardBody");
    let forward_body = forward.as_ref().and_then(|node| {
        let fields = node.object(shape::FORWARD_BODY, errors)?;
        read_size(&fields.get("maxSize")?, MAX_BODY_SIZE, errors)
    });
    if let Some(forward) = &forward {
        let both = [
            (cache.is_some(), "`cache`: an answer is about one body, so leave `cache` out"),
            (http.as_ref().is_some_and(|http| http.body.is_some()), "`http.body`: choose one"),
            (
                !credential_headers.is_empty(),
                "`credentialHeaders`: the request's headers have gone on when the service \
                 answers, so ask for credentials in a policy of their own",
            ),
            (
                http.as_ref().is_some_and(|http| !http.response_headers.is_empty()),
                "`http.allowedResponseHeaders`: the request's headers have gone on when the \
                 service answers, so ask for them in a policy of their own",
            ),
        ];
        for (_, message) in both.iter().filter(|(is_there, _)| *is_there) {
            errors.add(&forward.place, ["`forwardBody` does not go with ", message].concat());
        }
    }
    let protocol =
        grpc.map(ExtAuthProtocol::Grpc).or(http.map(|http| ExtAuthProtocol::Http(http.into())));
    Some(ExtAuthConfig {
        place: fields.place.clone(),
        service: service?,
        failure_mode: failure_mode.map_or(Some(FailureMode::default()), |mode| mode)?,
        timeout: timeout?,
        protocol: protocol?,
        credential_headers,
        cache: match cache {
            Some(cache) => Some(cache?),
            None => None,
        },
        forward_body: match forward {
            Some(_) => Some(forward_body?),
            None => None,
        },
    })
}

fn read_grpc(node: &Node<'_>, errors: &mut Errors) -> Option<GrpcAuthConfig> {
    let fields = node.object(shape::GRPC, errors)?;
    let extensions = fields.get("contextExtensions");
    let extensions =
        extensions.map(|node| node.map(shape::EXTENSIONS, shape::EXTENSION_NAME, errors));
    let text = |(name, node): (&str, Node<'_>), errors: &mut Errors| {
        Some((name.to_owned(), node.text(Text::Free(MAX_EXTENSION), errors)?.to_owned()))
    };
    let extensions = extensions.unwrap_or_default().into_iter();
    Some(GrpcAuthConfig {
        context_extensions: extensions.filter_map(|entry| text(entry, errors)).collect(),
        metadata: read_metadata(&fields, "requestMetadata", errors),
    })
}

fn read_http(node: &Node<'_>, errors: &mut Errors) -> Option<HttpAuthConfig> {
    let fields = node.object(shape::HTTP, errors)?;
    let expression = |name: &str, errors: &mut Errors| {
        fields.get(name).and_then(|node| read_expression(&node, errors))
    };
    let names = |name: &str, errors: &mut Errors| {
        fields.get(name).map(|node| read_names(&node, shape::LISTED_HEADERS, errors))
    };
    let request_headers = names("allowedRequestHeaders", errors);
    Some(HttpAuthConfig {
        path: expression("path", errors),
        redirect: expression("redirect", errors),
        body: expression("body", errors),
        request_headers: request_headers.unwrap_or_else(|| vec!["authorization".to_owned()]),
        added: read_added(&fields, errors),
        response_headers: names("allowedResponseHeaders", errors).unwrap_or_default(),
        metadata: read_metadata(&fields, "responseMetadata", errors),
    })
}

fn read_names(node: &Node<'_>, bounds: Bounds, errors: &mut Errors) -> Vec<String> {
    let items = node.list(bounds, errors);
    let name = |item| read_header_name(item, Direction::Request, false, errors);
    items.iter().filter_map(name).collect()
}

fn read_metadata(fields: &Object<'_>, name: &str, errors: &mut Errors) -> Vec<(String, Expr)> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let entries = node.map(shape::METADATA, shape::METADATA_NAME, errors);
    let entry =
        |(name, node): (&str, Node<'_>)| Some((name.to_owned(), read_expression(&node, errors)?));
    entries.into_iter().filter_map(entry).collect()
}

fn read_added(fields: &Object<'_>, errors: &mut Errors) -> Vec<HeaderValueConfig> {
    let Some(node) = fields.get("addRequestHeaders") else { return Vec::new() };
    let mut added: Vec<HeaderValueConfig> = Vec::new();
    for (written, entry) in node.map(shape::ADDED_HEADERS, shape::CALL_HEADER, errors) {
        let name = written.to_ascii_lowercase();
        if let Err(message) = header_name::check(&name, Direction::Request, true) {
            errors.add(&node.place, message);
        }
        if added.iter().any(|other| other.name == name) {
            let message = format!("`{}` is given twice: leave one out", shown(&name));
            errors.add(&node.place, message);
        }
        if let Some(value) = read_expression(&entry, errors) {
            added.push(HeaderValueConfig { name, value });
        }
    }
    added
}

fn read_cache(node: &Node<'_>, errors: &mut Errors) -> Option<AnswerCacheConfig> {
    let fields = node.object(shape::CACHE, errors)?;
    let key = fields.get("key").map(|node| node.list(shape::CACHE_KEYS, errors));
    let key = key.unwrap_or_default();
    let key = key.iter().filter_map(|item| read_expression(item, errors)).collect();
    let ttl = fields.get("ttl").and_then(|node| read_ttl(&node, errors));
    let max = fields.get("maxEntries").map(|node| node.integer(1, MAX_CACHE_ENTRIES, errors));
    let max = max.unwrap_or(Some(CACHE_ENTRIES))?;
    Some(AnswerCacheConfig {
        place: node.place.clone(),
        key,
        ttl: ttl?,
        max_entries: usize::try_from(max).unwrap_or(usize::MAX),
    })
}

fn read_ttl(node: &Node<'_>, errors: &mut Errors) -> Option<Ttl> {
    let Some(milliseconds) = text::milliseconds(node.string(errors)?) else {
        return read_expression(node, errors).map(Ttl::Computed);
    };
    let ttl = Duration::from_millis(milliseconds);
    if ttl.is_zero() || ttl > MAX_TTL {
        errors.add(&node.place, "the time is out of bounds: expected `1ms` to `24h`");
        return None;
    }
    Some(Ttl::Fixed(ttl))
}
