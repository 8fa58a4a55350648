//! What Istio makes of a token, and the values and tokens of the comparison.

use super::*;

pub(super) const TOKEN: &[&str] = &[
    "*",
    "issuer/subject",
    "issuer/*",
    "issuer/sub*",
    "*/subject",
    "*r/subject",
    "*ject",
    "iss*",
    "https://i.example/x/subject",
    "*.example/x/other",
    "i*/subject",
    "issuer",
    "*suer/sub*",
];
pub(super) const CLAIM: &[&str] = &["*", "dev", "d*", "*s", "admin", "5", "d*v"];
pub(super) const TOKENS: &[&str] = &[
    "",
    "",
    r#"{"iss": "issuer", "sub": "subject", "groups": ["dev", "ops"], "aud": "dev"}"#,
    r#"{"iss": "issuer", "sub": "other", "groups": "dev", "aud": ["admin"], "azp": "ops"}"#,
    r#"{"iss": "https://i.example/x", "sub": "subject", "groups": [5, "dev-ops", null, ["dev"]]}"#,
    r#"{"iss": "https://i.example/x", "sub": "other", "realm_access": {"roles": ["admin"]}}"#,
    r#"{"iss": "issuer", "sub": "", "groups": {"dev": 1}, "azp": 5, "realm_access": {}}"#,
    r#"{"sub": "subject", "groups": [], "aud": "", "realm_access": {"roles": "dev"}}"#,
    ODD_TOKEN,
];
/// Where texts and an object belong, this has others, which cannot be read.
pub(super) const ODD_TOKEN: &str = r#"{"iss": 5, "sub": ["subject"], "realm_access": "dev"}"#;

/// What is at a path of claims.
fn claims(path: &[&str], request: &Request) -> Value {
    let claims = serde_json::from_str(request.claims).unwrap_or(Value::Null);
    path.iter().fold(claims, |claims, name| claims.get(name).cloned().unwrap_or(Value::Null))
}

/// A claim is a text, or a list in which one text matches.
pub(super) fn claim(path: &[&str], value: &str, request: &Request) -> bool {
    let is = |claim: &Value| claim.as_str().is_some_and(|text| matches(value, text));
    match claims(path, request) {
        Value::Array(items) => items.iter().any(is),
        claim => is(&claim),
    }
}

/// Issuer and subject, with the last `/` of the value between them: a star counts at the start of
/// the whole, else at its end. Where there is no `/`, the star's side is the subject or the issuer,
/// and the other is any.
pub(super) fn request_principal(value: &str, request: &Request) -> bool {
    let exactly = |text: &str, of: &str| text == of;
    let is = |claim: &str, test: &dyn Fn(&str) -> bool| {
        claims(&[claim], request).as_str().is_some_and(test)
    };
    let (issuer, subject) = value.rsplit_once('/').unwrap_or_default();
    match (value.contains('/'), value.starts_with('*'), value.ends_with('*')) {
        _ if value == "*" => is("iss", &|it| !it.is_empty()) && is("sub", &|it| !it.is_empty()),
        (true, true, _) => {
            is("iss", &|it| matches(issuer, it)) && is("sub", &|it| exactly(subject, it))
        }
        (true, false, true) => {
            is("iss", &|it| exactly(issuer, it)) && is("sub", &|it| matches(subject, it))
        }
        (false, true, _) => is("iss", &|it| !it.is_empty()) && is("sub", &|it| matches(value, it)),
        (false, false, true) => {
            is("iss", &|it| matches(value, it)) && is("sub", &|it| !it.is_empty())
        }
        (true, false, false) => {
            is("iss", &|it| exactly(issuer, it)) && is("sub", &|it| exactly(subject, it))
        }
        (false, false, false) => {
            is("iss", &|it| exactly(value, it)) && is("sub", &|it| it.is_empty())
        }
    }
}

/// Each value of a token over each token, in an ALLOW and a DENY, as a value and as a `not` one:
/// the result decides as the model does.
#[test]
fn values_of_a_token_mean_what_they_mean_in_istio() {
    let sources = TOKEN.iter().flat_map(|value| {
        ["requestPrincipals", "notRequestPrincipals"]
            .map(|field| (json!({"from": [{"source": {field: [value]}}]}), *value))
    });
    let keys = [
        "request.auth.principal",
        "request.auth.audiences",
        "request.auth.presenter",
        "request.auth.claims[groups]",
        "request.auth.claims[realm_access][roles]",
    ];
    let conditions = keys.iter().flat_map(|key| {
        let known = if *key == keys[0] { TOKEN } else { CLAIM };
        known.iter().flat_map(move |value| {
            ["values", "notValues"]
                .map(|field| (json!({"when": [{"key": key, field: [value]}]}), *value))
        })
    });
    let mut compared = 0;
    for (rule, value) in sources.chain(conditions) {
        for action in ["ALLOW", "DENY"] {
            let target =
                json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "egress"});
            let policy = json!({"apiVersion": "security.istio.io/v1",
                "kind": "AuthorizationPolicy", "metadata": {"name": "p", "namespace": "a"},
                "spec": {"targetRefs": [target], "action": action, "rules": [rule]}});
            let text = policy.to_string();
            let is_refused =
                super::super::losses(&text).iter().any(|note| note.starts_with("Stricter"));
            assert_eq!(is_refused, value == "issuer", "{text}");
            let engine = engine(&text);
            for claims in TOKENS {
                let request = Request { claims, ..Request::default() };
                let there = allows(std::slice::from_ref(&policy), &request);
                let here = request.is_allowed_by(&engine);
                assert!(!here || there, "looser: {claims} {text}");
                if !is_refused && *claims != ODD_TOKEN {
                    assert_eq!(here, there, "{claims} {text}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}
