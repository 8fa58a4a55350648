//! What callers and operators write comes into the log as text that neither drives a terminal nor
//! splits a line.

use e2e::host::{HostOptions, Module, Vm};
use e2e::http1::Request;
use e2e::pki::TEAM_B_SPIFFE_ID;
use serde_json::{Value, json};

use super::{GITHUB, RAW};

/// CSI, NEL, a line separator, an override of the direction of writing, and what a terminal shows,
/// two units of UTF-16 long.
const HOSTILE: &str = "\u{9b}31m\u{85}\u{2028}\u{202e}\u{feff}é😀";

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// What a caller wrote is in the record, escaped, and decodes to what the caller sent.
#[tokio::test]
async fn audit_records_are_printable_ascii() {
    let id = format!("id-{HOSTILE}");
    // Envoy itself refuses such bytes in an HTTP/1.1 path.
    let path = "/log-text";
    let request = Request::get(GITHUB, path).header("x-request-id", &id);
    let response = RAW
        .waypoint
        .caller(TEAM_B_SPIFFE_ID)
        .request(&RAW.vip(), &request)
        .await
        .expect("an answer");
    assert_eq!(response.status, 403, "{response:?}");
    assert!(
        RAW.waypoint.await_access_log(|entry| entry["path"] == path).is_some(),
        "the request is over"
    );
    let lines: Vec<String> = RAW.waypoint.audit_lines();
    let own = |line: &&String| {
        serde_json::from_str::<Value>(line).is_ok_and(|record| record["requestId"] == json!(id))
    };
    let own: Vec<&String> = lines.iter().filter(own).collect();
    assert_eq!(own.len(), 1, "{lines:?}");
    assert!(own.iter().all(|line| is_plain(line)), "{own:?}");
    assert!(
        own.iter()
            .any(|line| line.contains(r"\u009b31m\u0085\u2028\u202e\ufeff\u00e9\ud83d\ude00")),
        "{own:?}"
    );
    RAW.assert_unharmed().await;
}

#[test]
fn what_is_logged_of_a_configuration_is_one_harmless_line_each() {
    let module = Module::load(e2e::envoy::filter_wasm())
        .unwrap_or_else(|error| panic!("{error}: run `make wasm` first"));
    let vm = Vm::new(&module, HostOptions { canary: false, ..HostOptions::default() })
        .expect("the filter starts");
    let rule = |name: &str, expression: String| {
        let authorization = json!({"action": "Deny", "policy": {"matchExpressions": [expression]}});
        json!({"name": name, "traffic": {"authorization": authorization}})
    };
    let warned = json!({"policies": [rule("a", format!("request.path == 'x{HOSTILE}\u{7f}'"))]});
    assert!(vm.configure(warned.to_string()).accepted, "{:?}", vm.logs());
    for refused in [
        json!({
            "policies": [
                rule(&format!("a{HOSTILE}\n"), format!("request.path == '\n{HOSTILE}' + 1")),
            ],
        })
        .to_string(),
        json!({format!("x{HOSTILE}\r\n"): 1}).to_string(),
        format!("{{{HOSTILE}\n"),
    ] {
        assert!(!vm.configure(&refused).accepted, "{refused}");
    }
    let logs = vm.logs();
    assert!(logs.len() > 8, "{logs:?}");
    for log in &logs {
        let harmless =
            |letter: char| letter == 'é' || letter == '😀' || (' '..='~').contains(&letter);
        assert!(log.text.chars().all(harmless), "{:?}", log.text);
        assert!(!log.text.starts_with('{') || is_plain(&log.text), "{:?}", log.text);
    }
    let told = |start: &str| {
        logs.iter().any(|log| log.text.starts_with(start) && log.text.contains(r"\u{9b}31m"))
    };
    assert!(
        told("egress filter: configuration warning") && told("egress filter: configuration error"),
        "{logs:?}"
    );
}
