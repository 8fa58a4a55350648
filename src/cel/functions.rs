//! The functions that expressions may call: names and signatures, for checking. What they do is the environment's.
//!
//! Names and signatures: CEL's specification (langdef, "List of Standard Definitions"), cel-go's extensions `strings`,
//! `math` and `encoders`, Kubernetes' IP and CIDR libraries, and AgentGateway's own. `functions.md` describes each.

#[cfg(test)]
mod documentation;
mod global;
mod member;
#[cfg(test)]
mod standard;

use self::global::GLOBAL;
use self::member::MEMBER;
use super::types::Type;

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
        }
    }
}

type Overload = (&'static str, &'static [Sig], Sig);

/// The macros, which look like functions and are gone once parsed.
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

/// All names of a style.
pub(crate) fn names(style: Style) -> impl Iterator<Item = &'static str> {
    table(style).iter().map(|(name, ..)| *name).filter(|name| !name.contains('@'))
}

/// The result's type, if an overload takes these arguments.
pub(crate) fn result(style: Style, name: &str, arguments: &[Type]) -> Option<Type> {
    let fitting = table(style).iter().filter(|(known, parameters, _)| {
        *known == name
            && parameters.len() == arguments.len()
            && parameters.iter().zip(arguments).all(|(parameter, argument)| argument.fits(&parameter.to_type()))
    });
    fitting.map(|(_, _, result)| result.to_type()).reduce(Type::join)
}

/// The signatures of a function, for messages: `string.startsWith(string)`.
pub(crate) fn signatures(style: Style, name: &str) -> String {
    let shown = table(style).iter().filter(|(known, ..)| *known == name).map(|(_, parameters, _)| {
        let mut types: Vec<String> = parameters.iter().map(|parameter| parameter.to_type().to_string()).collect();
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
