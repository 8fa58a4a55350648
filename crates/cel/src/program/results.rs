//! What an evaluation returns: a bool, bytes, data, a record.

use std::time::Duration;

use super::evaluate::Run;
use super::{Map, Program, Scene, Str, Value, json};
use crate::bounded::MAX_TEXT;
use crate::data::{Data, ENTRY, MAX_DEPTH};
use crate::meter::BYTES_A_STEP;
use crate::recorded::{self, Recorded};
use crate::returned::{NO_VALUE, TOO_LARGE};
use crate::run::{Evaluated, Failure};
use crate::time::{Span, Timestamp};

/// A string, number or bool as text.
pub(super) fn scalar(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Text(text) => text.as_str().to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(value) => (if *value { "true" } else { "false" }).to_owned(),
        _ => return None,
    })
}

impl<'p> Value<'p> {
    /// How an address, a range of them, a timestamp or a duration is written.
    pub(super) fn address_or_time(&self) -> Option<String> {
        match self {
            Value::Ip(ip) => Some(ip.to_string()),
            Value::Cidr(range) => Some(range.to_string()),
            value => value.time_text(),
        }
    }

    /// How a timestamp or a duration is written.
    pub(super) fn time_text(&self) -> Option<String> {
        match self {
            Value::Time(time) => Some(time.to_string()),
            Value::Span(span) => Some(span.to_string()),
            _ => None,
        }
    }

    /// Data as a value, which borrows its texts. It recurses to a depth that is bounded.
    pub(crate) fn of_data(data: &'p Data) -> Value<'p> {
        match data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Int(number) => Value::Int(*number),
            Data::Uint(number) => Value::Uint(*number),
            Data::Double(number) => Value::Double(*number),
            Data::Text(text) => Value::Text(Str::Borrowed(text)),
            Data::Bytes(bytes) => Value::Bytes(super::Bytes::Borrowed(bytes)),
            Data::Duration(duration) => Value::Span(Span::of_nanos(nanos(*duration))),
            Data::Timestamp(since) => Value::Time(Timestamp::of_nanos(nanos(*since))),
            Data::List(items) => Value::list(items.iter().map(Value::of_data).collect()),
            Data::Map(entries) => {
                let entries =
                    entries.iter().map(|(name, it)| (Value::text(name), Value::of_data(it)));
                // As `Data::get`, it has the first of two entries of one name.
                Value::map(Map::first_of(entries.collect()))
            }
        }
    }
}

/// Nanoseconds, or as many as an int can hold: three centuries.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn other_type<'p>(value: &Value<'_>, expected: &str) -> Failure<'p> {
    Failure::Interpreted(format!("the result is {}, not {expected}", value.type_name()))
}

impl Program {
    /// Evaluates a rule.
    pub(crate) fn rule<'p>(&'p self, scene: Scene<'p>) -> Evaluated<'p, bool> {
        match self.value(scene)? {
            Value::Bool(value) => Ok(value),
            other => {
                scene.allowance.unreadable();
                Err(other_type(&other, "a bool"))
            }
        }
    }

    /// Evaluates the value of a header.
    pub(crate) fn header<'p>(&'p self, scene: Scene<'p>) -> Evaluated<'p, Vec<u8>> {
        match self.value(scene)? {
            Value::Text(text) => Ok(text.as_str().as_bytes().to_vec()),
            Value::Bytes(bytes) => Ok(bytes.as_slice().to_vec()),
            other => Err(other_type(&other, "a string or bytes")),
        }
    }

    /// Evaluates a value of any type, for a record; none for an optional that has none.
    pub(crate) fn recorded<'p>(&'p self, scene: Scene<'p>) -> Evaluated<'p, Option<Recorded>> {
        // The attributes of an object are read while it is written.
        let recorded = self.with(scene, |run, value| {
            if let Some(breach) = scene.allowance.breached() {
                return Err(Failure::Plain(breach));
            }
            let value = match &value {
                Value::Optional(None) => return Ok(None),
                Value::Optional(Some(inner)) => inner,
                value => value,
            };
            let mut recorded = Recorded::default();
            if record(run, &mut recorded, value, 0) {
                Ok(Some(recorded))
            } else {
                let message = format!("a {} has no form in JSON", value.type_name());
                Err(Failure::Interpreted(message))
            }
        });
        if scene.allowance.is_exceeded() { Err(Failure::exceeded()) } else { recorded }
    }

    /// Evaluates a value as data; none for an optional without a value.
    pub(crate) fn data<'p>(&'p self, scene: Scene<'p>) -> Evaluated<'p, Option<Data>> {
        // Headers, and the attributes of an object, are read while it is taken.
        let data = self.with(scene, |run, value| {
            if matches!(value, Value::Optional(None)) {
                return Ok(None);
            }
            let mut left = Left { run, bytes: MAX_TEXT };
            let data = left.taken(&value, MAX_DEPTH)?;
            let bytes = MAX_TEXT.saturating_sub(left.bytes);
            run.spend_on(bytes, BYTES_A_STEP).map(|()| Some(data))
        });
        match scene.allowance.breached() {
            _ if scene.allowance.is_exceeded() => Err(Failure::exceeded()),
            Some(breach) => data.and(Err(Failure::Plain(breach))),
            None => data,
        }
    }
}

/// Appends a value, which is at this depth, and returns whether it has a form in JSON.
fn record<'p>(run: &Run<'_, 'p>, recorded: &mut Recorded, value: &Value<'p>, depth: usize) -> bool {
    let below = depth.saturating_add(1);
    match value {
        Value::Text(text) => {
            recorded.text(text.as_str());
            return true;
        }
        Value::Bytes(bytes) => {
            // Three bytes are four letters of base64.
            let (bytes, most) = (bytes.as_slice(), recorded::MAX_RECORDED_TEXT / 4 * 3);
            let start = bytes.get(..most).unwrap_or(bytes);
            recorded.is_cut |= start.len() < bytes.len();
            let start = Value::Bytes(super::Bytes::Shared(start.into()));
            return json::write_single(&start, &mut recorded.json).is_some();
        }
        Value::Optional(None) => return recorded.null(),
        Value::Optional(Some(inner)) => return record(run, recorded, inner, depth),
        Value::List(_) | Value::Map(_) | Value::Headers(_) | Value::Object(_)
            if depth >= recorded::MAX_DEPTH =>
        {
            recorded.is_cut = true;
            return recorded.null();
        }
        _ => {}
    }
    let mut separator = "";
    match value {
        Value::List(list) => {
            recorded.json.push('[');
            for item in list.iter() {
                if !recorded.has_room() {
                    break;
                }
                recorded.json.push_str(separator);
                separator = ",";
                if !record(run, recorded, item, below) {
                    recorded.is_cut = true;
                    recorded.null();
                }
            }
            recorded.json.push(']');
            true
        }
        Value::Map(_) | Value::Headers(_) | Value::Object(_) => {
            let Ok(names) = names(run, value) else { return false };
            recorded.json.push('{');
            for (name, entry) in names {
                let entry = entry(run);
                if matches!(entry, Ok(None)) {
                    // An attribute that this request has not.
                    continue;
                }
                if !recorded.has_room() {
                    break;
                }
                let before = recorded.json.len();
                recorded.json.push_str(separator);
                recorded.text(&name);
                recorded.json.push(':');
                let entry = entry.ok().flatten();
                if entry.is_some_and(|entry| record(run, recorded, &entry, below)) {
                    separator = ",";
                } else {
                    recorded.json.truncate(before);
                    recorded.is_cut = true;
                }
            }
            recorded.json.push('}');
            true
        }
        value => json::write_single(value, &mut recorded.json).is_some(),
    }
}

/// Reads the value of an entry; none if there is none.
type Entry<'v, 'p> = Box<dyn Fn(&Run<'_, 'p>) -> Evaluated<'p, Option<Value<'p>>> + 'v>;

/// The entries of a map, of headers without what is secret, or of an object, sorted by name.
fn names<'v, 'p: 'v>(
    run: &Run<'_, 'p>,
    value: &'v Value<'p>,
) -> Evaluated<'p, Vec<(String, Entry<'v, 'p>)>> {
    let mut entries: Vec<(String, Entry<'v, 'p>)> = Vec::new();
    let mut put = |name: String, entry: Entry<'v, 'p>| {
        let position = entries.partition_point(|(before, _)| *before <= name);
        entries.insert(position, (name, entry));
    };
    match value {
        Value::Map(map) => {
            let count = map.entries().len();
            run.spend_on(count.saturating_mul(count), 512)?;
            for (key, value) in map.entries() {
                let name = scalar(key).ok_or(Failure::In("record"))?;
                put(name, Box::new(move |_| Ok(Some(value.clone()))));
            }
        }
        Value::Headers(view) => {
            let view = super::headers::View { redacted: true, ..*view };
            for name in run.header_names(view)? {
                let text = name.as_text().unwrap_or_default().to_owned();
                put(text, Box::new(move |run| run.header(view, name.as_text().unwrap_or(""))));
            }
        }
        Value::Object(object) => {
            for field in run.scene.attributes.table().fields(object) {
                if field.kind != crate::attributes::Kind::Bytes {
                    let name = field.last_name();
                    put(name.to_owned(), Box::new(move |run| run.object_field(object, name)));
                }
            }
        }
        _ => return Err(Failure::In("record")),
    }
    Ok(entries)
}

/// How many bytes a value may still have.
struct Left<'r, 'q, 'p> {
    run: &'r Run<'q, 'p>,
    bytes: usize,
}

impl<'p> Left<'_, '_, 'p> {
    fn take(&mut self, bytes: usize) -> Evaluated<'p, ()> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(Failure::Plain(TOO_LARGE))?;
        Ok(())
    }

    /// A value, in which this many levels may be nested.
    fn taken(&mut self, value: &Value<'p>, depth: usize) -> Evaluated<'p, Data> {
        let inner = || depth.checked_sub(1).ok_or(Failure::Plain("the result is nested too deep"));
        Ok(match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(*value),
            Value::Int(number) => Data::Int(*number),
            Value::Uint(number) => Data::Uint(*number),
            Value::Double(number) => Data::Double(*number),
            Value::Text(text) => {
                self.take(text.as_str().len())?;
                Data::Text(text.as_str().to_owned())
            }
            Value::Bytes(bytes) => {
                self.take(bytes.as_slice().len())?;
                Data::Bytes(bytes.as_slice().to_vec())
            }
            Value::Optional(inner) => {
                return self.taken(inner.as_ref().ok_or(Failure::Plain(NO_VALUE))?, depth);
            }
            Value::Span(span) => {
                let found = duration(span.nanos());
                Data::Duration(found.ok_or(Failure::Plain("the result is a negative duration"))?)
            }
            Value::Time(time) => {
                let since = time.nanos().and_then(duration);
                let wrong = Failure::Plain("the result is a time before 1970, or after 2262");
                Data::Timestamp(since.ok_or(wrong)?)
            }
            Value::Ip(_) | Value::Cidr(_) => {
                Data::Text(value.address_or_time().unwrap_or_default())
            }
            Value::List(list) => {
                let inner = inner()?;
                let mut items = Vec::new();
                for item in list.iter() {
                    self.take(ENTRY)?;
                    items.push(self.taken(item, inner)?);
                }
                Data::List(items)
            }
            Value::Map(_) | Value::Headers(_) | Value::Object(_) => self.map(value, inner()?)?,
            Value::Type(_) | Value::Pattern(_) => {
                inner()?;
                let name = value.type_name();
                let message = format!("the result is {name}, which is no data");
                return Err(Failure::Interpreted(message));
            }
        })
    }

    /// A map, headers, or an object of attributes.
    fn map(&mut self, value: &Value<'p>, depth: usize) -> Evaluated<'p, Data> {
        let mut entries: Vec<(String, Data)> = Vec::new();
        let run = self.run;
        let mut put = |key: Value<'p>, value: Value<'p>| {
            let name = key.as_text().ok_or(Failure::Plain("a key of the result is no string"))?;
            self.take(name.len().saturating_add(ENTRY))?;
            let entry = (name.to_owned(), self.taken(&value, depth)?);
            // What is made of a map does not vary. An insertion sort suffices for so few.
            let position = entries.partition_point(|(before, _)| *before < entry.0);
            entries.insert(position, entry);
            Ok(())
        };
        let unread = |_| Failure::Plain("a part of the result cannot be read");
        if let Value::Object(object) = value {
            for field in run.scene.attributes.table().fields(object) {
                if field.kind == crate::attributes::Kind::Bytes {
                    continue;
                }
                let name = field.last_name();
                if let Some(value) = run.object_field(object, name).map_err(unread)? {
                    put(Value::text(name), value)?;
                }
            }
            return Ok(Data::Map(entries));
        }
        let mut failed = None;
        let all = run.each_entry(value, &mut |key, value| {
            put(key, value).inspect_err(|failure| failed = Some(failure.clone()))
        });
        match (failed, all) {
            (Some(failure), _) => Err(failure),
            (None, Err(failure)) => Err(unread(failure)),
            (None, Ok(())) => Ok(Data::Map(entries)),
        }
    }
}

fn duration(nanos: i64) -> Option<Duration> {
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}
