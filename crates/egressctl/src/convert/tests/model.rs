//! Istio's matching by itself, over the policy as it is written, and both compared on generated
//! policies and requests.
//!
//! The model is made from what istiod generates for Envoy's RBAC filter and what that filter does
//! with it (pilot's `security/authz`, Envoy 1.40): a field's values are alternatives, a `not`
//! field's none may match, and so on. It knows nothing of the conversion: a host is the authority
//! as it came, a namespace is a regular expression's middle, of a header's lines any is enough
//! (tried on Envoy 1.40: each is compared, they are not joined), a request is of the service with
//! the narrowest host.

mod generated;
mod token;

use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

use super::{Effect, Request, converted, engine};
use generated::{policy, requests};
use token::{ODD_TOKEN, claim, request_principal};

const TRUST_DOMAINS: [&str; 2] = ["cluster.local", "old"];

/// Istio's string match: one `*` at either end; alone, anything but nothing.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern, pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        ("*", ..) => !text.is_empty(),
        (_, Some(suffix), _) => text.ends_with(suffix),
        (_, _, Some(prefix)) => text.starts_with(prefix),
        _ => text == pattern,
    }
}

fn full(pattern: &str, text: &str) -> bool {
    Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(text)
}

fn principal(value: &str, caller: &str) -> bool {
    let parts: Vec<&str> = value.split('/').collect();
    let alternatives = match parts.as_slice() {
        [domain, rest @ ..]
            if rest.len() == 4
                && *domain != "*"
                && TRUST_DOMAINS.iter().any(|own| matches(domain, own)) =>
        {
            let fits = |own: &str| domain.starts_with('*') && matches(domain, own);
            let of = |own: &&str| {
                if fits(own) { value.to_owned() } else { format!("{own}/{}", rest.join("/")) }
            };
            TRUST_DOMAINS.iter().map(of).collect()
        }
        _ => vec![value.to_owned()],
    };
    let rest = caller.strip_prefix("spiffe://").unwrap_or_default();
    !rest.is_empty() && alternatives.iter().any(|value| matches(value, rest))
}

fn service_account(value: &str, caller: &str) -> bool {
    let (namespace, name) = value.split_once('/').unwrap_or(("a", value));
    full(&format!("spiffe://.+/ns/{namespace}/(.+/|)sa/{name}(/.+)?"), caller)
}

/// A star of a trust domain is any part of it, and does not reach past its end. One of the mesh's
/// own stands for all of these.
fn trust_domain(value: &str, caller: &str) -> bool {
    let own = TRUST_DOMAINS.contains(&value);
    let values = if own { TRUST_DOMAINS.to_vec() } else { vec![value] };
    let Some(caller) = caller.strip_prefix("spiffe://") else { return false };
    let domain = caller.split('/').next().unwrap();
    values.iter().any(|value| match value.split_once('*') {
        None => *value == domain,
        Some((start, end)) => {
            let fits = domain.len() >= start.len().saturating_add(end.len());
            fits && domain.starts_with(start) && domain.ends_with(end)
        }
    })
}

fn address(value: &str, address: &str) -> bool {
    let (network, length) =
        value.split_once('/').unwrap_or((value, if value.contains(':') { "128" } else { "32" }));
    let bits = |text: &str| match text.parse::<std::net::IpAddr>().unwrap() {
        std::net::IpAddr::V4(address) => (4, address.octets().to_vec()),
        std::net::IpAddr::V6(address) => (6, address.octets().to_vec()),
    };
    let ((family, network), (its_family, address)) = (bits(network), bits(address));
    let bit = |bytes: &[u8], index: usize| bytes[index / 8] & (0x80 >> (index % 8));
    family == its_family
        && (0..length.parse::<usize>().unwrap())
            .all(|index| bit(&network, index) == bit(&address, index))
}

fn host(value: &str, authority: &str) -> bool {
    matches(&value.to_lowercase(), &authority.to_lowercase())
}

/// The ServiceEntry that a request belongs to: among those whose hosts match, the narrower one.
fn entry_of(authority: &str) -> Option<&'static str> {
    let host = authority.to_lowercase();
    match host.split(':').next().unwrap().trim_end_matches('.') {
        "a.example" => Some("a"),
        host if host.ends_with(".example") => Some("wide"),
        _ => None,
    }
}

fn path(value: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    if !value.contains('{') {
        return matches(value, path);
    }
    let segments = value.split('/').map(|segment| match segment {
        "{*}" => "[^/]+".to_owned(),
        "{**}" => ".*".to_owned(),
        other => regex::escape(other),
    });
    full(&segments.collect::<Vec<_>>().join("/"), path)
}

/// Whether one of a field's values matches a request.
fn value(field: &str, value: &str, request: &Request) -> bool {
    let caller = request.caller;
    match field {
        "principals" | "source.principal" => principal(value, caller),
        "namespaces" | "source.namespace" => {
            full(&format!(".*/ns/{}/.*", value.replace('*', ".*")), caller)
        }
        "serviceAccounts" | "source.serviceAccount" => service_account(value, caller),
        "trustDomains" | "source.trustDomain" => trust_domain(value, caller),
        "ipBlocks" | "source.ip" => address(value, request.address),
        "hosts" => host(value, request.authority),
        "ports" | "destination.port" => value == request.port.to_string(),
        "methods" => matches(value, request.method),
        "paths" => path(value, request.path),
        "destination.ip" => address(value, "240.240.0.1"),
        "requestPrincipals" | "request.auth.principal" => request_principal(value, request),
        "request.auth.audiences" => claim(&["aud"], value, request),
        "request.auth.presenter" => claim(&["azp"], value, request),
        "request.auth.claims[groups]" => claim(&["groups"], value, request),
        "request.auth.claims[realm_access][roles]" => {
            claim(&["realm_access", "roles"], value, request)
        }
        _ => {
            let name = field
                .strip_prefix("request.headers[")
                .unwrap()
                .strip_suffix(']')
                .unwrap()
                .to_lowercase();
            request
                .headers
                .iter()
                .any(|(its, line)| *its == name && (value == "*" || matches(value, line)))
        }
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn fields(object: &Value, request: &Request) -> bool {
    object.as_object().unwrap().iter().all(|(name, values)| {
        let any = |field: &str| texts(values).iter().any(|text| value(field, text, request));
        match name.strip_prefix("not") {
            // `notIpBlocks` is of `ipBlocks`.
            Some(rest) => !any(&(rest
                .chars()
                .take(1)
                .flat_map(char::to_lowercase)
                .chain(rest.chars().skip(1))
                .collect::<String>())),
            None => any(name),
        }
    })
}

fn rule(rule: &Value, request: &Request) -> bool {
    let any = |name: &str, inner: &str| match rule.get(name) {
        None => true,
        Some(list) => list.as_array().unwrap().iter().any(|item| fields(&item[inner], request)),
    };
    let when = rule.get("when").is_none_or(|list| {
        list.as_array().unwrap().iter().all(|one| {
            let any = |name: &str| {
                one.get(name).map(|values| {
                    texts(values)
                        .iter()
                        .any(|text| value(one["key"].as_str().unwrap(), text, request))
                })
            };
            any("values") != Some(false) && any("notValues") != Some(true)
        })
    });
    any("from", "source") && any("to", "operation") && when
}

/// What Istio does with a request.
fn allows(policies: &[Value], request: &Request) -> bool {
    let of = |action: &str| {
        let enforced = |policy: &&Value| {
            policy["metadata"]["annotations"]["istio.io/dry-run"] != "true"
                && policy["spec"]["action"] == *action
        };
        let in_scope = |policy: &&Value| {
            let target = &policy["spec"]["targetRefs"][0];
            target["kind"] == "Gateway" || target["name"].as_str() == entry_of(request.authority)
        };
        policies.iter().filter(enforced).filter(in_scope).collect::<Vec<_>>()
    };
    let any = |policies: &[&Value]| {
        let rules =
            policies.iter().filter_map(|policy| policy["spec"]["rules"].as_array()).flatten();
        rules.into_iter().any(|one| rule(one, request))
    };
    let allow = of("ALLOW");
    !any(&of("DENY")) && (allow.is_empty() || any(&allow))
}

const PRINCIPALS: &[&str] = &[
    "*",
    "cluster.local/ns/a/sa/x",
    "cluster.local/ns/a/sa/*",
    "*/sa/x",
    "*/ns/b/sa/y",
    "other/ns/a/sa/x",
    "old/ns/b/sa/y",
    "cluster.local/ns/b/sa/y",
    "cluster.local/*",
    "*d/ns/b/sa/y",
    "o*/ns/a/sa/x",
];
const NAMESPACES: &[&str] = &["a", "b", "ab", "a*", "*b", "*", "sa", "a*b", "a.", "(a|ab)", "b|c"];
const DOMAINS: &[&str] = &["*", "cluster.local", "old", "other", "o*", "*r", "*.local", "c*l", "x"];
const ACCOUNTS: &[&str] = &["a/x", "b/y", "x", "y", "a/.", "a.", "./x"];
const ADDRESSES: &[&str] =
    &["10.0.0.0/8", "10.1.2.3", "10.1.2.0/25", "192.168.0.0/16", "fd00::/8", "0.0.0.0/0"];
const HOSTS: &[&str] = &[
    "a.example",
    "*.example",
    "a.*",
    "*",
    "A.Example",
    "a.example:8080",
    "a.example:*",
    "b.example",
    "*80",
    "a.example.",
    "*.",
    "b.*:*",
];
const PORTS: &[&str] = &["80", "8080"];
const METHODS: &[&str] = &["GET", "POST", "*", "G*", "*T"];
const PATHS: &[&str] =
    &["/zen", "/repos/*", "*/keys", "*", "/u/{*}/keys", "/repos/{**}", "/repos/{**}/keys", "/{*}"];
const HEADER: &[&str] = &["blue", "green", "*", "b*", "*n"];

/// Whether an ID has the form that Istio gives workloads. None of Istio's patterns mistakes such an
/// ID for another.
fn is_ordinary(caller: &str) -> bool {
    caller.is_empty() || (caller.split('/').count() == 7 && !caller.contains("/ns/ns/"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn converted_policies_decide_as_istio_does(
        mut policies in proptest::collection::vec(policy(), 1..4),
        requests in proptest::collection::vec(requests(), 24),
    ) {
        for (index, policy) in policies.iter_mut().enumerate() {
            policy["metadata"]["name"] = json!(format!("p{index}"));
        }
        let entries = [("a", "a.example"), ("wide", "*.example")].map(|(name, host)| json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {"name": name, "namespace": "a"}, "spec": {"hosts": [host]},
        }));
        let documents: Vec<String> =
            policies.iter().chain(&entries).map(Value::to_string).collect();
        let text = documents.join("\n---\n");
        let arguments = ["--trust-domain", "cluster.local,old", "--kind", "pluginConfig"];
        let (config, losses) = converted(&text, &arguments, |converted| {
            let losses = converted.notes.iter().filter(|note| note.effect.is_loss());
            let losses: Vec<(Effect, String)> = losses
                .map(|note| (note.effect, note.diagnostic.message.clone())).collect();
            (serde_json::to_string(&converted.resource).unwrap(), losses)
        });
        let (looser, stricter): (Vec<_>, Vec<_>) =
            losses.iter().partition(|(effect, _)| *effect == Effect::Looser);
        prop_assert!(stricter.iter().all(|(effect, _)| *effect == Effect::Stricter), "{losses:?} \
            of {text}");
        if !looser.is_empty() {
            // Policies are left out only where the hosts of their services overlap.
            prop_assert!(looser.iter().all(|(_, message)| message.contains("ServiceEntry `wide` \
                would be")), "{losses:?} of {text}");
            return Ok(());
        }
        let overlap = policies
            .iter()
            .any(|policy| policy["spec"]["targetRefs"][0]["name"] == "wide");
        let engine = egress_filter::policy::Engine::load(config.as_bytes())
            .map_err(|errors| TestCaseError::fail(format!("{config}: {errors:?}")))?;
        for request in requests {
            let (here, there) = (request.is_allowed_by(&engine), allows(&policies, &request));
            prop_assert!(!here || there, "looser: {request:?}\n{text}\n{config}");
            let is_plain = request.headers.len() < 2
                && request.claims != ODD_TOKEN
                && !request.authority.contains(':')
                && !request.authority.ends_with('.');
            let is_of_one = !overlap || entry_of(request.authority) != Some("a");
            if losses.is_empty() && is_ordinary(request.caller) && is_plain && is_of_one {
                prop_assert_eq!(here, there, "{:?}\n{}\n{}", request, text, config);
            }
        }
    }
}

#[test]
fn the_model_is_no_yes_man() {
    let policy = json!({
        "apiVersion": "security.istio.io/\
         v1", "kind": "AuthorizationPolicy", "metadata": {"name": "p", "namespace": "a"},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway",
                "name": "egress"}],
            "action": "ALLOW",
            "rules": [{"from": [{"source": {"namespaces": ["team-a"]}}],
                "to": [{"operation": {"notPaths": ["/zen"]}}]}],
        },
    });
    let engine = engine(&policy.to_string());
    for (request, expected) in [
        (Request { path: "/a", ..Request::default() }, true),
        (Request { path: "/zen", ..Request::default() }, false),
        (Request { path: "/a", caller: "", ..Request::default() }, false),
    ] {
        assert_eq!(allows(std::slice::from_ref(&policy), &request), expected, "{request:?}");
        assert_eq!(request.is_allowed_by(&engine), expected, "{request:?}");
    }
}
