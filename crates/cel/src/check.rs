//! The static check of names, types and phases, when the configuration loads.
//!
//! It is stricter than CEL's runtime, which compares a string with an int and returns false. It is
//! more lenient than CEL's own checker: a part whose type is not known (`dyn`) may be used as any
//! type.

mod headers;
mod loops;
mod operators;
mod type_names;
mod variable;

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators as op};

use self::type_names::TYPE_NAMES;
pub(crate) use self::type_names::qualified_type;
use super::attributes::{Id, Kind, Phase, Table};
use super::functions::{self, Style};
use super::suggest::{did_you_mean, nearest};
use super::types::Type;
use super::variables::{self, Scope, Variable};
use super::written::dotted;
use super::{HeadersRead, Uses};

/// An error, and the node that it is about.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) node: u64,
    pub(crate) message: String,
}

/// What checking finds out.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) result: Type,
    pub(crate) uses: Uses,
    pub(crate) mistakes: Vec<Mistake>,
    /// The variables that the whole is, for a message about it.
    pub(crate) names: String,
}

/// Checks an expression of bounded depth.
///
/// `constants` are the nodes that are the literals of variables.
pub(crate) fn check(
    root: &IdedExpr,
    phase: Phase,
    scope: Scope<'_>,
    constants: &[(u64, &Arc<Variable>)],
) -> Checked {
    let (variables, mistakes, table) = (Vec::new(), Vec::new(), scope.table);
    let uses = Uses::default();
    let mut checker = Checker { table, scope, constants, phase, variables, uses, mistakes };
    let result = checker.expr(root);
    let names = checker.names(root, "");
    Checked { result, uses: checker.uses, mistakes: checker.mistakes, names }
}

struct Checker<'v> {
    table: &'static Table,
    scope: Scope<'v>,
    /// The nodes that are the literals of variables.
    constants: &'v [(u64, &'v Arc<Variable>)],
    phase: Phase,
    /// The variables of the comprehensions around, innermost last.
    variables: Vec<(String, Type)>,
    uses: Uses,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    fn mistake(&mut self, node: &IdedExpr, message: impl Into<String>) -> Type {
        let mut message = message.into();
        message += &self.names(node, &message);
        self.mistakes.push(Mistake { node: node.id, message });
        Type::Dyn
    }

    fn expr(&mut self, node: &IdedExpr) -> Type {
        match &node.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => {
                let known = self.ident(node, name);
                // As a whole it can go where its type is not known, `dyn(request).headers`, and
                // what is read of it there too.
                if let Type::Object(object) = known {
                    self.read_whole(object);
                }
                known
            }
            Expr::Select(select) => self.select(node, select),
            Expr::Call(call) => self.call(node, call),
            Expr::List(list) => {
                let elements = list.elements.iter().enumerate();
                let element = elements
                    .map(|(index, part)| self.element(part, list.optional_indices.contains(&index)))
                    .reduce(Type::join);
                Type::list(element.unwrap_or(Type::Dyn))
            }
            Expr::Map(map) => {
                let mut types: Option<(Type, Type)> = None;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
                    let key = self.expr(&entry.key);
                    let value = self.element(&entry.value, entry.optional);
                    types = Some(match types {
                        None => (key, value),
                        Some((keys, values)) => (keys.join(key), values.join(value)),
                    });
                }
                let (key, value) = types.unwrap_or((Type::Dyn, Type::Dyn));
                Type::Map(Box::new(key), Box::new(value))
            }
            Expr::Struct(made) => self.mistake(
                node,
                format!(
                    "no message can be made here: `{}` is no type of this filter",
                    made.type_name
                ),
            ),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Unspecified => self.mistake(node, "an expression is missing"),
        }
    }

    /// The type of an element of a list, or of a value of a map. With a `?` before it, it is an
    /// optional, of which there is the value or nothing.
    fn element(&mut self, node: &IdedExpr, is_optional: bool) -> Type {
        match self.expr(node) {
            known if !is_optional => known,
            Type::Optional(inner) => *inner,
            Type::Dyn => Type::Dyn,
            other => self.mistake(
                node,
                format!(
                    "`?` takes an optional here, not {other}: write `.?name` or `[?\"name\"]` for \
                     what may be missing, or leave the `?` out"
                ),
            ),
        }
    }

    /// The type of the operand of a selection or index.
    fn operand(&mut self, node: &IdedExpr) -> Type {
        match &node.expr {
            Expr::Ident(name) => self.ident(node, name),
            _ => self.expr(node),
        }
    }

    fn variable(&self, name: &str) -> Option<Type> {
        self.variables.iter().rev().find(|(known, _)| known == name).map(|(_, known)| known.clone())
    }

    fn ident(&mut self, node: &IdedExpr, name: &str) -> Type {
        if let Some(known) = self.variable(name) {
            return known;
        }
        let plain = name.strip_prefix('.').unwrap_or(name);
        match self.table.root(plain) {
            Some(object) if !self.phase.has(self.table.from(object)) => {
                self.not_yet(node, object, self.table.from(object))
            }
            Some(object) => Type::Object(object),
            None if self.table.data(plain).is_some() => self.data(node, plain),
            None if TYPE_NAMES.contains(&plain) => Type::Meta,
            None if plain == variables::ROOT => self.mistake(
                node,
                format!("`{plain}` is no value of its own: read one, as in `{plain}.name`"),
            ),
            None => {
                let variables = self.variables.iter().map(|(name, _)| name.as_str());
                let roots =
                    || self.table.roots().filter(|root| self.phase.has(self.table.from(root)));
                let hint = match self.table.of_elsewhere(plain) {
                    Some(here) => format!(": here it is `{here}`"),
                    None => did_you_mean(plain, roots().map(|root: &str| root).chain(variables)),
                };
                let hint = match hint {
                    none if none.is_empty() => {
                        let roots = roots().collect::<Vec<_>>().join("`, `");
                        format!(": expected one of `{roots}`, or a text in quotes")
                    }
                    hint => hint,
                };
                self.mistake(node, format!("unknown attribute `{plain}`{hint}"))
            }
        }
    }

    /// The type of an attribute that is data.
    fn data(&mut self, node: &IdedExpr, name: &str) -> Type {
        match self.table.data(name) {
            Some((_, attribute)) if !self.phase.has(attribute.from) => {
                self.not_yet(node, attribute.name, attribute.from)
            }
            Some((id, attribute)) => {
                self.read_attribute(id);
                attribute.to_type()
            }
            None => Type::Dyn,
        }
    }

    fn not_yet(&mut self, node: &IdedExpr, name: &str, from: Phase) -> Type {
        let readers = from.readers();
        let why = match from {
            Phase::RequestBody | Phase::ResponseBody => ", because headers go on before the body",
            Phase::Request | Phase::Response => "",
        };
        self.mistake(
            node,
            format!(
                "`{name}` is not there yet when this is evaluated: only {readers} can read it{why}"
            ),
        )
    }

    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Type {
        if self.reads_variable(node) {
            return self.declared(node, select);
        }
        if qualified_type(node).is_some() {
            return Type::Meta;
        }
        if let Some(headers) = self.headers_operand(&select.operand) {
            if !select.test {
                self.read_header(headers, Some(&select.field));
            }
            return if select.test { Type::Bool } else { headers.value() };
        }
        let operand = self.operand(&select.operand);
        if select.test && matches!(operand, Type::Map(..)) {
            return Type::Bool;
        }
        let field = self.field(node, &operand, &select.field, &select.operand);
        if select.test { Type::Bool } else { field }
    }

    /// The type of `operand.field`.
    fn field(&mut self, node: &IdedExpr, operand: &Type, field: &str, written: &IdedExpr) -> Type {
        match operand {
            Type::Object(object) => {
                let Some((id, attribute)) = self.table.field(object, field) else {
                    let names = || self.table.fields(object).map(|attribute| attribute.last_name());
                    let name = format!("{object}.{field}");
                    let deeper = self.table.below(object).find(|(_, row)| row.last_name() == field);
                    let elsewhere = self.table.of_elsewhere(&name);
                    let hint = match (elsewhere, nearest(field, names()), deeper) {
                        (Some(here), ..) => format!(": here it is `{here}`"),
                        (None, Some(meant), _) => format!(" (did you mean `{object}.{meant}`?)"),
                        (None, None, Some((_, row))) => format!(" (did you mean `{}`?)", row.name),
                        (None, None, None) => format!(
                            ": expected one of `{object}.{}`",
                            names().collect::<Vec<_>>().join(&format!("`, `{object}."))
                        ),
                    };
                    return self.mistake(node, format!("unknown attribute `{name}`{hint}"));
                };
                if !self.phase.has(attribute.from) {
                    return self.not_yet(node, attribute.name, attribute.from);
                }
                self.read_attribute(id);
                attribute.to_type()
            }
            Type::Map(key, value) => {
                if Type::String.fits(key) {
                    (**value).clone()
                } else {
                    self.mistake(node, format!("{operand} has no field `{field}`"))
                }
            }
            Type::Headers => Type::String,
            Type::HeaderLists => Type::list(Type::String),
            Type::Optional(inner) => {
                let inner = self.field(node, inner, field, written);
                Type::Optional(Box::new(inner))
            }
            Type::Dyn => Type::Dyn,
            other => {
                let what = dotted(written).map_or_else(
                    || other.to_string(),
                    |name| format!("`{name}` is {other}, which"),
                );
                self.mistake(node, format!("{what} has no field `{field}`"))
            }
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Type {
        if let Some(result) = self.operator(node, call) {
            return result;
        }
        let Some(target) = &call.target else {
            // A leading dot keeps a name from being a macro's.
            let name = call.func_name.trim_start_matches('.');
            if let ("size", [counted]) = (name, call.args.as_slice())
                && self.headers_operand(counted).is_some()
            {
                return Type::Int;
            }
            let arguments: Vec<Type> =
                call.args.iter().map(|argument| self.expr(argument)).collect();
            return self.function(node, Style::Global, name, &arguments);
        };
        // `math.abs(x)` is the function of that name, whatever `math` is.
        if let Some(namespace) = dotted(target) {
            let name = format!("{namespace}.{}", call.func_name);
            let root = namespace.split('.').next().unwrap_or_default();
            let is_value = root == variables::ROOT
                || self.variable(root).is_some()
                || self.table.has_root(root)
                || functions::exists(Style::Member, &call.func_name)
                    && !functions::has_namespace(root);
            if functions::exists(Style::Global, &name) || !is_value {
                let arguments: Vec<Type> =
                    call.args.iter().map(|argument| self.expr(argument)).collect();
                return self.function(node, Style::Global, &name, &arguments);
            }
        }
        if let Some(headers) = self.headers_operand(node) {
            self.read_header(headers, None);
            return headers.view();
        }
        if call.func_name == "size"
            && call.args.is_empty()
            && self.headers_operand(target).is_some()
        {
            return Type::Int;
        }
        if call.func_name == "cookie" {
            self.uses.cookies = true;
            match (call.args.first().and_then(string_literal), &mut self.uses.cookie_names) {
                (Some(name), Some(names)) => {
                    if !names.iter().any(|known| known == name) {
                        names.push(name.to_owned());
                    }
                }
                (_, names) => *names = None,
            }
        }
        let headers = if call.func_name == "cookie" { self.headers_operand(target) } else { None };
        // A cookie may be on any line.
        let mut arguments =
            vec![headers.map_or_else(|| self.expr(target), |headers| headers.view())];
        arguments.extend(call.args.iter().map(|argument| self.expr(argument)));
        self.function(node, Style::Member, &call.func_name, &arguments)
    }

    fn function(&mut self, node: &IdedExpr, style: Style, name: &str, arguments: &[Type]) -> Type {
        if !functions::exists(style, name) {
            let other = match style {
                Style::Global if functions::exists(Style::Member, name) => {
                    format!(": it is called on a value, `x.{name}(...)`")
                }
                Style::Member if functions::exists(Style::Global, name) => {
                    format!(": it is called as `{name}(...)`")
                }
                _ if functions::MACROS.contains(&name) => {
                    ": it is a macro, called with other arguments".to_owned()
                }
                _ => did_you_mean(
                    name,
                    functions::names(style)
                        .chain(functions::MACROS.iter().copied())
                        .chain(functions::names(Style::Global)),
                ),
            };
            return self.mistake(node, format!("unknown function `{name}`{other}"));
        }
        if let Some(result) = functions::result(style, name, arguments) {
            return result;
        }
        let given: Vec<String> = arguments.iter().map(Type::to_string).collect();
        let given = match (style, given.split_first()) {
            (Style::Member, Some((target, rest))) => {
                format!("{target}.{name}({})", rest.join(", "))
            }
            _ => format!("{name}({})", given.join(", ")),
        };
        self.mistake(node, format!("no `{given}`: expected {}", functions::signatures(style, name)))
    }
}

/// The text of a string literal.
pub(crate) fn string_literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::String,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

impl Checker<'_> {
    /// Notes that the header of this name is read, or without a name that any header may be.
    fn read_header_of(&mut self, headers: Id, name: Option<&str>) {
        let from = self.table.attribute(headers).map(|attribute| attribute.from);
        match (from, name) {
            // A response is not evaluated line by line.
            (Some(Phase::Response | Phase::ResponseBody) | None, _) => {}
            (Some(_), Some(name)) => self.uses.request_headers.name(name),
            (Some(_), None) => self.uses.request_headers = HeadersRead::All,
        }
    }

    /// Notes that an object is read as a whole, in which there are no bytes.
    fn read_whole(&mut self, object: &str) {
        for (id, attribute) in self.table.below(object) {
            if attribute.kind != Kind::Bytes {
                self.read_attribute(id);
            }
        }
    }

    fn read_attribute(&mut self, id: Id) {
        self.uses.attributes.insert(id);
        if self.table.attribute(id).is_some_and(|attribute| attribute.kind == Kind::Headers) {
            self.read_header_of(id, None);
        }
    }
}

/// The operators that are calls in the tree, and how the source has them.
fn symbol(operator: &str) -> &str {
    match operator {
        op::CONDITIONAL => "? :",
        op::LOGICAL_AND => "&&",
        op::LOGICAL_OR => "||",
        op::LOGICAL_NOT => "!",
        op::ADD => "+",
        op::SUBSTRACT | op::NEGATE => "-",
        op::MULTIPLY => "*",
        op::DIVIDE => "/",
        op::MODULO => "%",
        op::EQUALS => "==",
        op::NOT_EQUALS => "!=",
        op::LESS => "<",
        op::LESS_EQUALS => "<=",
        op::GREATER => ">",
        op::GREATER_EQUALS => ">=",
        op::IN => "in",
        other => other,
    }
}
