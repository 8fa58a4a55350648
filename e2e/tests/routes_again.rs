//! What a rewrite does to Envoy's choice of a route, in a real Envoy: two routes of one service's
//! virtual host, each to an origin of its own.

use std::sync::Arc;

use e2e::envoy::{Pod, Waypoint, WaypointOptions};
use e2e::http1::Request;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use serde_json::{Value, json};

const HOST: &str = "api.github.com";

struct Setting {
    first: Origin,
    second: Origin,
    waypoint: Waypoint,
}

/// A waypoint whose routes say with a header which one was taken: `/v1`, `/v2` and
/// `tenant.example` each have one.
fn start() -> Setting {
    let pki = Arc::new(Pki::new());
    let start = || Origin::start(&pki, Mode::Echo, 0).expect("an origin starts");
    let (first, second) = (start(), start());
    let replace = |prefix: &str| {
        json!({"path": {"type": "ReplacePrefixMatch", "prefix": prefix,
            "replacePrefixMatch": "/v2"}})
    };
    let policies = json!({"policies": [
        {"name": "only-v1", "traffic": {"authorization": {"policy": {"matchExpressions": [
            r#"request.path.startsWith("/v1/") || request.path.startsWith("/tenant")"#]}}}},
        {"name": "path", "traffic": {"urlRewrite": {"conditional": [
            {"condition": r#"request.path.startsWith("/v1/moved")"#,
                "policy": replace("/v1/moved")},
            {"condition": r#"request.path.startsWith("/tenant")"#,
                "policy": {"hostname": "tenant.example"}},
        ]}}},
    ]});
    let port = second.port();
    let options = WaypointOptions::new(&pki, first.port())
        .plugin_configuration(policies.to_string())
        .edit(move |envoy| {
            let cluster = format!("inbound-vip|80|http|{HOST}");
            let clusters = envoy["static_resources"]["clusters"].as_array_mut().expect("clusters");
            let own = clusters.iter().find(|one| one["name"] == cluster.as_str());
            let mut other = own.expect("the service's cluster").clone();
            other["name"] = json!("second");
            other["load_assignment"]["cluster_name"] = json!("second");
            other["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                ["socket_address"]["port_value"] = json!(port);
            clusters.push(other);
            let hosts = virtual_hosts(envoy, &cluster).expect("the service's virtual hosts");
            let route = |name: &str, prefix: &str, cluster: &str| {
                json!({
                    "name": name,
                    "match": {"prefix": prefix},
                    "route": {"cluster": cluster, "timeout": "0s"},
                    "request_headers_to_add": [
                        {"header": {"key": "x-route", "value": name}}],
                })
            };
            let host = |name: &str, domain: &str, routes: Value| {
                json!({"name": name, "domains": [domain], "routes": routes})
            };
            let by_path = json!([
                route("v1", "/v1", &cluster),
                route("v2", "/v2", "second"),
                route("rest", "/", &cluster),
            ]);
            let by_host = json!([route("tenant", "/", "second")]);
            *hosts = json!([host("all", "*", by_path), host("own", "tenant.example", by_host)]);
        });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    Setting { first, second, waypoint }
}

/// The virtual hosts of which a route leads to this cluster.
fn virtual_hosts<'a>(value: &'a mut Value, cluster: &str) -> Option<&'a mut Value> {
    if value["virtual_hosts"][0]["routes"][0]["route"]["cluster"] == cluster {
        return value.get_mut("virtual_hosts");
    }
    match value {
        Value::Object(fields) => {
            fields.values_mut().find_map(|value| virtual_hosts(value, cluster))
        }
        Value::Array(items) => items.iter_mut().find_map(|value| virtual_hosts(value, cluster)),
        _ => None,
    }
}

impl Setting {
    /// Which origin got the request, by which route, and with which path and host.
    async fn ask(&self, path: &str) -> (&'static str, String, String, String) {
        let address = self.waypoint.pod_address(Pod::TeamA, HOST);
        let response = e2e::envoy::plain_request(address, &Request::get(HOST, path)).await;
        let response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let (first, second) = (self.first.take_requests(), self.second.take_requests());
        let (origin, received) = match (&first[..], &second[..]) {
            ([one], []) => ("first", one),
            ([], [one]) => ("second", one),
            other => panic!("{path}: {other:?}"),
        };
        let route = received.values("x-route").join(",");
        (origin, route, received.target.clone(), received.host.clone())
    }
}

fn went(
    origin: &'static str,
    route: &str,
    path: &str,
    host: &str,
) -> (&'static str, String, String, String) {
    (origin, route.to_owned(), path.to_owned(), host.to_owned())
}

#[tokio::test]
async fn a_rewritten_path_or_authority_takes_the_route_that_it_matches() {
    let setting = start();
    // What is not rewritten takes the route of its own path.
    assert_eq!(setting.ask("/v1/a").await, went("first", "v1", "/v1/a", HOST));
    // Rewritten to `/v2`, it does not take `/v1`'s any more; the rules saw `/v1`.
    assert_eq!(setting.ask("/v1/moved/a?b=c").await, went("second", "v2", "/v2/a?b=c", HOST));
    // A new authority takes the routes of the virtual host that has it.
    assert_eq!(
        setting.ask("/tenant/a").await,
        went("second", "tenant", "/tenant/a", "tenant.example")
    );
    // What the rules do not let through under its own path goes nowhere.
    let address = setting.waypoint.pod_address(Pod::TeamA, HOST);
    let denied = e2e::envoy::plain_request(address, &Request::get(HOST, "/v2/a")).await;
    assert_eq!(denied.expect("an answer").status, 403);
    assert_eq!(setting.first.take_requests().len() + setting.second.take_requests().len(), 0);
}
