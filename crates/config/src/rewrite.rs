//! `urlRewrite`, `hostRewrite`, and how a path is changed.

use super::conditional::{self, CONDITIONAL, ConditionalConfig, ENTRIES, Shape, entry};
use super::decode::{Errors, Node, Object};
use super::shape::{
    Condition, Field, HOST_REWRITE, Kind, PATH_CHANGE, Text, field, listed, required,
};

/// `urlRewrite`: what is changed of the request's authority and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlRewriteConfig {
    /// The new authority, lower-case.
    pub hostname: Option<String>,
    /// How the path is changed.
    pub path: Option<PathChange>,
}

/// `path` of `urlRewrite` and `requestRedirect`: how the path is changed. The query is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathChange {
    /// The whole path becomes another.
    Full {
        /// The path must be this or below it; any path where there is none.
        prefix: Option<String>,
        /// The new path.
        path: String,
    },
    /// A prefix becomes another; what is behind it is kept.
    Prefix {
        /// The prefix: the path must be this or below it.
        prefix: String,
        /// The new prefix.
        replacement: String,
    },
}

/// `hostRewrite.mode`: whether the authority becomes that of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRewrite {
    /// The authority becomes the name of the destination that was dialled.
    Auto,
    /// The authority stays.
    None,
}

/// Which form a `path` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathChangeType {
    Full,
    Prefix,
}

/// `path`
pub(super) const PATH: Kind = Kind::Object(PATH_FIELDS, PATH_IS);

const PATH_FIELDS: &[Field] = &[
    required("type", Kind::Words(|| listed(PATH_CHANGE)), "What is replaced."),
    field(
        "prefix",
        Kind::Text(Text::Path),
        "This filter's own, as it does not see the route's match: the path must be this prefix, \
         or below it; else nothing is changed. It is compared as it is written, letter by letter. \
         Required with replacePrefixMatch.",
    ),
    field("replaceFullPath", Kind::Text(Text::Path), "The new path. The query is kept."),
    field(
        "replacePrefixMatch",
        Kind::Text(Text::Path),
        "What comes in the place of `prefix`. What is behind it and the query are kept.",
    ),
];

const PATH_IS: &[Condition] = &[
    Condition::OneOf(&["replaceFullPath", "replacePrefixMatch"]),
    Condition::Needs("replacePrefixMatch", "prefix"),
    Condition::Names("type", "ReplaceFullPath", "replaceFullPath"),
    Condition::Names("type", "ReplacePrefixMatch", "replacePrefixMatch"),
];

const HOSTNAME: Field = field(
    "hostname",
    Kind::Text(Text::HostName),
    "The new `:authority`, without a port. It does not change where the request goes.",
);
const REWRITE_PATH: Field = field("path", PATH, "How the path is changed.");
const REWRITE_FORM: &[Field] = &[HOSTNAME, REWRITE_PATH];
const REWRITE_FORM_IS: &[Condition] = &[Condition::AnyOf(&["hostname", "path"])];
const REWRITE_ENTRY: Kind = Kind::Object(REWRITE_FORM, REWRITE_FORM_IS);

/// `traffic.urlRewrite`
pub(super) const URL_REWRITE: Shape = Shape {
    whole: &[
        HOSTNAME,
        REWRITE_PATH,
        field(
            "conditional",
            Kind::List(ENTRIES, &Kind::Object(&entry(REWRITE_ENTRY), &[])),
            CONDITIONAL,
        ),
    ],
    whole_is: &[
        Condition::AnyOf(&["hostname", "path", "conditional"]),
        Condition::Alone("conditional"),
    ],
    form: REWRITE_FORM,
    form_is: REWRITE_FORM_IS,
};

/// `traffic.hostRewrite`
pub(super) const HOST_REWRITE_FIELDS: &[Field] = &[required(
    "mode",
    Kind::Words(|| listed(HOST_REWRITE)),
    "Whether `:authority` becomes the name of the destination that was dialled.",
)];

/// Reads `urlRewrite`.
#[inline(never)]
pub(super) fn read(
    node: &Node<'_>,
    errors: &mut Errors,
) -> Option<ConditionalConfig<UrlRewriteConfig>> {
    conditional::read(node, URL_REWRITE, errors, |fields, errors| {
        let hostname = fields.get("hostname").and_then(|node| read_hostname(&node, errors));
        let path = fields.get("path").and_then(|node| read_path(&node, errors));
        Some(UrlRewriteConfig { hostname, path })
    })
}

/// Reads `hostRewrite`.
pub(super) fn read_host(node: &Node<'_>, errors: &mut Errors) -> Option<HostRewrite> {
    let fields = node.object(HOST_REWRITE_FIELDS, errors)?;
    fields.get("mode").and_then(|node| node.word(HOST_REWRITE, errors))
}

/// Reads the name of a host, as it is written into a request.
pub(super) fn read_hostname(node: &Node<'_>, errors: &mut Errors) -> Option<String> {
    node.text(Text::HostName, errors).map(str::to_ascii_lowercase)
}

/// Reads `path`.
pub(super) fn read_path(node: &Node<'_>, errors: &mut Errors) -> Option<PathChange> {
    let fields = node.object(PATH_FIELDS, errors)?;
    fields.check(PATH_IS, errors);
    let kind = fields.get("type").and_then(|node| node.word(PATH_CHANGE, errors));
    let text = |name: &str, errors: &mut Errors, fields: &Object<'_>| {
        fields.get(name).and_then(|node| node.text(Text::Path, errors)).map(str::to_owned)
    };
    let prefix = text("prefix", errors, &fields);
    let full = text("replaceFullPath", errors, &fields);
    let replacement = text("replacePrefixMatch", errors, &fields);
    if fields.get("replacePrefixMatch").is_some() && fields.get("prefix").is_none() {
        errors.add(
            &fields.place,
            "`replacePrefixMatch` needs `prefix`: this filter does not see what the route matched, \
             so say which prefix is replaced",
        );
    }
    match kind? {
        PathChangeType::Full => Some(PathChange::Full { prefix, path: full? }),
        PathChangeType::Prefix => {
            Some(PathChange::Prefix { prefix: prefix?, replacement: replacement? })
        }
    }
}
