//! The attributes of a request as CEL values, resolved when an expression asks for them.

mod headers;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

use self::headers::HeadersValue;
use super::attribute::{Fault, IntAttribute, TextAttribute};
use super::meter;
use super::types::Object;
use super::view::View;

/// An attribute that has attributes: `source`, `request` and their like.
#[derive(Debug, Clone)]
pub(crate) struct ObjectValue<'a> {
    pub(crate) object: Object,
    pub(crate) view: &'a View<'a>,
}

impl<'a> ObjectValue<'a> {
    /// The attribute `name` of this one.
    pub(crate) fn attribute(&self, name: &str) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        let view = self.view;
        let absent = || ExecutionError::no_such_key(name);
        match (self.object, name) {
            (Object::Source, "identity") => {
                view.caller().namespace().ok_or_else(absent)?;
                return Ok(Box::new(ObjectValue { object: Object::Identity, view }));
            }
            (Object::Request, "headers") => {
                return Ok(Box::new(HeadersValue::new(view.request_headers())));
            }
            (Object::Response, "headers") => {
                return Ok(Box::new(HeadersValue::new(view.response_headers().ok_or_else(absent)?)));
            }
            _ => {}
        }
        let path: &[&str] = match self.object {
            Object::Identity => &["source", "identity", name],
            other => &[other.name(), name],
        };
        if let Some(attribute) = TextAttribute::of(path) {
            let text = attribute.read(view).map_err(|fault| error(fault, name))?;
            meter::read(text.len())?;
            return Ok(Box::new(CelString::from(text)));
        }
        let number =
            IntAttribute::of(path).and_then(|attribute| attribute.read(view)).ok_or_else(absent)?;
        Ok(Box::new(CelInt::from(number)))
    }
}

/// What is wrong with a value that is no text.
pub(crate) const NOT_UTF8: &str = "not UTF-8";

fn error(fault: Fault, name: &str) -> ExecutionError {
    match fault {
        Fault::Missing => ExecutionError::no_such_key(name),
        Fault::NotUtf8 => unreadable(name),
    }
}

/// Says that something is there and cannot be read: no part of an expression may take that for
/// something that is not there.
pub(crate) fn unreadable(name: &str) -> ExecutionError {
    meter::unreadable();
    ExecutionError::function_error(name, NOT_UTF8)
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
        self.attribute(field_name(key)?).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.attribute(field_name(key)?)
    }
}
