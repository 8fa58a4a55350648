//! `base64.encode`, `base64.decode`, `url.encode`, `url.decode`, `form.encode` and `form.decode`.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use cel::ExecutionError;
use cel::common::types::{CelBytes, CelList, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};

use super::Parameter::{Bytes, Map, Text};
use super::Style::Global;
use super::urlencoded::{self, Space};
use super::{
    Evaluated, MAX_PARTS, MAX_TEXT, Made, Overload, bytes, failed, maps, run, string, too_large,
};

/// As lenient as cel-go's: there may be no padding, and unused bits are ignored.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
/// The standard alphabet.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
/// The alphabet of URLs and tokens. Unused bits must be zero, so that a token has only one
/// spelling.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) const FUNCTIONS: &[Overload] = &[
    Overload("base64.encode", Global, &[Text], |arguments| run(arguments, base64_encode)),
    Overload("base64.encode", Global, &[Bytes], |arguments| run(arguments, base64_encode)),
    Overload("base64.decode", Global, &[Text], |arguments| run(arguments, base64_decode)),
    Overload("base64.decode", Global, &[Bytes], |arguments| run(arguments, base64_decode)),
    Overload("url.encode", Global, &[Text], |arguments| run(arguments, url_encode)),
    Overload("url.encode", Global, &[Bytes], |arguments| run(arguments, url_encode)),
    Overload("url.decode", Global, &[Text], |arguments| run(arguments, url_decode)),
    Overload("url.decode", Global, &[Bytes], |arguments| run(arguments, url_decode)),
    Overload("form.decode", Global, &[Text], |arguments| run(arguments, form_decode)),
    Overload("form.decode", Global, &[Bytes], |arguments| run(arguments, form_decode)),
    Overload("form.encode", Global, &[Map], |arguments| run(arguments, form_encode)),
];

/// Bytes in standard base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Decodes standard base64, padded or not. As in cel-go, line breaks are passed over.
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    // Padding that is there is whole.
    let is_padded = text.last() == Some(&b'=');
    if is_padded && text.len().rem_euclid(4) != 0 { None } else { STANDARD.decode(text).ok() }
}

/// Decodes URL-safe base64, padded or not.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE.decode(text).ok()
}

fn bounded<'b, 'v>(function: &str, text: String) -> Evaluated<'b, 'v> {
    if text.len() > MAX_TEXT { Err(too_large(function)) } else { Ok(string(text)) }
}

fn base64_encode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bounded("base64.encode", base64(bytes("base64.encode", arguments, 0)?))
}

fn base64_decode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let decoded = from_base64(bytes("base64.decode", arguments, 0)?)
        .ok_or_else(|| failed("base64.decode", "not base64"))?;
    Ok(CowVal::owned(CelBytes::from(decoded)))
}

fn url_encode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    bounded("url.encode", urlencoded::encode(bytes("url.encode", arguments, 0)?, Space::Escaped))
}

fn url_decode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let decoded = urlencoded::decode(bytes("url.decode", arguments, 0)?, Space::Escaped);
    String::from_utf8(decoded).map(string).map_err(|_| failed("url.decode", "not UTF-8"))
}

/// The fields of a form as a map: the value of a name is a string, or a list if the name occurs
/// several times.
fn form_decode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    let decode = |part| {
        String::from_utf8(urlencoded::decode(part, Space::Plus))
            .map_err(|_| failed("form.decode", "not UTF-8"))
    };
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    let form = bytes("form.decode", arguments, 0)?;
    if form.contains(&b';') {
        return Err(failed("form.decode", "a semicolon parts fields to some origins"));
    }
    for (count, (name, value)) in urlencoded::pairs(form).enumerate() {
        if count >= MAX_PARTS {
            return Err(too_large("form.decode"));
        }
        let (name, value) = (decode(name)?, decode(value)?);
        match fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((known, _)) if *known != name => {
                return Err(failed("form.decode", "a name twice, in other letters"));
            }
            Some((_, values)) => values.push(value),
            None => fields.push((name, vec![value])),
        }
    }
    let mut map: HashMap<CelMapKey<'_>, Box<dyn Val>> = HashMap::new();
    for (name, values) in fields {
        let mut values: Vec<Box<dyn Val>> = values
            .into_iter()
            .map(|value| Box::new(CelString::from(value)) as Box<dyn Val>)
            .collect();
        let value =
            if values.len() > 1 { Box::new(CelList::from(values)) } else { values.remove(0) };
        map.insert(CelMapKey::from(name), value);
    }
    Ok(CowVal::owned(CelMap::from(map)))
}

/// The fields of a map, sorted by name: a map has no order of its own.
fn form_encode<'b, 'v>(arguments: &[CowVal<'b, 'v>]) -> Evaluated<'b, 'v> {
    const FUNCTION: &str = "form.encode";
    let map = arguments.first().ok_or_else(|| failed(FUNCTION, "an argument is missing"))?;
    let values = map.as_indexer().ok_or_else(|| failed(FUNCTION, "expected a map"))?;
    let mut made = Made::new(FUNCTION);
    for (name, key) in maps::sorted_keys(FUNCTION, map.as_ref())? {
        let value = values.get(key)?;
        let Some(list) =
            value.as_iterable().filter(|_| value.downcast_ref::<CelList<'_>>().is_some())
        else {
            push_field(&mut made, &name, value.as_ref())?;
            continue;
        };
        let mut list = list.iter();
        while let Some(one) = list.next() {
            push_field(&mut made, &name, one)?;
        }
    }
    Ok(made.value())
}

fn push_field(made: &mut Made, name: &str, value: &dyn Val) -> Result<(), ExecutionError> {
    let value = maps::scalar(value)
        .ok_or_else(|| failed("form.encode", "a field is no string, number or bool"))?;
    if !made.text.is_empty() {
        made.push("&")?;
    }
    made.push(&urlencoded::encode(name.as_bytes(), Space::Plus))?;
    made.push("=")?;
    made.push(&urlencoded::encode(value.as_bytes(), Space::Plus))
}
