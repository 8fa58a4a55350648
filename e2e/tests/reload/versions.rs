//! Numbered policies: each answer shows in three ways which number decided about it.

use e2e::envoy::Pod;
use e2e::http1::Response;
use serde_json::{Value, json};

/// The policies of this number. They tell the origin and the caller their number; an even number
/// lets both teams through, an odd one only team-a. So no two that follow one another agree about
/// team-b.
pub(crate) fn version(number: u64) -> String {
    policies(number).to_string()
}

pub(crate) fn policies(number: u64) -> Value {
    let marked = |name: &str| json!([{"name": name, "value": format!("'{number}'")}]);
    let refused = if number.is_multiple_of(2) { "team-c" } else { "team-b" };
    let rule = |action: &str, rule: String| {
        json!({
            "authorization": {"action": action, "policy": {"matchExpressions": [rule]}},
        })
    };
    json!({
        "policies": [
            {
                "name": "first",
                "traffic": {"transformation": {"request": {"set": marked("x-request-version")}}},
            },
            {
                "name": format!("allow-{number}"),
                "traffic": rule(
                    "Allow",
                    "source.identity.namespace.startsWith('team-')".to_owned(),
                ),
            },
            {
                "name": format!("deny-{number}"),
                "traffic": rule("Deny", format!("source.identity.namespace == '{refused}'")),
            },
            {"name": "last", "traffic": {"transformation": {
                "request": {"set": marked("x-request-version-too")},
                "response": {"set": marked("x-response-version"), "remove": ["x-origin-mode"]},
            }}},
        ],
        "audit": {"log": "None", "accessLog": true},
    })
}

/// Whether the policies of this number let a team through.
pub(crate) fn allows(number: u64, team: Pod) -> bool {
    team == Pod::TeamA || number.is_multiple_of(2)
}

/// Which policies an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The policies of this number decided, in every phase, and as they should.
    Decided(u64),
    /// Envoy could not run the filter.
    Unavailable,
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with it: no number, several, or another verdict than that number's.
pub(crate) fn read(team: Pod, response: &Response) -> Result<Verdict, String> {
    let decided_by = response.header("x-decided-by").unwrap_or_default();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    match response.status {
        200 => {
            let seen: Value = serde_json::from_slice(&response.body)
                .map_err(|error| format!("no echo: {error}: {response:?}"))?;
            let reached = |name: &str| {
                let lines =
                    seen["headers"].as_array().into_iter().flatten().filter(|line| line[0] == name);
                let values: Vec<Option<u64>> = lines.map(|line| number(line[1].as_str())).collect();
                if values.len() == 1 { values[0] } else { None }
            };
            let all = [
                reached("x-request-version"),
                reached("x-request-version-too"),
                number(decided_by.strip_prefix("allow-")),
                number(response.header("x-response-version").as_deref()),
            ];
            match all {
                [Some(one), ..] if all.iter().all(|number| *number == Some(one)) => {
                    let removed = response.header("x-origin-mode").is_none();
                    if !allows(one, team) || !removed {
                        return Err(format!(
                            "policies {one} do not say this of {}: {response:?}",
                            team.name()
                        ));
                    }
                    Ok(Verdict::Decided(one))
                }
                _ => {
                    Err(format!("not decided by one whole set of policies: {all:?}: {response:?}"))
                }
            }
        }
        403 => match number(decided_by.strip_prefix("deny-")) {
            Some(one) if !allows(one, team) && response.text() == "authorization failed" => {
                Ok(Verdict::Decided(one))
            }
            _ => Err(format!("not denied by policies that deny {}: {response:?}", team.name())),
        },
        503 if response.header("x-details").as_deref() == Some("wasm_fail_stream") => {
            Ok(Verdict::Unavailable)
        }
        _ => Err(format!("{response:?}")),
    }
}
