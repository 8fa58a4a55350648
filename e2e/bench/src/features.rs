//! What each feature costs: ours beside a configuration without it, and what Envoy brings for the
//! same job where it brings anything.

mod measure;
mod report;

use serde_json::{Value, json};

use crate::envoys::SERVICE;

pub use measure::{Cost, Figures, costs, measure};
pub use report::{documented, render};

/// A feature, in a configuration that has nothing else but the rule of [`base`].
#[derive(Debug)]
pub struct Feature {
    /// What the report calls it.
    pub name: &'static str,
    /// The plugin's configuration.
    pub configuration: Value,
    /// The configuration that it is compared with; [`base`] where it is left out.
    compared: Option<Value>,
    /// The status of the answer.
    status: u16,
    /// How many host calls it may make.
    pub calls: u64,
    /// A header that shows that the feature is there.
    shows: Shows,
    /// What Envoy brings.
    native: Option<Native>,
}

/// A header, and its value.
#[derive(Debug, Clone, Copy)]
enum Shows {
    /// Nothing in the message shows it.
    Nothing,
    /// Of the request, as the origin gets it.
    Request(&'static str, &'static str),
    /// Of the response.
    Response(&'static str, &'static str),
}

/// What Envoy itself brings for the same job, without any of our filter.
#[derive(Debug)]
struct Native {
    name: &'static str,
    /// HTTP filters before the router.
    filters: Vec<Value>,
    /// What the route does; it answers 200 where this is left out.
    route: Option<Value>,
}

/// A limit that no measurement reaches.
const PLENTY: u32 = 1_000_000;

/// The feature that is held to its bar: what it may add to what Envoy's own adds, in microseconds.
pub(super) const ASKED: (&str, f64) = ("`extAuth` of HTTP that answers at once", 40.0);

/// The environment of the filter.
const ENVIRONMENT: (&str, &str) = ("TOKEN", "the-credential");

/// One Allow, which reads the caller's identity.
fn base() -> Value {
    let rule = r#"source.identity.namespace == "team-a""#;
    json!({
        "policies": [{"name": "base", "hosts": ["api.github.com"], "traffic": {"authorization":
            {"policy": {"matchExpressions": [rule]}}}}],
        "audit": {"log": "None"},
    })
}

/// The same with these fields in a policy of its own.
fn with(fields: Value) -> Value {
    let mut policy = json!({"name": "feature", "hosts": ["api.github.com"]});
    merge(&mut policy, fields);
    let mut configuration = base();
    if let Some(policies) = configuration["policies"].as_array_mut() {
        policies.push(policy);
    }
    configuration
}

/// The same with another rule, and with these fields of the whole configuration.
fn ruled(rule: &str, fields: Value) -> Value {
    let mut configuration = base();
    configuration["policies"][0]["traffic"]["authorization"]["policy"]["matchExpressions"] =
        json!([rule]);
    merge(&mut configuration, fields);
    configuration
}

fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

fn feature(name: &'static str, configuration: Value, shows: Shows) -> Feature {
    Feature { name, configuration, compared: None, status: 200, calls: 5, shows, native: None }
}

/// One of Envoy's own HTTP filters.
fn filter(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{message}"));
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

fn header_mutation() -> Vec<Value> {
    let set = json!({"header": {"key": "x-caller-identity", "value": "fixed"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    let mutations = json!({"request_mutations": [{"append": set}, {"remove": "x-internal-debug"}]});
    let config = json!({"mutations": mutations});
    vec![filter("header_mutation", "header_mutation.v3.HeaderMutation", config)]
}

fn credential_injector() -> Vec<Value> {
    let generic = "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3\
                   .Generic";
    let credential = json!({"name": "generic", "typed_config": {"@type": generic,
        "credential": {"name": "credential"}, "header": "x-caller-identity"}});
    let config = json!({"credential": credential, "overwrite": true});
    vec![filter("credential_injector", "credential_injector.v3.CredentialInjector", config)]
}

fn ext_authz() -> Vec<Value> {
    let uri = json!({"uri": "http://service.example", "cluster": SERVICE, "timeout": "1s"});
    let config = json!({"http_service": {"server_uri": uri}});
    vec![filter("ext_authz", "ext_authz.v3.ExtAuthz", config)]
}

fn local_ratelimit() -> Vec<Value> {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let bucket = json!({"max_tokens": PLENTY, "tokens_per_fill": PLENTY, "fill_interval": "1s"});
    let config = json!({"stat_prefix": "limit", "token_bucket": bucket,
        "filter_enabled": always, "filter_enforced": always});
    vec![filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", config)]
}

/// Envoy's RBAC, which allows one namespace.
fn rbac() -> Vec<Value> {
    let caller = json!({"filter_state": {"key": "io.istio.peer_principal",
        "string_match": {"contains": "/ns/team-a/"}}});
    let policy = json!({"permissions": [{"any": true}], "principals": [caller]});
    let rules = json!({"action": "ALLOW", "policies": {"p": policy}});
    vec![filter("rbac", "rbac.v3.RBAC", json!({"rules": rules}))]
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
    let fields = json!({"add": {"caller": "source", "agent": "request.headers['user-agent']"}});
    let allow = r#"source.identity.namespace == "team-a""#;
    vec![
        Feature {
            native: native("RBAC", rbac(), None),
            ..feature("a rule alone, which all others have too", base(), Shows::Nothing)
        },
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
            native: native("header_mutation", header_mutation(), None),
            ..feature("`headerModifiers`: one set, one removed", traffic(modifiers), identity)
        },
        feature(
            "`transformation`: one set",
            traffic(json!({"transformation": {"request": set("'fixed'")}})),
            identity,
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
            native: native("credential_injector", credential_injector(), None),
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
            native: native("ext_authz", ext_authz(), None),
            ..feature(
                ASKED.0,
                traffic(json!({"extAuth": {"cluster": SERVICE, "host": "service.example",
                    "timeout": "1s", "http": {}}})),
                Shows::Nothing,
            )
        },
        Feature {
            calls: 2,
            native: native("local_ratelimit", local_ratelimit(), None),
            ..feature(
                "`rateLimit.local`, whose answers have no headers of it",
                traffic(json!({"rateLimit": {"headers": "Denied",
                    "local": [{"requests": PLENTY, "unit": "Seconds"}]}})),
                Shows::Nothing,
            )
        },
        feature("every decision logged", logged(json!({})), Shows::Nothing),
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
