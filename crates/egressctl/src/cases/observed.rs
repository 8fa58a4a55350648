//! What a layer observed of one request, in terms that all layers share.

use std::collections::BTreeMap;

use egress_filter::counters::POLICY_TAG;
use egress_filter::decision::Reason;

use super::expect::Verdict;

/// Header lines in order, names in lower case.
pub type HeaderLines = Vec<(String, Vec<u8>)>;

/// What a layer observed of one request.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The status that the caller saw; `None` where there was none.
    pub status: Option<u16>,
    /// The body that the caller saw.
    pub body: Vec<u8>,
    /// The header lines that the caller saw, without pseudo-headers.
    pub headers: HeaderLines,
    /// What reached the origin, if anything did.
    pub upstream: Option<Reached>,
    /// What the engine decided, if the layer has the engine; otherwise the audit record is read.
    pub decision: Option<Decision>,
    /// The policies whose expressions failed; `None` where the layer cannot see them.
    pub errors: Option<Vec<String>>,
    /// The audit records of this request; `None` where the layer cannot see them.
    pub audit: Option<Vec<serde_json::Value>>,
    /// By how much the request changed each counter, by the name that [`short_counter`] gives it;
    /// `None` where the layer cannot see them.
    pub counters: Option<BTreeMap<String, u64>>,
}

/// What the engine decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What became of the request.
    pub verdict: Verdict,
    /// The policy that decided, where one did.
    pub policy: Option<String>,
    /// Why.
    pub reason: Reason,
    /// The shadow policies that would have denied the request.
    pub shadow: Vec<String>,
}

/// A request that reached the origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// The method.
    pub method: String,
    /// The authority.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The header lines, without pseudo-headers and `host`.
    pub headers: HeaderLines,
}

impl Reached {
    /// The lines of a header, or the value of a pseudo-header.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        match name {
            ":method" => vec![self.method.clone()],
            ":authority" => vec![self.host.clone()],
            ":path" => vec![self.path.clone()],
            _ => values(&self.headers, name),
        }
    }
}

/// The values of a header, a line each.
pub(crate) fn values(lines: &HeaderLines, name: &str) -> Vec<String> {
    lines
        .iter()
        .filter(|(line, _)| line.eq_ignore_ascii_case(name))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The audit records among log lines: each is a JSON object with `"event":"egress"`, whatever the
/// logger put before it.
pub fn audit_records<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<serde_json::Value> {
    let record = |line: &str| -> Option<serde_json::Value> {
        let json = line.get(line.find('{')?..)?;
        let value: serde_json::Value = serde_json::from_str(json.trim_end()).ok()?;
        (value.get("event")? == "egress").then_some(value)
    };
    lines.into_iter().filter_map(record).collect()
}

/// A counter's name as cases have it: without the plugin, of which there is one, and with the
/// policy behind it, as in `egress_policy_denied{no-admin}`.
#[must_use]
pub fn short_counter(name: &str) -> String {
    let mut tags =
        name.split(';').filter(|part| *part != ".").filter_map(|part| part.split_once("=.="));
    let policy = tags.find(|(tag, _)| *tag == POLICY_TAG).map(|(_, value)| value);
    let bare = name.rsplit_once(";.;").map_or(name, |(_, bare)| bare);
    policy.map_or_else(|| bare.to_owned(), |policy| format!("{bare}{{{policy}}}"))
}
