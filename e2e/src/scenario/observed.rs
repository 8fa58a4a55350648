//! What a layer saw of one case, in terms that all layers share.

use std::collections::BTreeMap;

use egress_filter::counters::POLICY_TAG;

/// What a layer saw of one case.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The status that the client saw.
    pub status: u16,
    /// The body that the client saw.
    pub body: Vec<u8>,
    /// The header lines that the client saw, names in lower case, without pseudo headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What reached the origin, if anything did.
    pub upstream: Option<Reached>,
    /// The audit records of this case; `None` where the layer cannot see them.
    pub audit: Option<Vec<serde_json::Value>>,
    /// By how much the case changed each counter, by the name that [`short`] gives it; `None` where
    /// the layer cannot see them.
    pub counters: Option<BTreeMap<String, u64>>,
}

/// A request that reached the origin.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// The method.
    pub method: String,
    /// The authority.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The header lines, names in lower case, without pseudo headers and `host`.
    pub headers: Vec<(String, Vec<u8>)>,
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

/// A counter's name as scenarios have it: without the plugin, of which there is one, and with the
/// policy behind it, as in `egress_policy_denied{no-admin}`.
pub(super) fn short(name: &str) -> String {
    let tagged =
        name.split(';').filter(|part| *part != ".").filter_map(|part| part.split_once("=.="));
    let policy = tagged.into_iter().find(|(tag, _)| *tag == POLICY_TAG).map(|(_, value)| value);
    let bare = name.rsplit_once(";.;").map_or(name, |(_, bare)| bare);
    policy.map_or_else(|| bare.to_owned(), |policy| format!("{bare}{{{policy}}}"))
}
