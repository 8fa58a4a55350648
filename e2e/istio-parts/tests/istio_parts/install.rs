//! The install that is not the workshop.

use std::process::Command;

use e2e::http1::Request;
use istio_parts::{Said, part};

use crate::setting::{Setting, policies};

const HOST: &str = "api.stripe.com";

#[tokio::test(flavor = "multi_thread")]
async fn the_install_denies_by_default_and_is_highly_available() {
    let setting = Setting::start();
    let cluster = &setting.cluster;
    let folder = setting.file("install/example").display().to_string();
    let arguments = ["kustomize", "--load-restrictor", "LoadRestrictionsNone", &folder];
    let text = cluster.kubectl(&arguments, "").and_then(Said::output).expect("kustomize builds it");
    assert!(!text.contains("team-a"), "the workshop's teams are left out");
    cluster.apply(&text).expect("accepted");

    let agent = setting.agent();
    let deployment = cluster.get("egress-direct", "deployment", "egress").expect("a Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"];
    assert_eq!(spread.as_array().map(Vec::len), Some(2), "{deployment:#}");
    let budget = cluster.get("egress-direct", "pdb", "egress").expect("a PodDisruptionBudget");
    assert_eq!(budget["spec"]["minAvailable"], 1);

    let address = setting.vip("stripe");
    let ready = || {
        agent.resources("listeners").filter(|found| found.to_string().contains(HOST))?;
        agent.resources("extensions").filter(|found| policies(found) == ["payments-charges"])
    };
    cluster.wait_for("the configuration", |_| ready()).unwrap_or_else(|error| {
        panic!("{error}\n{}", agent.log());
    });
    let waypoint = setting.waypoint(&agent);
    let body = |status: u16| if status == 403 { "authorization failed" } else { "" };
    for (caller, path, status) in [
        ("payments", "/v1/charges", 404),
        ("payments", "/v1/refunds", 403),
        ("team-a", "/v1/charges", 403),
    ] {
        setting.origin.take_requests();
        let client = waypoint.caller(&format!("spiffe://cluster.local/ns/{caller}/sa/default"));
        let response =
            client.request(&address, &Request::get(HOST, path)).await.expect("an answer");
        // The stand-in knows no such path: 404 is the origin's.
        assert_eq!(response.status, status, "{caller} {path}");
        assert_eq!(setting.origin.take_requests().len(), usize::from(status == 404));
        assert!(response.text().contains(body(status)), "{caller} {path}");
    }
    who_may_do_what(&setting);
    what_istioctl_says(&setting, &text);
}

fn who_may_do_what(setting: &Setting) {
    for (group, what, answer) in [
        ("egress-policies", ["patch", "wasmplugin/egress-filter"], "yes"),
        ("egress-policies", ["create", "wasmplugins"], "no"),
        ("egress-policies", ["create", "serviceentries"], "no"),
        ("egress-hosts", ["create", "serviceentries"], "yes"),
        ("egress-hosts", ["patch", "wasmplugin/egress-filter"], "no"),
        ("egress-hosts", ["patch", "gateways"], "no"),
        ("egress-readers", ["get", "pods/log"], "yes"),
        ("egress-readers", ["get", "secrets"], "no"),
    ] {
        let who = ["--as", "somebody", "--as-group", group, "-n", "egress-direct"];
        let [verb, resource] = what;
        let (resource, subresource) = match resource.split_once("pods/") {
            Some((_, subresource)) => ("pods", Some(format!("--subresource={subresource}"))),
            None => (resource, None),
        };
        let mut arguments = vec!["auth", "can-i", verb, resource];
        arguments.extend(subresource.as_deref());
        arguments.extend(who);
        let said = setting.cluster.kubectl(&arguments, "").expect("kubectl runs");
        assert_eq!(said.out.trim(), answer, "{group} {what:?}: {}", said.err);
    }
}

/// `istioctl analyze` looks at the cluster, `istioctl validate` at what is applied.
fn what_istioctl_says(setting: &Setting, text: &str) {
    let istioctl = |arguments: &[&str], input: &str| {
        let mut command = Command::new(part("istioctl"));
        command.env_clear().env("HOME", "/nonexistent").args(arguments);
        Said::by(&mut command, input).expect("istioctl runs")
    };
    let kubeconfig = setting.cluster.kubeconfig().display().to_string();
    let said = istioctl(&["analyze", "-A", "--kubeconfig", &kubeconfig], "");
    let words: Vec<&str> = said
        .out
        .lines()
        .chain(said.err.lines())
        // That nothing runs in pods here, Istio's own included, is what it says too.
        .filter(|line| line.starts_with("Error") || line.starts_with("Warning"))
        .filter(|line| !line.contains("istio-system"))
        .collect();
    // docs/operations.md says why neither is so.
    let explained = ["[IST0107] (", "[IST0128] (DestinationRule egress-direct/stripe)"];
    let others: Vec<_> =
        words.iter().filter(|line| !explained.iter().any(|known| line.contains(known))).collect();
    assert!(others.is_empty(), "{others:#?}");
    for known in explained {
        assert!(words.iter().any(|line| line.contains(known)), "not said any more: {known}");
    }
    let said = istioctl(&["validate", "-f", "-"], text);
    assert!(said.succeeded, "{said:?}");
}
