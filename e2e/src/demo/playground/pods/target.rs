//! Who calls, and what is asked for: the parts of a request to a proxy.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::http1::ReceivedRequest;

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo::playground) struct Caller {
    namespace: String,
    account: String,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.account)
    }
}

impl Caller {
    /// What its certificate says.
    pub(in crate::demo::playground) fn spiffe_id(&self, trust_domain: &str) -> String {
        format!("spiffe://{trust_domain}/ns/{}/sa/{}", self.namespace, self.account)
    }
}

/// Who dials which host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::demo::playground) struct Dialled {
    pub(in crate::demo::playground) caller: Caller,
    pub(in crate::demo::playground) host: String,
}

/// What is asked of the proxy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) dialled: Dialled,
    /// The path with its query.
    pub(super) target: String,
}

/// Why a request cannot be sent on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// It does not say who calls.
    Caller,
    /// It does not say what is called, or not what a pod could call.
    Target(String),
}

/// Reads a request to the proxy.
pub(super) fn of(request: &ReceivedRequest) -> Result<Asked, Unclear> {
    let unclear = |message: &str| Unclear::Target(format!("`{}`: {message}", request.target));
    if request.method == "CONNECT" {
        return Err(unclear(
            "call it with `http://`: of what a pod encrypts itself, the filter sees nothing",
        ));
    }
    let scheme = request.target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let Some((_, rest)) = scheme.and_then(|scheme| request.target.split_at_checked(scheme.len()))
    else {
        return Err(unclear("this is a proxy, so name a whole URL that begins with `http://`"));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = match authority.split_once(':') {
        None | Some((_, "80")) => authority.split(':').next().unwrap_or_default(),
        Some(_) => return Err(unclear("the services here have port 80")),
    };
    let host = host.to_ascii_lowercase();
    if !is_host(&host) {
        return Err(unclear("this is not the name of a host"));
    }
    let caller = request.headers.get("proxy-authorization").and_then(caller);
    let dialled = Dialled { caller: caller.ok_or(Unclear::Caller)?, host };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Asked { dialled, target: format!("{slash}{path}") })
}

/// The user and the password of `Basic` credentials, as a namespace and a service account.
fn caller(credentials: &[u8]) -> Option<Caller> {
    let credentials = std::str::from_utf8(credentials).ok()?;
    let (scheme, encoded) = credentials.split_once(' ')?;
    let decoded =
        BASE64.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (namespace, account) = decoded.split_once(':')?;
    let is_namespace = is_label(namespace);
    let is_account = !account.is_empty() && account.split('.').all(is_label);
    (is_namespace && is_account)
        .then(|| Caller { namespace: namespace.to_owned(), account: account.to_owned() })
}

/// A name of several labels, and not an address.
fn is_host(host: &str) -> bool {
    let is_address = host.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    host.len() <= 253 && host.split('.').all(is_label) && !is_address
}

/// A label as Kubernetes and DNS have it.
fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| is_letter(byte) || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
