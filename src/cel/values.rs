//! The attributes of a request as CEL values, resolved when an expression asks for them.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

use super::attribute::{Fault, IntAttribute, TextAttribute, utf8};
use super::types::Object;
use super::view::{HeadersView, View};

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
            (Object::Request, "headers") => return Ok(Box::new(HeadersValue::new(view.request_headers()))),
            (Object::Response, "headers") => return Ok(Box::new(HeadersValue::new(view.response_headers().ok_or_else(absent)?))),
            _ => {}
        }
        let path: &[&str] = match self.object {
            Object::Identity => &["source", "identity", name],
            other => &[other.name(), name],
        };
        if let Some(attribute) = TextAttribute::of(path) {
            return attribute
                .read(view)
                .map_or_else(|fault| Err(error(fault, name)), |text| Ok(Box::new(CelString::from(text)) as Box<dyn Val + 'a>));
        }
        let number = IntAttribute::of(path).and_then(|attribute| attribute.read(view)).ok_or_else(absent)?;
        Ok(Box::new(CelInt::from(number)))
    }
}

/// What is wrong with a value that is no text.
pub(crate) const NOT_UTF8: &str = "not UTF-8";

fn error(fault: Fault, name: &str) -> ExecutionError {
    match fault {
        Fault::Missing => ExecutionError::no_such_key(name),
        Fault::NotUtf8 => ExecutionError::function_error(name, NOT_UTF8),
    }
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

/// `request.headers` and `response.headers`: a map whose keys ignore letter case.
#[derive(Debug, Clone)]
pub(crate) struct HeadersValue<'a> {
    headers: HeadersView<'a>,
    names: OnceLock<Vec<CelString<'a>>>,
}

impl<'a> HeadersValue<'a> {
    fn new(headers: HeadersView<'a>) -> Self {
        HeadersValue { headers, names: OnceLock::new() }
    }

    fn value(&self, name: &str) -> Result<Box<dyn Val + 'a>, ExecutionError> {
        utf8(self.headers.value(name))
            .map_or_else(|fault| Err(error(fault, name)), |text| Ok(Box::new(CelString::from(text)) as Box<dyn Val + 'a>))
    }

    /// The names, each once, in the order they first came.
    fn names(&self) -> &[CelString<'a>] {
        self.names.get_or_init(|| self.headers.names().into_iter().map(CelString::from).collect())
    }
}

impl Val for HeadersValue<'_> {
    fn get_type(&self) -> &Type {
        &MAP_TYPE
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
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

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for HeadersValue<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.headers.value(field_name(key)?).is_some())
    }
}

impl Indexer for HeadersValue<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(field_name(key)?).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.value(field_name(key)?)
    }
}

impl Sizer for HeadersValue<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.names().len()).unwrap_or(i64::MAX))
    }
}

impl Iterable for HeadersValue<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn CelIterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Names(self.names().iter()))
    }
}

struct Names<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'v, 'a: 'v> CelIterator<'b, 'v> for Names<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|name| name as &(dyn Val + 'v))
    }
}
