//! The audit record of each call, from Envoy's log as it grows.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pods::Call;
use crate::envoy::audit_record;

/// How long a call waits for its record: Envoy's log is a moment behind the response.
const PATIENCE: Duration = Duration::from_secs(3);

/// The filter's record of a decision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    /// As it was logged.
    pub(super) text: String,
    value: Value,
}

impl Record {
    /// What was decided, why, and by which policy.
    pub(super) fn in_words(&self) -> String {
        let field = |name: &str| self.value[name].as_str();
        let verdict = match field("verdict") {
            Some("allow") => "allowed",
            Some("deny") => "denied",
            Some("answer") => "answered",
            other => other.unwrap_or_default(),
        };
        let mut words = format!("{verdict}, {}", field("reason").unwrap_or_default());
        if let Some(policy) = field("policy") {
            words.push_str(&format!(", by {policy}"));
        }
        let shadow = self.value["shadow"].as_array().into_iter().flatten();
        let shadow: Vec<&str> = shadow.filter_map(Value::as_str).collect();
        if !shadow.is_empty() {
            words.push_str(&format!("; in shadow it would be denied by {}", shadow.join(", ")));
        }
        let errors = self.value["errors"].as_array().into_iter().flatten();
        for error in errors {
            let part = |name: &str| error[name].as_str().unwrap_or_default();
            words.push_str(&format!("; {} failed: {}", part("policy"), part("message")));
        }
        words
    }
}

/// Calls that wait for their records.
#[derive(Debug)]
pub(super) struct Decisions {
    log: PathBuf,
    /// How far the log has been read.
    read: u64,
    /// The beginning of a line.
    begun: Vec<u8>,
    waiting: Vec<(Instant, Call)>,
    /// Those that belong to no call yet: one can be read before its call is told.
    records: Vec<(Instant, Record)>,
}

impl Decisions {
    pub(super) fn new(log: PathBuf) -> Self {
        Self { log, read: 0, begun: Vec::new(), waiting: Vec::new(), records: Vec::new() }
    }

    pub(super) fn await_record(&mut self, call: Call) {
        self.waiting.push((Instant::now(), call));
    }

    /// Shows each call whose record has come, or did not come in time.
    pub(super) fn glance(
        &mut self,
        mut show: impl FnMut(&Call, Option<&Record>),
    ) -> io::Result<()> {
        self.read_on()?;
        for (since, call) in std::mem::take(&mut self.waiting) {
            let of_call =
                |(_, record): &(Instant, Record)| record.value["requestId"] == call.id.as_str();
            let record = self.records.iter().position(of_call);
            let record = record.map(|at| self.records.remove(at).1);
            if record.is_some() || call.status.is_err() || since.elapsed() > PATIENCE {
                show(&call, record.as_ref());
            } else {
                self.waiting.push((since, call));
            }
        }
        self.records.retain(|(since, _)| since.elapsed() < PATIENCE);
        Ok(())
    }

    fn read_on(&mut self) -> io::Result<()> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        self.read += file.read_to_end(&mut self.begun)? as u64;
        let end = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.begun.drain(..end).collect();
        let records = String::from_utf8_lossy(&whole);
        let records = records.lines().filter_map(audit_record);
        let now = Instant::now();
        self.records
            .extend(records.map(|(text, value)| (now, Record { text: text.to_owned(), value })));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn call(id: &str) -> Call {
        Call {
            caller: "payments/api".to_owned(),
            line: "GET http://a.example/".to_owned(),
            id: id.to_owned(),
            status: Ok(403),
        }
    }

    #[test]
    fn a_call_is_shown_with_its_own_record_once_that_is_whole() {
        let mut log = tempfile::NamedTempFile::new().expect("a file");
        let mut decisions = Decisions::new(log.path().to_owned());
        decisions.await_record(call("1"));
        decisions.await_record(call("2"));
        let line = |id: &str| {
            format!("[info] wasm log x: {{\"requestId\":\"{id}\",\"verdict\":\"deny\"}}\n")
        };
        let (first, second) = (line("2"), line("1"));
        let (half, rest) = second.split_at(30);
        log.write_all(format!("{first}{half}").as_bytes()).expect("a line and a half");
        let mut shown = Vec::new();
        let mut glance = |decisions: &mut Decisions| {
            let show = |call: &Call, record: Option<&Record>| {
                shown.push((call.id.clone(), record.map(|record| record.text.clone())));
            };
            decisions.glance(show).expect("the log");
            std::mem::take(&mut shown)
        };
        let record = |id: &str| Some(format!("{{\"requestId\":\"{id}\",\"verdict\":\"deny\"}}"));
        assert_eq!(glance(&mut decisions), [("2".to_owned(), record("2"))]);
        assert_eq!(glance(&mut decisions), []);
        log.write_all(rest.as_bytes()).expect("the rest");
        assert_eq!(glance(&mut decisions), [("1".to_owned(), record("1"))]);
        // A record may be there before its call is told.
        log.write_all(line("3").as_bytes()).expect("a line");
        assert_eq!(glance(&mut decisions), []);
        decisions.await_record(call("3"));
        assert_eq!(glance(&mut decisions), [("3".to_owned(), record("3"))]);
    }

    #[test]
    fn a_call_that_did_not_get_to_the_filter_waits_for_no_record() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let mut decisions = Decisions::new(log.path().to_owned());
        decisions.await_record(Call { status: Err("refused".to_owned()), ..call("1") });
        let mut shown = 0;
        decisions.glance(|_, record| shown += usize::from(record.is_none())).expect("the log");
        assert_eq!(shown, 1);
    }

    #[test]
    fn a_record_in_words_names_what_decided() {
        for (value, words) in [
            (
                serde_json::json!({"verdict": "deny", "reason": "default-deny", "policy": null}),
                "denied, default-deny",
            ),
            (
                serde_json::json!({"verdict": "answer", "reason": "redirect", "policy": "moved"}),
                "answered, redirect, by moved",
            ),
            (
                serde_json::json!({"verdict": "allow", "reason": "allow-matched", "policy": "a",
                    "shadow": ["b", "c"], "errors": [{"policy": "d", "message": "no such key"}]}),
                "allowed, allow-matched, by a; in shadow it would be denied by b, c; d failed: no \
                 such key",
            ),
        ] {
            assert_eq!(Record { text: String::new(), value }.in_words(), words);
        }
    }
}
