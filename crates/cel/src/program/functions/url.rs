//! URLs, queries and forms.

use super::super::Map;
use super::super::Value;
use super::super::evaluate::Run;
use super::super::json;
use super::super::results::scalar;
use super::{Made, Row, bytes_at, text_at, unknown};
use crate::bounded::{MAX_PARTS, MAX_TEXT};
use crate::library::query::parts;
use crate::library::urlencoded::{self, Space, encode};
use crate::run::{Evaluated, Failure};
use egress_reading::query::{self as reading, Fault};

pub(super) const GLOBAL: &[Row] = &[
    ("url.encode", |run, name, of| {
        let text = encode(bytes_at(name, of, 0)?, Space::Escaped);
        if text.len() > MAX_TEXT { Err(run.breach(name)) } else { Ok(Value::made(&text)) }
    }),
    ("url.decode", |run, name, of| {
        let decoded = urlencoded::decode(bytes_at(name, of, 0)?, Space::Escaped);
        std::str::from_utf8(&decoded).map(Value::made).map_err(|_| run.unfit(name))
    }),
    ("form.decode", form_decode),
    ("form.encode", form_encode),
];

pub(super) const MEMBER: &[Row] = &[
    ("query", |run, name, of| {
        let (url, wanted) = (text_at(name, of, 0)?, text_at(name, of, 1)?);
        let (_, query, _) = parts(url);
        match reading::values(query.unwrap_or_default().as_bytes(), wanted, MAX_PARTS) {
            Ok(found) if found.is_empty() => Err(Failure::NoKey),
            Ok(found) => Ok(Value::list(found.iter().map(|it| Value::made(it)).collect())),
            Err(Fault::NotUtf8 | Fault::Ambiguous) => Err(run.unfit(name)),
            Err(Fault::TooMany) => Err(run.breach(name)),
        }
    }),
    ("addQuery", |run, name, of| with_query(run, name, of, false)),
    ("setQuery", |run, name, of| with_query(run, name, of, true)),
];

/// The URL without the pairs in which some origin finds the name, if they are to be replaced, and
/// with the new pair at the end.
fn with_query<'p>(
    run: &Run<'_, 'p>,
    function: &'static str,
    of: &[Value<'p>],
    replaces: bool,
) -> Evaluated<'p, Value<'p>> {
    let (url, name) = (text_at(function, of, 0)?, text_at(function, of, 1)?);
    let value = text_at(function, of, 2)?;
    let (path, query, fragment) = parts(url);
    let mut made = Made::new(run, function);
    made.push(path)?;
    let mut separator = "?";
    for pair in query.unwrap_or_default().split('&') {
        if pair.is_empty() || (replaces && reading::is_of(pair.as_bytes(), name)) {
            continue;
        }
        made.push(separator)?;
        made.push(pair)?;
        separator = "&";
    }
    let (name, value) =
        (encode(name.as_bytes(), Space::Plus), encode(value.as_bytes(), Space::Plus));
    for part in [separator, &name, "=", &value, fragment] {
        made.push(part)?;
    }
    Ok(made.value())
}

/// The fields of a form as a map: the value of a name is a string, or a list if the name occurs
/// several times.
fn form_decode<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let form = bytes_at(name, of, 0)?;
    if form.contains(&b';') {
        // It parts fields to some origins.
        return Err(run.unfit(name));
    }
    let decode = |part| {
        String::from_utf8(urlencoded::decode(part, Space::Plus)).map_err(|_| run.unfit(name))
    };
    let mut fields: Vec<(String, Vec<Value<'p>>)> = Vec::new();
    for (count, (field, value)) in urlencoded::pairs(form).enumerate() {
        if count >= MAX_PARTS {
            return Err(run.breach(name));
        }
        let (field, value) = (decode(field)?, Value::made(&decode(value)?));
        match fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&field)) {
            // A name twice, in other letters.
            Some((known, _)) if *known != field => return Err(run.unfit(name)),
            Some((_, values)) => values.push(value),
            None => fields.push((field, vec![value])),
        }
    }
    let mut map = Map::default();
    for (field, mut values) in fields {
        let value = match values.len() {
            1 => values.pop().unwrap_or(Value::Null),
            _ => Value::list(values),
        };
        map.put(Value::made(&field), value);
    }
    Ok(Value::map(map))
}

/// The fields of a map, sorted by name.
fn form_encode<'p>(
    run: &Run<'_, 'p>,
    name: &'static str,
    of: &mut [Value<'p>],
) -> Evaluated<'p, Value<'p>> {
    let map = of.first().ok_or(unknown(name))?;
    let mut made = Made::new(run, name);
    for (field, value) in json::named_entries(run, name, map)? {
        match &value {
            Value::List(list) => {
                list.iter().try_for_each(|value| push_field(&mut made, &field, value))?;
            }
            value => push_field(&mut made, &field, value)?,
        }
    }
    Ok(made.value())
}

fn push_field<'p>(made: &mut Made<'_, 'p>, name: &str, value: &Value<'p>) -> Evaluated<'p, ()> {
    let value = scalar(value).ok_or_else(|| made.run.unfit(made.name))?;
    if !made.text.is_empty() {
        made.push("&")?;
    }
    made.push(&encode(name.as_bytes(), Space::Plus))?;
    made.push("=")?;
    made.push(&encode(value.as_bytes(), Space::Plus))
}
