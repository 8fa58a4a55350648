//! The functions that expressions may call: names and signatures, for checking. The environment has
//! their implementations.
//!
//! Names and signatures: CEL's specification (langdef, "List of Standard Definitions"), cel-go's
//! extensions `strings`, `math` and `encoders`, Kubernetes' IP and CIDR libraries, and
//! AgentGateway's own. The page of functions describes each.

mod global;
mod member;

use std::borrow::Cow;

use cel::IdedExpr;

use self::global::GLOBAL;
use self::member::MEMBER;
use super::types::Type;
use super::written::dotted;

/// A type in a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sig {
    Any,
    Bool,
    Int,
    Uint,
    Double,
    Str,
    Bytes,
    Type,
    List,
    Strings,
    Map,
    /// A map whose keys are strings.
    TextMap,
    Optional,
    /// `request.headers` and `response.headers`, in any view.
    Headers,
    /// Their views whose values are lists.
    HeaderLists,
    Ip,
    Cidr,
    Time,
    Span,
}

impl Sig {
    fn to_type(self) -> Type {
        match self {
            Sig::Any => Type::Dyn,
            Sig::Bool => Type::Bool,
            Sig::Int => Type::Int,
            Sig::Uint => Type::Uint,
            Sig::Double => Type::Double,
            Sig::Str => Type::String,
            Sig::Bytes => Type::Bytes,
            Sig::Type => Type::Meta,
            Sig::List => Type::list(Type::Dyn),
            Sig::Strings => Type::list(Type::String),
            Sig::Map => Type::Map(Box::new(Type::Dyn), Box::new(Type::Dyn)),
            Sig::TextMap => Type::Map(Box::new(Type::String), Box::new(Type::Dyn)),
            Sig::Optional => Type::Optional(Box::new(Type::Dyn)),
            Sig::Headers => Type::Headers,
            Sig::HeaderLists => Type::HeaderLists,
            Sig::Ip => Type::Ip,
            Sig::Cidr => Type::Cidr,
            Sig::Time => Type::Timestamp,
            Sig::Span => Type::Duration,
        }
    }

    /// The names of the types of values.
    fn kinds(self) -> &'static str {
        match self {
            Sig::Any => "",
            Sig::Bool => "bool",
            Sig::Int => "int",
            Sig::Uint => "uint",
            Sig::Double => "double",
            Sig::Str => "string",
            Sig::Bytes => "bytes",
            Sig::Type => "type",
            Sig::List | Sig::Strings => "list",
            Sig::Map | Sig::TextMap | Sig::Headers | Sig::HeaderLists => "map",
            Sig::Optional => "optional_type",
            Sig::Ip => "net.IP",
            Sig::Cidr => "net.CIDR",
            Sig::Time => "google.protobuf.Timestamp",
            Sig::Span => "google.protobuf.Duration",
        }
    }
}

type Overload = (&'static str, &'static [Sig], Sig);

/// The macros, which look like functions and are expanded by the parser.
pub(crate) const MACROS: &[&str] = &[
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "default",
    "coalesce",
    "with",
    "mapValues",
    "filterKeys",
    "removeKeys",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "optMap",
    "optFlatMap",
    "math.greatest",
    "math.least",
    "cel.bind",
];

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `f(a)`
    Global,
    /// `a.f()`
    Member,
}

fn table(style: Style) -> &'static [Overload] {
    match style {
        Style::Global => GLOBAL,
        Style::Member => MEMBER,
    }
}

/// Whether there is a function of this name.
pub(crate) fn exists(style: Style, name: &str) -> bool {
    table(style).iter().any(|(known, ..)| *known == name)
}

/// Whether functions have names that begin with this one and a dot.
pub(crate) fn has_namespace(root: &str) -> bool {
    let mut names = GLOBAL.iter().map(|(name, ..)| *name).chain(MACROS.iter().copied());
    names.any(|name| name.split_once('.').is_some_and(|(namespace, _)| namespace == root))
}

/// All names of a style.
pub(crate) fn names(style: Style) -> impl Iterator<Item = &'static str> {
    table(style).iter().map(|(name, ..)| *name).filter(|name| !name.contains('@'))
}

/// The result's type, if an overload takes these arguments.
pub(crate) fn result(style: Style, name: &str, arguments: &[Type]) -> Option<Type> {
    let fitting = table(style).iter().filter(|(known, parameters, _)| {
        *known == name
            && parameters.len() == arguments.len()
            && parameters
                .iter()
                .zip(arguments)
                .all(|(parameter, argument)| argument.fits(&parameter.to_type()))
    });
    fitting.map(|(_, _, result)| result.to_type()).reduce(Type::join)
}

/// Whether what a call is called on is part of the function's name: `math` in `math.abs(x)`.
pub(crate) fn is_namespace(target: &IdedExpr, name: &str) -> bool {
    dotted(target).is_some_and(|namespace| exists(Style::Global, &format!("{namespace}.{name}")))
}

/// The overloads that a call may be of: its style, with the function's whole name.
fn called<'n>(target: Option<&IdedExpr>, name: &'n str) -> (Style, Cow<'n, str>) {
    // Calls of some functions are renamed once they are checked.
    let name = name.strip_prefix('@').unwrap_or(name);
    match target {
        None => (Style::Global, Cow::Borrowed(name)),
        Some(target) if is_namespace(target, name) => {
            (Style::Global, Cow::Owned(format!("{}.{name}", dotted(target).unwrap_or_default())))
        }
        Some(_) => (Style::Member, Cow::Borrowed(name)),
    }
}

/// The types that a function takes for each argument (the target of a member first), by the names
/// that values' types have, separated by blanks; empty if it takes any. Nothing if there is no such
/// function.
pub(crate) fn kinds(
    target: Option<&IdedExpr>,
    name: &str,
    arguments: usize,
) -> Option<Vec<String>> {
    let (style, name) = called(target, name);
    let count = arguments.saturating_add(usize::from(style == Style::Member));
    let mut kinds: Option<Vec<String>> = None;
    for (_, parameters, _) in table(style)
        .iter()
        .filter(|(known, parameters, _)| *known == name && parameters.len() == count)
    {
        match &mut kinds {
            None => {
                kinds =
                    Some(parameters.iter().map(|parameter| parameter.kinds().to_owned()).collect())
            }
            Some(kinds) => {
                for (kinds, parameter) in kinds.iter_mut().zip(*parameters) {
                    if kinds.is_empty() || parameter.kinds().is_empty() {
                        kinds.clear();
                    } else {
                        *kinds = format!("{kinds} {}", parameter.kinds());
                    }
                }
            }
        }
    }
    kinds
}

/// Whether the type of a function's result is known only at a request.
pub(crate) fn may_give_anything(target: Option<&IdedExpr>, name: &str) -> bool {
    let (style, name) = called(target, name);
    table(style)
        .iter()
        .filter(|(known, ..)| *known == name)
        .any(|(_, _, result)| matches!(result, Sig::Any | Sig::Optional))
}

/// The signatures of a function, for messages: `string.startsWith(string)`.
pub(crate) fn signatures(style: Style, name: &str) -> String {
    let shown =
        table(style).iter().filter(|(known, ..)| *known == name).map(|(_, parameters, _)| {
            let mut types: Vec<String> =
                parameters.iter().map(|parameter| parameter.to_type().to_string()).collect();
            match style {
                Style::Global => format!("`{name}({})`", types.join(", ")),
                Style::Member => {
                    let target = if types.is_empty() { String::new() } else { types.remove(0) };
                    format!("`{target}.{name}({})`", types.join(", "))
                }
            }
        });
    shown.collect::<Vec<_>>().join(", ")
}
