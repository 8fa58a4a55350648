//! Tokens (RFC 7519), and the filter of Envoy that verifies them, set up as istiod does it for a
//! RequestAuthentication.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Map, Value, json};

/// A party that signs tokens.
#[derive(Debug, Clone, Copy)]
pub struct Issuer {
    /// What it calls itself in `iss`; without a name, its tokens may have any.
    pub name: Option<&'static str>,
    /// What it signs with.
    pub key: &'static [u8],
}

/// An issuer whose tokens may have any claims.
pub const ANY: Issuer = Issuer { name: None, key: b"the key of the issuer of any claims" };

impl Issuer {
    /// A token with these claims, and no others.
    #[must_use]
    pub fn token(&self, claims: &Map<String, Value>) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
        let payload = Value::from(claims.clone()).to_string();
        let signed = format!("{}.{}", encoded(header), encoded(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key);
        let signature = encoded(hmac::sign(&key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn provider(&self) -> Value {
        let keys = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": encoded(self.key)}]});
        let mut provider = json!({
            "local_jwks": {"inline_string": keys.to_string()},
            "payload_in_metadata": "payload",
            "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "permission"]},
        });
        if let Some(name) = self.name {
            provider["issuer"] = json!(name);
        }
        provider
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The filter that takes the tokens of these issuers, and requests without a token.
#[must_use]
pub fn filter(issuers: &[Issuer]) -> Value {
    let name = |index: usize| format!("origins-{index}");
    let providers: Map<String, Value> = issuers
        .iter()
        .enumerate()
        .map(|(index, issuer)| (name(index), issuer.provider()))
        .collect();
    let mut requirements: Vec<Value> =
        (0..issuers.len()).map(|index| json!({"provider_name": name(index)})).collect();
    requirements.push(json!({"allow_missing": {}}));
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/\
                      envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": requirements}},
            }],
            "bypass_cors_preflight": true,
        },
    })
}

/// Puts the filter before all others of the waypoint's services.
pub fn verify(issuers: &[Issuer]) -> impl FnOnce(&mut Value) + Send + 'static {
    let filter = filter(issuers);
    move |envoy| {
        let listeners = envoy["static_resources"]["listeners"].as_array_mut();
        let internal = listeners.into_iter().flatten().find(|one| one["name"] == "main_internal");
        let chains = internal.and_then(|listener| listener["filter_chains"].as_array_mut());
        for chain in chains.into_iter().flatten() {
            let filters = &mut chain["filters"][0]["typed_config"]["http_filters"];
            if let Some(filters) = filters.as_array_mut() {
                filters.insert(0, filter.clone());
            }
        }
    }
}
