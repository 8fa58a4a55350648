//! What the dashboard and the alerts of step 8 ask for is what a waypoint tells, with no more
//! statistics than Istio lets it.
//!
//! PromQL as such is not parsed here: the crate that does it would turn on features of `regex` that
//! the engine does without. After a change have `promtool check rules` read the text of
//! `egress-filter.rules.yaml`, and each panel's query as a recording rule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::ecds::{NAMES, PluginFile};
use e2e::envoy::{Pod, Waypoint, WaypointOptions, filter_wasm};
use e2e::http1::Request;
use e2e::manifests;
use e2e::origin::{Mode, Origin, Reaction, Service};
use e2e::pki::Pki;
use egress_filter::counters::{Counter, PLUGIN_TAG, POLICY_TAG};
use regex_lite::Regex;
use serde_json::{Value, json};

/// Metrics of Istio's own filter and of its agent (pkg/wasm/monitoring.go of istio/istio), which
/// Envoy as such has not.
const ISTIOS_OWN: [&str; 4] = [
    "istio_requests_total",
    "istio_request_duration_milliseconds_bucket",
    "istio_agent_wasm_remote_fetch_count",
    "istio_agent_wasm_config_conversion_count",
];

/// The cluster of a service that is asked about requests.
const ASKED: &str = "outbound|8080||authz.platform.svc.cluster.local";

/// A waypoint that takes the plugin's configuration from a file, as Istio's takes it from the
/// agent.
struct Setting {
    _origin: Origin,
    _service: Service,
    waypoint: Waypoint,
    plugin: PluginFile,
}

impl Setting {
    fn start(names: (&str, &str), configuration: &Value) -> Self {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
        let mut plugin = PluginFile::new(&filter_wasm()).expect("a plugin").called(names);
        plugin.publish(&configuration.to_string()).expect("a file");
        let service = Service::start(|call| match call.target.as_str() {
            "/repos/asked/never" => Reaction::never(),
            _ => Reaction::answer(200, &[], ""),
        })
        .expect("the service starts");
        let options = WaypointOptions::new(&pki, origin.port())
            .cluster(ASKED, Some(service.port()))
            .edit(plugin.attach())
            .edit(|envoy| {
                envoy["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"] = included();
            });
        let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
        Setting { _origin: origin, _service: service, waypoint, plugin }
    }

    async fn status(&self, pod: Pod, target: &str) -> u16 {
        let request = Request::get("api.github.com", target);
        self.waypoint
            .pod_request(pod, "api.github.com", &request)
            .await
            .unwrap_or_else(|error| panic!("{target}: {error}"))
            .status
    }

    /// Each metric with its value, once there is one of this name and value.
    fn metrics_with(&self, name: &str, value: &str) -> Vec<(String, String)> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text =
                self.waypoint.process().admin("/stats/prometheus").expect("Envoy's statistics");
            let metrics: Vec<(String, String)> = text
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| {
                    Some((
                        line.split(['{', ' ']).next()?.to_owned(),
                        line.rsplit_once(' ')?.1.to_owned(),
                    ))
                })
                .collect();
            if metrics.iter().any(|metric| *metric == (name.to_owned(), value.to_owned())) {
                return metrics;
            }
            assert!(Instant::now() < deadline, "no {name} {value} in\n{text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What Istio's bootstrap always lets through, as far as it begins with a word; and what the
/// waypoint's annotation adds.
fn included() -> Value {
    let gateway = manifests::all()
        .into_iter()
        .find(|manifest| manifest.kind() == "Gateway")
        .expect("the waypoint");
    let added = gateway.value["metadata"]["annotations"]["sidecar.istio.io/statsInclusionPrefixes"]
        .as_str()
        .expect("prefixes")
        .to_owned();
    let always = ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"];
    always.into_iter().chain(added.split(',')).map(|prefix| json!({"prefix": prefix})).collect()
}

/// The policies of the last step, with one more that is on trial, one that errs, one that asks a
/// service, and one that would ask one which is not there.
fn configuration() -> Value {
    let step = manifests::all()
        .into_iter()
        .find(|manifest| manifest.file == "05-policy-headers.yaml")
        .expect("step 5");
    let mut configuration = step.plugin_configuration().expect("a plugin").clone();
    let rule = |name: &str, mode: &str, expression: &str| {
        let authorization = json!({"action": "Deny", "policy": {"matchExpressions": [expression]}});
        json!({"name": name, "mode": mode, "traffic": {"authorization": authorization}})
    };
    let policies = configuration["policies"].as_array_mut().expect("policies");
    policies.push(rule("on-trial", "Shadow", r#"request.path == "/zen""#));
    policies.push(rule(
        "errs",
        "Enforce",
        r#"request.path == "/repos/a/b" && request.headers["x-none"] == "1""#,
    ));
    let asks = |name: &str, cluster: &str, path: &str| {
        json!({"name": name, "traffic": {"extAuth": {"conditional": [{
            "condition": format!("request.path.startsWith('{path}')"),
            "policy": {
                "cluster": cluster,
                "host": "authz.example",
                "failureMode": "FailOpen",
                "http": {},
                "cache": {"key": ["request.path"], "ttl": "1m"},
            },
        }]}}})
    };
    policies.push(asks("asks", ASKED, "/repos/asked"));
    policies.push(asks("asks-nobody", "outbound|8080||nobody.example", "/repos/unasked"));
    // The service speaks no gRPC, so that this call fails.
    policies.push(json!({"name": "counts", "traffic": {"rateLimit": {"conditional": [{
        "condition": "request.path == '/repos/counted'",
        "policy": {"global": {
            "cluster": ASKED,
            "host": "limits.example",
            "failureMode": "FailOpen",
            "domain": "egress",
            "descriptors": [{"entries": [{"name": "path", "expression": "request.path"}]}],
        }},
    }]}}}));
    configuration
}

/// Every query of step 8: of the dashboard's panels, and of the alerts.
fn queries() -> Vec<String> {
    let is_of_the_step = |manifest: &manifests::Manifest| {
        manifest.kind() == "ConfigMap" && manifest.file.starts_with("08-")
    };
    let files = manifests::all().into_iter().filter(is_of_the_step);
    let mut found = Vec::new();
    for manifest in files {
        for (name, text) in manifest.value["data"].as_object().expect("data") {
            let text = text.as_str().expect("a text");
            let before = found.len();
            match name.rsplit_once('.').map(|(_, extension)| extension) {
                Some("json") => collect(
                    &serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}")),
                    &mut found,
                ),
                Some("yaml") => manifests::parse(text)
                    .unwrap_or_else(|error| panic!("{name}: {error}"))
                    .iter()
                    .for_each(|one| collect(one, &mut found)),
                _ => panic!("{name} is neither JSON nor YAML"),
            }
            assert!(found.len() > before, "{name} has no query");
        }
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    _ => collect(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// A subquery without a step takes Prometheus' own, a minute, and in a window of a minute finds one
/// value at most.
#[test]
fn every_subquery_has_a_step() {
    let range = Regex::new(r"\[[^\]]*:([^\]]*)\]").expect("a pattern");
    let mut subqueries = 0;
    for query in queries() {
        for found in range.captures_iter(&query) {
            assert_eq!(&found[1], "15s", "{query}");
            subqueries += 1;
        }
    }
    assert!(subqueries > 0, "there is none");
}

#[tokio::test]
async fn the_queries_name_metrics_of_a_wasm_plugin_before_istio_1_30() {
    assert_queries_name_metrics(NAMES[0]).await;
}

#[tokio::test]
async fn the_queries_name_metrics_of_a_wasm_plugin() {
    assert_queries_name_metrics(NAMES[1]).await;
}

#[tokio::test]
async fn the_queries_name_metrics_of_a_traffic_extension() {
    assert_queries_name_metrics(NAMES[2]).await;
}

async fn assert_queries_name_metrics(names: (&str, &str)) {
    let mut setting = Setting::start(names, &configuration());
    assert_eq!(setting.status(Pod::TeamA, "/zen").await, 200);
    assert_eq!(setting.status(Pod::TeamA, "/users/x").await, 403);
    assert_eq!(setting.status(Pod::TeamA, "/repos/a/b").await, 403);
    for path in
        ["/repos/asked", "/repos/asked", "/repos/asked/never", "/repos/unasked", "/repos/counted"]
    {
        setting.status(Pod::TeamA, path).await;
    }
    setting.plugin.publish("{}}").expect("a file");
    setting.metrics_with("egress_config_refused_update", "1");
    let metrics = setting.metrics_with("egress_callouts", "4");
    let told: BTreeSet<&str> = metrics.iter().map(|(name, _)| name.as_str()).collect();

    let pattern = Regex::new(r#"__name__=~"([^"]+)""#).expect("a pattern");
    let kept = Regex::new(r#""__name__", "([^"]+)""#).expect("a pattern");
    let whole = |pattern: &str| {
        Regex::new(&format!("^(?:{pattern})$")).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    };
    let word = Regex::new(r"\b[a-z_]+_[a-z_]+\b").expect("a pattern");
    let quoted = Regex::new(r#""[^"]*""#).expect("a pattern");
    // Words that are no metrics: functions, labels, and Grafana's variables.
    let others = [
        "count_values",
        "destination_service_name",
        "histogram_quantile",
        "label_replace",
        "__name__",
        "__rate_interval",
        "__range",
        "source_principal",
        "response_code",
        POLICY_TAG,
        PLUGIN_TAG,
    ];
    // What nothing in this waypoint brings forth.
    let never = [
        Counter::InternalErrors,
        Counter::IgnoredAnswers,
        Counter::Answered,
        Counter::RateLimited,
        Counter::TokenFetches,
        Counter::TokenFetchFailures,
    ]
    .map(|never| never.name(None));
    let mut asked = BTreeSet::new();
    for query in queries() {
        let mut names = BTreeSet::new();
        let labelled: Vec<Regex> =
            kept.captures_iter(&query).map(|captures| whole(&captures[1])).collect();
        for captures in pattern.captures_iter(&query) {
            let wanted = whole(&captures[1]);
            let matched: Vec<&&str> = told.iter().filter(|name| wanted.is_match(name)).collect();
            assert!(!matched.is_empty(), "no metric like {wanted} for {query}");
            // A name that is kept as a label is that of each of them.
            for name in matched.iter().filter(|_| !labelled.is_empty()) {
                assert!(
                    labelled.iter().any(|pattern| pattern.is_match(name)),
                    "{query} puts no label on {name}"
                );
            }
            names.insert(captures[1].to_owned());
        }
        for name in word.find_iter(&quoted.replace_all(&query, "")).map(|found| found.as_str()) {
            if !others.contains(&name) {
                assert!(
                    told.contains(name)
                        || ISTIOS_OWN.contains(&name)
                        || never.contains(&name.to_owned()),
                    "no metric {name} for {query}"
                );
                names.insert(name.to_owned());
            }
        }
        assert!(!names.is_empty(), "{query} asks for nothing");
        asked.append(&mut names);
    }
    // All that is counted is shown.
    for counter in Counter::ALL {
        let name = counter.name(None);
        let of_policies = name.replacen("egress_", "egress_policy_", 1);
        assert!(asked.contains(&name) || asked.contains(&of_policies), "nothing asks for {name}");
    }
}

/// Three policies whose names are one where only letters, digits and `_` count, in two plugins,
/// each with its own counters.
#[tokio::test]
async fn policies_and_plugins_are_told_apart_by_labels() {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Echo, 0).expect("the origin starts");
    let policy = |name: &str, path: &str| {
        let expression = format!("request.path == '{path}'");
        let authorization = json!({"action": "Deny", "policy": {"matchExpressions": [expression]}});
        json!({"name": name, "mode": "Shadow", "traffic": {"authorization": authorization}})
    };
    let configuration =
        json!({"policies": [policy("p.a", "/a"), policy("p-a", "/b"), policy("p_a", "/c")]});
    let options = WaypointOptions::new(&pki, origin.port())
        .plugin_configuration(configuration.to_string())
        .edit(|envoy| {
            let listeners =
                envoy["static_resources"]["listeners"].as_array_mut().expect("listeners");
            let main = listeners
                .iter_mut()
                .find(|listener| listener["name"] == "main_internal")
                .expect("main_internal");
            for chain in main["filter_chains"].as_array_mut().expect("chains") {
                let filters = chain["filters"][0]["typed_config"]["http_filters"]
                    .as_array_mut()
                    .expect("filters");
                let mut second = filters[0].clone();
                second["name"] = json!("second");
                second["typed_config"]["config"]["name"] = json!("egress-direct.second~x");
                filters.insert(0, second);
            }
        });
    let waypoint = Waypoint::start(options).unwrap_or_else(|error| panic!("{error}"));
    for (path, times) in [("/a", 1), ("/b", 2), ("/c", 3)] {
        for _ in 0..times {
            let request = Request::get("api.github.com", path);
            let response = waypoint
                .pod_request(Pod::TeamA, "api.github.com", &request)
                .await
                .expect("an answer");
            assert_eq!(response.status, 200, "{path}");
        }
    }
    let mut expected = BTreeSet::new();
    for plugin in ["egress-direct.egress-filter", "egress-direct.second~x"] {
        for (policy, times) in [("p.a", 1), ("p-a", 2), ("p_a", 3)] {
            let labels = format!("{PLUGIN_TAG}=\"{plugin}\",{POLICY_TAG}=\"{policy}\"");
            expected.insert(format!("egress_policy_shadow_denied{{{labels}}} {times}"));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = waypoint.process().admin("/stats/prometheus").expect("Envoy's statistics");
        let told: BTreeSet<String> = text
            .lines()
            .filter(|line| line.starts_with("egress_policy"))
            .map(|line| {
                let (name, rest) = line.split_once('{').expect("labels");
                let (labels, value) = rest.split_once("} ").expect("a value");
                let sorted: BTreeSet<&str> = labels.split(',').collect();
                format!("{name}{{{}}} {value}", sorted.into_iter().collect::<Vec<_>>().join(","))
            })
            .collect();
        if told == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{told:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Where that is not so, they would be one: the log says it of the second and the third.
    let warned = waypoint
        .log_lines()
        .into_iter()
        .filter(|line| line.contains("both are `p_a` there"))
        .count();
    assert!(warned >= 2, "{warned}");
}

/// The alert for it looks at these two. What the filter counts itself is gone with its VM, soon.
#[test]
fn a_first_configuration_that_is_refused_shows_in_envoys_own_statistics() {
    for names in NAMES {
        let setting = Setting::start(names, &json!({"policies": 1}));
        let filter = names.0.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
        let name = |what: &str| {
            format!("envoy_extension_config_discovery_http_filter_{filter}_update_{what}")
        };
        let metrics = setting.metrics_with(&name("rejected"), "1");
        assert!(metrics.contains(&(name("success"), "0".to_owned())), "{filter}");
    }
}
