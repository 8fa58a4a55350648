//! Authorization services.

use super::*;

fn of_service(service: &serde_json::Value) -> String {
    with(&format!("\"traffic\": {{\"extAuth\": {service}}}"))
}

#[test]
fn authorization_services_are_taken_as_they_are() {
    let service = json!({"name": "opa", "namespace": "egress-direct", "port": 9191});
    for own in [
        json!({"grpc": {"contextExtensions": {"a": "b"},
            "requestMetadata": {"caller": "{'ns': source.identity.namespace}"}}}),
        json!({"failureMode": "FailOpen", "http": {"path": "'/check'",
            "allowedRequestHeaders": ["x-token"], "allowedResponseHeaders": ["x-user"]}}),
        json!({"grpc": {}, "cache": {"key": ["source.spiffeId"], "ttl": "5m"}}),
        json!({"grpc": {}, "forwardBody": {"maxSize": "8Ki"}}),
    ] {
        let with_service = |service: serde_json::Value| {
            let mut own = own.clone();
            own["backendRef"] = service;
            own
        };
        let text = of_service(&with_service(json!({"name": "opa", "port": 9191})));
        assert_eq!(losses(&text), Vec::<String>::new());
        let expected = with_service(service.clone());
        assert_eq!(policies(&text)[0]["traffic"]["extAuth"], expected);
        engine(&text);
        let entries = json!([{"condition": "request.path == '/a'", "policy": expected}]);
        let text = of_service(&json!({"conditional": entries}));
        assert_eq!(losses(&text), Vec::<String>::new());
        assert_eq!(policies(&text)[0]["traffic"]["extAuth"], json!({"conditional": entries}));
        engine(&text);
    }
}

#[test]
fn what_cannot_be_asked_is_told_where_it_stands() {
    let reference = json!({"name": "opa", "port": 9191});
    for (service, place, message) in [
        (json!({"grpc": {}}), "", "no `backendRef` names the authorization service"),
        (json!({"backendRef": reference}), "", "`extAuth` is not in the result"),
        (
            json!({"backendRef": reference, "http": {"allowedResponseHeaders": ["x-user"]},
                "forwardBody": {"maxSize": "8Ki"}}),
            ".forwardBody",
            "nobody is asked",
        ),
        (
            json!({"backendRef": reference, "grpc": {"requestMetadata": {"a": "mcp.sub"}}}),
            ".grpc.requestMetadata.a",
            "nobody is asked",
        ),
        (
            json!({"conditional": [{"policy": {"backendRef": reference}}]}),
            ".conditional",
            "the authorization service is not in the result",
        ),
    ] {
        let text = of_service(&service);
        assert_eq!(policies(&text), json!([]), "{service}");
        let told = notes_at(&text, &format!("spec.traffic.extAuth{place}"));
        assert!(
            told.iter().any(|told| told.starts_with("Looser ") && told.contains(message)),
            "{service}: {:?}",
            notes(&text)
        );
    }
}
