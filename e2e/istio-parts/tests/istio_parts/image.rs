//! What the agent makes of an image that is not the one with that digest.

use e2e::http1::Request;
use e2e::pki::TEAM_A_SPIFFE_ID;

use crate::setting::Setting;

const HOST: &str = "api.github.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_on_an_update_refuses_every_request_until_it_is_put_right() {
    let setting = Setting::start();
    for file in ["01-setup.yaml", "02-egress-direct.yaml", "03-policy-rbac.yaml"] {
        setting.apply(file);
    }
    let agent = setting.agent();
    let address = setting.vip("github-api");
    let is_module = |now: &std::collections::BTreeMap<&str, serde_json::Value>| {
        now["extensions"].to_string().contains(".wasm")
    };
    setting
        .cluster
        .wait_for("the plugin", |_| {
            agent.resources("extensions").filter(|found| found.to_string().contains(".wasm"))
        })
        .unwrap_or_else(|error| panic!("{error}\n{}", agent.log()));
    let mut waypoint = setting.waypoint(&agent);
    let zen = Request::get(HOST, "/zen");
    let client = waypoint.caller(TEAM_A_SPIFFE_ID);
    assert_eq!(client.request(&address, &zen).await.expect("an answer").status, 200);

    let good = std::fs::read_to_string(setting.file("03-policy-rbac.yaml")).expect("a file");
    let bad = good
        .replace(&setting.sha256, &"1".repeat(64))
        // Istio fetches anew where the resource's version has changed.
        .replace("imagePullPolicy: IfNotPresent", "imagePullPolicy: Always");
    setting.cluster.apply(&bad).expect("it is no error of form");
    waypoint
        .update(&agent, "a refusal", |now| !is_module(now))
        .unwrap_or_else(|error| panic!("{error}\n{}", agent.log()));
    let response = client.request(&address, &zen).await.expect("an answer");
    assert_eq!((response.status, &*response.text()), (403, "RBAC: access denied"));
    let log = agent.log();
    assert!(log.contains("applying deny RBAC filter"), "{log}");
    assert!(log.contains(&setting.sha256), "the agent names the digest that it found: {log}");

    setting.cluster.apply(&good).expect("applied");
    waypoint
        .update(&agent, "the plugin again", is_module)
        .unwrap_or_else(|error| panic!("{error}\n{}", agent.log()));
    assert_eq!(client.request(&address, &zen).await.expect("an answer").status, 200);
}
