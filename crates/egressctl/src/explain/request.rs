//! The request of a command line, with curl's options where curl has them.

use std::time::SystemTime;

use egress_filter::cel::time::Timestamp;
use egress_filter::config::{Config, IdentityConfig};
use egress_filter::request::{host, jwt};
use egress_filter::trial::{Response, Trial};
use serde::Serialize;

use crate::Failure;
use crate::cases::Claims;
use crate::hop_by_hop;
use crate::normalization::Normalization;
use crate::request::{self, Url};

/// The request.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Who calls: NAMESPACE/SERVICE_ACCOUNT, a SPIFFE ID, or `none` for no certificate.
    #[arg(long = "as", value_name = "CALLER", default_value = "none")]
    caller: String,
    /// The method.
    #[arg(short = 'X', long = "request", value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header; `Name;` for one without a value. `Host` is the authority.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The body. `content-type` is not set by it.
    #[arg(
        short = 'd',
        long = "data",
        value_name = "BODY",
        default_value = "",
        allow_hyphen_values = true
    )]
    body: String,
    /// The path and query to send in the URL's stead.
    #[arg(long, value_name = "PATH")]
    request_target: Option<String>,
    /// What the waypoint makes of the path first: `meshConfig.pathNormalization` of Istio.
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    path_normalization: Normalization,
    /// HTTP/2, for `request.version`.
    #[arg(long)]
    http2: bool,
    /// The service that the caller dialled, if not the URL's host; empty where the waypoint has no
    /// name for it.
    #[arg(long, alias = "dialled", value_name = "HOST")]
    dialed: Option<String>,
    /// The claims of the token that RequestAuthentication has verified, as JSON, such as
    /// `{"sub": "ann"}`; unless said, the request has no token.
    #[arg(long, value_name = "CLAIMS", value_parser = claims)]
    jwt: Option<Claims>,
    /// The caller's address, with or without a port.
    #[arg(long, value_name = "ADDRESS")]
    source_address: Option<String>,
    /// The address that the caller dialled, with or without a port; of its own, a port is the
    /// URL's.
    #[arg(long, value_name = "ADDRESS")]
    destination_address: Option<String>,
    /// When the request comes, for `request.startTime`, such as `2026-01-31T13:00:00+01:00`; now
    /// unless said.
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Timestamp>,
    /// What the origin answers: shows what becomes of the response's headers.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..1000))]
    response_status: Option<u16>,
    /// A header of the origin's answer.
    #[arg(long = "response-header", value_name = "NAME: VALUE")]
    response_headers: Vec<String>,
    /// The URL: `http://`, or without a scheme.
    #[arg(value_name = "URL")]
    url: String,
}

/// The request as it reaches the waypoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Host, and port if there is one.
    pub(crate) authority: String,
    /// Path and query, as the filter sees them.
    pub(crate) path: String,
    /// As they were sent, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent_path: Option<String>,
    protocol: &'static str,
    /// What the caller's certificate says; empty for none.
    pub(crate) principal: String,
    pub(crate) dialed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<Claims>,
    source_address: String,
    destination_address: String,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    /// In nanoseconds since the Unix epoch.
    #[serde(skip)]
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<OriginResponse>,
}

/// What the origin answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct OriginResponse {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Flags {
    /// Reads the request. A caller's short name belongs to the configuration's trust domain.
    pub(crate) fn read(&self, config: &Config) -> Result<Request, Failure> {
        self.request(config).map_err(Failure::Usage)
    }

    fn request(&self, config: &Config) -> Result<Request, String> {
        let url = url(&self.url)?;
        let mut headers = self
            .headers
            .iter()
            .filter_map(|header| self::header(header).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let mut authority = url.authority.to_owned();
        // A second host is another header line, which the filter refuses by itself.
        if let Some(place) = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            authority = headers.remove(place).1;
        }
        let dialed = match &self.dialed {
            Some(host) => Some(host.clone()).filter(|host| !host.is_empty()),
            None => {
                host::canonical(url.authority.as_bytes()).ok().map(std::borrow::Cow::into_owned)
            }
        };
        let response_headers = self
            .response_headers
            .iter()
            .filter_map(|header| self::header(header).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let response =
            (self.response_status.is_some() || !response_headers.is_empty()).then(|| {
                OriginResponse {
                    status: self.response_status.unwrap_or(200),
                    headers: response_headers,
                }
            });
        let sent = self.request_target.clone().unwrap_or(url.target);
        request::method(&self.method)?;
        request::authority(&authority)?;
        request::path(&sent)?;
        let protocol = if self.http2 { "HTTP/2" } else { "HTTP/1.1" };
        request::arrives((&self.method, &sent), &headers, protocol)?;
        let headers = hop_by_hop::seen(&headers, protocol)?;
        let path = request::seen_path(&sent, self.path_normalization)?;
        let sent_path = Some(sent).filter(|sent| *sent != path);
        let address =
            |name: &str, address: &Option<String>, usual: &str, port: &str| match address {
                None => Ok(format!("{usual}:{port}")),
                Some(address) => request::with_port(address, port)
                    .map_err(|message| format!("--{name}: {message}")),
            };
        let port = request::port(url.authority).to_string();
        Ok(Request {
            method: self.method.clone(),
            authority,
            path,
            sent_path,
            protocol,
            principal: self.principal(config)?,
            dialed,
            jwt: self.jwt.clone(),
            source_address: address("source-address", &self.source_address, "127.0.0.1", "40000")?,
            destination_address: address(
                "destination-address",
                &self.destination_address,
                "240.240.0.1",
                &port,
            )?,
            headers,
            body: self.body.clone(),
            time: self.time.and_then(Timestamp::nanos).unwrap_or_else(now),
            response,
        })
    }

    /// The SPIFFE ID of the caller.
    fn principal(&self, config: &Config) -> Result<String, String> {
        let caller = &self.caller;
        request::principal(caller, request::trust_domain(&config.identity)).ok_or_else(|| {
            format!(
                "`--as {}`: expected NAMESPACE/SERVICE_ACCOUNT, a SPIFFE ID (`spiffe://...`), \
                or `none`",
                caller.escape_debug()
            )
        })
    }
}

impl Request {
    /// The request, of a caller that is presented where the configuration looks.
    pub(crate) fn trial(&self, identity: &IdentityConfig) -> Trial {
        let response =
            self.response.clone().unwrap_or(OriginResponse { status: 200, headers: Vec::new() });
        let claims = self.jwt.as_ref();
        let mut trial = Trial {
            // Claims that are nested too deep were refused.
            metadata: claims.and_then(|claims| jwt::metadata(claims).ok()).unwrap_or_default(),
            principal: self.principal.clone(),
            local_principal: request::waypoint(request::trust_domain(identity)),
            service: self.dialed.clone(),
            method: self.method.clone(),
            authority: self.authority.clone(),
            path: self.path.clone(),
            protocol: self.protocol.to_owned(),
            headers: self.headers.clone(),
            source_address: self.source_address.clone(),
            destination_address: self.destination_address.clone(),
            time: self.time,
            body: self.body.clone().into_bytes(),
            response: Response {
                status: response.status,
                headers: response.headers,
                body: Vec::new(),
            },
            ..Trial::default()
        };
        trial.present(identity);
        trial
    }

    pub(crate) fn asks_for_response(&self) -> bool {
        self.response.is_some()
    }
}

/// The claims of a token.
fn claims(text: &str) -> Result<Claims, String> {
    let claims = serde_json::from_str(text)
        .map_err(|error| format!("expected a JSON object of claims: {error}"))?;
    jwt::metadata(&claims).map_err(|error| format!("Envoy cannot keep these claims: {error}"))?;
    Ok(claims)
}

/// A time that is given.
fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .filter(|time| time.nanos().is_some())
        .ok_or_else(|| "expected a time such as `2026-01-31T13:00:00+01:00`".to_owned())
}

/// The machine's time.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A header as curl reads it; none where curl would send none (`Name:`).
fn header(text: &str) -> Result<Option<(String, String)>, String> {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value).filter(|value| !value.trim().is_empty())),
        None => (
            text.strip_suffix(';').ok_or_else(|| {
                format!("header `{}`: expected `Name: value`", text.escape_debug())
            })?,
            Some(""),
        ),
    };
    let wrong = |message: String| format!("header `{}`: {message}", text.escape_debug());
    request::header_name(name).map_err(wrong)?;
    let Some(value) = value else { return Ok(None) };
    let value = request::header_value(value).map_err(wrong)?;
    Ok(Some((name.to_owned(), value.to_owned())))
}

/// A URL as curl reads it: without a scheme, it is `http://`.
fn url(text: &str) -> Result<Url<'_>, String> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            return Err(format!(
                "`{text}`: what a pod encrypts itself the waypoint cannot read: it calls \
                 `http://{rest}`, and the waypoint originates TLS"
            ));
        }
        Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
            return Err(format!("`{text}`: expected `http://`, got `{scheme}://`"));
        }
        _ => text,
    };
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!("`{}`: a URL has no spaces: write `%20`", text.escape_debug()));
    }
    Url::of_rest(text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_goes_as_it_is_written() {
        for (text, authority, port, target) in [
            ("http://api.github.com/zen", "api.github.com", 80, "/zen"),
            ("api.github.com", "api.github.com", 80, "/"),
            ("HTTP://a.example:8080?x=/../y#z", "a.example:8080", 8080, "/?x=/../y"),
            ("http://a.example/a/../b%2f//c", "a.example", 80, "/a/../b%2f//c"),
            ("http://[::1]/", "[::1]", 80, "/"),
            ("http://[::1]:81/?u=http://b.example/", "[::1]:81", 81, "/?u=http://b.example/"),
            ("a.example/?u=https://b.example/", "a.example", 80, "/?u=https://b.example/"),
        ] {
            assert_eq!(url(text), Ok(Url { authority, target: target.to_owned() }), "{text}");
            assert_eq!(request::port(authority), port, "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_with_the_mend() {
        for (text, expected) in [
            ("https://a.example/x", "it calls `http://a.example/x`"),
            ("ftp://a.example", "expected `http://`, got `ftp://`"),
            ("http:///zen", "has no host"),
            (
                "http://user:pass@a.example/",
                "`Authorization: Basic ...`: write that header, and `a.example`",
            ),
            ("http://a.example/a b", "write `%20`"),
        ] {
            let error = url(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let read = |text: &str| {
            header(text).map(|found| found.map(|(name, value)| format!("{name}={value}")))
        };
        assert_eq!(read("X-Role:  admin "), Ok(Some("X-Role=admin".to_owned())));
        assert_eq!(read("X-Url: http://a:80"), Ok(Some("X-Url=http://a:80".to_owned())));
        assert_eq!(read("X-Empty;"), Ok(Some("X-Empty=".to_owned())));
        assert_eq!(read("Accept:"), Ok(None));
        for text in ["no colon", ":path: /x", "a b: c", ": x", "X: a\r\nY: b"] {
            assert!(header(text).is_err(), "{text}");
        }
    }
}
