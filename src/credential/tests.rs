//! What a configuration with credentials must fulfil to be loaded.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::decision::Reason;
use crate::exchange::tests::driven::Driven;
use crate::policy::Engine;
use crate::request::Given;

const ALLOW: &str =
    r#"{"name": "who", "traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}}"#;

fn environment() -> BTreeMap<String, String> {
    let long = "x".repeat(8 * 1024 + 1);
    let known = [
        ("TOKEN", "s3cr3t"),
        ("LINE", "s3cr3t\n"),
        ("EMPTY", ""),
        ("NEWLINE", "\n"),
        ("TWO_LINES", "s3cr3t\ns3cr3t"),
        ("BLANKS", "s3cr3t s3cr3t "),
        ("QUOTED", "\"s3cr3t\""),
        ("LONG", &long),
    ];
    known.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A policy for `a.example` with this `backend`.
fn policy(name: &str, backend: Value) -> Value {
    json!({"name": name, "hosts": ["a.example"], "backend": backend})
}

fn load(configuration: &Value) -> Result<Engine, Vec<String>> {
    Engine::load_with(configuration.to_string().as_bytes(), &environment())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The errors of a configuration with these policies behind an Allow for every host.
fn errors_of(policies: impl IntoIterator<Item = Value>) -> Vec<String> {
    let allow: Value = serde_json::from_str(ALLOW).unwrap();
    let policies: Vec<Value> = [allow].into_iter().chain(policies).collect();
    load(&json!({"policies": policies})).err().unwrap_or_default()
}

fn errors(backend: Value) -> Vec<String> {
    errors_of([policy("p", backend)])
}

fn client(more: Value) -> Value {
    let mut client = json!({
        "cluster": "sts", "host": "sts.example", "path": "/token", "clientId": "me",
        "clientSecretEnv": "TOKEN",
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => client.as_object_mut().unwrap().remove(name),
            value => client.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    json!({"auth": {"oauthClientCredentials": client}})
}

#[test]
fn what_is_right_loads() {
    let cookie = json!({"cookie": {"name": "sid"}});
    let header = json!({"header": {"name": "X-Key", "prefix": "Token "}});
    let reference = json!({"name": "sts", "namespace": "auth", "port": 443});
    let host_name = json!({"kind": "Hostname", "name": "sts.example", "port": 443});
    for backend in [
        json!({"auth": {"env": "TOKEN"}}),
        json!({"auth": {"env": "LINE", "location": cookie}}),
        json!({"auth": {"basic": {"username": "ada", "passwordEnv": "QUOTED"}}}),
        json!({"auth": {"env": "TWO_LINES", "location": {"queryParameter": {"name": "k"}}}}),
        json!({"credentials": [{"env": "TOKEN", "location": header}]}),
        client(json!({})),
        client(json!({"cluster": null, "host": null, "backendRef": reference})),
        client(json!({"cluster": null, "host": null, "backendRef": host_name})),
        client(json!({"timeout": "5m", "scopes": ["a", "b:c"], "clientAuth": "ClientSecretPost"})),
    ] {
        assert_eq!(errors(backend.clone()), [""; 0], "{backend}");
    }
}

#[test]
fn a_backend_ref_names_the_cluster_that_istio_makes() {
    for (reference, cluster) in [
        (
            json!({"name": "sts", "namespace": "auth", "port": 8080}),
            "outbound|8080||sts.auth.svc.cluster.local",
        ),
        (
            json!({"kind": "Hostname", "name": "Sts.Example", "port": 443}),
            "outbound|443||sts.example",
        ),
    ] {
        let backend = client(json!({"cluster": null, "host": null, "backendRef": reference}));
        let allow: Value = serde_json::from_str(ALLOW).unwrap();
        let engine = load(&json!({"policies": [allow, policy("p", backend)]})).unwrap();
        let tokens = engine.credentials.tokens(0).unwrap();
        assert_eq!(tokens.cluster(), cluster);
    }
}

/// Every error names the policy, the place, the variable and the mend, and none the value.
#[test]
fn what_the_environment_lacks_or_has_wrongly_is_an_error() {
    let place = "policy `p`: policies[1].backend.auth";
    for (auth, expected) in [
        (
            json!({"env": "MISSING"}),
            "env: the waypoint has no environment variable `MISSING`: mount the Secret into the \
             waypoint's pod, and list the variable in `vmConfig.env` with `valueFrom: HOST`",
        ),
        (
            json!({"env": "EMPTY"}),
            "env: the environment variable `EMPTY` is empty: give the Secret's key a value",
        ),
        (
            json!({"env": "NEWLINE"}),
            "env: the environment variable `NEWLINE` is empty: give the Secret's key a value",
        ),
        (
            json!({"env": "LONG"}),
            "env: the environment variable `LONG` has 8193 bytes, the limit is 8192",
        ),
        (
            json!({"env": "TWO_LINES"}),
            "env: the value of the environment variable `TWO_LINES` is not legal in its \
             `location`: expected no control characters, and no blank at its ends",
        ),
        (
            json!({"env": "BLANKS"}),
            "env: the value of the environment variable `BLANKS` is not legal in its \
             `location`: expected no control characters, and no blank at its ends",
        ),
        (
            json!({"env": "QUOTED", "location": {"cookie": {"name": "sid"}}}),
            "env: the value of the environment variable `QUOTED` is not legal in its `location`: \
             expected printable ASCII characters without blank, `\"`, `,`, `;` and `\\`",
        ),
        (
            json!({"basic": {"username": "ada", "passwordEnv": "TWO_LINES"}}),
            "basic.passwordEnv: the value of the environment variable `TWO_LINES` is not legal \
             in its `location`: expected no control characters",
        ),
    ] {
        let errors = errors(json!({"auth": auth}));
        assert_eq!(errors, [format!("{place}.{expected}")]);
        assert!(!errors.concat().contains("s3cr3t"));
    }
}

/// A credential must not be had by whoever can reach the waypoint, and go nowhere else.
#[test]
fn a_credential_is_for_named_guarded_and_bound_hosts() {
    let bearer = json!({"auth": {"env": "TOKEN"}});
    let allow: Value = serde_json::from_str(ALLOW).unwrap();
    let with = |change: fn(&mut Value)| {
        let mut configuration = json!({"policies": [allow, policy("p", bearer.clone())]});
        change(&mut configuration);
        load(&configuration).err().unwrap_or_default()
    };
    let guard = "policy `p`: policies[1].backend: every caller could use the credential for \
                 `a.example`: add an Allow for this host that says who may call it (with `true`, \
                 everybody may), or set `defaultAction: Deny`";
    assert_eq!(with(|_| {}), [""; 0]);
    type Case<'a> = (fn(&mut Value), &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        (
            |all| drop(all["policies"][1].as_object_mut().unwrap().remove("hosts")),
            &["policy `p`: policies[1].backend: `backend` needs `hosts`: a credential goes only \
               to hosts that are named"],
        ),
        (
            |all| all["policies"][1]["hosts"] = json!(["*.a.example", "a.example"]),
            &["policy `p`: policies[1].hosts[0]: a credential goes only to hosts that are named \
               exactly: name the hosts under `*.a.example` one by one"],
        ),
        (
            |all| all["hostBinding"] = "Off".into(),
            &["policy `p`: policies[1].backend: a credential needs `hostBinding: Strict`: \
                 without it, a caller could have it sent to a destination of its own choice"],
        ),
        (|all| all["policies"][0]["mode"] = "Shadow".into(), &[guard]),
        (|all| all["policies"][0]["hosts"] = json!(["b.example"]), &[guard]),
        (|all| all["policies"][0]["traffic"]["authorization"]["action"] = "Deny".into(), &[guard]),
        (
            |all| {
                all["policies"][0]["traffic"]["authorization"]["action"] = "Require".into();
            },
            &[guard],
        ),
        (
            |all| {
                all["policies"][0]["traffic"]["authorization"]["action"] = "Deny".into();
                all["defaultAction"] = "Deny".into();
            },
            &[],
        ),
        (
            |all| {
                all["policies"][0]["traffic"]["authorization"]["action"] = "Deny".into();
                all["policies"][1]["defaultAction"] = "Deny".into();
            },
            &[],
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(with(change), expected);
    }
}

/// A default of the policies takes the place of the configuration's.
#[test]
fn a_default_of_its_hosts_can_undo_the_guard() {
    let open = json!({"defaultAction": "Deny", "policies": [
        {"name": "open", "hosts": ["a.example"], "defaultAction": "Allow"},
        policy("p", json!({"auth": {"env": "TOKEN"}})),
    ]});
    let errors = load(&open).err().unwrap_or_default();
    assert!(errors.concat().contains("every caller could use the credential"), "{errors:?}");
}

#[test]
fn two_credentials_in_one_place_of_one_host_are_an_error() {
    let at = |location: Value| json!({"credentials": [{"env": "TOKEN", "location": location}]});
    let header = |name: &str| at(json!({"header": {"name": name}}));
    let query = |name: &str| at(json!({"queryParameter": {"name": name}}));
    let cookie = |name: &str| at(json!({"cookie": {"name": name}}));
    for (one, two, collide) in [
        (header("x-key"), header("X-Key"), true),
        (header("x-key"), header("x_key"), true),
        (header("authorization"), json!({"auth": {"env": "TOKEN"}}), true),
        (header("cookie"), cookie("sid"), true),
        (query("api_key"), query("API_KEY"), true),
        (query("api_key"), query("api.key"), true),
        (cookie("sid"), cookie("SID"), true),
        (header("x-key"), header("x-key2"), false),
        (query("sid"), cookie("sid"), false),
        (query("sid"), header("sid"), false),
    ] {
        let errors = errors_of([policy("one", one.clone()), policy("two", two.clone())]);
        assert_eq!(!errors.is_empty(), collide, "{one} {two} {errors:?}");
        assert!(errors.iter().all(|error| {
            error.contains("policy `two`: policies[2].backend.")
                && error.contains("policy `one` puts a credential into the same place for")
        }));
    }
}

#[test]
fn what_agentgateway_has_and_this_filter_has_not_is_refused_with_the_way_round() {
    for (auth, expected) in [
        (json!({"secretRef": {"name": "s"}}), "name the variable with `env`"),
        (json!({"key": "s3cr3t"}), "put it into a Secret"),
        (json!({"passthrough": {}}), "leave `auth` out"),
        (json!({"aws": {}}), "let the caller sign"),
        (json!({"gcp": {}}), "use `oauthClientCredentials`"),
    ] {
        let errors = errors(json!({"auth": auth})).join("\n");
        assert!(errors.contains(expected) && !errors.contains("s3cr3t"), "{errors}");
    }
    let listed = json!({"credentials": [{"secretRef": {"name": "s"}}]});
    assert!(errors(listed).join("\n").contains("name the variable with `env`"));
}

#[test]
fn wrong_shapes_are_errors() {
    let reference = |more: Value| client(json!({"cluster": null, "backendRef": more}));
    for (backend, expected) in [
        (json!({}), "some of `auth`, `credentials` must be there"),
        (json!({"auth": {}}), "one of `env`, `basic`, `oauthClientCredentials` must be there"),
        (json!({"auth": {"env": "A-B"}}), "`A-B` is no name of an environment variable"),
        (
            json!({"auth": {"env": "TOKEN", "basic": {"username": "a", "passwordEnv": "TOKEN"}}}),
            "only one of `env`, `basic` may be there",
        ),
        (json!({"auth": {"env": "TOKEN", "location": {}}}), "one of `header`, `queryParameter`"),
        (
            json!({"auth": {"env": "TOKEN", "location": {"header": {"name": "host"}}}}),
            "`host` cannot be changed",
        ),
        (
            json!({"auth": {"env": "TOKEN", "location": {
                "header": {"name": "a", "prefix": "\n"}}}}),
            "the prefix has a control character",
        ),
        (
            json!({"auth": {"env": "TOKEN", "location": {"cookie": {"name": "a;b"}}}}),
            "`a;b` is no name",
        ),
        (json!({"credentials": []}), "`credentials` is empty"),
        (
            json!({"auth": {"basic": {"username": "a:b", "passwordEnv": "TOKEN"}}}),
            "`a:b` is no user name",
        ),
        (client(json!({"timeout": "0s"})), "the timeout is out of bounds: expected `1ms` to `5m`"),
        (client(json!({"timeout": "301s"})), "the timeout is out of bounds"),
        (client(json!({"cluster": null})), "one of `backendRef`, `cluster` must be there"),
        (client(json!({"host": null})), "field `host` is missing"),
        (client(json!({"path": "token"})), "`token` is no path"),
        (client(json!({"scopes": ["a b"]})), "`a b` is no scope"),
        (client(json!({"clientAuth": "PrivateKeyJwt"})), "unknown value `PrivateKeyJwt`"),
        (reference(json!({"name": "sts", "port": 443})), "field `namespace` is missing"),
        (
            reference(json!({"kind": "Hostname", "name": "s", "namespace": "n", "port": 443})),
            "`namespace` has no meaning with `kind: Hostname`",
        ),
        (reference(json!({"name": "s", "namespace": "n", "port": 0})), "expected a whole number"),
    ] {
        let errors = errors(backend.clone()).join("\n");
        assert!(errors.contains(expected), "{backend}: {errors}");
    }
}

/// What the check says of a host is what the stage of the rules makes of a request for it.
#[test]
fn a_host_is_guarded_where_no_request_goes_on_by_default() {
    let allow = json!({"authorization": {"policy": {"matchExpressions": ["true"]}}});
    let of = |more: Value| {
        let mut policy = json!({"name": "o"});
        let fields = more.as_object().unwrap().clone();
        policy.as_object_mut().unwrap().extend(fields);
        policy
    };
    let mut others =
        vec![of(json!({"traffic": {"transformation": {"request": {"remove": ["x"]}}}}))];
    for hosts in [json!(["a.example"]), json!(["*.example"]), json!(["*.a.example", "b.example"])] {
        for mode in ["Enforce", "Shadow"] {
            others.push(of(json!({"hosts": hosts, "mode": mode, "traffic": allow})));
            for action in ["Allow", "Deny"] {
                others.push(of(json!({"hosts": hosts, "mode": mode, "defaultAction": action})));
            }
        }
    }
    others.push(of(json!({"traffic": allow})));
    let mut found = [0; 2];
    for one in &others {
        for two in &others {
            for default in ["Allow", "Deny"] {
                let mut two = two.clone();
                two["name"] = json!("t");
                let without = json!({"defaultAction": default, "policies": [one, two]});
                let is_guarded = !load(&without).unwrap().leaves_open("a.example");
                let own = policy("p", json!({"auth": {"env": "TOKEN"}}));
                let with = json!({"defaultAction": default, "policies": [one, two, own]});
                assert_eq!(load(&with).is_ok(), is_guarded, "{with}");
                found[usize::from(is_guarded)] += 1;
            }
        }
    }
    assert!(found.iter().all(|count| *count > 50), "{found:?}");
}

/// The reason of the decision about a request to `a.example` with this path and these cookies, into
/// one of which nine credentials go.
fn reason(location: &str, path: &str, cookies: &str) -> Reason {
    let credential = |number: usize| {
        let location = json!({location: {"name": format!("key{number}")}});
        json!({"env": "TOKEN", "location": location})
    };
    let listed: Vec<Value> = (1..9).map(credential).collect();
    let own = policy("p", json!({"auth": credential(0), "credentials": listed}));
    let allow: Value = serde_json::from_str(ALLOW).unwrap();
    let engine = load(&json!({"policies": [allow, own]})).unwrap();
    let filter_chain_name = b"inbound-vip|80|http|a.example";
    let source = Given { filter_chain_name, ..Given::default() };
    let lines =
        [(":method", "GET"), (":authority", "a.example"), (":path", path), ("cookie", cookies)];
    let headers = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    Driven::decide(&engine, &headers, &source).decision.reason
}

/// Every pair is compared with every credential's name, in up to three decodings.
#[test]
fn a_long_query_or_cookie_buys_no_time() {
    let of = |pair: &str, bytes: usize| pair.repeat(bytes / pair.len());
    for (bytes, expected) in [(8_000, Reason::AllowMatched), (60_000, Reason::LimitExceeded)] {
        let path = format!("/?{}", of("%u0061&", bytes));
        assert_eq!(reason("queryParameter", &path, "a=b"), expected, "{bytes}");
        assert_eq!(reason("cookie", "/", &of("k;", bytes)), expected, "{bytes}");
    }
}
