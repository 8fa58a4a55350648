//! The audit record: one line of JSON per decision.

pub(crate) mod load;

pub use load::load_record;

use std::borrow::Cow;

use serde::Serialize;

use crate::policy::FieldValue;
use crate::printable;

/// The longest text of a record that comes from the request, in bytes. A longer one is cut, and
/// ends in `...`.
const MAX_TEXT: usize = 1024;

/// The most shadow policies, and the most errors, that one record names.
pub(crate) const MAX_LIST: usize = 64;

/// One decision. JSON escapes what a caller puts into its request, so that no line can be forged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record<'a> {
    pub(crate) event: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) policy: Option<&'a str>,
    pub(crate) reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<&'static str>,
    pub(crate) shadow: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<EvaluationError<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) credentials: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) calls: Vec<CallRecord<'a>>,
    pub(crate) caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rejected_caller: Option<&'a str>,
    pub(crate) method: Option<Cow<'a, str>>,
    pub(crate) host: Option<Cow<'a, str>>,
    pub(crate) path: Option<Cow<'a, str>>,
    pub(crate) destination: Option<&'a str>,
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<Cow<'a, str>>,
    /// The fields that the configuration adds.
    #[serde(skip)]
    pub(crate) fields: &'a [FieldValue],
}

/// A service that was asked about the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallRecord<'a> {
    pub(crate) policy: &'a str,
    pub(crate) service: &'static str,
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) cached: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) failed_open: bool,
    pub(crate) milliseconds: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// An expression that failed.
#[derive(Debug, Serialize)]
pub(crate) struct EvaluationError<'a> {
    /// The policy; none for an expression of the configuration as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<&'a str>,
    pub(crate) message: &'a str,
}

impl Record<'_> {
    pub(crate) fn to_line(&self) -> String {
        // Serializing strings into a string cannot fail. If it did, the decision would be logged
        // without its details.
        let mut line = printable::json_line(self)
            .unwrap_or_else(|| format!(r#"{{"event":"egress","verdict":"{}"}}"#, self.verdict));
        if !self.fields.is_empty() {
            self.add_fields(&mut line);
        }
        line
    }

    /// Adds the fields, whose values are JSON already.
    #[cold]
    fn add_fields(&self, line: &mut String) {
        line.pop();
        line.push_str(",\"fields\":{");
        let mut separator = "";
        for FieldValue { name, json, .. } in self.fields {
            // A name consists of letters, digits and `_.-`.
            for part in [separator, "\"", name, "\":", json] {
                line.push_str(part);
            }
            separator = ",";
        }
        line.push('}');
        let cut = self.fields.iter().filter(|field| field.is_cut).map(|field| &*field.name);
        let cut: Vec<&str> = cut.collect();
        if let (false, Some(names)) = (cut.is_empty(), printable::json_line(&cut)) {
            line.push_str(",\"cutFields\":");
            line.push_str(&names);
        }
        line.push('}');
    }
}

/// A part of the request as text, cut if it is longer than [`MAX_TEXT`].
pub(crate) fn text(bytes: Option<&[u8]>) -> Option<Cow<'_, str>> {
    let bytes = bytes?;
    match bytes.split_at_checked(MAX_TEXT) {
        Some((start, rest)) if !rest.is_empty() => {
            Some(Cow::Owned(format!("{}...", String::from_utf8_lossy(start))))
        }
        _ => Some(String::from_utf8_lossy(bytes)),
    }
}
