//! Evaluates what was compiled.

mod part;
mod turns;

use std::cell::{Cell, RefCell};

pub(super) use self::turns::Elements;
use super::access::of_name;
use super::functions::time::ZONE;
use super::headers::View;
use super::operators::Membership;
use super::{Map, Node, Program, Scene, Value, size};
use crate::attributes::{Fault, Id};
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};

/// The value of a variable of a macro.
type Local<'p> = RefCell<Option<Evaluated<'p, Value<'p>>>>;

/// One evaluation.
pub(crate) struct Run<'r, 'p> {
    pub(super) scene: Scene<'p>,
    bound: &'p [Node],
    /// The values of variables, by their places; nothing yet for those that are evaluated when
    /// they are first read.
    pub(super) locals: &'r [Local<'p>],
    /// The text of the attribute that was read last: a loop reads the same at each turn.
    last: Cell<Option<(Id, &'p str)>>,
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
        let run = Run { scene, bound: &self.bound, locals, last: Cell::new(None) };
        let value = run.eval(&self.root);
        if scene.allowance.is_exceeded() {
            return Err(Failure::exceeded());
        }
        read(&run, value?)
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

    /// The value of a string attribute.
    pub(super) fn attribute_text(&self, id: Id) -> Result<&'p str, Fault> {
        match self.last.get() {
            Some((last, text)) if last == id => Ok(text),
            _ => {
                let text = self.scene.attributes.text(id)?;
                self.last.set(Some((id, text)));
                Ok(text)
            }
        }
    }

    pub(super) fn set(&self, place: usize, value: Option<Evaluated<'p, Value<'p>>>) {
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
            Node::Literal(value) => Ok(value.lent()),
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
                Value::Optional(Some(inner)) => match *inner {
                    Value::Null => Err(Failure::Missing(name)),
                    _ => self.optional(&inner, &Value::text(name), true),
                },
                value => {
                    let found = self.field(&value, name);
                    found.map_err(|failure| of_name(failure, name))?.ok_or(Failure::Missing(name))
                }
            },
            Node::Has(of, name) => match self.eval(of)? {
                Value::Optional(None) => Ok(Value::Bool(false)),
                Value::Optional(Some(inner)) => match *inner {
                    Value::Null => Err(Failure::Missing(name)),
                    _ => {
                        let found = self.optional(&inner, &Value::text(name), true)?;
                        Ok(Value::Bool(matches!(found, Value::Optional(Some(_)))))
                    }
                },
                value => self.field(&value, name).map(|found| Value::Bool(found.is_some())),
            },
            Node::Index(parts, optional) => self.indexed(parts, *optional),
            Node::OptionalField(parts) => {
                let [of, name] = &**parts;
                let of = self.eval(of)?;
                let name = self.eval(name)?;
                match of {
                    Value::Optional(None) => Ok(Value::NONE),
                    Value::Optional(Some(inner)) => self.optional(&inner, &name, true),
                    value => self.optional(&value, &name, true),
                }
            }
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                self.eval(if self.test(condition)? { yes } else { no })
            }
            Node::And(_) | Node::Or(_) | Node::Not(_) => self.test(node).map(Value::Bool),
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
                if let Some(sum) = self.near_and_joined(parts, *bounded) {
                    return sum;
                }
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
            Node::Affix(..) => self.test(node).map(Value::Bool),
            Node::TimeField(of) => {
                let (function, time, field, zone) = &**of;
                let time = self.eval(time)?;
                self.spend(ZONE)?;
                match time {
                    Value::Time(time) => Ok(Value::Int(time.field(*field, *zone))),
                    _ => Err(Failure::In(function.name)),
                }
            }
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
                self.pay_for_turns(*turn, &value)?;
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
    pub(super) fn test(&self, node: &'p Node) -> Evaluated<'p, bool> {
        match node {
            Node::Equal(parts, negated) | Node::EqualAny(parts, negated) => {
                if let Some(equal) = self.near_and_equal(parts) {
                    return Ok(equal != *negated);
                }
            }
            Node::And(parts) => return self.settled(parts, false),
            Node::Or(parts) => return self.settled(parts, true),
            Node::Not(part) => return self.test(part).map(|value| !value),
            Node::Made(part) if matches!(**part, Node::Affix(..)) => {
                let value = self.test(part)?;
                // A bool has no size.
                return self.spend(1).map(|()| value);
            }
            Node::Affix(function, arguments, ends) => {
                return match self.near_affix(arguments, *ends) {
                    Some(found) => Ok(found),
                    None => bool_of(self.call(*function, arguments)?),
                };
            }
            _ => {}
        }
        bool_of(self.eval(node)?)
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

    fn contained(&self, parts: &'p [Node; 2], membership: Membership) -> Evaluated<'p, Value<'p>> {
        let (element, container) = self.both(parts)?;
        self.is_in(&element, &container, membership).map(Value::Bool)
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

fn bool_of<'p>(value: Value<'p>) -> Evaluated<'p, bool> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => Err(Failure::Plain("got another type, expected bool")),
    }
}

/// The most arguments of a function, with what it is called on.
pub(super) const MAX_ARGUMENTS: usize = 4;
/// How many bytes of values are compared in a step.
const COMPARED_A_STEP: usize = 64;
