#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::sync::Arc;

use super::*;
use crate::cel::meter::Allowance;
use crate::cel::{Expected, Expression, Scope, Variables};
use crate::identity::peer::Callers;
use crate::request::headers::Headers;
use crate::request::{Facts, Given};
use crate::tests::json;
use crate::tests::message::{Line, Scene};

fn scene() -> Scene<'static> {
    let lines: [Line<'_>; 9] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"API.GitHub.com.:80"),
        (b":path", b"/repos/a?x=1"),
        (b"x-team", b"a"),
        (b"x-list", b"one,two"),
        (b"x-request-id", b"42"),
        (b"x-bytes", b"\xff"),
        (b"x-team", b"b"),
    ];
    Scene {
        lines: lines.to_vec(),
        caller: b"spiffe://cluster.local/ns/team-a/sa/reader",
        service: b"inbound-vip|80|http|api.github.com",
        version: b"HTTP/1.1",
        addresses: [b"10.0.0.7:41000", b"240.240.0.1:80"],
        response: vec![(b":status", b"404"), (b"server", b"envoy")],
        ..Scene::default()
    }
}

fn rule(source: &str, scene: &Scene<'_>) -> Result<bool, String> {
    let rule =
        Expression::compile(Scope::of(&TABLE), source, Phase::Request, Expected::Rule).unwrap();
    scene.view(Phase::Request, |view| rule.matches(view, &Allowance::whole()))
}

#[test]
fn attributes_are_what_came() {
    for source in [
        r#"source.identity.trustDomain == "cluster.local""#,
        r#"source.identity.namespace == "team-a" && source.identity.serviceAccount == "reader""#,
        r#"source.spiffeId == "spiffe://cluster.local/ns/team-a/sa/reader""#,
        r#"source.address == "10.0.0.7" && source.port == 41000"#,
        r#"destination.address == "240.240.0.1" && destination.port == 80"#,
        r#"destination.hostname == "api.github.com""#,
        r#"request.method == "GET" && request.scheme == "http" && request.version == "HTTP/1.1""#,
        r#"request.host == "api.github.com""#,
        r#"request.path == "/repos/a" && request.pathAndQuery == "/repos/a?x=1""#,
        r#"request.id == "42""#,
        r#"request.headers["x-team"] == "a" && request.headers["X-Team"] == "a""#,
        r#"request.headers.host == "API.GitHub.com.:80""#,
        r#"request["path"] == "/repos/a""#,
        r#""x-team" in request.headers && !("x-none" in request.headers)"#,
        "has(request.headers.host) && !has(request.headers.none) && has(source.identity)",
        r#"request.headers.exists(n, n == "x-list" && request.headers[n].contains("two"))"#,
        r#"size(request.headers) == 5 && request.headers.all(name, name != ":path")"#,
    ] {
        assert_eq!(rule(source, &scene()), Ok(true), "{source}");
    }
    let source = r#"response.headers.server + "/" + string(response.code)"#;
    let value =
        Expression::compile(Scope::of(&TABLE), source, Phase::Response, Expected::Header).unwrap();
    let found = scene().view(Phase::Response, |view| value.header_value(view, &Allowance::whole()));
    assert_eq!(found, Ok(b"envoy/404".to_vec()));
}

#[test]
fn a_view_has_what_was_said_before_it_was_made() {
    let mut variables = Variables::declare(["team".to_owned()]);
    // Long enough for its outcome to be kept.
    variables.define(&TABLE, "extauthz.?team.orValue('none').lowerAscii()").unwrap();
    let scope = Scope { table: &TABLE, variables: &variables };
    let value =
        Expression::compile(scope, "variables.team", Phase::Request, Expected::Header).unwrap();
    assert!(value.uses().attributes.contains(EXTAUTHZ));
    let source = Given::default();
    let facts = Facts::new(Headers::default(), &source);
    let callers = Callers::new(Vec::new(), Vec::new());
    let of = |view: &View<'_>| {
        String::from_utf8(value.header_value(view, &Allowance::whole()).unwrap()).unwrap()
    };
    assert_eq!(of(&View::new(&facts, &callers)), "none");
    assert_eq!(facts.extauthz(), None);
    for (said, team) in [(r#"{"team": "A"}"#, "a"), (r#"{"team": "B"}"#, "b"), ("{}", "none")] {
        facts.set_extauthz(Arc::new(json::data(said)));
        assert_eq!(facts.extauthz(), Some(Arc::new(json::data(said))));
        let view = View::new(&facts, &callers);
        assert_eq!([of(&view), of(&view)], [team, team], "{said}");
        // Also where headers were changed since.
        let changed = Headers::default();
        assert_eq!(of(&view.with_request(&changed)), team, "{said}");
    }
    facts.set_extauthz(Arc::new(Data::Text("no map".to_owned())));
    assert_eq!(of(&View::new(&facts, &callers)), "none");
}

#[test]
fn a_body_is_what_the_exchange_says_of_it() {
    let source = Given::default();
    let callers = Callers::new(Vec::new(), Vec::new());
    let response = Headers::default();
    let read = |facts: &Facts<'_>, source: &str| {
        let is_of_response = source.contains("response");
        let phase = if is_of_response { Phase::ResponseBody } else { Phase::RequestBody };
        let value = Expression::compile(Scope::of(&TABLE), source, phase, Expected::Header);
        let view = View::new(facts, &callers).with_response(&response);
        value.unwrap().header_value(&view, &Allowance::whole())
    };
    let facts = Facts::new(Headers::default(), &source);
    let missing = |name: &str| Err(format!("`{name}` is not there: it has not been read"));
    assert_eq!(read(&facts, "request.body"), missing("request.body"));
    assert_eq!(read(&facts, "response.body"), missing("response.body"));
    let facts = facts.with_body(Body::Read(b"a")).with_response_body(Body::Unreadable("it is cut"));
    assert_eq!(read(&facts, "request.body"), Ok(b"a".to_vec()));
    assert_eq!(
        read(&facts, "response.body"),
        Err("`response.body` cannot be read: it is cut".to_owned())
    );
    let facts = facts.with_response_body(Body::Read(b"b"));
    assert_eq!(read(&facts, "response.body"), Ok(b"b".to_vec()));
}

#[test]
fn an_error_names_what_is_not_there() {
    let nothing = Scene { lines: vec![(b":path", b"/")], ..Scene::default() };
    let other = Scene { caller: b"spiffe://a/other", ..nothing.clone() };
    for (source, scene, missing) in [
        ("source.identity.namespace == ''", &nothing, "identity"),
        ("source.identity.namespace == ''", &other, "identity"),
        ("source.spiffeId == ''", &nothing, "spiffeId"),
        ("source.port == 1", &nothing, "port"),
        ("request.host == ''", &nothing, "host"),
        ("destination.address == ''", &nothing, "address"),
    ] {
        assert_eq!(rule(source, scene), Err(format!("no such key: {missing}")), "{source}");
    }
    assert_eq!(rule("source.spiffeId == 'spiffe://a/other'", &other), Ok(true));
}

#[test]
fn the_engines_own_names_are_in_the_table() {
    for (id, expected) in [
        (IDENTITY, "source.identity"),
        (TRUST_DOMAIN, "source.identity.trustDomain"),
        (NAMESPACE, "source.identity.namespace"),
        (SERVICE_ACCOUNT, "source.identity.serviceAccount"),
        (SPIFFE_ID, "source.spiffeId"),
        (SOURCE_PORT, "source.port"),
        (METHOD, "request.method"),
        (SCHEME, "request.scheme"),
        (HOST, "request.host"),
        (PATH, "request.path"),
        (PATH_AND_QUERY, "request.pathAndQuery"),
        (VERSION, "request.version"),
        (REQUEST_HEADERS, "request.headers"),
        (REQUEST_ID, "request.id"),
        (DESTINATION_PORT, "destination.port"),
        (EXTAUTHZ, "extauthz"),
        (REQUEST_BODY, "request.body"),
        (RESPONSE_BODY, "response.body"),
    ] {
        assert_eq!(name(id), expected);
    }
    assert!(ROWS.len() <= 64, "a set of attributes has room for 64");
}

/// `BLESS=1` writes the table anew.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_page_has_the_table() {
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reading.md");
    const BEGIN: &str = "<!-- attributes -->\n";
    const END: &str = "<!-- /attributes -->";
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a marker before the table");
    let (table, behind) = rest.split_once(END).expect("a marker behind the table");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PAGE, [before, BEGIN, &markdown(), END, behind].concat()).unwrap();
        return;
    }
    assert_eq!(table, markdown(), "BLESS=1 writes it anew");
}

#[test]
fn names_of_other_systems_are_answered_with_those_of_this_one() {
    for (source, message) in [
        (
            "request.url_path == '/'",
            "unknown attribute `request.url_path`: here it is `request.path`",
        ),
        (
            "request.uri == '/'",
            "unknown attribute `request.uri`: here it is `request.pathAndQuery`",
        ),
        (
            "source.tls.identity == ''",
            "unknown attribute `source.tls`: here it is `source.spiffeId`",
        ),
        (
            "connection.uri_san_peer_certificate == ''",
            "unknown attribute `connection`: here it is `source.spiffeId`",
        ),
        (
            "request.query.contains('a')",
            "unknown attribute `request.query`: here it is `request.pathAndQuery.query(\"name\")`",
        ),
    ] {
        let scope = Scope::of(&TABLE);
        let errors =
            Expression::compile(scope, source, Phase::Request, Expected::Rule).unwrap_err();
        assert_eq!(errors[0].message, message, "{source}");
    }
    for (_, here) in ELSEWHERE {
        let name = here.split(['[', '(']).next().unwrap_or_default();
        let name = name.strip_suffix(".query").unwrap_or(name);
        assert!(TABLE.id(name).is_some(), "{here}");
    }
}
