//! The attributes of a request as CEL values, which are resolved when an expression reads them.

mod data;
mod headers;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelBytes, CelInt, CelList, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

pub(crate) use self::data::of_data;
use self::headers::HeadersValue;
pub(crate) use self::headers::is_secret;
use super::attributes::{Attributes, Fault, Id, Kind, Unread};
use super::bridge;
use super::data::Data;
use super::library::Ask;

/// An attribute that has attributes: `source`, `request` and their like.
#[derive(Debug, Clone)]
struct ObjectValue<'a> {
    name: &'static str,
    attributes: &'a dyn Attributes,
}

/// The value of a dotted name, if it is that of an attribute which is present.
pub(crate) fn named<'a>(attributes: &'a dyn Attributes, name: &str) -> Option<Box<dyn Val + 'a>> {
    let table = attributes.table();
    if let Some(name) = table.root(name) {
        return Some(Box::new(ObjectValue { name, attributes }));
    }
    if let Some(id) = table.id(name) {
        return value(attributes, id).ok();
    }
    // A field is made into a value without the others.
    let (object, field) = name.split_once('.')?;
    let (id, _) = table.data(object)?;
    of_data(found_data(attributes, id).ok()??.get(field)?).ok()
}

/// The value of an attribute.
fn value<'a>(attributes: &'a dyn Attributes, id: Id) -> Result<Box<dyn Val + 'a>, ExecutionError> {
    let Some(attribute) = attributes.table().attribute(id) else {
        return Err(ExecutionError::no_such_key(""));
    };
    let absent = || ExecutionError::no_such_key(attribute.last_name());
    match attribute.kind {
        Kind::Object if attributes.is_there(id) => {
            Ok(Box::new(ObjectValue { name: attribute.name, attributes }))
        }
        Kind::Headers if attributes.is_there(id) => Ok(Box::new(HeadersValue::new(attributes, id))),
        Kind::Object | Kind::Headers => Err(absent()),
        Kind::Text => {
            let text = attributes.text(id).map_err(|fault| error(fault, attribute.last_name()))?;
            bridge::read(text.len())?;
            Ok(Box::new(CelString::from(text)))
        }
        Kind::Bytes => {
            let bytes = attributes.bytes(id).map_err(|why| unread(why, attribute.name))?;
            bridge::read(bytes.len())?;
            Ok(Box::new(CelBytes::from(bytes)))
        }
        Kind::Data => of_data(found_data(attributes, id)?.ok_or_else(absent)?),
        Kind::Int => Ok(Box::new(CelInt::from(attributes.int(id).ok_or_else(absent)?))),
        Kind::Time => Ok(Box::new(attributes.time(id).ok_or_else(absent)?)),
    }
}

/// The value of an attribute that is data; none if it is not there.
pub(crate) fn found_data(
    attributes: &dyn Attributes,
    id: Id,
) -> Result<Option<&Data>, ExecutionError> {
    match attributes.data(id) {
        Ok(data) => Ok(Some(data)),
        Err(Unread::Missing(_)) => Ok(None),
        Err(Unread::Unreadable(_)) => {
            bridge::unreadable();
            let name = attributes.table().attribute(id).map_or("", |attribute| attribute.name);
            Err(ExecutionError::function_error(UNREAD, format!("`{name}` cannot be read")))
        }
    }
}

impl<'a> ObjectValue<'a> {
    /// The attribute of this key, or the result for a function's index.
    fn at(&self, key: &dyn Val) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        if key.downcast_ref::<Ask>() == Some(&Ask::Fields) {
            let names = self.attributes.table().fields(self.name);
            let names: Vec<Box<dyn Val + 'a>> = names
                .filter(|field| field.kind != Kind::Bytes)
                .map(|field| Box::new(CelString::from(field.last_name())) as Box<dyn Val + 'a>)
                .collect();
            return Ok(Box::new(CelList::from(names)));
        }
        self.attribute(field_name(key)?)
    }

    /// The attribute `name` of this one.
    fn attribute(&self, name: &str) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        let found = self.attributes.table().field(self.name, name);
        let (id, _) = found.ok_or_else(|| ExecutionError::no_such_key(name))?;
        value(self.attributes, id)
    }
}

/// The message for a value that is not UTF-8.
pub(crate) const NOT_UTF8: &str = "not UTF-8";

fn error(fault: Fault, name: &str) -> ExecutionError {
    match fault {
        Fault::Missing => ExecutionError::no_such_key(name),
        Fault::NotUtf8 => unreadable(name),
    }
}

/// Notes that something is present but cannot be read, so that it is never treated as missing.
pub(crate) fn unreadable(name: &str) -> ExecutionError {
    bridge::unreadable();
    ExecutionError::function_error(name, NOT_UTF8)
}

/// The name of the function in an error about bytes that cannot be read; no source can spell it.
pub(crate) const UNREAD: &str = "@unread";

/// What is said of bytes that cannot be read.
#[cold]
#[inline(never)]
pub(crate) fn unread_message(why: Unread, name: &str) -> String {
    match why {
        Unread::Missing(why) => format!("`{name}` is not there: {why}"),
        Unread::Unreadable(why) => format!("`{name}` cannot be read: {why}"),
    }
}

/// Nothing may catch that bytes cannot be read: a caller could evade a rule by sending them so.
#[cold]
#[inline(never)]
fn unread(why: Unread, name: &str) -> ExecutionError {
    bridge::unreadable();
    ExecutionError::function_error(UNREAD, unread_message(why, name))
}

fn field_name(key: &dyn Val) -> Result<&str, ExecutionError> {
    match key.downcast_ref::<CelString<'_>>() {
        Some(name) => Ok(name.inner()),
        None => Err(ExecutionError::function_error("_[_]", "expected a string")),
    }
}

impl Val for ObjectValue<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Indexer for ObjectValue<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.at(key).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.at(key)
    }
}
