//! The record of a configuration that was loaded or refused: one line of JSON.

use serde::Serialize;

use super::line::MAX_TEXT;
use crate::config::ConfigError;
use crate::policy::Engine;
use crate::printable;

/// The most warnings, and the most errors, that a record lists. Of any others it has the number.
pub(crate) const MAX_LISTED: usize = 20;

/// The filter's version, so that a reader of the log can tell what a waypoint runs.
macro_rules! version {
    () => {
        env!("CARGO_PKG_VERSION")
    };
}

/// What is logged if memory runs out while a configuration is loaded. It is constant, because no
/// text can be allocated then.
#[cfg(any(test, all(target_arch = "wasm32", target_os = "wasi")))]
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    /// The record, in the form of any other refusal.
    pub(crate) record: &'static str,
    /// The line for human readers.
    pub(crate) error: &'static str,
}

#[cfg(any(test, all(target_arch = "wasm32", target_os = "wasi")))]
macro_rules! ran_out {
    () => {
        "memory ran out while the configuration was loaded: leave out the policies of hosts that \
         this waypoint does not serve"
    };
}

#[cfg(any(test, all(target_arch = "wasm32", target_os = "wasi")))]
pub(crate) const OUT_OF_MEMORY: OutOfMemory = OutOfMemory {
    record: concat!(
        r#"{"event":"egress-configuration","version":""#,
        version!(),
        r#"","verdict":"refused","policies":null,"warnings":[],"#,
        r#""errors":[{"policy":null,"place":"","message":""#,
        ran_out!(),
        r#""}]}"#
    ),
    error: concat!("egress filter: configuration refused: ", ran_out!()),
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event: &'static str,
    version: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    policies: Option<usize>,
    warnings: Vec<Note<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    more_warnings: usize,
    errors: Vec<Note<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    more_errors: usize,
}

#[derive(Debug, Serialize)]
struct Note<'a> {
    policy: Option<&'a str>,
    place: &'a str,
    message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

fn note<'a>(policy: Option<&'a str>, place: &'a str, message: &str) -> Note<'a> {
    Note { policy, place, message: cut(message) }
}

/// A message, cut as long texts of other records are.
fn cut(message: &str) -> String {
    match message.as_bytes().split_at_checked(MAX_TEXT) {
        Some((start, rest)) if !rest.is_empty() => {
            let mut message = String::from_utf8_lossy(start).into_owned();
            message.push_str("...");
            message
        }
        _ => message.to_owned(),
    }
}

/// The record of a load: `loaded` with the number of policies and the warnings, or `refused` with
/// the errors.
#[must_use]
pub fn load_record(outcome: Result<&Engine, &[ConfigError]>) -> String {
    let record = match outcome {
        Ok(engine) => {
            let listed = engine.warnings().iter().take(MAX_LISTED);
            Record {
                event: "egress-configuration",
                version: version!(),
                verdict: "loaded",
                fingerprint: Some(format!("{:012x}", engine.fingerprint())),
                policies: Some(engine.policy_count()),
                warnings: listed
                    .map(|warning| {
                        note(warning.policy.as_deref(), &warning.place, &warning.detail())
                    })
                    .collect(),
                more_warnings: engine.warning_count().saturating_sub(MAX_LISTED),
                errors: Vec::new(),
                more_errors: 0,
            }
        }
        Err(errors) => Record {
            event: "egress-configuration",
            version: version!(),
            verdict: "refused",
            fingerprint: None,
            policies: None,
            warnings: Vec::new(),
            more_warnings: 0,
            errors: errors
                .iter()
                .take(MAX_LISTED)
                .map(|error| note(error.policy.as_deref(), &error.place, &error.detail()))
                .collect(),
            more_errors: errors.len().saturating_sub(MAX_LISTED),
        },
    };
    // Serializing strings into a string cannot fail.
    printable::json_line(&record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    fn record(config: &Value) -> Value {
        let outcome = Engine::load(config.to_string().as_bytes());
        let line = load_record(outcome.as_ref().map_err(Vec::as_slice));
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(&line).unwrap()
    }

    fn rule(name: &str, expression: &str) -> Value {
        json!({"name": name, "traffic": {"authorization": {"action": "Allow",
            "policy": {"matchExpressions": [expression]}}}})
    }

    #[test]
    fn a_load_is_recorded_with_its_warnings() {
        assert_eq!(
            record(&json!({"policies": [rule("a", "true"), rule("b", "request.path == 'x'")]})),
            json!({
                "event": "egress-configuration", "version": version!(),
                "verdict": "loaded",
                "fingerprint": "aa2fbffe79ba", "policies": 2, "errors": [],
                "warnings": [{
                    "policy": "b",
                    "place": "policies[1].traffic.authorization.policy.matchExpressions[0]",
                    "message": "line 1, column 1: `request.path` is never `x`: \
                        paths start with `/`",
                }],
            })
        );
    }

    #[test]
    fn a_refusal_is_recorded_with_its_errors() {
        assert_eq!(
            record(&json!({"policies": [rule("a", "1")], "audit": 1})),
            json!({
                "event": "egress-configuration", "version": version!(),
                "verdict": "refused", "policies": null,
                "warnings": [],
                "errors": [
                    {
                        "policy": null,
                        "place": "audit",
                        "message": "expected an object, got a number",
                    },
                    {
                        "policy": "a",
                        "place": "policies[0].traffic.authorization.policy.matchExpressions[0]",
                        "message": "line 1, column 1: a rule gives a bool, this gives int",
                    },
                ],
            })
        );
    }

    #[test]
    fn the_record_that_memory_ran_out_is_what_would_be_made() {
        let message = OUT_OF_MEMORY
            .error
            .strip_prefix("egress filter: configuration refused: ")
            .unwrap()
            .to_owned();
        let error = ConfigError {
            policy: None,
            place: String::new(),
            spot: crate::config::Spot::Whole,
            message,
        };
        assert_eq!(OUT_OF_MEMORY.record, load_record(Err(&[error])));
    }

    #[test]
    fn a_record_is_bounded() {
        let rules = |expression: &str| {
            (0..150).map(|index| rule(&format!("p{index}"), expression)).collect::<Vec<_>>()
        };
        let loaded = record(&json!({"policies": rules("request.path == 'x'")}));
        assert_eq!(
            (loaded["warnings"].as_array().map(Vec::len), &loaded["moreWarnings"]),
            (Some(20), &json!(130))
        );
        let refused = record(&json!({"policies": rules(&format!("{} == 1", "x".repeat(4000)))}));
        assert_eq!(
            (refused["errors"].as_array().map(Vec::len), &refused["moreErrors"]),
            (Some(20), &json!(130))
        );
        assert!(refused.to_string().len() < 40_000, "{}", refused.to_string().len());
    }
}
