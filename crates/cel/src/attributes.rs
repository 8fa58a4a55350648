//! The attributes that expressions read: declared in a [`Table`] when they are compiled, and read
//! through [`Attributes`] when they are evaluated.
//!
//! The language knows no attribute by name. The caller that compiles an expression declares the
//! attributes, and the one that evaluates it provides their values by [`Id`].

use std::borrow::Cow;
use std::fmt::Debug;

use egress_reading::cookie;

use crate::data::Data;
use crate::time::Timestamp;
use crate::types::Type;
use crate::variables::Memo;

/// When an expression is evaluated, which determines what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the request's headers go on.
    Request,
    /// Once the request's body is there. Its headers have gone on.
    RequestBody,
    /// When the response's headers arrive.
    Response,
    /// Once the response's body is there.
    ResponseBody,
}

impl Phase {
    /// Whether what is there from a phase on can be read in this one. Bodies are not kept.
    pub(crate) fn has(self, from: Phase) -> bool {
        match from {
            Phase::Request => true,
            Phase::RequestBody | Phase::ResponseBody => self == from,
            Phase::Response => matches!(self, Phase::Response | Phase::ResponseBody),
        }
    }

    /// What can read that which is there from this phase on.
    pub(crate) fn readers(self) -> &'static str {
        match self {
            Phase::Request => "any expression",
            Phase::RequestBody => "`authorization` and `transformation.request.body`",
            Phase::Response => "a response transformation",
            Phase::ResponseBody => "`transformation.response.body`",
        }
    }
}

/// The kind of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An int.
    Int,
    /// A timestamp.
    Time,
    /// Bytes, such as a body. As they may be many, an object that is read as a whole has none.
    Bytes,
    /// Headers: a map of strings whose keys ignore letter case.
    Headers,
    /// A map whose fields are known only at a request. Its name has no dot.
    Data,
    /// Other attributes, which are present or missing together.
    Object,
}

/// How a rule that compares an attribute may be looked up by its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// Not at all.
    None,
    /// By the whole value.
    Exact,
    /// By the whole value, or by what it starts with.
    Prefix,
}

/// The declaration of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its dotted name: `source.identity.namespace`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The first phase in which it can be read.
    pub from: Phase,
    /// How rules are looked up by it.
    pub lookup: Lookup,
}

impl Attribute {
    /// The last part of its name.
    pub(crate) fn last_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// The name without its last part.
    fn parent(&self) -> &'static str {
        self.name.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The rest of the name behind `object.`, if it begins with that.
    #[inline]
    fn below(&self, object: &str) -> Option<&'static str> {
        // This runs for each name in a configuration, and most rows differ in this one byte.
        if self.name.as_bytes().get(object.len()) != Some(&b'.') {
            return None;
        }
        self.name.strip_prefix(object)?.strip_prefix('.')
    }

    /// Whether it is provided after the request's headers came.
    fn is_provided(&self) -> bool {
        matches!(self.kind, Kind::Bytes | Kind::Data)
    }

    /// Its type, for the check.
    pub(crate) fn to_type(self) -> Type {
        match self.kind {
            Kind::Text => Type::String,
            Kind::Int => Type::Int,
            Kind::Time => Type::Timestamp,
            Kind::Bytes => Type::Bytes,
            Kind::Headers => Type::Headers,
            Kind::Data => Type::Map(Box::new(Type::String), Box::new(Type::Dyn)),
            Kind::Object => Type::Object(self.name),
        }
    }
}

/// An attribute of a [`Table`]: its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(u8);

impl Id {
    /// The id of the row at a position.
    #[must_use]
    pub const fn at(position: u8) -> Id {
        Id(position)
    }

    /// The position of the row.
    #[must_use]
    pub const fn position(self) -> u8 {
        self.0
    }
}

/// A set of attributes of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(u64);

impl Set {
    fn bit(id: Id) -> u64 {
        1_u64.checked_shl(u32::from(id.0)).unwrap_or(0)
    }

    /// Adds an attribute.
    pub fn insert(&mut self, id: Id) {
        self.0 |= Set::bit(id);
    }

    /// Whether an attribute is in the set.
    #[must_use]
    pub fn contains(self, id: Id) -> bool {
        self.0 & Set::bit(id) != 0
    }

    /// The attributes of both sets.
    #[must_use]
    pub fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// The attributes, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Id> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let id = u8::try_from(rest.trailing_zeros()).ok().map(Id)?;
            // Without its lowest bit.
            rest &= rest.checked_sub(1)?;
            Some(id)
        })
    }
}

/// The attributes that there are: at most 64.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    rows: &'static [Attribute],
    /// The names that other systems have for attributes, and what is written here.
    elsewhere: &'static [(&'static str, &'static str)],
}

impl Table {
    /// A table of these attributes. Those of an object must follow it without a gap.
    #[must_use]
    pub const fn new(rows: &'static [Attribute]) -> Table {
        Table { rows, elsewhere: &[] }
    }

    /// The table with names that other systems have for its attributes, and what is written here:
    /// for messages about unknown attributes.
    #[must_use]
    pub const fn with_names_elsewhere(
        self,
        elsewhere: &'static [(&'static str, &'static str)],
    ) -> Table {
        Table { elsewhere, ..self }
    }

    /// What is written here for a name that another system has.
    pub(crate) fn of_elsewhere(&self, name: &str) -> Option<&'static str> {
        self.elsewhere.iter().find(|(known, _)| *known == name).map(|(_, here)| *here)
    }

    fn iter(&self) -> impl Iterator<Item = (Id, &'static Attribute)> {
        (0..=u8::MAX).map(Id).zip(self.rows)
    }

    /// The declaration of an attribute.
    #[must_use]
    pub fn attribute(&self, id: Id) -> Option<&'static Attribute> {
        self.rows.get(usize::from(id.0))
    }

    /// The attribute of a dotted name.
    #[must_use]
    #[inline(never)]
    pub fn id(&self, name: &str) -> Option<Id> {
        self.iter().find(|(_, attribute)| attribute.name == name).map(|(id, _)| id)
    }

    /// The attribute in this object for whose name `is_it` holds.
    pub(crate) fn find(&self, kind: Kind, is_it: impl Fn(&str) -> bool) -> Option<Id> {
        self.iter().find(|(_, row)| row.kind == kind && is_it(row.name)).map(|(id, _)| id)
    }

    /// The attribute `object.name`, where `name` is one name: `source["identity.namespace"]` is not
    /// `source.identity.namespace`.
    pub(crate) fn field(&self, object: &str, name: &str) -> Option<(Id, &'static Attribute)> {
        self.iter().find(|(_, row)| row.below(object) == Some(name)).filter(|_| !name.contains('.'))
    }

    /// Whether some object has headers as an attribute of this name.
    pub(crate) fn names_headers(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.kind == Kind::Headers && row.last_name() == name)
    }

    /// The attributes directly below an object.
    pub(crate) fn fields(&self, object: &str) -> impl Iterator<Item = &'static Attribute> {
        self.rows
            .iter()
            .filter(move |row| row.below(object).is_some_and(|name| !name.contains('.')))
    }

    /// All attributes below an object.
    pub(crate) fn below(&self, object: &str) -> impl Iterator<Item = (Id, &'static Attribute)> {
        self.iter().filter(move |(_, row)| row.below(object).is_some())
    }

    /// The object of this name at the root of names, such as `source`.
    #[inline(never)]
    pub(crate) fn root(&self, name: &str) -> Option<&'static str> {
        let row = self.rows.iter().find(|row| row.below(name).is_some())?;
        // `source.identity` is in an object itself.
        row.name.get(..name.len()).filter(|_| !name.contains('.'))
    }

    /// The attribute of this name that is data of any shape.
    #[inline(never)]
    pub(crate) fn data(&self, name: &str) -> Option<(Id, &'static Attribute)> {
        self.iter().find(|(_, row)| row.kind == Kind::Data && row.name == name)
    }

    /// Whether any of these attributes is bytes or data.
    pub(crate) fn has_provided(&self, of: Set) -> bool {
        of.iter().filter_map(|id| self.attribute(id)).any(|row| row.is_provided())
    }

    /// Whether names of attributes begin with this one.
    pub(crate) fn has_root(&self, name: &str) -> bool {
        self.root(name).is_some() || self.data(name).is_some()
    }

    /// The roots of names, each once.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &'static str> {
        let mut last = "";
        self.rows.iter().filter_map(move |row| {
            let root = row.name.split('.').next().unwrap_or_default();
            (std::mem::replace(&mut last, root) != root).then_some(root)
        })
    }

    /// The first phase in which anything below an object can be read.
    pub(crate) fn from(&self, object: &str) -> Phase {
        self.below(object).map(|(_, row)| row.from).min().unwrap_or(Phase::Request)
    }

    /// The name of a missing attribute in an error: that of the outermost object that is missing,
    /// if one is, else its own.
    pub(crate) fn missing_name(
        &self,
        id: Id,
        attributes: &(impl Attributes + ?Sized),
    ) -> &'static str {
        let Some(attribute) = self.attribute(id) else { return "" };
        let object = self.find(Kind::Object, |name| name == attribute.parent());
        match object.filter(|object| !attributes.is_there(*object)) {
            Some(object) => self.missing_name(object, attributes),
            None => attribute.last_name(),
        }
    }
}

/// Why an attribute or header has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is there, but is not UTF-8. Nothing is compared in another form than it was sent in.
    NotUtf8,
}

/// Why bytes or data cannot be read, with the cause in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unread {
    /// They are not there, or were not asked for: `has` is false.
    Missing(&'static str),
    /// They are there, but cannot be read: `has` has no value either.
    Unreadable(&'static str),
}

/// The attributes of one message, in one reading of it.
///
/// All methods take ids of the same table. An id of another kind than the method's has no value.
pub trait Attributes: Debug + Sync {
    /// The table that the ids belong to.
    fn table(&self) -> &'static Table;

    /// The value of a string attribute.
    ///
    /// # Errors
    /// If it has none.
    fn text(&self, id: Id) -> Result<&str, Fault>;

    /// The value of an int attribute.
    fn int(&self, id: Id) -> Option<i64>;

    /// The value of a timestamp attribute.
    fn time(&self, id: Id) -> Option<Timestamp>;

    /// The value of an attribute that is bytes.
    ///
    /// # Errors
    /// If they cannot be read. An expression that reads them has no value then, whatever it
    /// catches.
    fn bytes(&self, id: Id) -> Result<&[u8], Unread>;

    /// The value of an attribute that is data.
    ///
    /// # Errors
    /// If it is not there, or cannot be read. An expression that reads what cannot be read has no
    /// value, whatever it catches.
    fn data(&self, id: Id) -> Result<&Data, Unread>;

    /// Whether an object, or headers, are there.
    fn is_there(&self, id: Id) -> bool;

    /// The value of a header, whatever the letter case of its name. Of several lines, it is the one
    /// that this reading has.
    fn header(&self, of: Id, name: &str) -> Option<&[u8]>;

    /// The values of all lines of a header, in order.
    fn header_lines(&self, of: Id, name: &str) -> Vec<&[u8]>;

    /// The names of the headers, each once, in the order they first came.
    fn header_names(&self, of: Id) -> Vec<Cow<'_, str>>;

    /// How many header lines there are.
    fn header_count(&self, of: Id) -> usize;

    /// The size of all header names in bytes, with 8 more for each line: what listing them costs.
    fn header_name_bytes(&self, of: Id) -> usize;

    /// The value of a cookie among the lines of `cookie`.
    ///
    /// # Errors
    /// If it has none, or none that is certain.
    fn cookie(&self, of: Id, name: &str) -> Result<String, cookie::Fault>;

    /// The message as it came, in the same reading: what variables read.
    fn as_it_came(&self) -> &Self
    where
        Self: Sized;

    /// The same for whoever does not know the type.
    fn as_it_came_dyn(&self) -> &dyn Attributes;

    /// Where the outcomes of variables are kept for this reading; none if they are not.
    fn memo(&self) -> Option<&Memo> {
        None
    }
}

/// Bytes as text.
///
/// # Errors
/// If there are none, or they are not UTF-8.
pub fn utf8(bytes: Option<&[u8]>) -> Result<&str, Fault> {
    std::str::from_utf8(bytes.ok_or(Fault::Missing)?).map_err(|_| Fault::NotUtf8)
}
