//! The turns of loops.

use std::sync::Arc;

use super::super::each::{Each, Sum};
use super::super::{Loop, Map, Node, Str, Turn, Value, size};
use super::Run;
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};

/// Elements that a loop visits.
pub(in crate::program) enum Elements<'p> {
    Literal(&'p [Value<'static>]),
    List(Arc<Vec<Value<'p>>>),
    Keys(Arc<Map<'p>>),
    Names(Vec<Value<'p>>),
}

impl<'p> Elements<'p> {
    pub(in crate::program) fn len(&self) -> usize {
        match self {
            Elements::Literal(list) => list.len(),
            Elements::List(list) => list.len(),
            Elements::Keys(map) => map.entries().len(),
            Elements::Names(names) => names.len(),
        }
    }

    /// An element where it is.
    fn at(&self, index: usize) -> Option<&Value<'p>> {
        match self {
            Elements::Literal(list) => list.get(index),
            Elements::List(list) => list.get(index),
            Elements::Keys(map) => map.entries().get(index).map(|(key, _)| key),
            Elements::Names(names) => names.get(index),
        }
    }

    /// A copy of an element.
    pub(in crate::program) fn get(&self, index: usize) -> Option<Value<'p>> {
        match self {
            Elements::Literal(list) => list.get(index).map(Value::lent),
            _ => self.at(index).cloned(),
        }
    }
}

impl<'p> Run<'_, 'p> {
    /// Appends elements to a list.
    pub(super) fn append(
        &self,
        elements: &'p [(Node, bool)],
        list: &mut Vec<Value<'p>>,
    ) -> Evaluated<'p, ()> {
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

    /// How many elements or keys there are, if it has any.
    pub(in crate::program) fn count(&self, value: &Value<'_>) -> Option<u64> {
        let count = match value {
            Value::List(list) => list.len(),
            Value::Map(map) => map.entries().len(),
            // Names that are the same count twice, which is never too little.
            Value::Headers(view) => self.scene.attributes.header_count(view.of),
            _ => return None,
        };
        u64::try_from(count).ok()
    }

    /// Spends steps for all turns of a loop.
    pub(super) fn pay_for_turns(&self, turn: u64, range: &Value<'_>) -> Evaluated<'p, ()> {
        let turns = self.count(range).unwrap_or(0);
        self.spend(turns.saturating_mul(turn))?;
        self.spend_on(size::of(range), BYTES_A_STEP)
    }

    /// What a loop over a value visits.
    pub(in crate::program) fn elements(&self, value: Value<'p>) -> Evaluated<'p, Elements<'p>> {
        match value {
            Value::List(list) => Ok(Elements::List(list)),
            Value::Map(map) => Ok(Elements::Keys(map)),
            Value::Headers(view) => self.header_names(view).map(Elements::Names),
            _ => Err(Failure::Plain("got another type, expected iterable")),
        }
    }

    /// What a loop visits, which is charged for.
    fn range(&self, range: &'p Node) -> Evaluated<'p, Elements<'p>> {
        // The elements of a literal are lent, not copied.
        if let Node::Range(turn, list) = range
            && let Node::Literal(list @ Value::List(elements)) = &**list
        {
            return self.pay_for_turns(*turn, list).map(|()| Elements::Literal(elements));
        }
        self.elements(self.eval(range)?)
    }

    pub(super) fn turns(&self, of: &'p Loop) -> Evaluated<'p, Value<'p>> {
        let elements = self.range(&of.range)?;
        let count = elements.len();
        let place = of.element;
        match &of.turn {
            Turn::Decide(decisive, test) => {
                let each = Each::of(self, test, place);
                let mut failed = None;
                for index in 0..count {
                    match self.tested(test, each.as_ref(), &elements, (place, index)) {
                        Ok(value) if value == *decisive => return Ok(Value::Bool(*decisive)),
                        Ok(_) => {}
                        Err(failure) => failed = Some(failure),
                    }
                }
                failed.map_or(Ok(Value::Bool(!decisive)), Err)
            }
            Turn::CountTo1(test) => {
                let each = Each::of(self, test, place);
                let mut found = 0_usize;
                for index in 0..count {
                    let holds = self.tested(test, each.as_ref(), &elements, (place, index))?;
                    found = found.saturating_add(usize::from(holds));
                }
                Ok(Value::Bool(found == 1))
            }
            Turn::Collect(condition, appended) => {
                let tested = condition.as_ref().map(|test| (test, Each::of(self, test, place)));
                let form = Appended::of(self, appended, place);
                let mut list = Vec::with_capacity(count);
                let mut joined = String::new();
                for index in 0..count {
                    let holds = match &tested {
                        Some((test, each)) => {
                            self.tested(test, each.as_ref(), &elements, (place, index))?
                        }
                        None => true,
                    };
                    if !holds {
                        continue;
                    }
                    match &form {
                        Appended::Element => list.extend(self.kept(&elements, index)?),
                        Appended::Sum(sum)
                            if sum.join(elements.at(index), &mut joined).is_some() =>
                        {
                            list.push(Value::Text(Str::Shared(joined.as_str().into())));
                        }
                        _ => {
                            self.set(place, elements.get(index).map(Ok));
                            self.append(appended, &mut list)?;
                        }
                    }
                }
                Ok(Value::list(list))
            }
        }
    }

    /// The result of a loop's test for an element, by its index, whose variable has this place.
    fn tested(
        &self,
        test: &'p Node,
        each: Option<&Each<'p>>,
        elements: &Elements<'p>,
        (place, index): (usize, usize),
    ) -> Evaluated<'p, bool> {
        if let Some(each) = each
            && let Some(holds) = each.holds(elements.at(index))
        {
            return if each.is_made { self.spend(1).map(|()| holds) } else { Ok(holds) };
        }
        self.set(place, elements.get(index).map(Ok));
        self.test(test)
    }

    /// An element that is kept, which is charged for.
    fn kept(&self, elements: &Elements<'p>, index: usize) -> Evaluated<'p, Option<Value<'p>>> {
        let value = elements.get(index);
        self.spend(1)?;
        self.spend_on(value.as_ref().map_or(0, size::of), BYTES_A_STEP)?;
        Ok(value)
    }
}

/// What a turn appends.
enum Appended<'p> {
    /// The element itself.
    Element,
    /// The element joined with another text.
    Sum(Sum<'p>),
    Other,
}

impl<'p> Appended<'p> {
    fn of(run: &Run<'_, 'p>, appended: &'p [(Node, bool)], place: usize) -> Appended<'p> {
        let [(node, false)] = appended else { return Appended::Other };
        match node {
            Node::Made(part) if matches!(**part, Node::Local(local) if local == place) => {
                Appended::Element
            }
            Node::Add(parts, _) => {
                Sum::of(run, parts, place).map_or(Appended::Other, Appended::Sum)
            }
            _ => Appended::Other,
        }
    }
}
