//! `requestRedirect` and `directResponse`: answers in the origin's place.

use super::conditional::{self, CONDITIONAL, ConditionalConfig, ENTRIES, Shape, entry};
use super::decode::{Errors, Node, Object};
use super::reply::{BODY, BODY_EXPRESSION, ONE_BODY, REPLY_HEADERS, ReplyConfig, read_reply};
use super::rewrite::{PATH, PathChange, read_hostname, read_path};
use super::shape::{Condition, Field, Kind, SCHEME, Text, field, listed, required};

/// `requestRedirect`: where the caller is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectConfig {
    /// The scheme; that of the request where there is none.
    pub scheme: Option<Scheme>,
    /// The host, lower-case; that of the request where there is none.
    pub hostname: Option<String>,
    /// The port; where there is none, that of the scheme if one is given, else the request's.
    pub port: Option<u16>,
    /// How the path is changed.
    pub path: Option<PathChange>,
    /// The status.
    pub status: u16,
}

/// The scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// `directResponse`: the answer that the caller gets in the origin's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectResponseConfig {
    /// The status.
    pub status: u16,
    /// Body and headers.
    pub reply: ReplyConfig,
}

/// The statuses that a redirect may have.
pub(super) const REDIRECTS: &[u64] = &[301, 302, 303, 307, 308];
const DEFAULT_REDIRECT: u16 = 302;

/// Statuses whose answers have no body (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
const BODILESS: [u16; 3] = [204, 205, 304];

const REDIRECT_SCHEME: Field = field(
    "scheme",
    Kind::Words(|| listed(SCHEME)),
    "The scheme. That of the request where it is left out: http, in a waypoint.",
);
const HOSTNAME: Field = field(
    "hostname",
    Kind::Text(Text::HostName),
    "The host. That of the request where it is left out.",
);
const PORT: Field = field(
    "port",
    Kind::Integer(1, 65_535),
    "The port. Where it is left out: that of `scheme` if there is one, else that of the request. \
     80 for http and 443 for https are not written.",
);
const REDIRECT_PATH: Field =
    field("path", PATH, "How the path is changed. It stays where this is left out.");
const STATUS_CODE: Field =
    field("statusCode", Kind::Choice(REDIRECTS), "The status. 302 where it is left out.");

const REDIRECT_FORM: &[Field] = &[REDIRECT_SCHEME, HOSTNAME, PORT, REDIRECT_PATH, STATUS_CODE];
const REDIRECT_FORM_IS: &[Condition] = &[Condition::AnyOf(&["scheme", "hostname", "port", "path"])];
const REDIRECT_ENTRY: Kind = Kind::Object(REDIRECT_FORM, REDIRECT_FORM_IS);

/// `traffic.requestRedirect`
pub(super) const REDIRECT: Shape = Shape {
    whole: &[
        REDIRECT_SCHEME,
        HOSTNAME,
        PORT,
        REDIRECT_PATH,
        STATUS_CODE,
        field(
            "conditional",
            Kind::List(ENTRIES, &Kind::Object(&entry(REDIRECT_ENTRY), &[])),
            CONDITIONAL,
        ),
    ],
    whole_is: &[
        Condition::AnyOf(&["scheme", "hostname", "port", "path", "conditional"]),
        Condition::Alone("conditional"),
    ],
    form: REDIRECT_FORM,
    form_is: REDIRECT_FORM_IS,
};

const STATUS: &str = "The status.";
const RESPONSE_FORM: &[Field] =
    &[required("status", Kind::Integer(200, 599), STATUS), BODY, BODY_EXPRESSION, REPLY_HEADERS];
const RESPONSE_FORM_IS: &[Condition] = &[ONE_BODY];
const RESPONSE_ENTRY: Kind = Kind::Object(RESPONSE_FORM, RESPONSE_FORM_IS);

/// `traffic.directResponse`
pub(super) const DIRECT_RESPONSE: Shape = Shape {
    whole: &[
        field("status", Kind::Integer(200, 599), STATUS),
        BODY,
        BODY_EXPRESSION,
        REPLY_HEADERS,
        field(
            "conditional",
            Kind::List(ENTRIES, &Kind::Object(&entry(RESPONSE_ENTRY), &[])),
            CONDITIONAL,
        ),
    ],
    whole_is: &[
        Condition::RequiredUnless("status", "conditional"),
        ONE_BODY,
        Condition::Alone("conditional"),
    ],
    form: RESPONSE_FORM,
    form_is: RESPONSE_FORM_IS,
};

/// Reads `requestRedirect`.
pub(super) fn read_redirect(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<RedirectConfig>> {
    conditional::read(node, REDIRECT, errors, |fields, errors| {
        let small = |node: Node<'_>, errors: &mut Errors| {
            node.integer(1, 65_535, errors).and_then(|port| u16::try_from(port).ok())
        };
        let status = fields.get("statusCode").and_then(|node| node.choice(REDIRECTS, errors));
        Some(RedirectConfig {
            scheme: fields.get("scheme").and_then(|node| node.word(SCHEME, errors)),
            hostname: fields.get("hostname").and_then(|node| read_hostname(&node, errors)),
            port: fields.get("port").and_then(|node| small(node, errors)),
            path: fields.get("path").and_then(|node| read_path(&node, errors)),
            status: status
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or(DEFAULT_REDIRECT),
        })
    })
}

/// Reads `directResponse`.
#[inline(never)]
pub(super) fn read_direct_response(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<DirectResponseConfig>> {
    conditional::read(node, DIRECT_RESPONSE, errors, read_response)
}

fn read_response(fields: &Object<'_>, errors: &mut Errors) -> Option<DirectResponseConfig> {
    let status = fields.get("status").and_then(|node| node.integer(200, 599, errors));
    let reply = read_reply(fields, errors);
    let status = status.and_then(|status| u16::try_from(status).ok())?;
    if reply.body.is_some() && BODILESS.contains(&status) {
        errors.add(
            &fields.place,
            format!("an answer with status {status} has no body: leave `body` out"),
        );
    }
    Some(DirectResponseConfig { status, reply })
}
