//! A value of the interpreter as a record has it.

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelOptional, CelString, Kind};
use cel::common::value::Val;

use crate::library::{Ask, json_text, sorted_keys};
use crate::recorded::{MAX_DEPTH, MAX_RECORDED_TEXT, Recorded};

/// A value, with what cannot be read left out of a list or map; none for an optional that has
/// none.
pub(super) fn of(value: &dyn Val) -> Result<Option<Recorded>, String> {
    let value = match value.downcast_ref::<CelOptional<'_>>() {
        Some(optional) => match optional.inner() {
            Some(inner) => inner,
            None => return Ok(None),
        },
        None => value,
    };
    let mut recorded = Recorded::default();
    if recorded.write(value, 0) {
        Ok(Some(recorded))
    } else {
        Err(format!("a {} has no form in JSON", value.get_type().name()))
    }
}

impl Recorded {
    /// Appends a value, which is at this depth, and returns whether it has a form in JSON.
    fn write(&mut self, value: &dyn Val, depth: usize) -> bool {
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            self.text(text.inner());
            return true;
        }
        if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
            // Three bytes are four letters of base64.
            let most = MAX_RECORDED_TEXT / 4 * 3;
            let bytes = bytes.inner();
            let start = bytes.get(..most).unwrap_or(bytes);
            self.is_cut |= start.len() < bytes.len();
            return json_text(&CelBytes::from(start))
                .map(|text| self.json.push_str(&text))
                .is_some();
        }
        if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
            return match optional.inner() {
                Some(inner) => self.write(inner, depth),
                None => self.null(),
            };
        }
        let kind = value.get_type().kind();
        if !matches!(kind, Kind::List | Kind::Map) {
            return json_text(value).map(|text| self.json.push_str(&text)).is_some();
        }
        if depth >= MAX_DEPTH {
            self.is_cut = true;
            return self.null();
        }
        let below = depth.saturating_add(1);
        if kind == Kind::List { self.list(value, below) } else { self.map(value, below) }
    }

    fn list(&mut self, value: &dyn Val, depth: usize) -> bool {
        let Some(items) = value.as_iterable() else { return false };
        let mut items = items.iter();
        self.json.push('[');
        let mut separator = "";
        while let Some(item) = items.next() {
            if !self.has_room() {
                break;
            }
            self.json.push_str(separator);
            separator = ",";
            if !self.write(item, depth) {
                self.is_cut = true;
                self.null();
            }
        }
        self.json.push(']');
        true
    }

    /// Appends a map, headers, or an object of attributes.
    fn map(&mut self, value: &dyn Val, depth: usize) -> bool {
        let Some(values) = value.as_indexer() else { return false };
        // Headers as a whole are shown without what is secret; no other value has this key.
        if let (Ok(redacted), Some(_)) = (values.get(&Ask::Redacted), value.as_iterable()) {
            return self.entries(redacted.as_ref(), redacted.as_ref(), depth);
        }
        match values.get(&Ask::Fields) {
            Ok(fields) => self.entries(value, fields.as_ref(), depth),
            Err(_) => self.entries(value, value, depth),
        }
    }

    /// Appends the entries of `value` whose keys are in `keys`.
    fn entries(&mut self, value: &dyn Val, keys: &dyn Val, depth: usize) -> bool {
        let (Some(values), Ok(keys)) = (value.as_indexer(), sorted_keys("record", keys)) else {
            return false;
        };
        self.json.push('{');
        let mut separator = "";
        for (name, key) in keys {
            let entry = values.get(key);
            if matches!(entry, Err(ExecutionError::NoSuchKey(_))) {
                // An attribute that this request has not.
                continue;
            }
            if !self.has_room() {
                break;
            }
            let before = self.json.len();
            self.json.push_str(separator);
            self.text(&name);
            self.json.push(':');
            if entry.is_ok_and(|entry| self.write(entry.as_ref(), depth)) {
                separator = ",";
            } else {
                self.json.truncate(before);
                self.is_cut = true;
            }
        }
        self.json.push('}');
        true
    }
}
