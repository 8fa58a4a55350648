//! Finds the audit record in a line of a waypoint's log.
//!
//! Other lines contain what callers sent, too: an access log has their headers. So a record counts
//! only where Envoy itself writes it, behind a prefix that begins with the line.

use std::borrow::Cow;

use serde::Deserialize;

/// An audit record, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) shadow: Vec<String>,
    pub(super) caller: Option<String>,
    #[serde(default)]
    pub(super) rejected_caller: Option<String>,
    pub(super) method: Option<String>,
    pub(super) host: Option<String>,
    pub(super) path: Option<String>,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    /// An audit record, and when it was written, where the line says so.
    Record(Option<Cow<'l, str>>, Box<Record>),
    /// The beginning of an audit record that cannot be read.
    Unreadable,
    /// Anything else.
    Other,
}

/// How each audit record of a request begins.
const BEGINNING: &str = "{\"event\":\"egress\",";

/// Reads a line without its end.
pub(super) fn read(line: &str) -> Line<'_> {
    let line = behind_pod(line.trim_end_matches('\r'));
    let (stamp, line) = match line.split_once(' ') {
        // `kubectl logs --timestamps`
        Some((stamp, rest)) if is_timestamp(stamp) => (Some(stamp), rest),
        _ => (None, line),
    };
    let stamp = stamp.map(Cow::Borrowed);
    let line = line.trim_start_matches(' ');
    if line.starts_with(BEGINNING) {
        return record(stamp, line);
    }
    if line.starts_with('{') {
        return of_json(line);
    }
    match of_envoy(line).or_else(|| of_istio(line)) {
        Some((time, message)) => of_message(Some(Cow::Borrowed(time)), message),
        None => Line::Other,
    }
}

/// Without `[pod/NAME/CONTAINER] `, which `kubectl logs --prefix` puts before each line.
fn behind_pod(line: &str) -> &str {
    let prefix = line.strip_prefix("[pod/").and_then(|rest| rest.split_once("] "));
    match prefix {
        Some((name, rest)) if !name.contains([' ', '"', '{']) => rest,
        _ => line,
    }
}

/// Envoy's own format: `[2026-11-28 09:00:00.000][7][info][wasm] [source/x.cc:1] wasm log ...`.
fn of_envoy(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once("][")?;
    let (thread, rest) = rest.split_once("][")?;
    let (level, rest) = rest.split_once("][wasm] [")?;
    let (source, message) = rest.split_once("] ")?;
    let is_number = !thread.is_empty() && thread.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = level.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_timestamp(time) && is_number && is_word && !source.contains(' ')).then_some((time, message))
}

/// Istio's format: `TIME info envoy wasm SOURCE wasm log ... thread=7`, with tabs in between.
fn of_istio(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.split_once('\t')?;
    let (_, rest) = rest.split_once('\t')?;
    let (scope, message) = rest.split_once('\t')?;
    let is_wasm = scope == "envoy wasm" || scope.starts_with("envoy wasm ");
    (is_timestamp(time) && is_wasm).then_some((time, message))
}

/// Istio's format as JSON (`--log_as_json`).
fn of_json<'l>(line: &str) -> Line<'l> {
    #[derive(Deserialize)]
    struct Logged<'j> {
        #[serde(default, borrow)]
        time: Option<Cow<'j, str>>,
        #[serde(borrow)]
        scope: Cow<'j, str>,
        #[serde(borrow)]
        msg: Cow<'j, str>,
    }
    match serde_json::from_str::<Logged<'_>>(line) {
        Ok(logged) if logged.scope.starts_with("envoy wasm") => {
            let time = logged.time.filter(|time| is_timestamp(time));
            match of_message(None, &logged.msg) {
                Line::Record(_, record) => {
                    Line::Record(time.map(|time| Cow::Owned(time.into_owned())), record)
                }
                Line::Unreadable => Line::Unreadable,
                Line::Other => Line::Other,
            }
        }
        _ => Line::Other,
    }
}

/// A message that a plugin has logged: `wasm log PLUGIN: {...}`.
fn of_message<'l>(time: Option<Cow<'l, str>>, message: &str) -> Line<'l> {
    let Some(rest) = message.strip_prefix("wasm log") else { return Line::Other };
    let Some((plugin, text)) = rest.split_once(": ") else { return Line::Other };
    if !text.starts_with(BEGINNING)
        || !plugin.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Line::Other;
    }
    record(time, text)
}

/// A record, behind which only Istio's number of the thread may follow.
fn record<'l>(time: Option<Cow<'l, str>>, text: &str) -> Line<'l> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Record>();
    let Some(Ok(record)) = values.next() else { return Line::Unreadable };
    let rest = text.get(values.byte_offset()..).unwrap_or_default().trim_end();
    if rest.is_empty() || rest.starts_with("\tthread=") {
        Line::Record(time, Box::new(record))
    } else {
        Line::Unreadable
    }
}

/// Whether this is a date and a time, such as `2026-11-28T09:00:00.123456Z`; Envoy writes a blank
/// in place of the `T`.
fn is_timestamp(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:dd";
    let fits = |(letter, of): (char, char)| match of {
        'd' => letter.is_ascii_digit(),
        'T' => letter == 'T' || letter == ' ',
        other => letter == other,
    };
    text.len() >= shape.len()
        && text.len() <= MAX_TIMESTAMP
        && text.chars().zip(shape.chars()).all(fits)
        && text.chars().skip(shape.len()).all(|c| c.is_ascii_digit() || ".:+-Z".contains(c))
}

/// The longest timestamp: with nanoseconds and an offset.
const MAX_TIMESTAMP: usize = 35;

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = concat!(
        r#"{"event":"egress","verdict":"deny","policy":null,"reason":"no-allow-matched","#,
        r#""shadow":[],"caller":"spiffe://cluster.local/ns/a/sa/b","method":"GET","#,
        r#""host":"a.example","path":"/{\"event\":\"egress\",","destination":"a.example","#,
        r#""status":403,"requestId":"1"}"#
    );

    fn time_of(line: &str) -> Option<String> {
        match read(line) {
            Line::Record(time, record) => {
                assert_eq!(record.host.as_deref(), Some("a.example"), "{line}");
                Some(time.unwrap_or_default().into_owned())
            }
            _ => None,
        }
    }

    #[test]
    fn a_record_is_found_behind_every_prefix_that_a_log_has() {
        let escaped = serde_json::to_string(&format!("wasm log a.b: {RECORD}")).unwrap();
        let istio = "2026-11-28T09:00:00.123456Z\tinfo\tenvoy wasm \
                     external/envoy/source/extensions/common/wasm/context.cc:1148\t";
        for (line, expected) in [
            (RECORD.to_owned(), ""),
            (format!("  {RECORD}"), ""),
            (
                format!(
                    "[2026-11-28 09:00:00.000][7][info][wasm] [source/x.cc:1] wasm log a.b: \
                     {RECORD}"
                ),
                "2026-11-28 09:00:00.000",
            ),
            (format!("{istio}wasm log a.b: {RECORD}\tthread=26"), "2026-11-28T09:00:00.123456Z"),
            (format!("{istio}wasm log: {RECORD}\r"), "2026-11-28T09:00:00.123456Z"),
            (
                format!(
                    "[pod/egress-7/istio-proxy] 2026-11-28T09:00:01Z {istio}wasm log a.b x: \
                     {RECORD}"
                ),
                "2026-11-28T09:00:00.123456Z",
            ),
            (
                format!("[pod/egress-7/istio-proxy] 2026-11-28T09:00:01.5Z {RECORD}"),
                "2026-11-28T09:00:01.5Z",
            ),
            (
                format!(
                    r#"{{"level":"info","time":"2026-11-28T09:00:00Z",{}"msg":{escaped}}}"#,
                    "\"scope\":\"envoy wasm\","
                ),
                "2026-11-28T09:00:00Z",
            ),
        ] {
            assert_eq!(time_of(&line).as_deref(), Some(expected), "{line}");
        }
    }

    /// What a caller can put into a line: its headers are in the access log.
    #[test]
    fn no_caller_can_forge_a_record_in_an_access_log() {
        let message = format!("wasm log a.b: {RECORD}");
        let escaped = serde_json::to_string(&message).unwrap();
        for line in [
            format!("[2026-11-28T09:00:00.000Z] \"GET / HTTP/1.1\" 200 - \"{message}\""),
            format!("[2026-11-28T09:00:00.000Z] \"GET /{RECORD}\" 200"),
            format!(
                "[2026-11-28T09:00:00.000Z] \"GET / HTTP/1.1\" 200 \
                 \"x][7][info][wasm] [source/x.cc:1] {message}\""
            ),
            format!("2026-11-28T09:00:00.000Z\t200\tGET {message}\tenvoy wasm\t{message}"),
            format!(r#"{{"user_agent":{escaped},"scope":"access"}}"#),
            format!("[pod/a \"b] {message}"),
            message.clone(),
            format!("[2026-11-28 09:00:00.000][7][info][http] [source/x.cc:1] {message}"),
            format!("[2026-11-28 09:00:00.000][7][info][wasm] [a b] wasm log x: GET {RECORD}"),
        ] {
            assert_eq!(read(&line), Line::Other, "{line}");
        }
    }

    #[test]
    fn what_is_cut_or_goes_on_is_no_record() {
        let half = RECORD.get(..60).unwrap();
        for line in [half.to_owned(), format!("{RECORD}{RECORD}"), format!("{RECORD} and more")] {
            assert_eq!(read(&line), Line::Unreadable, "{line}");
        }
        let loaded = RECORD.replace("\"egress\"", "\"egress-configuration\"");
        for line in ["", "no record", "{}", "{\"event\":1", &loaded, "[", "[][", "\t\t\t"] {
            assert_eq!(read(line), Line::Other, "{line}");
        }
    }
}
