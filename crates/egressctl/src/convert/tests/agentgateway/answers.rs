//! Features that apply once, and conditions.

use super::*;

fn of_traffic(traffic: &serde_json::Value) -> String {
    with(&format!("\"traffic\": {traffic}"))
}

#[test]
fn answers_rewrites_timeouts_and_retries_are_taken_as_they_are() {
    let traffic = json!({
        "directResponse": {"status": 503, "bodyExpression": "'sorry, ' + request.host",
            "headers": [{"name": "retry-after", "value": "'120'"}]},
        "requestRedirect": {"scheme": "https", "statusCode": 301},
        "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
        "hostRewrite": {"mode": "Auto"},
        "timeouts": {"request": "17s"},
        "retry": {"attempts": 4, "codes": [503], "precondition": "request.method == 'GET'"},
    });
    let text = of_traffic(&traffic);
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(policies(&text), json!([{"name": "p", "traffic": traffic}]));
    engine(&text);
}

#[test]
fn conditions_are_taken_and_what_differs_is_told_once() {
    let form = json!({"status": 503, "body": "closed"});
    let traffic = json!({
        "directResponse": {"conditional": [
            {"condition": "request.path == '/a'", "policy": form},
            {"policy": {"status": 404}},
        ]},
        "transformation": {"conditional": [
            {"condition": "request.method == 'PUT'",
                "policy": {"request": {"set": [{"name": "x-a", "value": "'b'"}]}}},
            {"policy": {"response": {"remove": ["server"]}}},
        ]},
    });
    let text = of_traffic(&traffic);
    assert_eq!(losses(&text), Vec::<String>::new());
    assert_eq!(policies(&text), json!([{"name": "p", "traffic": traffic}]));
    let told = notes(&text);
    assert_eq!(told.iter().filter(|told| told.contains("takes it for false")).count(), 1);
    engine(&text);
}

#[test]
fn what_of_a_feature_is_lost_is_told_where_it_stands() {
    let response = |field: &str, value: serde_json::Value| {
        let mut form = json!({"status": 503});
        form[field] = value;
        json!({"directResponse": form})
    };
    let conditional = |value: serde_json::Value| json!({"directResponse": {"conditional": value}});
    for (traffic, place, effect, message, kept) in [
        (
            response("status", json!(99)),
            "directResponse.status",
            "Looser",
            "the requests go on to the origin",
            json!(null),
        ),
        (
            response("bodyExpression", json!("mcp.sub")),
            "directResponse.bodyExpression",
            "Lost",
            "the answer has no body",
            json!({"directResponse": {"status": 503}}),
        ),
        (
            response(
                "headers",
                json!([{"name": "x", "value": "mcp.sub"}, {"name": "y",
                "value": "'z'"}]),
            ),
            "directResponse.headers[0]",
            "Lost",
            "goes without the header",
            json!({"directResponse": {"status": 503, "headers": [{"name": "y", "value": "'z'"}]}}),
        ),
        (
            response("delay", json!("1s")),
            "directResponse.delay",
            "Looser",
            "unknown field",
            json!({"directResponse": {"status": 503}}),
        ),
        (
            conditional(json!([{"condition": "mcp.sub == 'a'", "policy": {"status": 503}},
                {"policy": {"status": 404}}])),
            "directResponse.conditional[0].condition",
            "Looser",
            "none is in the result",
            json!(null),
        ),
        (
            conditional(json!([{"policy": {"status": 503}}, {"policy": {"status": 404}}])),
            "directResponse.conditional[0]",
            "Looser",
            "only the last entry may lack",
            json!(null),
        ),
        (
            json!({"transformation": {"conditional": [{"condition": "mcp.sub == 'a'",
                "policy": {"request": {"remove": ["x"]}}}]}}),
            "transformation.conditional",
            "Looser",
            "stays as it came",
            json!(null),
        ),
        (
            json!({"directResponse": {"status": 200, "conditional": [{"policy":
                {"status": 404}}]}}),
            "directResponse.status",
            "Looser",
            "beside `conditional`",
            json!({"directResponse": {"conditional": [{"policy": {"status": 404}}]}}),
        ),
        (
            json!({"hostRewrite": {"mode": "Some"}}),
            "hostRewrite.mode",
            "Lost",
            "host stays",
            json!(null),
        ),
        (
            json!({"timeouts": {"request": "soon"}}),
            "timeouts.request",
            "Lost",
            "no such timeout",
            json!(null),
        ),
        (
            json!({"retry": {"attempts": 2, "backoff": "1s"}}),
            "retry.backoff",
            "Lost",
            "`retries.backoff` of a VirtualService",
            json!({"retry": {"attempts": 2}}),
        ),
        (
            json!({"retry": {"attempts": 2, "condition": "response.code == 500"}}),
            "retry.condition",
            "Lost",
            "Envoy takes none from a filter",
            json!({"retry": {"attempts": 2}}),
        ),
        (
            json!({"retry": {"attempts": 2, "precondition": "mcp.sub == 'a'"}}),
            "retry.precondition",
            "Lost",
            "there are no retries",
            json!(null),
        ),
        (
            json!({"requestRedirect": {"statusCode": 418, "scheme": "https"}}),
            "requestRedirect.statusCode",
            "Looser",
            "the requests go on to the origin",
            json!(null),
        ),
        (
            json!({"urlRewrite": {"path": {"type": "ReplacePrefixMatch",
                "replacePrefixMatch": "/x"}}}),
            "urlRewrite.path",
            "Looser",
            "the URL is not rewritten",
            json!(null),
        ),
        (
            json!({"urlRewrite": {"authority": {"full": "h"}}}),
            "urlRewrite: unknown field `authority`",
            "Looser",
            "the URL is not rewritten",
            json!(null),
        ),
    ] {
        let text = of_traffic(&traffic);
        let told = losses(&text);
        let expected = format!("{effect} spec.traffic.{place}");
        assert!(
            told.iter().any(|told| told.starts_with(&expected) && told.contains(message)),
            "{traffic}: {told:#?}"
        );
        assert_eq!(policies(&text)[0]["traffic"], kept, "{traffic}");
        let loads = !told.iter().any(|told| told.contains("would not load"));
        assert!(loads, "{traffic}: {told:#?}");
    }
}

#[test]
fn a_condition_on_what_an_earlier_step_changes_is_an_error() {
    let answer = |condition: &str| {
        let form = json!({"status": 503});
        json!({"conditional": [{"condition": condition, "policy": form}]})
    };
    let modify = |name: &str| json!({"request": {"set": [{"name": name, "value": "v"}]}});
    for (condition, traffic, is_told) in [
        ("request.headers['x-a'] == 'v'", json!({"headerModifiers": modify("X-A")}), true),
        ("request.headers['x-b'] == 'v'", json!({"headerModifiers": modify("X-A")}), false),
        ("request.headers.exists(n, n == 'x')", json!({"headerModifiers": modify("X-A")}), true),
        ("request.headers[request.method] == 'v'", json!({"headerModifiers": modify("a")}), true),
        ("request.method == 'GET'", json!({"headerModifiers": modify("x-a")}), false),
        (
            "request.path == '/a'",
            json!({"transformation": {"request": {"set": [{"name": ":path",
                "value": "'/b'"}]}}}),
            true,
        ),
        ("request.host == 'a'", json!({"hostRewrite": {"mode": "Auto"}}), true),
        ("request.host == 'a'", json!({"hostRewrite": {"mode": "None"}}), false),
        ("request.path == '/a'", json!({"hostRewrite": {"mode": "Auto"}}), false),
    ] {
        let mut traffic = traffic;
        traffic["directResponse"] = answer(condition);
        let told = losses(&of_traffic(&traffic));
        assert_eq!(
            told.iter().any(|told| told.starts_with(
                "Looser spec.traffic.directResponse.conditional[0].condition: here a condition"
            )),
            is_told,
            "{condition} {traffic}: {told:#?}"
        );
    }
}

#[test]
fn a_condition_behind_an_earlier_phase_is_an_error() {
    let early = of_traffic(&json!({"phase": "PreRouting",
        "transformation": {"request": {"set": [{"name": "x-a", "value": "'b'"}]}}}));
    let late = of_traffic(&json!({"transformation": {"conditional": [
        {"condition": "request.headers['x-a'] == 'b'",
            "policy": {"request": {"remove": ["x-c"]}}}]}}));
    let told = losses(&[early, late.replace(r#""name": "p""#, r#""name": "q""#)].join("\n---\n"));
    let is_told = told
        .iter()
        .any(|told| told.starts_with("Looser") && told.contains("as earlier steps left it"));
    assert!(is_told, "{told:#?}");
}

/// Of several policies here the first counts, there the one with the narrowest target.
#[test]
fn which_of_several_policies_counts_is_told_where_it_differs() {
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: \
        {name: e, namespace: egress-direct}\nspec: {hosts: [a.example]}\n---\n";
    let answer = json!({"directResponse": {"status": 503}});
    let wide = of_traffic(&answer);
    let narrow = wide
        .replace("gateway.networking.k8s.io", "networking.istio.io")
        .replace("\"Gateway\", \"name\": \"egress\"", "\"ServiceEntry\", \"name\": \"e\"");
    let later = |text: &str| text.replace(r#""name": "p""#, r#""name": "q""#);
    let conditional = |text: &str| {
        let form = json!({"conditional": [{"condition": "request.path == '/a'",
            "policy": {"status": 503}}]});
        text.replace(r#"{"status":503}"#, &form.to_string())
    };
    for (first, second, expected) in [
        (wide.clone(), later(&narrow), Some("Looser spec.traffic.directResponse")),
        (narrow.clone(), later(&wide), None),
        (conditional(&narrow), later(&wide), Some("Lost spec.traffic.directResponse")),
        (wide.clone(), later(&wide), Some("Lost spec.traffic.directResponse")),
    ] {
        let told = losses(&format!("{entry}{first}\n---\n{second}"));
        match expected {
            None => assert_eq!(told, Vec::<String>::new(), "{first} {second}"),
            Some(expected) => assert!(
                told.len() == 1 && told[0].starts_with(expected),
                "{first} {second}: {told:#?}"
            ),
        }
    }
}
