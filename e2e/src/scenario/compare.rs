//! What was expected against what a layer saw.

use std::fmt::Debug;

use super::model::{AuditExpectation, Case, Layer, Scenario, Upstream, UpstreamExpectation};
use super::observed::{Observed, Reached};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The scenario file.
    pub file: String,
    /// The case's name.
    pub case: String,
    /// Where it ran.
    pub layer: Layer,
    /// What differs: `status`, `upstream.headers.x-tag`, ...
    pub field: String,
    /// What the file says.
    pub expected: String,
    /// What the layer saw.
    pub got: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, case, layer, field, expected, got } = self;
        write!(f, "{file}: `{case}` ({layer:?}): {field}: expected {expected}, got {got}")
    }
}

/// Everything in which a case differs from what a layer saw. What the layer cannot see is passed
/// over.
#[must_use]
pub fn compare(scenario: &Scenario, case: &Case, layer: Layer, seen: &Observed) -> Vec<Mismatch> {
    let mut found = Found { scenario, case, layer, list: Vec::new() };
    let expect = &case.expect;
    if !expect.status.allows(seen.status) {
        found.differ(
            "status",
            &expect.status,
            &(seen.status, seen.audit.as_deref().unwrap_or_default()),
        );
    }
    if let Some(body) = &expect.body {
        found.equal("body", body, &text(&seen.body));
    }
    for (name, value) in &expect.headers {
        let lines = lines(&seen.headers, name);
        found.equal(&format!("headers.{name}"), &Some(value.clone()), &joined(&lines));
    }
    for name in &expect.absent_headers {
        found.equal(&format!("headers.{name}"), &None, &joined(&lines(&seen.headers, name)));
    }
    // An origin that never answers with an expected status was not to be asked.
    let refused = !expect.status.allows(case.origin.status);
    match (&expect.upstream, &seen.upstream) {
        (Some(Upstream::Reached(wanted)), Some(reached)) => found.upstream(wanted, reached),
        (Some(Upstream::Reached(_)), None) => found.differ("upstream", &"a request", &"none"),
        (Some(Upstream::Absent(_)), Some(reached)) => found.differ("upstream", &"none", reached),
        (None, Some(reached)) if refused => found.differ("upstream", &"none", reached),
        (Some(Upstream::Absent(_)) | None, _) => {}
    }
    if let (Some(wanted), Some(records)) = (&expect.audit, &seen.audit) {
        found.audit(wanted, records);
    }
    if let Some(counters) = &seen.counters {
        for (name, wanted) in &expect.counters {
            let got = counters.get(name).copied().unwrap_or(0);
            found.equal(&format!("counters.{name}"), wanted, &got);
        }
    }
    found.list
}

struct Found<'a> {
    scenario: &'a Scenario,
    case: &'a Case,
    layer: Layer,
    list: Vec<Mismatch>,
}

impl Found<'_> {
    fn differ(&mut self, field: &str, expected: &dyn Debug, got: &dyn Debug) {
        self.list.push(Mismatch {
            file: self.scenario.file.clone(),
            case: self.case.name.clone(),
            layer: self.layer,
            field: field.to_owned(),
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
        });
    }

    fn equal<T: PartialEq + Debug>(&mut self, field: &str, expected: &T, got: &T) {
        if expected != got {
            self.differ(field, expected, got);
        }
    }

    fn upstream(&mut self, wanted: &UpstreamExpectation, reached: &Reached) {
        let parts = [
            ("upstream.method", &wanted.method, &reached.method),
            ("upstream.host", &wanted.host, &reached.host),
            ("upstream.path", &wanted.path, &reached.path),
        ];
        for (field, wanted, got) in parts {
            if let Some(wanted) = wanted {
                self.equal(field, wanted, got);
            }
        }
        for (name, wanted) in &wanted.headers {
            self.equal(&format!("upstream.headers.{name}"), wanted, &lines(&reached.headers, name));
        }
        for name in &wanted.absent {
            let got = lines(&reached.headers, name);
            self.equal(&format!("upstream.headers.{name}"), &Vec::new(), &got);
        }
    }

    fn audit(&mut self, wanted: &AuditExpectation, records: &[serde_json::Value]) {
        match (wanted, records) {
            (AuditExpectation::Absent(_), []) => {}
            (AuditExpectation::Record(fields), [record]) => {
                for (name, wanted) in fields {
                    // A field that is missing is not one that is null.
                    self.equal(&format!("audit.{name}"), &Some(wanted), &record.get(name));
                }
            }
            (AuditExpectation::Absent(_), _) => self.differ("audit", &"no record", &records),
            (AuditExpectation::Record(_), _) => self.differ("audit", &"one record", &records),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(headers: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    let same = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    same.map(|(_, value)| text(value)).collect()
}

fn joined(lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join(", "))
}

#[cfg(test)]
mod tests;
