//! What Istio's values mean, in CEL.

use std::net::IpAddr;

use crate::convert::note::{At, Notes};
use crate::convert::policy::literal;

use super::super::condition::Term;
use super::{Reader, Sense};

/// The characters that `{*}` of a path template stands for, as Envoy's URI templates have them.
const SEGMENT: &str = "-a-zA-Z0-9._~%!$&'()+,;:@=";

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Principal,
    Namespace,
    ServiceAccount,
    SourceAddress,
    DestinationAddress,
    Port,
    Host,
    Method,
    Path,
    /// A header, by its name in lower case.
    Header(String),
}

/// A value with the wildcards that Istio takes: one, at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern<'v> {
    Any,
    EndsWith(&'v str),
    StartsWith(&'v str),
    Is(&'v str),
}

impl<'v> Pattern<'v> {
    fn of(value: &'v str) -> Pattern<'v> {
        if value == "*" {
            Pattern::Any
        } else if let Some(suffix) = value.strip_prefix('*') {
            Pattern::EndsWith(suffix)
        } else if let Some(prefix) = value.strip_suffix('*') {
            Pattern::StartsWith(prefix)
        } else {
            Pattern::Is(value)
        }
    }

    /// As a test of a text; `any` is what `*` is.
    fn test(self, subject: &str, any: Term) -> Term {
        match self {
            Pattern::Any => any,
            Pattern::EndsWith(suffix) => Term::Holds(format!("{subject}.endsWith({})", literal(suffix))),
            Pattern::StartsWith(prefix) => Term::Holds(format!("{subject}.startsWith({})", literal(prefix))),
            Pattern::Is(text) => Term::Is(subject.to_owned(), literal(text)),
        }
    }
}

impl Subject {
    /// A header, where it may be asked about.
    pub(super) fn header(name: &str) -> Result<Subject, String> {
        match name {
            ":authority" => Ok(Subject::Header("host".to_owned())),
            ":method" => Ok(Subject::Method),
            _ if name.starts_with(':') => {
                Err(format!("`{}` has no counterpart: `paths`, `hosts` and `methods` are for the request line", name.escape_debug()))
            }
            "" => Err("a header without a name, which Istio refuses".to_owned()),
            _ => Ok(Subject::Header(name.to_ascii_lowercase())),
        }
    }

    /// What a value means; of several terms one must hold.
    pub(super) fn terms(&self, value: &str, sense: Sense, reader: &Reader<'_>) -> Result<Vec<Term>, String> {
        let of = |attribute: &str| if sense.sure { format!("default({attribute}, \"\")") } else { attribute.to_owned() };
        Ok(match self {
            Subject::Principal => {
                let subject = of("source.spiffeId");
                let any = || Term::Holds("has(source.spiffeId)".to_owned());
                let test = |value: &String| match Pattern::of(value) {
                    Pattern::StartsWith(prefix) => Pattern::StartsWith(&format!("spiffe://{prefix}")).test(&subject, any()),
                    Pattern::Is(text) => Pattern::Is(&format!("spiffe://{text}")).test(&subject, any()),
                    pattern => pattern.test(&subject, any()),
                };
                reader.mesh.principals(value).iter().map(test).collect()
            }
            Subject::Namespace if sense.wide => {
                let subject = of("source.spiffeId");
                vec![Term::Holds(match value.contains('*') {
                    true => format!("{subject}.matches({})", literal(&format!("/ns/{}/", with_wildcards(value)))),
                    false => format!("{subject}.contains({})", literal(&format!("/ns/{value}/"))),
                })]
            }
            Subject::Namespace => {
                let subject = of("source.identity.namespace");
                let inner = value.strip_prefix('*').unwrap_or(value);
                match inner.strip_suffix('*').unwrap_or(inner).contains('*')
                    || (value.len() > 1 && value.starts_with('*') && value.ends_with('*'))
                {
                    true => vec![Term::Holds(format!("{subject}.matches({})", literal(&format!("^{}$", with_wildcards(value)))))],
                    false => vec![Pattern::of(value).test(&subject, Term::Holds("has(source.identity)".to_owned()))],
                }
            }
            Subject::ServiceAccount => vec![service_account(value, sense, reader, of)?],
            Subject::SourceAddress => vec![address(value, "source.address")?],
            Subject::DestinationAddress => vec![address(value, "destination.address")?],
            Subject::Port => match value.parse::<u16>() {
                Ok(port) => vec![Term::Is("destination.port".to_owned(), port.to_string())],
                Err(_) => return Err(format!("`{}` is no port", value.escape_debug())),
            },
            Subject::Host => vec![host(value)],
            Subject::Method => vec![Pattern::of(value).test("request.method", Term::Always)],
            Subject::Path if value.contains("{*}") || value.contains("{**}") => vec![template(value)?],
            Subject::Path => vec![Pattern::of(value).test("request.path", Term::Always)],
            Subject::Header(name) => {
                let any = Term::Holds(format!("{} in request.headers", literal(name)));
                vec![Pattern::of(value).test(&of(&format!("request.headers[{}]", literal(name))), any)]
            }
        })
    }

    /// Tells once what means something else here than in Istio.
    pub(super) fn hint<'d>(&self, list: &At<'d>, notes: &mut Notes<'d>) {
        match self {
            Subject::Principal => {
                let message = "`cluster.local` in a principal is the mesh's own trust domain, and stands for its aliases too: `--trust-domain` says which they are, if not `cluster.local`";
                notes.once("trust domain", list, message);
            }
            Subject::Host => {
                let message =
                    "`request.host` has no port, final dot or capitals, so `a.example` is also `a.example:8080`; in Istio it is not";
                notes.once("istio host", list, message);
            }
            Subject::Path => {
                let message = "paths are matched without their query, as in Istio; beyond it, ambiguous ones (`//`, `%2F`, `;`) are refused with 400 first. `pathSafety` relaxes that";
                notes.once("istio path", list, message);
            }
            Subject::Port => {
                let message = "`destination.port` is the port that the caller dialled; where the proxy does not tell it, the rule allows nothing, or denies";
                notes.once("port", list, message);
            }
            Subject::Header(_) => {
                let message = "a header on several lines: a DENY looks for one line that matches, an ALLOW wants all to";
                notes.once("istio headers", list, message);
            }
            _ => {}
        }
    }
}

fn service_account(value: &str, sense: Sense, reader: &Reader<'_>, of: impl Fn(&str) -> String) -> Result<Term, String> {
    let (namespace, name) = match value.split_once('/') {
        Some(parts) => parts,
        None => (reader.namespace.ok_or("a service account without its namespace is of the policy's: give `metadata.namespace`")?, value),
    };
    if namespace.is_empty() || name.is_empty() || name.contains('/') || value.contains('*') {
        return Err(format!("`{}` is no service account: expected `name` or `namespace/name`", value.escape_debug()));
    }
    if sense.wide {
        // Istio's own pattern, which takes more than the form that it gives workloads.
        let pattern = format!("^spiffe://.+/ns/{}/(.+/)?sa/{}(/.+)?$", quoted(namespace), quoted(name));
        return Ok(Term::Holds(format!("{}.matches({})", of("source.spiffeId"), literal(&pattern))));
    }
    let is = |attribute: &str, text: &str| Box::new(Term::Is(of(attribute), literal(text)));
    Ok(Term::Both(is("source.identity.namespace", namespace), is("source.identity.serviceAccount", name)))
}

fn address(value: &str, attribute: &str) -> Result<Term, String> {
    let wrong = || format!("`{}` is no IP address or range", value.escape_debug());
    match value.split_once('/') {
        Some((address, length)) => {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            if !length.parse::<u8>().is_ok_and(|length| length <= longest) {
                return Err(wrong());
            }
            Ok(Term::Holds(format!("cidr({}).containsIP({attribute})", literal(value))))
        }
        None => {
            let _: IpAddr = value.parse().map_err(|_| wrong())?;
            Ok(Term::Is(format!("ip({attribute})"), format!("ip({})", literal(value))))
        }
    }
}

/// A host is compared without regard to letter case. One with a port needs the authority as the caller wrote it.
fn host(value: &str) -> Term {
    let value = value.to_ascii_lowercase();
    let any_port = value.strip_suffix(":*").filter(|host| !host.contains([':', '*']));
    let pattern = any_port.map_or_else(|| Pattern::of(&value), Pattern::Is);
    let (Pattern::EndsWith(text) | Pattern::StartsWith(text) | Pattern::Is(text)) = pattern else { return Term::Always };
    let is_raw = text.contains(':') || text.ends_with('.') && !matches!(pattern, Pattern::StartsWith(_));
    pattern.test(if is_raw { "request.headers[\"host\"].lowerAscii()" } else { "request.host" }, Term::Always)
}

/// A path template: `{*}` is one segment, `{**}` any number of them.
fn template(value: &str) -> Result<Term, String> {
    let wrong =
        || format!("`{}` is no path template that Istio takes: `{{*}}` and `{{**}}` stand for whole segments", value.escape_debug());
    let rest = value.strip_prefix('/').ok_or_else(wrong)?;
    let (mut pattern, mut ended) = (String::from("^"), false);
    for segment in rest.split('/') {
        pattern.push('/');
        match segment {
            "{*}" if !ended => pattern.push_str(&format!("[{SEGMENT}]+")),
            "{**}" if !ended => {
                ended = true;
                pattern.push_str(&format!("[{SEGMENT}/]*"));
            }
            _ if segment.chars().all(|c| c.is_ascii_alphanumeric() || "-._~%!$&'()+,;:@=".contains(c)) => {
                pattern.push_str(&quoted(segment))
            }
            _ => return Err(wrong()),
        }
    }
    pattern.push('$');
    Ok(Term::Holds(format!("request.path.matches({})", literal(&pattern))))
}

/// A text as a pattern in which `*` stands for anything.
fn with_wildcards(text: &str) -> String {
    text.split('*').map(quoted).collect::<Vec<_>>().join(".*")
}

/// A text as a pattern of itself.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if !(c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '~' | '%' | '!' | '&' | '\'' | ',' | ';' | ':' | '@' | '=')) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

impl super::Mesh {
    /// A principal in all trust domains that it stands for: one of the mesh's own, or `cluster.local`, stands for all of them.
    fn principals(&self, principal: &str) -> Vec<String> {
        let as_it_is = || vec![principal.to_owned()];
        let mut parts = principal.split('/');
        let (Some(domain), 4) = (parts.next(), parts.count()) else { return as_it_is() };
        let (_, rest) = principal.split_once('/').unwrap_or_default();
        let is_own = domain == "cluster.local" || self.trust_domains.iter().any(|own| own == domain);
        if !is_own {
            return as_it_is();
        }
        self.trust_domains.iter().map(|domain| format!("{domain}/{rest}")).collect()
    }
}
