//! The features, one by one.

use serde_json::{Value, json};

use super::native as envoy;
use super::{
    ASKED, ENVIRONMENT, Feature, Native, PLENTY, Shows, base, feature, merge, ruled, with,
};
use crate::envoys::{AUTHORIZER, LIMITER, SERVICE};

/// A policy with an authorization.
fn authorizing(action: &str, rule: &str) -> Value {
    json!({"traffic": {"authorization": {"action": action,
        "policy": {"matchExpressions": [rule]}}}})
}

/// [`base`] for these hosts.
fn of_hosts(hosts: &[String]) -> Value {
    let mut configuration = base();
    configuration["policies"][0]["hosts"] = json!(hosts);
    configuration
}

/// The features, in the order of the report.
#[must_use]
pub fn all() -> Vec<Feature> {
    let native = |name, filters, route| Some(Native { name, filters, route });
    let traffic = |fields: Value| with(json!({"traffic": fields}));
    let logged = |fields: Value| {
        let mut configuration = base();
        configuration["audit"] = json!({"log": "All"});
        merge(&mut configuration["audit"], fields);
        configuration
    };
    let identity = Shows::Request("x-caller-identity", "fixed");
    let modifiers = json!({"headerModifiers": {"request": {
        "set": [{"name": "X-Caller-Identity", "value": "fixed"}],
        "remove": ["X-Internal-Debug"]}}});
    let set = |value: &str| json!({"set": [{"name": "X-Caller-Identity", "value": value}]});
    let conditional = json!({"transformation": {"conditional": [
        {"condition": r#"request.method == "POST""#, "policy": {"request": set("'other'")}},
        {"policy": {"request": set("'fixed'")}},
    ]}});
    let sixteen: Vec<String> = std::iter::once("api.github.com".to_owned())
        .chain((1..16).map(|index| format!("host-{index}.example.com")))
        .collect();
    let fields = json!({"add": {"caller": "source", "agent": "request.headers['user-agent']"}});
    let allow = r#"source.identity.namespace == "team-a""#;
    vec![
        Feature {
            native: native("RBAC", envoy::rbac(), None),
            ..feature("a rule alone, which all others have too", base(), Shows::Nothing)
        },
        feature(
            "a Deny besides, of a header that is not there",
            with(authorizing("Deny", r#""x-evil" in request.headers"#)),
            Shows::Nothing,
        ),
        feature(
            "a Require besides, of the method",
            with(authorizing("Require", r#"request.method in ["GET", "HEAD"]"#)),
            Shows::Nothing,
        ),
        feature(
            "`mode: Shadow`: a Deny that would match",
            {
                let mut policy = authorizing("Deny", r#"request.method == "GET""#);
                policy["mode"] = json!("Shadow");
                with(policy)
            },
            Shows::Nothing,
        ),
        Feature {
            native: native("RBAC, matching tree", envoy::rbac_tree(&sixteen), None),
            ..feature("`hosts` of 16 names", of_hosts(&sixteen), Shows::Nothing)
        },
        feature("a wildcard in `hosts`", of_hosts(&["*.github.com".to_owned()]), Shows::Nothing),
        feature(
            "`defaultAction: Deny`",
            ruled(allow, json!({"defaultAction": "Deny"})),
            Shows::Nothing,
        ),
        Feature {
            status: 403,
            compared: Some(ruled("false", json!({}))),
            ..feature(
                "`denial` with a `bodyExpression`, of a request that is denied",
                ruled(
                    "false",
                    json!({"denial": {"bodyExpression": "'ask #platform: ' + request.host"}}),
                ),
                Shows::Nothing,
            )
        },
        feature(
            "a rule that reads one of `variables`",
            ruled("variables.ours", json!({"variables": [{"name": "ours", "expression": allow}]})),
            Shows::Nothing,
        ),
        feature(
            "a rule that reads `request.startTime`",
            ruled(
                &format!("{allow} && request.startTime > timestamp('2020-01-01T00:00:00Z')"),
                json!({}),
            ),
            Shows::Nothing,
        ),
        Feature {
            native: native("header_mutation", envoy::header_mutation(), None),
            ..feature("`headerModifiers`: one set, one removed", traffic(modifiers), identity)
        },
        Feature {
            native: native("Lua", envoy::lua(), None),
            ..feature(
                "`transformation`: one set",
                traffic(json!({"transformation": {"request": set("'fixed'")}})),
                identity,
            )
        },
        feature(
            "`transformation` of a response: one set",
            traffic(json!({"transformation": {"response":
                {"set": [{"name": "X-By", "value": "'egress'"}]}}})),
            Shows::Response("x-by", "egress"),
        ),
        feature(
            "`transformation.conditional`, the second of two entries",
            traffic(conditional),
            identity,
        ),
        feature(
            "`urlRewrite` of a prefix",
            traffic(json!({"urlRewrite": {"path": {"type": "ReplacePrefixMatch",
                "prefix": "/zen", "replacePrefixMatch": "/api/zen"}}})),
            Shows::Request(":path", "/api/zen"),
        ),
        Feature {
            status: 302,
            native: native(
                "route with `redirect`",
                Vec::new(),
                Some(json!({"redirect": {"https_redirect": true, "response_code": "FOUND"}})),
            ),
            ..feature(
                "`requestRedirect` to https",
                traffic(json!({"requestRedirect": {"scheme": "https"}})),
                Shows::Response("location", "https://api.github.com/zen"),
            )
        },
        Feature {
            status: 503,
            native: native(
                "route with `direct_response`",
                Vec::new(),
                Some(json!({"direct_response": {"status": 503,
                    "body": {"inline_string": "closed for repairs"}}})),
            ),
            ..feature(
                "`directResponse` with a fixed body",
                traffic(json!({"directResponse": {"status": 503, "body": "closed for repairs"}})),
                Shows::Nothing,
            )
        },
        Feature {
            status: 503,
            ..feature(
                "`directResponse` with a `bodyExpression` and a header",
                traffic(json!({"directResponse": {"status": 503,
                    "bodyExpression": "'closed for ' + request.host",
                    "headers": [{"name": "x-by", "value": "source.identity.namespace"}]}})),
                Shows::Response("x-by", "team-a"),
            )
        },
        feature(
            "`timeouts` and `retry`",
            traffic(json!({"timeouts": {"request": "5s"},
                "retry": {"attempts": 2, "codes": [503]}})),
            Shows::Nothing,
        ),
        Feature {
            native: native("credential_injector", envoy::credential_injector(), None),
            ..feature(
                "a credential from the environment",
                with(json!({"backend": {"auth": {"env": ENVIRONMENT.0,
                    "location": {"header": {"name": "X-Caller-Identity"}}}}})),
                Shows::Request("x-caller-identity", ENVIRONMENT.1),
            )
        },
        Feature {
            // The call, the answer's head, the stream's context and its going on, the time that it
            // took by the clock and in the histogram.
            calls: 8,
            sums_up: true,
            native: native("ext_authz", envoy::ext_authz(), None),
            ..feature(
                ASKED.0,
                traffic(json!({"extAuth": {"cluster": SERVICE, "host": "service.example",
                    "timeout": "1s", "http": {}}})),
                Shows::Nothing,
            )
        },
        Feature {
            // The same, and the properties of which the request to the service tells.
            calls: 14,
            native: native("ext_authz, gRPC", envoy::ext_authz_grpc(), None),
            ..feature(
                "`extAuth` of gRPC that answers at once",
                traffic(json!({"extAuth": {"cluster": AUTHORIZER, "host": "authorizer.example",
                    "timeout": "1s", "grpc": {}}})),
                Shows::Nothing,
            )
        },
        feature(
            "`extAuth` whose answer is kept (`cache`)",
            traffic(json!({"extAuth": {"cluster": SERVICE, "host": "service.example",
                "timeout": "1s", "http": {},
                "cache": {"key": ["source.spiffeId"], "ttl": "5m"}}})),
            Shows::Nothing,
        ),
        Feature {
            calls: 8,
            ..feature(
                "`rateLimit.global` that admits at once",
                traffic(
                    json!({"rateLimit": {"global": {"cluster": LIMITER, "host": "limiter.example",
                    "domain": "egress",
                    "timeout": "1s", "descriptors": [{"entries":
                        [{"name": "method", "expression": "request.method"}]}]}}}),
                ),
                Shows::Nothing,
            )
        },
        Feature {
            calls: 2,
            sums_up: true,
            native: native("local_ratelimit", envoy::local_ratelimit(), None),
            ..feature(
                "`rateLimit.local`, whose answers have no headers of it",
                traffic(json!({"rateLimit": {"headers": "Denied",
                    "local": [{"requests": PLENTY, "unit": "Seconds"}]}})),
                Shows::Nothing,
            )
        },
        Feature {
            status: 403,
            compared: Some(ruled("false", json!({}))),
            ..feature(
                "a denial's record",
                ruled("false", json!({"audit": {"log": "Denied"}})),
                Shows::Nothing,
            )
        },
        feature("every decision logged", logged(json!({})), Shows::Nothing),
        Feature {
            compared: Some(logged(json!({}))),
            ..feature(
                "`audit.accessLog`, beside every decision logged",
                logged(json!({"accessLog": true})),
                Shows::Nothing,
            )
        },
        Feature {
            compared: Some(logged(json!({}))),
            ..feature(
                "two of `audit.fields`, `source` among them, beside every decision logged",
                logged(json!({"fields": fields})),
                Shows::Nothing,
            )
        },
        Feature {
            compared: Some(logged(json!({}))),
            ..feature(
                "`audit.filter` that leaves a decision out, beside every decision logged",
                logged(json!({"filter": r#"request.method != "GET""#})),
                Shows::Nothing,
            )
        },
    ]
}
