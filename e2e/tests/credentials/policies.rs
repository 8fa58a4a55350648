//! The configuration of the tests.

use serde_json::{Value, json};

/// The cluster of the authorization server.
pub(crate) const CLUSTER: &str = "outbound|8080||sts.auth.svc.cluster.local";
/// The host whose requests get a token.
pub(crate) const HOST: &str = "api.github.com";
/// The variable of the client's secret, and its value.
pub(crate) const SECRET: (&str, &str) = ("CLIENT_SECRET", "hush-client-secret-1");

/// Lets everybody in the mesh call, marks what goes on, and gives it a token.
pub(crate) fn fetching(mark: &str) -> Value {
    json!({
        "policies": [
            {"name": "who", "traffic": {"authorization": {
                "policy": {"matchExpressions": ["source.identity.namespace != 'nobody'"]}}}},
            {"name": "denied", "traffic": {"authorization": {
                "action": "Deny", "policy": {"matchExpressions": ["request.path == '/denied'"]}}}},
            {"name": "mark", "traffic": {"transformation": {
                "request": {"set": [{"name": "x-mark", "value": format!("'{mark}'")}]}}}},
            {"name": "token", "hosts": [HOST], "backend": {"auth": {"oauthClientCredentials": {
                "backendRef": {"name": "sts", "namespace": "auth", "port": 8080},
                "path": "/oauth2/token", "clientId": "egress", "clientSecretEnv": SECRET.0,
                "scopes": ["repo:read"], "timeout": "2s"}}}},
        ],
        "audit": {"log": "All", "accessLog": true},
    })
}

/// An answer with a token.
pub(crate) fn token(token: &str, expires_in: u64) -> String {
    json!({"access_token": token, "token_type": "Bearer", "expires_in": expires_in}).to_string()
}
