//! Evaluates what was compiled.

mod part;

use std::cell::RefCell;

use super::headers::View;
use super::operators::Membership;
use super::{Bytes, Loop, Map, Node, Program, Scene, Turn, Value, size};
use crate::attributes::{Fault, Id, Kind, Unread};
use crate::data::Data;
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};
use crate::values::{self, NOT_UTF8};
use crate::variables;

/// The value of a variable of a macro.
type Local<'p> = RefCell<Option<Evaluated<'p, Value<'p>>>>;

/// One evaluation.
pub(crate) struct Run<'r, 'p> {
    pub(super) scene: Scene<'p>,
    bound: &'p [Node],
    /// The values of variables, by their places; nothing yet for those that are evaluated when
    /// they are first read.
    locals: &'r [Local<'p>],
}

impl Program {
    /// Evaluates it.
    pub(crate) fn value<'p>(&'p self, scene: Scene<'p>) -> Evaluated<'p, Value<'p>> {
        self.with(scene, |run, value| Ok((run, value).1))
    }

    /// Evaluates it, and reads the value.
    pub(super) fn with<'p, T>(
        &'p self,
        scene: Scene<'p>,
        read: impl FnOnce(&Run<'_, 'p>, Value<'p>) -> Evaluated<'p, T>,
    ) -> Evaluated<'p, T> {
        let mut few = [const { RefCell::new(None) }; 4];
        let mut many = Vec::new();
        let locals = match few.get_mut(..self.places) {
            Some(few) => few,
            None => {
                many.resize_with(self.places, || RefCell::new(None));
                many.as_mut_slice()
            }
        };
        let run = Run { scene, bound: &self.bound, locals };
        let value = run.eval(&self.root);
        if scene.allowance.is_exceeded() {
            return Err(Failure::exceeded());
        }
        read(&run, value?)
    }
}

/// Elements that a loop visits.
pub(super) enum Elements<'p> {
    List(std::sync::Arc<Vec<Value<'p>>>),
    Keys(std::sync::Arc<Map<'p>>),
    Names(Vec<Value<'p>>),
}

impl<'p> Elements<'p> {
    pub(super) fn len(&self) -> usize {
        match self {
            Elements::List(list) => list.len(),
            Elements::Keys(map) => map.entries().len(),
            Elements::Names(names) => names.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&Value<'p>> {
        match self {
            Elements::List(list) => list.get(index),
            Elements::Keys(map) => map.entries().get(index).map(|(key, _)| key),
            Elements::Names(names) => names.get(index),
        }
    }
}

impl<'p> Run<'_, 'p> {
    /// Spends steps.
    #[inline]
    pub(super) fn spend(&self, steps: u64) -> Evaluated<'p, ()> {
        if self.scene.allowance.spend(steps) { Ok(()) } else { Err(Failure::exceeded()) }
    }

    /// Spends steps for so many bytes.
    #[inline]
    pub(super) fn spend_on(&self, bytes: usize, bytes_a_step: usize) -> Evaluated<'p, ()> {
        match self.scene.allowance.spend_on(bytes, bytes_a_step) {
            true => Ok(()),
            false => Err(Failure::exceeded()),
        }
    }

    /// The failure of what reaches a limit. Its rule has no result, even if the expression catches
    /// it.
    #[cold]
    pub(super) fn breach(&self, function: &'p str) -> Failure<'p> {
        self.scene.allowance.breach();
        Failure::In(function)
    }

    fn set(&self, place: usize, value: Option<Evaluated<'p, Value<'p>>>) {
        // INVARIANT: it is borrowed nowhere but in these two functions.
        if let Some(Ok(mut local)) = self.locals.get(place).map(RefCell::try_borrow_mut) {
            *local = value;
        }
    }

    fn get(&self, place: usize) -> Option<Evaluated<'p, Value<'p>>> {
        self.locals.get(place)?.try_borrow().ok()?.clone()
    }

    pub(super) fn eval(&self, node: &'p Node) -> Evaluated<'p, Value<'p>> {
        match node {
            Node::Literal(Value::Text(text)) => Ok(Value::text(text.as_str())),
            Node::Literal(value) => Ok(value.clone()),
            Node::Local(place) => self.get(*place).unwrap_or(Err(Failure::NoKey)),
            Node::Within(place, part) => {
                self.set(*place, None);
                self.eval(part)
            }
            Node::Bound(place, index) => self.bound(*place, *index),
            Node::Pattern(index) => {
                let pattern = self.scene.patterns.get(*index);
                pattern.map(Value::Pattern).ok_or(Failure::In("matches"))
            }
            Node::Variable(index) => self.variable(*index),
            Node::Attribute(id) => self.attribute(*id),
            Node::Object(name) => Ok(Value::Object(name)),
            Node::HasBytes(id) => self.has_bytes(*id),
            Node::DataOrEmpty(id) => {
                let found = self.found_data(*id)?;
                found.map_or_else(|| Ok(Value::map(Map::default())), |data| self.data(data))
            }
            Node::DataField(id, name) => self.data_field(*id, name),
            Node::Header(of, name) => {
                let found = self.header(View::of(*of), name);
                found.map_err(|failure| of_name(failure, name))?.ok_or(Failure::Missing(name))
            }
            Node::Field(of, name) => match self.eval(of)? {
                Value::Optional(None) => Ok(Value::NONE),
                Value::Optional(Some(inner)) if !inner.is_container() => {
                    Err(Failure::Missing(name))
                }
                Value::Optional(Some(inner)) => self.optional(self.field(&inner, name)),
                value => {
                    let found = self.field(&value, name);
                    found.map_err(|failure| of_name(failure, name))?.ok_or(Failure::Missing(name))
                }
            },
            Node::Has(of, name) => match self.eval(of)? {
                Value::Optional(None) => Ok(Value::Bool(false)),
                Value::Optional(Some(inner)) if !inner.is_container() => {
                    Err(Failure::Missing(name))
                }
                Value::Optional(Some(inner)) => {
                    Ok(Value::Bool(matches!(self.field(&inner, name), Ok(Some(_)))))
                }
                value => self.field(&value, name).map(|found| Value::Bool(found.is_some())),
            },
            Node::Index(parts, optional) => self.indexed(parts, *optional),
            Node::OptionalField(parts) => {
                let [of, name] = &**parts;
                let of = self.eval(of)?;
                let name = self.eval(name)?;
                match of {
                    Value::Optional(None) => Ok(Value::NONE),
                    Value::Optional(Some(inner)) => self.optional(self.at(&inner, &name)),
                    value => self.optional(self.at(&value, &name)),
                }
            }
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                self.eval(if self.test(condition)? { yes } else { no })
            }
            Node::And(parts) => self.settled(parts, false).map(Value::Bool),
            Node::Or(parts) => self.settled(parts, true).map(Value::Bool),
            Node::Not(part) => self.test(part).map(|value| Value::Bool(!value)),
            Node::NotStrictlyFalse(part) => Ok(Value::Bool(self.test(part).unwrap_or(true))),
            Node::Equal(parts, negated) => {
                let (left, right) = self.both(parts)?;
                Ok(Value::Bool(left.equals(&right) != *negated))
            }
            Node::EqualAny(parts, negated) => {
                let (left, right) = self.both(parts)?;
                self.equal_any(&left, &right).map(|equal| Value::Bool(equal != *negated))
            }
            Node::Order(comparison, parts) => {
                let (left, right) = self.both(parts)?;
                self.ordered(*comparison, &left, &right, true).map(Value::Bool)
            }
            Node::OrderAny(comparison, parts) => {
                let (left, right) = self.both(parts)?;
                self.ordered(*comparison, &left, &right, false).map(Value::Bool)
            }
            Node::In(parts, membership) => self.contained(parts, *membership),
            Node::Add(parts, bounded) => {
                let (left, right) = self.both(parts)?;
                self.sum(left, &right, *bounded)
            }
            Node::Calculate(operator, parts) => {
                let (left, right) = self.both(parts)?;
                self.calculated(*operator, &left, &right)
            }
            Node::Negate(part) => self.negated(&self.eval(part)?),
            Node::List(elements) => {
                let mut list = Vec::with_capacity(elements.len());
                self.append(elements, &mut list)?;
                Ok(Value::list(list))
            }
            Node::Map(entries) => self.map(entries),
            Node::Loop(of) => self.turns(of),
            Node::OrElse(parts, stays_optional) => {
                let [optional, otherwise] = &**parts;
                match self.eval(optional)? {
                    Value::Optional(Some(inner)) if !stays_optional => Ok((*inner).clone()),
                    Value::Optional(None) => self.eval(otherwise),
                    some @ Value::Optional(_) => Ok(some),
                    _ => Err(Failure::In("orValue")),
                }
            }
            Node::Fail(message) => Err(Failure::Interpreted(format!("error in `fail`: {message}"))),
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Read(bytes_a_step, part) => {
                let value = self.eval(part)?;
                self.spend_on(size::of(&value), *bytes_a_step)?;
                Ok(value)
            }
            Node::Made(part) => {
                let value = self.eval(part)?;
                self.spend(1)?;
                self.spend_on(size::of(&value), BYTES_A_STEP)?;
                Ok(value)
            }
            Node::Compared(part) => {
                let value = self.eval(part)?;
                self.spend_on(size::compared(&value), COMPARED_A_STEP)?;
                Ok(value)
            }
            Node::Range(turn, part) => {
                let value = self.eval(part)?;
                if let Value::Headers(view) = value {
                    let names = self.header_names(view)?;
                    let turns = u64::try_from(names.len()).unwrap_or(u64::MAX);
                    self.spend(turns.saturating_mul(*turn))?;
                    return Ok(Value::list(names));
                }
                let turns = self.count(&value).unwrap_or(0);
                self.spend(turns.saturating_mul(*turn))?;
                self.spend_on(size::of(&value), BYTES_A_STEP)?;
                Ok(value)
            }
            Node::Expect(kinds, name, part) => {
                let value = self.eval(part)?;
                if value.is_of(*kinds) { Ok(value) } else { Err(self.unfit(name)) }
            }
        }
    }

    fn both(&self, parts: &'p [Node; 2]) -> Evaluated<'p, (Value<'p>, Value<'p>)> {
        let [left, right] = parts;
        Ok((self.eval(left)?, self.eval(right)?))
    }

    /// A value that must be a bool.
    fn test(&self, node: &'p Node) -> Evaluated<'p, bool> {
        match self.eval(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(Failure::Plain("got another type, expected bool")),
        }
    }

    /// `&&` and `||`. One decisive operand settles the result, whatever the other is.
    fn settled(&self, parts: &'p [Node; 2], decisive: bool) -> Evaluated<'p, bool> {
        let [left, right] = parts;
        let left = self.test(left);
        if matches!(left, Ok(value) if value == decisive) {
            return left;
        }
        match self.test(right) {
            Ok(value) if value == decisive => Ok(decisive),
            Ok(_) => left,
            Err(failure) => Err(failure),
        }
    }

    fn bound(&self, place: usize, index: usize) -> Evaluated<'p, Value<'p>> {
        if let Some(known) = self.get(place) {
            return known;
        }
        let value = self.bound.get(index).map_or(Err(Failure::NoKey), |node| self.eval(node));
        self.set(place, Some(value.clone()));
        value
    }

    fn variable(&self, index: usize) -> Evaluated<'p, Value<'p>> {
        match self.scene.variables.get(index) {
            Some(variable) => variable.value(self.scene.attributes, self.scene.allowance),
            None => Err(Failure::In(variables::VARIABLE)),
        }
    }

    #[cold]
    fn missing(&self, id: Id) -> Failure<'p> {
        let attributes = self.scene.attributes;
        Failure::Missing(attributes.table().missing_name(id, attributes))
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, id: Id) -> Evaluated<'p, Value<'p>> {
        let attributes = self.scene.attributes;
        let Some(attribute) = attributes.table().attribute(id) else { return Err(Failure::NoKey) };
        let found = match attribute.kind {
            Kind::Text => match attributes.text(id) {
                Ok(text) => {
                    self.spend_on(text.len(), BYTES_A_STEP)?;
                    Some(Value::text(text))
                }
                Err(Fault::Missing) => None,
                Err(Fault::NotUtf8) => {
                    attributes_unreadable(self);
                    return Err(Failure::In(attribute.last_name()));
                }
            },
            Kind::Int => attributes.int(id).map(Value::Int),
            Kind::Time => attributes.time(id).map(Value::Time),
            Kind::Bytes => match attributes.bytes(id) {
                Ok(bytes) => {
                    self.spend_on(bytes.len(), BYTES_A_STEP)?;
                    Some(Value::Bytes(Bytes::Borrowed(bytes)))
                }
                Err(why) => {
                    attributes_unreadable(self);
                    let message = values::unread_message(why, attribute.name);
                    return Err(Failure::Interpreted(message));
                }
            },
            Kind::Headers => attributes.is_there(id).then(|| Value::Headers(View::of(id))),
            Kind::Object => attributes.is_there(id).then_some(Value::Object(attribute.name)),
            Kind::Data => match self.found_data(id)? {
                Some(data) => Some(self.data(data)?),
                None => None,
            },
        };
        found.ok_or_else(|| self.missing(id))
    }

    fn has_bytes(&self, id: Id) -> Evaluated<'p, Value<'p>> {
        match self.scene.attributes.bytes(id) {
            Ok(_) => Ok(Value::Bool(true)),
            Err(Unread::Missing(_)) => Ok(Value::Bool(false)),
            Err(Unread::Unreadable(_)) => Err(self.unreadable(id)),
        }
    }

    #[cold]
    fn unreadable(&self, id: Id) -> Failure<'p> {
        attributes_unreadable(self);
        let attribute = self.scene.attributes.table().attribute(id);
        let name = attribute.map_or("", |attribute| attribute.name);
        Failure::Interpreted(format!("`{name}` cannot be read"))
    }

    /// The value of an attribute that is data; none if it is not there.
    fn found_data(&self, id: Id) -> Evaluated<'p, Option<&'p Data>> {
        match self.scene.attributes.data(id) {
            Ok(data) => Ok(Some(data)),
            Err(Unread::Missing(_)) => Ok(None),
            Err(Unread::Unreadable(_)) => Err(self.unreadable(id)),
        }
    }

    /// Data as a value. It is charged for as if it were copied.
    pub(super) fn data(&self, data: &'p Data) -> Evaluated<'p, Value<'p>> {
        match data.size() {
            Some(bytes) => {
                self.spend_on(bytes, BYTES_A_STEP)?;
                Ok(Value::of_data(data))
            }
            None => Err(self.breach("data")),
        }
    }

    fn data_field(&self, id: Id, name: &'p str) -> Evaluated<'p, Value<'p>> {
        let data = self.found_data(id)?.ok_or_else(|| self.missing(id))?;
        self.data(data.get(name).ok_or(Failure::Missing(name))?)
    }

    /// A field of a value; none if it has none of this name.
    pub(super) fn field(&self, of: &Value<'p>, name: &str) -> Evaluated<'p, Option<Value<'p>>> {
        match of {
            Value::Map(map) => Ok(map.field(name).cloned()),
            Value::Headers(view) => self.header(*view, name),
            Value::Object(object) => self.object_field(object, name),
            _ => Err(Failure::Plain("a value of another type has no fields")),
        }
    }

    /// An attribute of an object; none if the message has none of this name.
    pub(super) fn object_field(
        &self,
        object: &str,
        name: &str,
    ) -> Evaluated<'p, Option<Value<'p>>> {
        let Some((id, _)) = self.scene.attributes.table().field(object, name) else {
            return Ok(None);
        };
        match self.attribute(id) {
            Err(Failure::Missing(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// An element of a list, or the value of a key; none if there is none.
    fn at(&self, of: &Value<'p>, key: &Value<'p>) -> Evaluated<'p, Option<Value<'p>>> {
        match of {
            Value::List(list) => {
                let index = match key {
                    Value::Int(index) => usize::try_from(*index).ok(),
                    Value::Uint(index) => usize::try_from(*index).ok(),
                    Value::Double(_) => key.whole().and_then(|index| usize::try_from(index).ok()),
                    _ => return Err(Failure::Plain("got another type, expected int|uint|double")),
                };
                let found = index.and_then(|index| list.get(index));
                found.cloned().map(Some).ok_or(Failure::Plain("index out of bounds"))
            }
            Value::Map(map) => match map.find(key) {
                Ok(found) => Ok(found.cloned()),
                Err(()) => Err(Failure::Plain("got another type, expected map key")),
            },
            Value::Headers(_) | Value::Object(_) => match key.as_text() {
                Some(name) => self.field(of, name),
                None => Err(Failure::In("_[_]")),
            },
            _ => Err(Failure::Plain("a value of another type has no elements")),
        }
    }

    /// What is there as an optional: what fails is not there, too.
    fn optional(&self, found: Evaluated<'p, Option<Value<'p>>>) -> Evaluated<'p, Value<'p>> {
        Ok(found.ok().flatten().map_or(Value::NONE, Value::some))
    }

    fn indexed(&self, parts: &'p [Node; 2], optional: bool) -> Evaluated<'p, Value<'p>> {
        let [of, key_node] = parts;
        let of = self.eval(of)?;
        if matches!(of, Value::Optional(None)) {
            return Ok(Value::NONE);
        }
        let key = self.eval(key_node)?;
        match of {
            Value::Optional(Some(inner)) => self.optional(self.at(&inner, &key)),
            value if optional => self.optional(self.at(&value, &key)),
            value => {
                let found = self.at(&value, &key);
                let Node::Literal(Value::Text(name)) = key_node else {
                    return found?.ok_or(Failure::NoKey);
                };
                let name = name.as_str();
                found.map_err(|failure| of_name(failure, name))?.ok_or(Failure::Missing(name))
            }
        }
    }

    fn contained(&self, parts: &'p [Node; 2], membership: Membership) -> Evaluated<'p, Value<'p>> {
        let (element, container) = self.both(parts)?;
        self.is_in(&element, &container, membership).map(Value::Bool)
    }

    /// Appends elements to a list.
    fn append(&self, elements: &'p [(Node, bool)], list: &mut Vec<Value<'p>>) -> Evaluated<'p, ()> {
        for (element, optional) in elements {
            match self.eval(element)? {
                Value::Optional(inner) if *optional => {
                    list.extend(inner.map(|inner| (*inner).clone()));
                }
                value => list.push(value),
            }
        }
        Ok(())
    }

    fn map(&self, entries: &'p [(Node, Node, bool)]) -> Evaluated<'p, Value<'p>> {
        let mut made = Vec::with_capacity(entries.len());
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            if !super::map::is_key(&key) {
                return Err(Failure::Plain("a key of another type"));
            }
            match self.eval(value)? {
                Value::Optional(inner) if *optional => {
                    made.extend(inner.map(|inner| (key, (*inner).clone())));
                }
                value => made.push((key, value)),
            }
        }
        Map::of(made).map(Value::map).map_err(|_| Failure::Plain("evaluation failed"))
    }

    /// How many elements or keys there are, if it has any.
    pub(super) fn count(&self, value: &Value<'p>) -> Option<u64> {
        let count = match value {
            Value::List(list) => list.len(),
            Value::Map(map) => map.entries().len(),
            // Names that are the same count twice, which is never too little.
            Value::Headers(view) => self.scene.attributes.header_count(view.of),
            _ => return None,
        };
        u64::try_from(count).ok()
    }

    /// What a loop over a value visits.
    pub(super) fn elements(&self, value: Value<'p>) -> Evaluated<'p, Elements<'p>> {
        match value {
            Value::List(list) => Ok(Elements::List(list)),
            Value::Map(map) => Ok(Elements::Keys(map)),
            Value::Headers(view) => self.header_names(view).map(Elements::Names),
            _ => Err(Failure::Plain("got another type, expected iterable")),
        }
    }

    fn turns(&self, of: &'p Loop) -> Evaluated<'p, Value<'p>> {
        let elements = self.elements(self.eval(&of.range)?)?;
        let count = elements.len();
        let each = (0..count).filter_map(|index| elements.get(index));
        let each = each.map(|element| self.set(of.element, Some(Ok(element.clone()))));
        match &of.turn {
            Turn::Decide(decisive, test) => {
                let mut failed = None;
                for () in each {
                    match self.test(test) {
                        Ok(value) if value == *decisive => return Ok(Value::Bool(*decisive)),
                        Ok(_) => {}
                        Err(failure) => failed = Some(failure),
                    }
                }
                failed.map_or(Ok(Value::Bool(!decisive)), Err)
            }
            Turn::CountTo1(test) => {
                let mut found = 0_usize;
                for () in each {
                    found = found.saturating_add(usize::from(self.test(test)?));
                }
                Ok(Value::Bool(found == 1))
            }
            Turn::Collect(condition, appended) => {
                let mut list = Vec::with_capacity(count);
                for () in each {
                    let holds = match condition {
                        Some(condition) => self.test(condition)?,
                        None => true,
                    };
                    if holds {
                        self.append(appended, &mut list)?;
                    }
                }
                Ok(Value::list(list))
            }
        }
    }

    /// Calls a function. What it is called on is evaluated last.
    fn call(&self, function: super::Function, arguments: &'p [Node]) -> Evaluated<'p, Value<'p>> {
        let mut values = [const { Value::Null }; MAX_ARGUMENTS];
        let (mut places, mut nodes) = (values.iter_mut(), arguments.iter());
        let target = places.next().zip(nodes.next());
        for (place, node) in places.zip(nodes) {
            *place = self.eval(node)?;
        }
        if let Some((place, node)) = target {
            *place = self.eval(node)?;
        }
        let given = values.get_mut(..arguments.len()).unwrap_or_default();
        (function.run)(self, function.name, given)
    }
}

/// The most arguments of a function, with what it is called on.
pub(super) const MAX_ARGUMENTS: usize = 4;
/// How many bytes of values are compared in a step.
const COMPARED_A_STEP: usize = 64;

/// The failure with the name of what is not UTF-8, which the expression spells.
#[cold]
fn of_name<'p>(failure: Failure<'p>, name: &'p str) -> Failure<'p> {
    if failure == Failure::Plain(NOT_UTF8) { Failure::In(name) } else { failure }
}

#[cold]
fn attributes_unreadable(run: &Run<'_, '_>) {
    run.scene.allowance.unreadable();
}
