//! Broken updates under load, and a broken first load.

use e2e::ecds::PLUGIN;
use e2e::envoy::Pod;
use serde_json::{Value, json};

use crate::callers::Callers;
use crate::load::Load;
use crate::setting::Setting;
use crate::versions::version;

/// A configuration that must not load, and each of its errors: the policy, the place, the message.
type Broken =
    (&'static str, &'static str, &'static [(Option<&'static str>, &'static str, &'static str)]);

const BROKEN: [Broken; 4] = [
    (
        "cut off",
        r#"{"policies": ["#,
        &[(None, "", "not valid JSON: EOF while parsing a list at line 1 column 14")],
    ),
    (
        "two wrong policies",
        r#"{"policies": [
            {"name": "p", "traffic": {"authorization": {
                "action": "Allow", "policy": {"matchExpressions": ["nope"]}}}},
            {"name": "q", "traffic": {"authorization": {
                "action": "Permit", "policy": {"matchExpressions": ["true"]}}}}
        ]}"#,
        &[
            (
                Some("q"),
                "policies[1].traffic.authorization.action",
                "unknown value `Permit`: expected `Allow`, `Deny`, `Require`",
            ),
            (
                Some("p"),
                "policies[0].traffic.authorization.policy.matchExpressions[0]",
                "line 1, column 1: unknown attribute `nope`: expected one of `source`, `request`, \
                 `destination`, `extauthz`, `jwt`, or a text in quotes",
            ),
        ],
    ),
    (
        "empty",
        "",
        &[(
            None,
            "",
            "the configuration is empty: give `policies`, an empty list if there are none yet",
        )],
    ),
    ("without policies", "{}", &[(None, "", "field `policies` is missing")]),
];

const FIRST: &str = "every request is refused until a good one comes";
const UPDATE: &str = "the last good configuration stays in force";

/// The filter's records of configurations that it refused.
fn refusals(setting: &Setting) -> Vec<Value> {
    let lines = setting.waypoint.log_lines();
    let records = lines.iter().filter_map(|line| {
        serde_json::from_str(line.get(line.find("{\"event\":\"egress-configuration\"")?..)?).ok()
    });
    records.filter(|record: &Value| record["verdict"] == "refused").collect()
}

/// Checks that a refusal was told whole: every error in a line of its own, and all in one record.
fn assert_told(setting: &Setting, (what, _, errors): Broken, consequence: &str, count: usize) {
    for (policy, place, message) in errors {
        let policy = policy.map(|policy| format!("policy `{policy}`: ")).unwrap_or_default();
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        let line = format!("egress filter: configuration error: {policy}{place}{message}");
        assert_eq!(setting.logged(&line), count, "{what}: `{line}`\n{}", setting.log());
    }
    let line =
        format!("egress filter: configuration refused, errors: {}; {consequence}", errors.len());
    assert!(setting.logged(&line) >= 1, "{what}: `{line}`\n{}", setting.log());
    let expected: Vec<Value> = errors
        .iter()
        .map(|(policy, place, message)| {
            json!({
                "policy": policy,
                "place": place,
                "message": message,
            })
        })
        .collect();
    let recorded =
        refusals(setting).into_iter().filter(|record| record["errors"] == json!(expected)).count();
    assert_eq!(recorded, count, "{what}: {:?}", refusals(setting));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_update_leaves_the_last_good_policies_in_force_and_is_told() {
    let mut setting = Setting::start(&version(1));
    let load = Load::start(&setting, 1).await;
    let mut rejected = 0;
    for broken in BROKEN {
        setting.publish(broken.1);
        rejected += 1;
        setting.until(broken.0, |setting| setting.updates("update_rejected") == rejected).await;
        load.rounds(&setting, 40).await;
        assert_told(&setting, broken, UPDATE, 1);
        assert_eq!(
            setting.statistics("egress_config_refused"),
            [("wasmcustom.egress_config_refused_update".to_owned(), rejected)]
        );
        assert_eq!(refusals(&setting).len() as u64, rejected);
    }
    assert_eq!((setting.logged(FIRST), setting.updates("update_success")), (0, 1));

    // Envoy remembers what it has tried: the same again is refused without asking the filter, which
    // so counts and logs nothing.
    setting.publish(BROKEN[0].1);
    rejected += 1;
    setting
        .until("the first one again", |setting| setting.updates("update_rejected") == rejected)
        .await;
    load.rounds(&setting, 40).await;
    assert_told(&setting, BROKEN[0], UPDATE, 1);

    // What Envoy itself cannot read never comes to the filter.
    setting.plugin.replace("{").expect("a file");
    setting.until("half a file", |setting| setting.updates("update_failure") == 1).await;
    load.rounds(&setting, 40).await;
    let unknown = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "nonsense": 1,
    });
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": PLUGIN,
        "typed_config": unknown,
    });
    for (what, resources) in [("no plugin at all", vec![]), ("an unknown field", vec![resource])] {
        setting.plugin.publish_resources(&resources).expect("a file");
        rejected += 1;
        setting.until(what, |setting| setting.updates("update_rejected") == rejected).await;
        load.rounds(&setting, 40).await;
    }

    for number in [2, 3] {
        load.expect(number);
        setting.publish(&version(number));
        load.until_in_force(&setting, number).await;
    }
    assert_eq!(setting.updates("update_success"), 3);
    let counts = load.stop(&setting).await;
    println!(
        "broken updates: {:?} requests by worker, of which {} denied; none failed",
        counts.decided, counts.denied
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_first_load_refuses_every_request_visibly_until_a_good_one_comes() {
    let mut setting = Setting::start(BROKEN[1].1);
    setting.until("the refusal", |setting| setting.updates("update_rejected") == 1).await;
    let callers = Callers::new(&setting.waypoint);
    let mut lines = callers.everywhere(&setting, 1).await;
    for (count, broken) in [BROKEN[1], BROKEN[2]].into_iter().enumerate() {
        if count > 0 {
            setting.publish(broken.1);
            setting.until(broken.0, |setting| setting.updates("update_rejected") == 2).await;
        }
        assert_told(&setting, broken, FIRST, 1);
        for line in &mut lines {
            for path in ["/zen", "/", "/load"] {
                let response = line.get(path).await;
                assert_eq!(
                    response.status,
                    500,
                    "{} on worker {}: {response:?}",
                    line.team.name(),
                    line.worker
                );
            }
        }
    }
    assert_eq!(setting.origin.requests(), [], "a request passed");
    // Envoy drops the statistics of a plugin that never came to be, the filter's own counter among
    // them; its own tell.
    assert_eq!(setting.statistics("egress_config_refused"), []);
    assert_eq!(setting.updates("update_success"), 0);

    setting.publish(&version(1));
    setting.until("the good one", |setting| setting.updates("update_success") == 1).await;
    for line in &mut lines {
        let expected = if line.team == Pod::TeamA { 200 } else { 403 };
        line.until(&setting, "/zen", expected).await;
    }
    let load = Load::start(&setting, 1).await;
    setting.publish(BROKEN[3].1);
    setting.until(BROKEN[3].0, |setting| setting.updates("update_rejected") == 3).await;
    load.rounds(&setting, 40).await;
    assert_told(&setting, BROKEN[3], UPDATE, 1);
    load.expect(2);
    setting.publish(&version(2));
    load.until_in_force(&setting, 2).await;
    load.stop(&setting).await;
    assert_eq!((setting.logged(FIRST), setting.updates("update_success")), (2, 2));
}
