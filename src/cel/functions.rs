//! The functions that expressions may call: names and signatures, for checking. What they do is the environment's.
//!
//! Names and signatures: CEL's specification (langdef, "List of Standard Definitions"), cel-go's extensions `strings`,
//! `math` and `encoders`, and AgentGateway's `default`.

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
    Optional,
}

use Sig::{Any, Bool, Bytes as Blob, Double, Int, List, Map, Optional, Str, Strings, Type as TypeOf, Uint};

impl Sig {
    fn to_type(self) -> Type {
        match self {
            Any => Type::Dyn,
            Bool => Type::Bool,
            Int => Type::Int,
            Uint => Type::Uint,
            Double => Type::Double,
            Str => Type::String,
            Blob => Type::Bytes,
            TypeOf => Type::Meta,
            List => Type::list(Type::Dyn),
            Strings => Type::list(Type::String),
            Map => Type::Map(Box::new(Type::Dyn), Box::new(Type::Dyn)),
            Optional => Type::Optional(Box::new(Type::Dyn)),
        }
    }
}

type Overload = (&'static str, &'static [Sig], Sig);

/// Called as `f(a, b)`.
const GLOBAL: &[Overload] = &[
    ("size", &[Str], Int),
    ("size", &[Blob], Int),
    ("size", &[List], Int),
    ("size", &[Map], Int),
    ("matches", &[Str, Str], Bool),
    ("bool", &[Bool], Bool),
    ("bool", &[Str], Bool),
    ("int", &[Int], Int),
    ("int", &[Uint], Int),
    ("int", &[Double], Int),
    ("int", &[Str], Int),
    ("uint", &[Uint], Uint),
    ("uint", &[Int], Uint),
    ("uint", &[Double], Uint),
    ("uint", &[Str], Uint),
    ("double", &[Double], Double),
    ("double", &[Int], Double),
    ("double", &[Uint], Double),
    ("double", &[Str], Double),
    ("string", &[Str], Str),
    ("string", &[Bool], Str),
    ("string", &[Int], Str),
    ("string", &[Uint], Str),
    ("string", &[Double], Str),
    ("string", &[Blob], Str),
    ("bytes", &[Str], Blob),
    ("bytes", &[Blob], Blob),
    ("dyn", &[Any], Any),
    ("type", &[Any], TypeOf),
    ("optional.none", &[], Optional),
    ("optional.of", &[Any], Optional),
    ("optional.ofNonZeroValue", &[Any], Optional),
    ("strings.quote", &[Str], Str),
    ("base64.encode", &[Blob], Str),
    ("base64.decode", &[Str], Blob),
    ("math.ceil", &[Double], Double),
    ("math.floor", &[Double], Double),
    ("math.round", &[Double], Double),
    ("math.trunc", &[Double], Double),
    ("math.isInf", &[Double], Bool),
    ("math.isNaN", &[Double], Bool),
    ("math.isFinite", &[Double], Bool),
    ("math.abs", &[Double], Double),
    ("math.abs", &[Int], Int),
    ("math.abs", &[Uint], Uint),
    ("math.sign", &[Double], Double),
    ("math.sign", &[Int], Int),
    ("math.sign", &[Uint], Uint),
    ("math.bitAnd", &[Int, Int], Int),
    ("math.bitAnd", &[Uint, Uint], Uint),
    ("math.bitOr", &[Int, Int], Int),
    ("math.bitOr", &[Uint, Uint], Uint),
    ("math.bitXor", &[Int, Int], Int),
    ("math.bitXor", &[Uint, Uint], Uint),
    ("math.bitNot", &[Int], Int),
    ("math.bitNot", &[Uint], Uint),
    ("math.bitShiftLeft", &[Int, Int], Int),
    ("math.bitShiftLeft", &[Uint, Int], Uint),
    ("math.bitShiftRight", &[Int, Int], Int),
    ("math.bitShiftRight", &[Uint, Int], Uint),
    ("math.sqrt", &[Double], Double),
    ("math.sqrt", &[Int], Double),
    ("math.sqrt", &[Uint], Double),
    // What the macros `math.greatest` and `math.least` become.
    ("math.@max", &[Any], Any),
    ("math.@max", &[Any, Any], Any),
    ("math.@min", &[Any], Any),
    ("math.@min", &[Any, Any], Any),
];

/// Called as `a.f(b)`; the first type is that of `a`.
const MEMBER: &[Overload] = &[
    ("size", &[Str], Int),
    ("size", &[Blob], Int),
    ("size", &[List], Int),
    ("size", &[Map], Int),
    ("contains", &[Str, Str], Bool),
    ("startsWith", &[Str, Str], Bool),
    ("endsWith", &[Str, Str], Bool),
    ("matches", &[Str, Str], Bool),
    ("charAt", &[Str, Int], Str),
    ("indexOf", &[Str, Str], Int),
    ("indexOf", &[Str, Str, Int], Int),
    ("lastIndexOf", &[Str, Str], Int),
    ("lastIndexOf", &[Str, Str, Int], Int),
    ("join", &[Strings], Str),
    ("join", &[Strings, Str], Str),
    ("lowerAscii", &[Str], Str),
    ("upperAscii", &[Str], Str),
    ("trim", &[Str], Str),
    ("replace", &[Str, Str, Str], Str),
    ("replace", &[Str, Str, Str, Int], Str),
    ("split", &[Str, Str], Strings),
    ("split", &[Str, Str, Int], Strings),
    ("substring", &[Str, Int], Str),
    ("substring", &[Str, Int, Int], Str),
    ("format", &[Str, List], Str),
    ("reverse", &[Str], Str),
    ("value", &[Optional], Any),
    ("hasValue", &[Optional], Bool),
    ("or", &[Optional, Optional], Optional),
    ("orValue", &[Optional, Any], Any),
];

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
