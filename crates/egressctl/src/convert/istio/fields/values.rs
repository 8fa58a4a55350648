//! What Istio's values mean, in CEL.

use std::net::IpAddr;

use crate::convert::note::{At, Effect, Notes};
use crate::convert::policy::literal;

use super::super::condition::Term;
use super::{Reader, Sense, token};

/// The characters that `{*}` of a path template matches, as in Envoy's URI templates.
const SEGMENT: &str = "-a-zA-Z0-9._~%!$&'()+,;:@=";

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Principal,
    Namespace,
    TrustDomain,
    ServiceAccount,
    SourceAddress,
    DestinationAddress,
    Port,
    Host,
    Method,
    Path,
    /// A header, by its name in lower case.
    Header(String),
    /// All lines of one, of which any is enough.
    AnyLine(String),
    /// Issuer and subject of a token.
    RequestPrincipal,
    /// A claim of a token, by the names that lead to it.
    Claim(Vec<String>),
}

/// A value with the wildcards that Istio knows: one, at either end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern<'v> {
    Any,
    EndsWith(&'v str),
    StartsWith(&'v str),
    Is(&'v str),
}

impl<'v> Pattern<'v> {
    /// Where a star stands for something at the start alone.
    pub(super) fn of_start(value: &'v str) -> Pattern<'v> {
        match value.strip_prefix('*') {
            Some("") => Pattern::Any,
            Some(suffix) => Pattern::EndsWith(suffix),
            None => Pattern::Is(value),
        }
    }

    /// Where a star stands for something at the end alone.
    pub(super) fn of_end(value: &'v str) -> Pattern<'v> {
        match value.strip_suffix('*') {
            Some("") => Pattern::Any,
            Some(prefix) => Pattern::StartsWith(prefix),
            None => Pattern::Is(value),
        }
    }

    pub(super) fn of(value: &'v str) -> Pattern<'v> {
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
    pub(super) fn test(self, subject: &str, any: Term) -> Term {
        match self {
            Pattern::Any => any,
            Pattern::EndsWith(suffix) => {
                Term::Holds(format!("{subject}.endsWith({})", literal(suffix)))
            }
            Pattern::StartsWith(prefix) => {
                Term::Holds(format!("{subject}.startsWith({})", literal(prefix)))
            }
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
            _ if name.starts_with(':') => Err(format!(
                "`{}` has no counterpart: `paths`, `hosts` and `methods` are for the request line",
                name.escape_debug()
            )),
            "" => Err("a header without a name, which Istio refuses".to_owned()),
            _ if name.contains('_') => {
                let other = name.replace('_', "-");
                Err(format!(
                    "`{}` alone has no counterpart: this filter counts it as a line of `{}`",
                    name.escape_debug(),
                    other.escape_debug()
                ))
            }
            _ => Ok(Subject::Header(name.to_ascii_lowercase())),
        }
    }

    /// What a value means; of several terms one must hold.
    pub(super) fn terms(
        &self,
        value: &str,
        sense: Sense,
        reader: &Reader<'_>,
    ) -> Result<Vec<Term>, String> {
        let of = |attribute: &str| {
            if sense.sure { format!("default({attribute}, \"\")") } else { attribute.to_owned() }
        };
        Ok(match self {
            Subject::Principal => {
                let subject = of("source.spiffeId");
                let any = || Term::Holds("has(source.spiffeId)".to_owned());
                let test = |value: &String| match Pattern::of(value) {
                    Pattern::StartsWith(prefix) => {
                        Pattern::StartsWith(&format!("spiffe://{prefix}")).test(&subject, any())
                    }
                    Pattern::Is(text) => {
                        Pattern::Is(&format!("spiffe://{text}")).test(&subject, any())
                    }
                    pattern => pattern.test(&subject, any()),
                };
                reader.mesh.principals(value).iter().map(test).collect()
            }
            Subject::TrustDomain => {
                let subject = of("source.spiffeId");
                let of_one = |domain: &String| trust_domain(domain, &subject);
                reader.mesh.aliases(value).iter().map(of_one).collect::<Result<_, _>>()?
            }
            // Istio puts the value into a regular expression as it is; what no namespace has in its
            // name is left to it.
            Subject::Namespace if !value.chars().all(|c| is_literal(c) || c == '*') => {
                return Err(format!(
                    "`{}` has characters that Istio takes for a regular expression's",
                    value.escape_debug()
                ));
            }
            Subject::Namespace if sense.wide => {
                let subject = of("source.spiffeId");
                vec![Term::Holds(match value.contains('*') {
                    true => format!(
                        "{subject}.matches({})",
                        literal(&format!("/ns/{}/", with_wildcards(value)))
                    ),
                    false => format!("{subject}.contains({})", literal(&format!("/ns/{value}/"))),
                })]
            }
            Subject::Namespace => {
                let subject = of("source.identity.namespace");
                let inner = value.strip_prefix('*').unwrap_or(value);
                match inner.strip_suffix('*').unwrap_or(inner).contains('*')
                    || (value.len() > 1 && value.starts_with('*') && value.ends_with('*'))
                {
                    true => vec![Term::Holds(format!(
                        "{subject}.matches({})",
                        literal(&format!("^{}$", with_wildcards(value)))
                    ))],
                    false => vec![
                        Pattern::of(value)
                            .test(&subject, Term::Holds("has(source.identity)".to_owned())),
                    ],
                }
            }
            Subject::ServiceAccount => vec![service_account(value, sense, reader, of)?],
            Subject::SourceAddress => vec![address(value, "source.address")?],
            Subject::DestinationAddress => vec![address(value, "destination.address")?],
            Subject::Port => match value.parse::<u16>() {
                Ok(port) => vec![Term::Is("destination.port".to_owned(), port.to_string())],
                Err(_) => return Err(format!("`{}` is no port", value.escape_debug())),
            },
            Subject::Host => vec![host(value, sense)],
            Subject::Method => vec![Pattern::of(value).test("request.method", Term::Always)],
            Subject::Path if value.contains("{*}") || value.contains("{**}") => {
                vec![template(value)?]
            }
            Subject::Path => vec![Pattern::of(value).test("request.path", Term::Always)],
            Subject::Header(name) => {
                let any = Term::Holds(format!("{} in request.headers", literal(name)));
                vec![
                    Pattern::of(value)
                        .test(&of(&format!("request.headers[{}]", literal(name))), any),
                ]
            }
            Subject::RequestPrincipal => vec![token::principal(value, of)?],
            Subject::Claim(path) => vec![token::claim(path, value, of)],
            Subject::AnyLine(name) => {
                let of_one = |test: String| {
                    format!(
                        "default(request.headers.raw()[{}], []).exists(line, {test})",
                        literal(name)
                    )
                };
                vec![match Pattern::of(value).test("line", Term::Always) {
                    Term::Is(line, value) => Term::Holds(of_one(format!("{line} == {value}"))),
                    Term::Holds(test) => Term::Holds(of_one(test)),
                    Term::Always | Term::Both(..) => {
                        Term::Holds(format!("{} in request.headers", literal(name)))
                    }
                }]
            }
        })
    }

    /// Notes once what has another meaning here than in Istio.
    pub(super) fn hint<'d>(&self, list: &At<'d>, sense: Sense, notes: &mut Notes<'d>) {
        match self {
            Subject::Principal => {
                let message = "`cluster.local` in a principal is the mesh's own trust domain, and \
                    stands for its aliases too: `--trust-domain` says which they are, if not \
                    `cluster.local`";
                notes.once("trust domain", list, message);
            }
            Subject::TrustDomain => {
                let message = "a trust domain of the mesh's own stands for its aliases too, as in \
                    Istio: `--trust-domain` says which they are";
                notes.once("trust domain aliases", list, message);
            }
            Subject::Host if sense.wide => {
                let message = "`request.host` has no port and no final dot, so that \
                    `a.example:8080` is refused with `a.example`; in Istio it is not, unless it \
                    is listed too";
                notes.once("istio host refused", list, message);
            }
            Subject::Host => {
                let message = "as in Istio, `a.example` is not `a.example:8080`: hosts that let \
                    something through are compared with the `Host` header, letter case aside";
                notes.once("istio host allowed", list, message);
            }
            Subject::ServiceAccount
                if !sense.wide
                    && list
                        .items()
                        .iter()
                        .any(|item| item.node.as_str().is_some_and(|name| name.contains('.'))) =>
            {
                let message = "a dot in a service account is itself here; Istio, which puts the \
                    name into a regular expression as it is, lets any character stand for it";
                notes.add(list, Effect::Stricter, message);
            }
            Subject::Path => {
                let message = "paths are matched without their query, as in Istio; beyond it, \
                    ambiguous ones (`//`, `%2F`, `;`) are refused with 400 first. `pathSafety` \
                    relaxes that";
                notes.once("istio path", list, message);
            }
            Subject::Port => {
                let message = "`destination.port` is the port that the caller dialled; where the \
                    proxy does not tell it, the rule allows nothing, or denies";
                notes.once("port", list, message);
            }
            Subject::Header(_) | Subject::AnyLine(_) => {
                let message = "a header on several lines: a DENY looks for one line that matches, \
                    as Istio does since 1.27.8, 1.28.5 and 1.29.1 (before, it joined them with \
                    commas); an ALLOW wants all to. A line of `x_team` is one of `x-team`, which \
                    in Istio it is not";
                notes.once("istio headers", list, message);
            }
            Subject::RequestPrincipal | Subject::Claim(_) => {
                let message = "tokens are verified by a RequestAuthentication that is attached to \
                    the waypoint, as before; without one, or in another `phase` than `AUTHZ`, no \
                    request has claims";
                notes.needs(list, message);
            }
            _ => {}
        }
    }
}

/// A trust domain, with a `*` for any part of it: what an ID has up to its path.
fn trust_domain(value: &str, subject: &str) -> Result<Term, String> {
    if value.contains('/') {
        let value = value.escape_debug();
        return Err(format!("`{value}` is no trust domain: it has a `/`, which Istio refuses"));
    }
    let test = match value.split_once('*') {
        Some(("", "")) => format!("{subject}.startsWith(\"spiffe://\")"),
        Some((start, end)) => {
            let pattern = format!("^spiffe://{}[^/]*{}/", quoted(start), quoted(end));
            format!("{subject}.matches({})", literal(&pattern))
        }
        None => format!("{subject}.startsWith({})", literal(&format!("spiffe://{value}/"))),
    };
    Ok(Term::Holds(test))
}

fn service_account(
    value: &str,
    sense: Sense,
    reader: &Reader<'_>,
    of: impl Fn(&str) -> String,
) -> Result<Term, String> {
    let (namespace, name) = match value.split_once('/') {
        Some(parts) => parts,
        None => (
            reader.namespace.ok_or(
                "a service account without its namespace is of the \
            policy's: give `metadata.namespace`",
            )?,
            value,
        ),
    };
    let is_name = |text: &str, more: &[char]| {
        !text.is_empty() && text.chars().all(|c| is_literal(c) || more.contains(&c))
    };
    if !is_name(namespace, &[]) || !is_name(name, &['.']) {
        return Err(format!(
            "`{}` is no service account: expected `name` or `namespace/name`",
            value.escape_debug()
        ));
    }
    if sense.wide {
        // Istio's own pattern. It matches more than the form that Istio gives workloads, since its
        // dots match any character.
        let pattern = format!("^spiffe://.+/ns/{namespace}/(.+/)?sa/{name}(/.+)?$");
        return Ok(Term::Holds(format!(
            "{}.matches({})",
            of("source.spiffeId"),
            literal(&pattern)
        )));
    }
    let is = |attribute: &str, text: &str| Box::new(Term::Is(of(attribute), literal(text)));
    Ok(Term::Both(
        is("source.identity.namespace", namespace),
        is("source.identity.serviceAccount", name),
    ))
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

/// A host is compared without regard to letter case. Istio compares the authority as the caller
/// wrote it, and rules that let something through do the same. Rules that refuse something compare
/// the host without its port, wherever that refuses no less.
fn host(value: &str, sense: Sense) -> Term {
    let value = value.to_ascii_lowercase();
    let pattern = Pattern::of(&value);
    let has_no_port_or_dot = match pattern {
        Pattern::Any => return Term::Always,
        Pattern::Is(text) | Pattern::StartsWith(text) => !text.ends_with('.'),
        // A port ends in digits too.
        Pattern::EndsWith(text) => {
            !text.ends_with('.') && text.contains(|c: char| !c.is_ascii_digit())
        }
    };
    let takes_no_less = has_no_port_or_dot && !value.contains([':', '[', ']']);
    let subject = if sense.wide && takes_no_less {
        "request.host"
    } else {
        "request.headers[\"host\"].lowerAscii()"
    };
    pattern.test(subject, Term::Always)
}

/// A path template: `{*}` is one segment, `{**}` any number of them.
fn template(value: &str) -> Result<Term, String> {
    let wrong = || {
        format!(
            "`{}` is no path template that Istio takes: `{{*}}` and `{{**}}` stand for whole \
             segments",
            value.escape_debug()
        )
    };
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
            _ if segment
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._~%!$&'()+,;:@=".contains(c)) =>
            {
                pattern.push_str(&quoted(segment))
            }
            _ => return Err(wrong()),
        }
    }
    pattern.push('$');
    Ok(Term::Holds(format!("request.path.matches({})", literal(&pattern))))
}

/// A pattern in which `*` matches anything.
fn with_wildcards(text: &str) -> String {
    text.split('*').map(quoted).collect::<Vec<_>>().join(".*")
}

/// Whether a character of a namespace's or service account's name has no special meaning in a
/// regular expression.
fn is_literal(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// A text as a pattern of itself.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if !(c.is_alphanumeric()
            || matches!(
                c,
                '-' | '_' | '/' | '~' | '%' | '!' | '&' | '\'' | ',' | ';' | ':' | '@' | '='
            ))
        {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

impl super::Mesh {
    /// A trust domain, or if it is one of the mesh's own, all of these.
    fn aliases(&self, domain: &str) -> Vec<String> {
        match self.trust_domains.iter().any(|own| own == domain) {
            true => self.trust_domains.clone(),
            false => vec![domain.to_owned()],
        }
    }

    /// A principal in every trust domain that it covers: each of the mesh's own, and
    /// `cluster.local`, covers all of them.
    fn principals(&self, principal: &str) -> Vec<String> {
        let as_it_is = || vec![principal.to_owned()];
        let mut parts = principal.split('/');
        let (Some(domain), 4) = (parts.next(), parts.count()) else { return as_it_is() };
        let (_, rest) = principal.split_once('/').unwrap_or_default();
        // A domain may have a wildcard at either end. It then covers the mesh's domains that it
        // matches, and with them all others of the mesh.
        let ends_as =
            |own: &String| domain.strip_prefix('*').is_some_and(|suffix| own.ends_with(suffix));
        let starts_as =
            |own: &String| domain.strip_suffix('*').is_some_and(|prefix| own.starts_with(prefix));
        let is_own = domain == "cluster.local"
            || self.trust_domains.iter().any(|own| own == domain || ends_as(own) || starts_as(own));
        if domain == "*" || !is_own {
            return as_it_is();
        }
        let in_domain = |own: &String| {
            if ends_as(own) { principal.to_owned() } else { format!("{own}/{rest}") }
        };
        self.trust_domains.iter().map(in_domain).collect()
    }
}
