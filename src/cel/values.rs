//! The attributes of a request as CEL values, resolved when an expression asks for them.

use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as CelIterator, Sizer};
use cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};

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
        let text = |found: Option<&'a [u8]>| -> Result<Box<dyn Val + 'a>, ExecutionError> { utf8(name, found.ok_or_else(absent)?) };
        let known = |found: Option<&'a str>| -> Result<Box<dyn Val + 'a>, ExecutionError> {
            Ok(Box::new(CelString::from(found.ok_or_else(absent)?)))
        };
        let number =
            |found: Option<i64>| -> Result<Box<dyn Val + 'a>, ExecutionError> { Ok(Box::new(CelInt::from(found.ok_or_else(absent)?))) };
        match (self.object, name) {
            (Object::Source, "identity") => match view.workload() {
                Some(_) => Ok(Box::new(ObjectValue { object: Object::Identity, view })),
                None => Err(absent()),
            },
            (Object::Source, "spiffeId") => known(view.peer.id.map(|id| id.as_str())),
            (Object::Source, "address") => known(view.source().map(|(address, _)| address)),
            (Object::Source, "port") => number(view.source().map(|(_, port)| i64::from(port))),
            (Object::Identity, "trustDomain") => known(view.peer.id.map(|id| id.trust_domain())),
            (Object::Identity, "namespace") => known(view.workload().map(|workload| workload.namespace)),
            (Object::Identity, "serviceAccount") => known(view.workload().map(|workload| workload.service_account)),
            (Object::Request, "method") => text(view.request.first(b":method")),
            (Object::Request, "scheme") => text(view.request.first(b":scheme")),
            (Object::Request, "host") => known(view.host()),
            (Object::Request, "path") => text(view.request.first(b":path").map(crate::path::without_query)),
            (Object::Request, "pathAndQuery") => text(view.request.first(b":path")),
            (Object::Request, "version") => text(Some(view.facts.version).filter(|version| !version.is_empty())),
            (Object::Request, "id") => text(view.request.first(b"x-request-id")),
            (Object::Request, "headers") => Ok(Box::new(HeadersValue::new(view.request_headers()))),
            (Object::Destination, "hostname") => known(view.destination),
            (Object::Destination, "address") => known(view.dialled().map(|(address, _)| address)),
            (Object::Destination, "port") => number(view.dialled().map(|(_, port)| i64::from(port))),
            (Object::Response, "code") => number(view.status()),
            (Object::Response, "headers") => Ok(Box::new(HeadersValue::new(view.response_headers().ok_or_else(absent)?))),
            _ => Err(absent()),
        }
    }
}

/// What is wrong with a value that is no text.
pub(crate) const NOT_UTF8: &str = "not UTF-8";

/// Bytes as a CEL string; what is not UTF-8 is an error, so that nothing is compared that is not what came.
fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Val + 'a>, ExecutionError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Box::new(CelString::from(text))),
        Err(_) => Err(ExecutionError::function_error(name, NOT_UTF8)),
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
        utf8(name, self.headers.value(name).ok_or_else(|| ExecutionError::no_such_key(name))?)
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
