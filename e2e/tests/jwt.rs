//! Tokens that a real Envoy verifies before the filter, as istiod has it do for a
//! RequestAuthentication; and what reading their claims costs.

use std::sync::{Arc, LazyLock};

use e2e::envoy::{Waypoint, WaypointOptions, filter_wasm};
use e2e::host::{HostOptions, Module, Request as Emulated, Response, Usage, Vm};
use e2e::http1::Request;
use e2e::manifests;
use e2e::origin::{Mode, Origin};
use e2e::pki::{Pki, TEAM_A_SPIFFE_ID};
use e2e::tokens::{self, Issuer};
use egress_filter::request::jwt;
use serde_json::{Map, Value, json};

const STAFF: Issuer =
    Issuer { name: Some("https://staff.example"), key: b"the key of the issuer of staff's tokens" };
const PARTNERS: Issuer =
    Issuer { name: Some("https://partners.example"), key: b"the key of the issuer of partners'" };
/// 2100-01-01 and 2001-09-09.
const LATER: u64 = 4_102_444_800;
const PAST: u64 = 1_000_000_000;
/// Where Envoy looks for a token in a query.
const IN_QUERY: &str = "access_token";

fn claims(value: Value) -> Map<String, Value> {
    value.as_object().expect("claims").clone()
}

/// Staff may read; partners may too, if their token says so; nobody without a token.
fn policies() -> Value {
    let allow = |name: &str, expression: &str| {
        let rule = json!({"policy": {"matchExpressions": [expression]}});
        json!({"name": name, "hosts": ["api.github.com"], "traffic": {"authorization": rule}})
    };
    let mut told = allow("staff", "jwt.iss == 'https://staff.example' && jwt.sub != 'mallory'");
    told["traffic"]["transformation"] =
        json!({"request": {"set": [{"name": "x-user", "value": "jwt.sub"}]}});
    let partners = "jwt.iss == 'https://partners.example' && jwt.plan in ['gold', 'silver']";
    json!({"defaultAction": "Deny", "policies": [told, allow("partners", partners)]})
}

struct Setup {
    origin: Origin,
    waypoint: Waypoint,
}

fn start() -> Setup {
    start_with(false)
}

/// With `forwardOriginalToken: true`, or without.
fn start_with(forwards: bool) -> Setup {
    start_of(&policies(), &[STAFF, PARTNERS], forwards)
}

fn start_of(configuration: &Value, issuers: &[Issuer], forwards: bool) -> Setup {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
    let options = WaypointOptions::new(&pki, origin.port())
        .wasm(filter_wasm())
        .plugin_configuration(configuration.to_string())
        .edit(tokens::verify(issuers))
        .edit(move |envoy| forward(envoy, forwards));
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setup { origin, waypoint }
}

/// Has each provider leave the token in the request, or take it out.
fn forward(value: &mut Value, forwards: bool) {
    match value {
        Value::Object(object) => {
            if object.contains_key("local_jwks") {
                object.insert("forward".to_owned(), json!(forwards));
            }
            object.values_mut().for_each(|value| forward(value, forwards));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| forward(value, forwards)),
        _ => {}
    }
}

impl Setup {
    /// The status that a request with this token gets, and the user that the origin is told.
    async fn ask(&self, token: Option<&str>) -> (u16, Vec<String>) {
        self.ask_at("/zen", token).await
    }

    async fn ask_at(&self, path: &str, token: Option<&str>) -> (u16, Vec<String>) {
        self.ask_for("api.github.com", path, token).await
    }

    async fn ask_for(&self, host: &str, path: &str, token: Option<&str>) -> (u16, Vec<String>) {
        let mut request = Request::get(host, path).header("x-user", "root");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let client = self.waypoint.caller(TEAM_A_SPIFFE_ID);
        let vip = self.waypoint.vip(host);
        let response = client.request(&vip, &request).await.expect("an answer");
        let received = self.origin.take_requests();
        assert_eq!(received.len(), usize::from(response.status == 200));
        for request in &received {
            assert!(!request.target.contains(IN_QUERY), "the origin gets no token: {path}");
            // As for `forwardOriginalToken: false`, which is Istio's default.
            assert!(request.values("authorization").is_empty(), "the origin gets no token");
        }
        let users = received.iter().flat_map(|request| request.values("x-user"));
        (response.status, users.collect())
    }
}

#[tokio::test]
async fn the_rules_see_the_claims_of_verified_tokens_only() {
    let setup = start();
    let ann = claims(json!({"iss": STAFF.name, "sub": "ann", "exp": LATER}));
    let with = |more: Value| {
        let mut all = ann.clone();
        all.extend(claims(more));
        all
    };
    let user = |name: &str| vec![name.to_owned()];
    let good = STAFF.token(&ann);
    assert_eq!(setup.ask(Some(&good)).await, (200, user("ann")));
    // No token: Envoy lets it pass, and the rules do not.
    assert_eq!(setup.ask(None).await.0, 403);

    // Envoy answers these itself.
    let other_key = PARTNERS.token(&ann);
    let expired = STAFF.token(&with(json!({"exp": PAST})));
    let not_yet = STAFF.token(&with(json!({"nbf": LATER})));
    let unknown = STAFF.token(&with(json!({"iss": "https://unknown.example"})));
    let unsigned = good.rsplit_once('.').expect("a signature").0.to_owned() + ".";
    // The claims of one token with the signature of another.
    let mallory = STAFF.token(&with(json!({"sub": "root"})));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (changed, signed) = (parts(&mallory), parts(&good));
    let changed = format!("{}.{}.{}", signed[0], changed[1], signed[2]);
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.";
    for (what, token) in [
        ("another issuer's key", other_key.as_str()),
        ("expired", &expired),
        ("not valid yet", &not_yet),
        ("an issuer that is not known", &unknown),
        ("no signature", &unsigned),
        ("changed claims", &changed),
        ("alg none", none),
        ("no token at all", "abc"),
    ] {
        assert_eq!(setup.ask(Some(token)).await, (401, Vec::new()), "{what}");
    }

    // Each issuer's tokens are for its own rule.
    let partner = |plan: &str| {
        let iss = PARTNERS.name;
        PARTNERS.token(&claims(json!({"iss": iss, "sub": "bob", "plan": plan, "exp": LATER})))
    };
    assert_eq!(setup.ask(Some(&partner("gold"))).await, (200, user("bob")));
    assert_eq!(setup.ask(Some(&partner("bronze"))).await.0, 403);
    assert_eq!(setup.ask(Some(&STAFF.token(&with(json!({"sub": "mallory"}))))).await.0, 403);
    // A claim that a rule needs and a token lacks.
    let iss = json!({"iss": PARTNERS.name, "exp": LATER});
    assert_eq!(setup.ask(Some(&PARTNERS.token(&claims(iss)))).await.0, 403);
    // As deep as no rule reads: nothing of the token can be read.
    let deep = (0..40).fold(json!(1), |deep, _| json!([deep]));
    assert_eq!(setup.ask(Some(&STAFF.token(&with(json!({"deep": deep}))))).await.0, 403);
}

/// The rule of `filter-config/with-tokens/`, with its issuer.
#[tokio::test]
async fn the_step_with_tokens_asks_for_a_group_of_its_issuer() {
    const FILE: &str = "with-tokens/12-tokens.yaml";
    let of_file: Vec<_> = manifests::all().into_iter().filter(|one| one.file == FILE).collect();
    let [authentication, plugin] = &of_file[..] else { panic!("{FILE}: two resources") };
    let rule = &authentication.value["spec"]["jwtRules"][0];
    let samples = Issuer { name: Some("testing@secure.istio.io"), ..STAFF };
    assert_eq!(rule["issuer"].as_str(), samples.name);
    assert_eq!(rule["fromHeaders"], json!([{"name": "Authorization", "prefix": "Bearer "}]));
    assert_eq!(plugin.value["spec"]["phase"], "AUTHZ");
    let configuration = plugin.plugin_configuration().expect("a configuration");
    let setup = start_of(configuration, &[samples, PARTNERS], false);
    let token = |issuer: &Issuer, groups: Value| {
        issuer.token(&claims(
            json!({"iss": issuer.name, "sub": "ann", "exp": LATER, "groups": groups}),
        ))
    };
    let ask = async |token: Option<&str>| setup.ask_for("httpbingo.org", "/headers", token).await;
    let member = token(&samples, json!(["group1", "group2"]));
    assert_eq!(ask(Some(&member)).await, (200, vec!["ann".to_owned()]));
    for (what, token) in [
        ("no token", None),
        ("another group", Some(token(&samples, json!(["group2"])))),
        ("another issuer", Some(token(&PARTNERS, json!(["group1"])))),
    ] {
        assert_eq!(ask(token.as_deref()).await, (403, Vec::new()), "{what}");
    }
    // The other hosts are as they were.
    assert_eq!(setup.ask(None).await.0, 200);
}

/// Where RequestAuthentication names no place, Envoy looks into the query too. It takes a right
/// token out of it, and tells the claims of the one in the header; what it leaves there makes `jwt`
/// one that cannot be read: the origin would get a token of which the rules know nothing.
#[tokio::test]
async fn a_token_in_the_query_is_no_way_around_the_rules() {
    let ann = claims(json!({"iss": STAFF.name, "sub": "ann", "exp": LATER}));
    let with = |more: Value| {
        let mut all = ann.clone();
        all.extend(claims(more));
        STAFF.token(&all)
    };
    let good = STAFF.token(&ann);
    let others = [
        ("garbage", "abc".to_owned()),
        ("the same", good.clone()),
        ("another user's", with(json!({"sub": "mallory"}))),
        ("expired", with(json!({"exp": PAST}))),
        ("of an unknown issuer", with(json!({"iss": "https://unknown.example"}))),
    ];
    for forwards in [false, true] {
        let setup = start_with(forwards);
        for (what, other) in &others {
            for name in [IN_QUERY, "access%5ftoken", "a=b&access_token"] {
                let path = format!("/zen?{name}={other}");
                for token in [Some(good.as_str()), None] {
                    // `ask_at` looks at what came to the origin.
                    let (status, users) = setup.ask_at(&path, token).await;
                    let taken_out = !forwards && users == ["ann"];
                    let refused = matches!(status, 401 | 403) && users.is_empty();
                    assert!(taken_out || refused, "{what}, {path}: {status}, {users:?}");
                }
            }
        }
    }
    // What only looks like it is a token to nobody.
    let asked = start().ask_at("/zen?token=abc&x=y", Some(&good)).await;
    assert_eq!(asked, (200, vec!["ann".to_owned()]));
}

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module::load(filter_wasm()).unwrap_or_else(|error| panic!("{error}: run `make wasm` first"))
});

/// What the second request takes under an Allow of each of these expressions.
fn usage(expressions: &[&str], token: &Value) -> Usage {
    let options = HostOptions { canary: false, ..HostOptions::default() };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    let rule = json!({"match": "All", "policy": {"matchExpressions": expressions}});
    let policy = json!({"name": "p", "traffic": {"authorization": rule}});
    let config = json!({"policies": [policy], "audit": {"log": "None"}});
    assert!(vm.configure(config.to_string()).accepted, "{:?}", vm.logs());
    let metadata = jwt::metadata(&claims(token.clone())).expect("metadata");
    let mut usage = None;
    for _ in 0..2 {
        let request = Emulated::new("GET", "a.example", "/")
            .property(&["metadata"], metadata.as_slice())
            .peer_principal(TEAM_A_SPIFFE_ID);
        let result = vm.stream(request).run(Response::new(200));
        assert!(result.local_response.is_none(), "{expressions:?} denies");
        usage = Some(result.usage);
    }
    usage.expect("two requests")
}

#[test]
fn claims_cost_one_host_call_where_they_are_read_and_nothing_elsewhere() {
    let token = json!({"iss": "https://staff.example", "sub": "ann", "exp": LATER, "iat": PAST,
        "groups": ["dev", "ops"], "realm_access": {"roles": ["user", "admin"]}});
    let method = "request.method == 'GET'";
    let without = usage(&[method], &token);
    let once = usage(&[method, "jwt.sub == 'ann'"], &token);
    let often = usage(&[method, "jwt.sub == 'ann'", "'dev' in jwt.groups", "has(jwt.iss)"], &token);
    for (what, with) in [("once", &once), ("three times", &often)] {
        println!("{what}: {} instructions more", with.fuel - without.fuel);
        assert_eq!(with.total_calls() - without.total_calls(), 1, "{what}");
    }
    // What `docs/expressions.md` says.
    assert!(once.fuel - without.fuel <= 24_500, "{}", once.fuel - without.fuel);
}
