//! Audit records, counted by caller, host and policy, in bounded memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use serde::Serialize;

use super::line::{self, Line, Record};

/// The longest line that is read. A record's texts are cut at 1,024 bytes; fields of one's own may
/// make it longer.
const MAX_LINE: u64 = 1024 * 1024;
/// The most different requests of a group that are kept.
const MAX_REQUESTS: usize = 500;
/// The most text that is kept of one caller's requests, in bytes, so that none can crowd out the
/// others.
const MAX_OF_CALLER: usize = 1024 * 1024;
/// The most text that is kept in all.
const MAX_TEXT: usize = 128 * 1024 * 1024;
/// The most names of shadow policies that make a group.
const MAX_NAMES: usize = 64;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It went on, and policies in shadow mode would have denied it.
    WouldBeDenied,
    /// It was denied.
    Denied,
}

/// What the requests of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    pub(super) outcome: Outcome,
    /// The caller's SPIFFE ID; none of a caller without an identity.
    pub(super) caller: Option<String>,
    pub(super) host: Option<String>,
    /// The policy that denied it; or the shadow policies that would have.
    pub(super) policies: Vec<String>,
    /// The record's word for why it was decided as it was.
    pub(super) reason: String,
}

/// Requests that have a [`Key`] in common.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) count: u64,
    /// The times of the first and the last one, where the log has them.
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    /// How many there were of each method and path.
    pub(super) requests: BTreeMap<(String, String), u64>,
    /// How many more there were that are not kept apart.
    pub(super) others: u64,
}

/// What a log says.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) lines: u64,
    pub(super) records: u64,
    /// Lines that begin as audit records, and are none.
    pub(super) unreadable: u64,
    pub(super) groups: BTreeMap<Key, Group>,
    /// Requests for which there was no group left.
    pub(super) ungrouped: u64,
    /// The text that is kept, by caller.
    kept: BTreeMap<Option<String>, usize>,
    kept_in_all: usize,
}

impl Summary {
    /// Adds all lines of a log.
    pub(super) fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            if log.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.lines = self.lines.saturating_add(1);
            if !line.ends_with(b"\n") && !log.fill_buf()?.is_empty() {
                // The rest of a line that is too long.
                log.skip_until(b'\n')?;
            }
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
            match line::read(&text) {
                Line::Record(time, record) => self.add(time.map(|time| seconds(&time)), *record),
                Line::Unreadable => self.unreadable = self.unreadable.saturating_add(1),
                Line::Other => {}
            }
        }
    }

    /// How many requests have this outcome.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        let groups = self.groups.iter().filter(|(key, _)| key.outcome == outcome);
        groups.map(|(_, group)| group.count).fold(0, u64::saturating_add)
    }

    fn add(&mut self, time: Option<String>, record: Record) {
        self.records = self.records.saturating_add(1);
        let mut shadow = record.shadow;
        let (outcome, policies) = match record.verdict.as_str() {
            "deny" => (Outcome::Denied, record.policy.into_iter().collect()),
            _ if shadow.is_empty() => return,
            _ => {
                shadow.truncate(MAX_NAMES);
                (Outcome::WouldBeDenied, shadow)
            }
        };
        let Record { reason, caller, host, .. } = record;
        let key = Key { outcome, caller, host, policies, reason };
        if !self.groups.contains_key(&key) {
            let names = key.policies.iter().map(String::len).fold(0, usize::saturating_add);
            let text = [&key.caller, &key.host].map(|text| text.as_ref().map_or(0, String::len));
            let size = text.iter().fold(names.saturating_add(key.reason.len()), |sum, length| {
                sum.saturating_add(*length)
            });
            if !self.keep(&key.caller, size) {
                self.ungrouped = self.ungrouped.saturating_add(1);
                return;
            }
        }
        let request = (record.method.unwrap_or_default(), record.path.unwrap_or_default());
        let size = request.0.len().saturating_add(request.1.len());
        let (is_known, has_room) = match self.groups.get(&key) {
            Some(group) => {
                (group.requests.contains_key(&request), group.requests.len() < MAX_REQUESTS)
            }
            None => (false, true),
        };
        let is_kept = is_known || has_room && self.keep(&key.caller, size);
        let group = self.groups.entry(key).or_default();
        group.count = group.count.saturating_add(1);
        let count =
            if is_kept { group.requests.entry(request).or_default() } else { &mut group.others };
        *count = count.saturating_add(1);
        if let Some(time) = time {
            if group.first.as_ref().is_none_or(|first| time < *first) {
                group.first = Some(time.clone());
            }
            if group.last.as_ref().is_none_or(|last| time > *last) {
                group.last = Some(time);
            }
        }
    }

    /// Whether there is room for so much text of a caller's; it is taken then. What a map needs for
    /// an entry counts, too.
    fn keep(&mut self, caller: &Option<String>, size: usize) -> bool {
        const ENTRY: usize = 200;
        let size = size.saturating_add(ENTRY);
        let in_all = self.kept_in_all.saturating_add(size);
        if in_all > MAX_TEXT {
            return false;
        }
        let of_caller = match self.kept.get_mut(caller) {
            Some(kept) => kept,
            None => self.kept.entry(caller.clone()).or_default(),
        };
        let kept = of_caller.saturating_add(size);
        let fits = kept <= MAX_OF_CALLER;
        if fits {
            *of_caller = kept;
            self.kept_in_all = in_all;
        }
        fits
    }
}

/// A timestamp up to its seconds, in one form.
fn seconds(time: &str) -> String {
    let whole: Cow<'_, str> = time.get(..19).unwrap_or(time).into();
    let zone = if time.ends_with('Z') { "Z" } else { "" };
    format!("{}{zone}", whole.replace(' ', "T"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(caller: &str, host: &str, path: &str, rest: &str) -> String {
        format!(
            r#"{{"event":"egress",{rest},"caller":"{caller}","method":"GET","host":"{host}",{}}}"#,
            format_args!("\"path\":\"{path}\"")
        )
    }

    const SHADOW: &str =
        r#""verdict":"allow","policy":null,"reason":"no-allow-rule","shadow":["all"]"#;

    fn read(log: &str) -> Summary {
        let mut summary = Summary::default();
        summary.read(log.as_bytes()).unwrap();
        summary
    }

    #[test]
    fn requests_are_counted_by_caller_host_and_policy() {
        let deny = r#""verdict":"deny","policy":"p","reason":"deny-matched","shadow":["all"]"#;
        let allow = r#""verdict":"allow","policy":"p","reason":"allow-matched","shadow":[]"#;
        let lines = [
            format!("2026-11-28T09:00:02.5Z {}", record("a", "h", "/1", SHADOW)),
            format!("2026-11-28T09:00:01.5Z {}", record("a", "h", "/1", SHADOW)),
            format!("2026-11-28T09:00:03.5Z {}", record("a", "h", "/2", SHADOW)),
            record("b", "h", "/1", deny),
            record("b", "h", "/1", allow),
            "something else".to_owned(),
            r#"{"event":"egress","verdict"#.to_owned(),
        ];
        let summary = read(&lines.join("\n"));
        assert_eq!((summary.lines, summary.records, summary.unreadable), (7, 5, 1));
        let [(would, of_a), (denied, of_b)] = &summary.groups.iter().collect::<Vec<_>>()[..] else {
            panic!("{summary:?}")
        };
        assert_eq!(
            (would.outcome, &*would.policies),
            (Outcome::WouldBeDenied, &["all".into()][..])
        );
        assert_eq!((of_a.count, of_a.requests.len()), (3, 2));
        assert_eq!(of_a.first.as_deref(), Some("2026-11-28T09:00:01Z"));
        assert_eq!(of_a.last.as_deref(), Some("2026-11-28T09:00:03Z"));
        assert_eq!((denied.outcome, &*denied.policies), (Outcome::Denied, &["p".into()][..]));
        assert_eq!((of_b.count, &of_b.first), (1, &None));
        assert_eq!(summary.count(Outcome::WouldBeDenied), 3);
    }

    /// A caller that makes up paths and hosts fills its own share, and no other's.
    #[test]
    fn what_is_kept_is_bounded_for_each_caller_and_the_rest_is_counted() {
        let mut summary = Summary::default();
        let long = "x".repeat(1000);
        for number in 0..3_000 {
            let path = format!("/{long}{number}");
            let host = format!("h{}", number % 3);
            summary.read(record("noisy", &host, &path, SHADOW).as_bytes()).unwrap();
        }
        for number in 0..30_000 {
            let host = format!("h{number}.example");
            summary.read(record("noisy", &host, "/", SHADOW).as_bytes()).unwrap();
        }
        summary.read(record("quiet", "h", "/", SHADOW).as_bytes()).unwrap();
        let of = |caller: &str| -> Vec<&Group> {
            let is = |key: &Key| key.caller.as_deref() == Some(caller);
            summary.groups.iter().filter(|(key, _)| is(key)).map(|(_, group)| group).collect()
        };
        let requests: usize = of("noisy").iter().map(|group| group.requests.len()).sum();
        let text: usize =
            of("noisy").iter().flat_map(|group| group.requests.keys()).map(|r| r.1.len()).sum();
        assert!(requests < 1_600 && text < MAX_OF_CALLER, "{requests} {text}");
        let counted: u64 = of("noisy").iter().map(|group| group.count).sum();
        assert_eq!(counted + summary.ungrouped, 33_000);
        assert!(summary.groups.len() < MAX_OF_CALLER / 200, "{}", summary.groups.len());
        assert_eq!(
            of("quiet").iter().map(|group| (group.requests.len(), group.others)).next(),
            Some((1, 0))
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = "y".repeat(3 * 1024 * 1024);
        let after = record("a", "h", "/1", SHADOW);
        let summary = read(&format!("{long}\n{}{long}\n{after}", "{\"event\":\"egress\","));
        assert_eq!((summary.lines, summary.records, summary.unreadable), (3, 1, 1));
    }
}
