//! What expressions read: attributes, fields and elements.

use super::evaluate::Run;
use super::headers::View;
use super::{Bytes, Node, Value};
use crate::attributes::{Fault, Id, Kind, Unread};
use crate::data::Data;
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};
use crate::values::{self, NOT_UTF8};
use crate::variables;

/// The message for an index that a list does not have.
const OUT_OF_BOUNDS: &str = "index out of bounds";

impl<'p> Run<'_, 'p> {
    pub(super) fn variable(&self, index: usize) -> Evaluated<'p, Value<'p>> {
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
            Kind::Text => match self.attribute_text(id) {
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

    pub(super) fn has_bytes(&self, id: Id) -> Evaluated<'p, Value<'p>> {
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
    pub(super) fn found_data(&self, id: Id) -> Evaluated<'p, Option<&'p Data>> {
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

    pub(super) fn data_field(&self, id: Id, name: &'p str) -> Evaluated<'p, Value<'p>> {
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
    pub(super) fn at(&self, of: &Value<'p>, key: &Value<'p>) -> Evaluated<'p, Option<Value<'p>>> {
        match of {
            Value::List(list) => {
                let index = match key {
                    Value::Int(index) => usize::try_from(*index).ok(),
                    Value::Uint(index) => usize::try_from(*index).ok(),
                    Value::Double(_) => key.whole().and_then(|index| usize::try_from(index).ok()),
                    _ => return Err(Failure::Plain("got another type, expected int|uint|double")),
                };
                let found = index.and_then(|index| list.get(index));
                found.cloned().map(Some).ok_or(Failure::Plain(OUT_OF_BOUNDS))
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

    /// An element, or the value of a key or a name, as an optional: empty where there is none, and
    /// where null has none. What is of a type that has none cannot be read, as it cannot be without
    /// the optional: an origin may find in it what the rule looks for.
    pub(super) fn optional(
        &self,
        of: &Value<'p>,
        key: &Value<'p>,
        named: bool,
    ) -> Evaluated<'p, Value<'p>> {
        match of {
            Value::Null => return Ok(Value::NONE),
            Value::Map(_) | Value::Headers(_) | Value::Object(_) => {}
            Value::List(_) if !named => {}
            _ => return Err(self.unfit(if named { ".?" } else { "[?]" })),
        }
        match self.at(of, key) {
            Ok(found) => Ok(found.map_or(Value::NONE, Value::some)),
            Err(Failure::Plain(OUT_OF_BOUNDS)) => Ok(Value::NONE),
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn indexed(&self, parts: &'p [Node; 2], optional: bool) -> Evaluated<'p, Value<'p>> {
        let [of, key_node] = parts;
        let of = self.eval(of)?;
        if matches!(of, Value::Optional(None)) {
            return Ok(Value::NONE);
        }
        let key = self.eval(key_node)?;
        let named = matches!(key_node, Node::Literal(Value::Text(_)));
        match of {
            Value::Optional(Some(inner)) => self.optional(&inner, &key, named),
            value if optional => self.optional(&value, &key, named),
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
}

/// The failure with the name of what is not UTF-8, which the expression spells.
#[cold]
pub(super) fn of_name<'p>(failure: Failure<'p>, name: &'p str) -> Failure<'p> {
    if failure == Failure::Plain(NOT_UTF8) { Failure::In(name) } else { failure }
}

#[cold]
fn attributes_unreadable(run: &Run<'_, '_>) {
    run.scene.allowance.unreadable();
}
