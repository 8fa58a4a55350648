//! The values of the interpreter as data. Nothing is cut, and nothing left out: what cannot be data
//! as a whole is an error.

use std::time::Duration;

use cel::ExecutionError;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelNull, CelOptional, CelString, CelUInt, Kind,
};
use cel::common::value::Val;

use crate::bounded::MAX_TEXT;
use crate::bridge;
use crate::data::{Data, ENTRY, MAX_DEPTH};
use crate::library::{Ask, net};
use crate::meter::BYTES_A_STEP;
use crate::returned::{NO_VALUE, TOO_LARGE};
use crate::time::{Span, Timestamp};

/// A value as data; none if it is an optional without a value. Reading it is charged for.
pub(crate) fn data(value: &dyn Val) -> Result<Option<Data>, String> {
    let optional = value.downcast_ref::<CelOptional<'_>>();
    if optional.is_some_and(|optional| optional.inner().is_none()) {
        return Ok(None);
    }
    let mut left = Left(MAX_TEXT);
    let data = left.taken(value, MAX_DEPTH)?;
    let bytes = MAX_TEXT.saturating_sub(left.0);
    match bridge::spend_on(bytes, BYTES_A_STEP) {
        Ok(()) => Ok(Some(data)),
        Err(_) => Err(crate::eval::EXCEEDED.to_owned()),
    }
}

/// How many bytes a value may still have.
struct Left(usize);

impl Left {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.0.checked_sub(bytes).ok_or(TOO_LARGE)?;
        self.0 = left;
        Ok(())
    }

    /// A value, in which this many levels may be nested.
    fn taken(&mut self, value: &dyn Val, depth: usize) -> Result<Data, String> {
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            self.take(text.inner().len())?;
            return Ok(Data::Text(text.inner().to_owned()));
        }
        if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
            self.take(bytes.inner().len())?;
            return Ok(Data::Bytes(bytes.inner().to_vec()));
        }
        if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
            let inner = optional.inner().ok_or(NO_VALUE)?;
            return self.taken(inner, depth);
        }
        if let Some(data) = plain(value)? {
            return Ok(data);
        }
        let inner = depth.checked_sub(1).ok_or("the result is nested too deep")?;
        match value.get_type().kind() {
            Kind::List => self.list(value, inner),
            Kind::Map => self.map(value, inner),
            _ => Err(format!("the result is {}, which is no data", value.get_type().name())),
        }
    }

    fn list(&mut self, value: &dyn Val, depth: usize) -> Result<Data, String> {
        let mut items = value.as_iterable().ok_or(NO_PARTS)?.iter();
        let mut list = Vec::new();
        while let Some(item) = items.next() {
            self.take(ENTRY)?;
            list.push(self.taken(item, depth)?);
        }
        Ok(Data::List(list))
    }

    /// A map, headers, or an object of attributes.
    fn map(&mut self, value: &dyn Val, depth: usize) -> Result<Data, String> {
        let fields = value.as_indexer().and_then(|object| object.get(&Ask::Fields).ok());
        let keys = fields.as_deref().unwrap_or(value);
        let (mut keys, values) = match (keys.as_iterable(), value.as_indexer()) {
            (Some(keys), Some(values)) => (keys.iter(), values),
            _ => return Err(NO_PARTS.to_owned()),
        };
        let mut entries: Vec<(String, Data)> = Vec::new();
        while let Some(key) = keys.next() {
            let name = key.downcast_ref::<CelString<'_>>().map(CelString::inner);
            let name = name.ok_or("a key of the result is no string")?;
            let entry = match values.get(key) {
                Ok(entry) => entry,
                // An attribute that this request does not have.
                Err(ExecutionError::NoSuchKey(_)) if fields.is_some() => continue,
                Err(_) => return Err("a part of the result cannot be read".to_owned()),
            };
            self.take(name.len().saturating_add(ENTRY))?;
            let entry = (name.to_owned(), self.taken(entry.as_ref(), depth)?);
            // A map has no order, but what is made of it does not vary. An insertion sort suffices
            // for so few.
            let position = entries.partition_point(|(before, _)| *before < entry.0);
            entries.insert(position, entry);
        }
        Ok(Data::Map(entries))
    }
}

const NO_PARTS: &str = "the result has no parts that can be read";

/// A value that has neither content of its own nor parts.
fn plain(value: &dyn Val) -> Result<Option<Data>, String> {
    Ok(Some(if let Some(value) = value.downcast_ref::<CelBool>() {
        Data::Bool(*value.inner())
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        Data::Int(*number.inner())
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        Data::Uint(*number.inner())
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        Data::Double(*number.inner())
    } else if value.downcast_ref::<CelNull>().is_some() {
        Data::Null
    } else if let Some(span) = value.downcast_ref::<Span>() {
        Data::Duration(duration(span.nanos()).ok_or("the result is a negative duration")?)
    } else if let Some(time) = value.downcast_ref::<Timestamp>() {
        let since = time.nanos().and_then(duration);
        Data::Timestamp(since.ok_or("the result is a time before 1970, or after 2262")?)
    } else if let Some(address) = net::text_of(value) {
        Data::Text(address)
    } else {
        return Ok(None);
    }))
}

fn duration(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}
