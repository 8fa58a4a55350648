//! The request of a command line, in curl's words where curl has them.

use egress_filter::config::Config;
use egress_filter::request::host;
use egress_filter::trial::{Response, Trial};
use serde::Serialize;

use crate::Failure;

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
    /// The path and query to send in the URL's stead.
    #[arg(long, value_name = "PATH")]
    request_target: Option<String>,
    /// HTTP/2, for `request.version`.
    #[arg(long)]
    http2: bool,
    /// The service that the caller dialled, if not the URL's host; empty where the waypoint has no name for it.
    #[arg(long, alias = "dialled", value_name = "HOST")]
    dialed: Option<String>,
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

/// The request as it comes to the waypoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Host, and port if there is one.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
    protocol: &'static str,
    /// What the caller's certificate says; empty for none.
    pub(crate) principal: String,
    pub(crate) dialed: Option<String>,
    port: u16,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Answer>,
}

/// What the origin answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Flags {
    /// Reads the request; the configuration says whose trust domain a caller's short name is of.
    pub(crate) fn read(&self, config: &Config) -> Result<Request, Failure> {
        self.request(config).map_err(Failure::Usage)
    }

    fn request(&self, config: &Config) -> Result<Request, String> {
        let url = Url::parse(&self.url)?;
        let mut headers = self.headers.iter().filter_map(|header| self::header(header).transpose()).collect::<Result<Vec<_>, _>>()?;
        let mut authority = url.authority.to_owned();
        // What else says it is the host comes as another line, and it is the filter's to refuse.
        if let Some(place) = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("host")) {
            authority = headers.remove(place).1;
        }
        let dialed = match &self.dialed {
            Some(host) => Some(host.clone()).filter(|host| !host.is_empty()),
            None => host::canonical(url.authority.as_bytes()).ok().map(std::borrow::Cow::into_owned),
        };
        let response_headers =
            self.response_headers.iter().filter_map(|header| self::header(header).transpose()).collect::<Result<Vec<_>, _>>()?;
        let response = (self.response_status.is_some() || !response_headers.is_empty())
            .then(|| Answer { status: self.response_status.unwrap_or(200), headers: response_headers });
        if self.method.is_empty() || !self.method.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("`{}` is no method", self.method.escape_debug()));
        }
        Ok(Request {
            method: self.method.clone(),
            authority,
            path: self.request_target.clone().unwrap_or(url.target),
            protocol: if self.http2 { "HTTP/2" } else { "HTTP/1.1" },
            principal: principal(&self.caller, config)?,
            dialed,
            port: url.port,
            headers,
            response,
        })
    }
}

impl Request {
    pub(crate) fn trial(&self) -> Trial {
        let response = self.response.clone().unwrap_or(Answer { status: 200, headers: Vec::new() });
        Trial {
            principal: self.principal.clone(),
            service: self.dialed.clone(),
            method: self.method.clone(),
            authority: self.authority.clone(),
            path: self.path.clone(),
            protocol: self.protocol.to_owned(),
            headers: self.headers.clone(),
            destination_address: format!("240.240.0.1:{}", self.port),
            response: Response { status: response.status, headers: response.headers },
            ..Trial::default()
        }
    }

    pub(crate) fn asks_for_response(&self) -> bool {
        self.response.is_some()
    }
}

/// The SPIFFE ID of a caller.
fn principal(caller: &str, config: &Config) -> Result<String, String> {
    if caller == "none" {
        return Ok(String::new());
    }
    if caller.starts_with("spiffe://") {
        return Ok(caller.to_owned());
    }
    let believed = &config.identity.trust_domains;
    let usual = "cluster.local".to_owned();
    let trust_domain = if believed.contains(&usual) { &usual } else { believed.first().unwrap_or(&usual) };
    match caller.split_once('/') {
        Some((namespace, account)) if !namespace.is_empty() && !account.is_empty() && !account.contains('/') => {
            Ok(format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}"))
        }
        _ => Err(format!("`--as {caller}`: expected NAMESPACE/SERVICE_ACCOUNT, a SPIFFE ID (`spiffe://...`), or `none`")),
    }
}

/// A header as curl reads it; none where curl would send none (`Name:`).
fn header(text: &str) -> Result<Option<(String, String)>, String> {
    let legal_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let (name, value) = match text.split_once(':') {
        Some((name, value)) if value.trim().is_empty() && legal_name(name) && !name.is_empty() => return Ok(None),
        Some((name, value)) => (name, value.trim()),
        None => (text.strip_suffix(';').ok_or_else(|| format!("header `{}`: expected `Name: value`", text.escape_debug()))?, ""),
    };
    if name.is_empty() || !legal_name(name) {
        return Err(format!("header `{}`: `{}` is no header's name", text.escape_debug(), name.escape_debug()));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("header `{}`: a value has no control characters", text.escape_debug()));
    }
    Ok(Some((name.to_owned(), value.to_owned())))
}

/// The parts of a URL, as they are written.
#[derive(Debug, PartialEq, Eq)]
struct Url<'u> {
    authority: &'u str,
    port: u16,
    target: String,
}

impl<'u> Url<'u> {
    fn parse(text: &'u str) -> Result<Url<'u>, String> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(format!(
                    "`{text}`: what a pod encrypts itself the waypoint cannot read: it calls `http://{rest}`, and the waypoint originates TLS"
                ));
            }
            Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
                return Err(format!("`{text}`: expected `http://`, got `{scheme}://`"));
            }
            _ => text,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(format!("`{text}` has no host"));
        }
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(format!(
                "`{text}`: curl sends what is before the `@` as `Authorization: Basic ...`: write that header, and `{host}`"
            ));
        }
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("`{}`: a URL has no spaces: write `%20`, or `--request-target`", text.escape_debug()));
        }
        // A fragment stays with the client.
        let target = rest.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).and_then(|(_, port)| port.parse().ok());
        Ok(Url { authority, port: port.unwrap_or(80), target })
    }
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
            assert_eq!(Url::parse(text), Ok(Url { authority, port, target: target.to_owned() }), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_with_the_mend() {
        for (text, expected) in [
            ("https://a.example/x", "it calls `http://a.example/x`"),
            ("ftp://a.example", "expected `http://`, got `ftp://`"),
            ("http:///zen", "has no host"),
            ("http://user:pass@a.example/", "`Authorization: Basic ...`: write that header, and `a.example`"),
            ("http://a.example/a b", "write `%20`"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let read = |text: &str| header(text).map(|found| found.map(|(name, value)| format!("{name}={value}")));
        assert_eq!(read("X-Role:  admin "), Ok(Some("X-Role=admin".to_owned())));
        assert_eq!(read("X-Url: http://a:80"), Ok(Some("X-Url=http://a:80".to_owned())));
        assert_eq!(read("X-Empty;"), Ok(Some("X-Empty=".to_owned())));
        assert_eq!(read("Accept:"), Ok(None));
        for text in ["no colon", ":path: /x", "a b: c", ": x", "X: a\r\nY: b"] {
            assert!(header(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_caller_is_of_a_trust_domain_that_is_believed() {
        let config = |domains: &str| Config::parse(format!(r#"{{"identity": {{"trustDomains": {domains}}}, "policies": []}}"#).as_bytes());
        for (domains, expected) in [
            ("[]", "spiffe://cluster.local/ns/a/sa/b"),
            (r#"["prod", "test"]"#, "spiffe://prod/ns/a/sa/b"),
            (r#"["prod", "cluster.local"]"#, "spiffe://cluster.local/ns/a/sa/b"),
        ] {
            let config = config(domains).unwrap_or_else(|_| Config::parse(br#"{"policies": []}"#).unwrap());
            assert_eq!(principal("a/b", &config).as_deref(), Ok(expected), "{domains}");
        }
        let config = Config::parse(br#"{"policies": []}"#).unwrap();
        assert_eq!(principal("none", &config).as_deref(), Ok(""));
        assert_eq!(principal("spiffe://x/y", &config).as_deref(), Ok("spiffe://x/y"));
        for caller in ["a", "/b", "a/", "a/b/c", ""] {
            assert!(principal(caller, &config).is_err(), "{caller}");
        }
    }
}
