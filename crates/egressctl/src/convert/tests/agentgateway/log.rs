//! The access log, as audit.

use super::*;

fn audit(text: &str) -> serde_json::Value {
    configuration(text)["audit"].clone()
}

#[test]
fn the_access_log_of_a_policy_becomes_audit() {
    let text = with(
        r#""frontend": {"accessLog": {"filter": "request.method != 'GET'", "attributes": {
          "add": [{"name": "caller", "expression": "source"},
            {"name": "team.name", "expression": "source.identity.namespace"}]}}}"#,
    );
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(
        audit(&text),
        json!({"log": "All", "filter": "request.method != 'GET'", "fields": {"add": {
            "caller": "source", "team.name": "source.identity.namespace"}}})
    );
    engine(&text);
    let told = notes(&text);
    assert!(told.iter().any(|told| told.contains("nothing of the response")), "{told:#?}");
    assert!(told.iter().any(|told| told.contains("the filter fails is logged")), "{told:#?}");
}

#[test]
fn the_static_configuration_of_a_gateways_parameters_becomes_audit() {
    for (group, kind) in [
        ("agentgateway.dev", "AgentgatewayParameters"),
        ("enterpriseagentgateway.solo.io", "EnterpriseAgentgatewayParameters"),
    ] {
        let logging = json!({
            "filter": "request.path != \"/up\"", "level": "debug",
            "fields": {"add": {"caller": "source"}, "remove": ["http.path"]},
        });
        let config = json!({"logging": logging, "tracing": {"otlpEndpoint": "x"}});
        let parameters = json!({
            "apiVersion": format!("{group}/v1alpha1"), "kind": kind, "metadata": {"name": "a"},
            "spec": {
                "sharedExtensions": {"ratelimiter": {"enabled": true}},
                "rawConfig": {"config": config},
            },
        });
        let rule = with_rule("Allow", &["true"]);
        let text = format!("{parameters}\n---\n{rule}");
        assert_eq!(
            audit(&text),
            json!({"log": "All", "filter": "request.path != \"/up\"",
                "fields": {"add": {"caller": "source"}}})
        );
        let told = losses(&text);
        for place in [
            "spec.sharedExtensions",
            "spec.rawConfig.config.logging.level",
            "spec.rawConfig.config.logging.fields.remove",
            "spec.rawConfig.config.tracing",
        ] {
            assert!(
                told.iter().any(|told| told.starts_with(&format!("Lost {place}: "))),
                "{place}: {told:#?}"
            );
        }
        assert_eq!(told.len(), 4, "{told:#?}");
    }
    assert_eq!(audit(&with_rule("Allow", &["true"])), json!(null));
}

#[test]
fn what_a_record_cannot_have_is_told() {
    for (log, place, message) in [
        (json!({"filter": "response.code > 399"}), "filter", "a Telemetry resource can log"),
        (
            json!({"attributes": {"add": [{"name": "a", "expression": "response.code"}]}}),
            "attributes.add[0].expression",
            "left out of the log",
        ),
        (
            json!({"attributes": {"add": [{"name": "a"}]}}),
            "attributes.add[0]",
            "a name and an expression",
        ),
        (
            json!({"attributes": {"add": [{"name": "a b", "expression": "source"},
                {"name": "a_b", "expression": "source"}]}}),
            "attributes.add[1]",
            "a second field `a_b`",
        ),
        (json!({"attributes": {"remove": ["http.path"]}}), "attributes.remove", "own fields stay"),
        (json!({"otlp": {"path": "/v1"}}), "otlp", "OpenTelemetry"),
    ] {
        let text = with(&format!("\"frontend\": {{\"accessLog\": {log}}}"));
        let told = losses(&text);
        let expected = format!("Lost spec.frontend.accessLog.{place}: ");
        assert!(
            told.len() == 1 && told[0].starts_with(&expected) && told[0].contains(message),
            "{log}: {told:#?}"
        );
    }
    let many: Vec<_> =
        (0..33).map(|index| json!({"name": format!("f{index}"), "expression": "source"})).collect();
    let text = with(&format!(
        "\"frontend\": {{\"accessLog\": {{\"attributes\": {{\"add\": {}}}}}}}",
        json!(many)
    ));
    let told = losses(&text);
    assert!(told.len() == 1 && told[0].contains("attributes.add[32]"), "{told:#?}");
}
