//! The files of `filter-config/`, step by step, in a real Envoy whose configuration is derived from
//! them.

use std::path::PathBuf;
use std::sync::Arc;

use e2e::http1::Request;
use e2e::istio::{Mesh, MeshError, Plugin, Release};
use e2e::origin::{Mode, Origin, Presented};
use e2e::pki::Pki;
use e2e::workshop::{Api, FEATURES, STEPS, Step};

const GITHUB: &str = "api.github.com";

fn start(files: &[PathBuf]) -> (Mesh, Origin) {
    start_of(Release::V1_27, files)
}

fn start_of(release: Release, files: &[PathBuf]) -> (Mesh, Origin) {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Workshop, 0).expect("the origin starts");
    let mesh =
        Mesh::start(&pki, release, origin.port(), files).unwrap_or_else(|error| panic!("{error}"));
    (mesh, origin)
}

#[track_caller]
fn apply(mesh: &mut Mesh, step: &Step, api: Api) {
    mesh.apply(&step.path(api)).unwrap_or_else(|error| panic!("{}: {error}", step.file));
    assert_eq!(mesh.derived().findings, [], "{}", step.file);
    let policies: Vec<&str> = mesh.derived().plugins.iter().flat_map(Plugin::policies).collect();
    assert_eq!(policies, step.policies, "{}", step.file);
}

async fn ask_all(mesh: &Mesh, origin: &Origin, step: &Step) {
    for request in step.requests {
        let asked = step.ask(mesh, Some(origin), request).await;
        assert!(
            asked.passed,
            "{}: {request:?}\nexpected {}\ngot      {}",
            step.file, asked.expected, asked.got
        );
    }
}

async fn status(mesh: &Mesh, caller: &str, path: &str) -> u16 {
    let response = mesh.request(caller, GITHUB, &Request::get(GITHUB, path)).await;
    response.unwrap_or_else(|error| panic!("{caller} {path}: {error}")).status
}

/// How many updates of its listeners, and of the plugin, Envoy has taken.
fn updates(mesh: &Mesh) -> (u64, u64) {
    let stats = mesh.process().stats("").expect("Envoy's statistics");
    let plugins = stats.iter().filter(|(name, _)| {
        name.starts_with("extension_config_discovery.") && name.ends_with(".update_success")
    });
    (stats["listener_manager.lds.update_success"], plugins.map(|(_, count)| count).sum())
}

/// One Envoy takes the steps one after the other, then an earlier one again, and then none.
async fn play(release: Release, api: Api, filter: &str) {
    let (mut mesh, origin) = start_of(release, &[STEPS[0].path(api)]);
    let mut taken = Vec::new();
    for step in &STEPS {
        apply(&mut mesh, step, api);
        ask_all(&mesh, &origin, step).await;
        taken.push(updates(&mesh));
    }
    // The services and the plugin come with the listeners; a further policy is an update of the
    // plugin alone, which breaks no connection.
    assert_eq!(taken, [(1, 0), (2, 0), (3, 1), (3, 2), (3, 3), (4, 3)]);

    let [_, _, rbac, path, headers, _] = &STEPS;
    assert_eq!(status(&mesh, "team-a", "/users/torvalds").await, 403);
    for step in [rbac, headers, path] {
        apply(&mut mesh, step, api);
        let expected = if step.policies.len() == 1 { 200 } else { 403 };
        assert_eq!(status(&mesh, "team-a", "/users/torvalds").await, expected, "{}", step.file);
        ask_all(&mesh, &origin, step).await;
    }
    assert_eq!(updates(&mesh), (4, 6));

    assert_eq!(mesh.derived().plugins[0].filter, filter);
    mesh.delete(&format!("{api:?}"), "egress-direct", "egress-filter")
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        status(&mesh, "team-b", "/users/torvalds").await,
        200,
        "without the plugin nobody is refused"
    );
}

#[tokio::test]
async fn the_steps_give_the_workshops_results() {
    play(
        Release::V1_27,
        Api::WasmPlugin,
        "extensions.istio.io/wasmplugin/egress-direct.egress-filter",
    )
    .await;
}

#[tokio::test]
async fn the_steps_give_the_same_since_istio_1_30() {
    let filter = "extensions.istio.io/trafficextension/\
                  egress-direct.egress-filter~istio-translated-wasmplugin";
    play(Release::V1_30, Api::WasmPlugin, filter).await;
}

#[tokio::test]
async fn the_steps_give_the_same_as_traffic_extensions() {
    play(
        Release::V1_30,
        Api::TrafficExtension,
        "extensions.istio.io/trafficextension/egress-direct.egress-filter",
    )
    .await;
}

/// Each in the place of the workshop's plugin, and of the one before.
#[tokio::test]
async fn the_features_give_what_the_demo_shows() {
    let files = [0, 1, 5].map(|step| STEPS[step].path(Api::WasmPlugin));
    let (mut mesh, origin) = start(&files);
    for feature in FEATURES.iter().chain(&FEATURES[..1]) {
        let plugin = feature.feature().expect(feature.file);
        mesh.apply_text(&plugin, feature.file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(mesh.derived().findings, [], "{}", feature.file);
        let policies: Vec<&str> =
            mesh.derived().plugins.iter().flat_map(Plugin::policies).collect();
        assert_eq!(policies, feature.policies, "{}", feature.file);
        ask_all(&mesh, &origin, feature).await;
    }
}

/// Applies a step's file with one text in it replaced; returns what is found wrong.
fn apply_changed(mesh: &mut Mesh, step: &Step, from: &str, to: &str) -> Vec<String> {
    let text = std::fs::read_to_string(step.path(Api::WasmPlugin)).expect("a step's file");
    assert!(text.contains(from), "{} has no `{from}`", step.file);
    mesh.apply_text(&text.replacen(from, to, 1), step.file)
        .unwrap_or_else(|error| panic!("{to}: {error}"));
    mesh.derived().findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_mistake_in_a_file_is_found_and_does_what_the_finding_says() {
    let [setup, egress, _, _, policies, _] = &STEPS;
    let (mut mesh, origin) =
        start(&[setup, egress, policies].map(|step| step.path(Api::WasmPlugin)));
    assert_eq!(
        (status(&mesh, "team-a", "/zen").await, status(&mesh, "team-b", "/zen").await),
        (200, 403)
    );

    // A DestinationRule for another host: the origin is spoken to in plain text, which its port 443
    // does not take.
    origin.take_requests();
    let found = apply_changed(&mut mesh, egress, "host: api.github.com", "host: github.com");
    assert!(matches!(&found[..], [only] if only.contains("plain text")), "{found:?}");
    let broken = |status| status == 502 || status == 503;
    assert!(broken(status(&mesh, "team-a", "/zen").await));
    assert_eq!(origin.take_requests(), []);

    // And without `targetPort` the origin's port 80 is meant, which no stand-in plays; what was in
    // force stays so.
    let text = std::fs::read_to_string(egress.path(Api::WasmPlugin))
        .expect("a step's file")
        .replace("targetPort: 443", "");
    match mesh.apply_text(&text, egress.file) {
        Err(MeshError::Local(error)) => {
            assert!(error.to_string().contains("has `targetPort: 443` been left out"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    assert!(broken(status(&mesh, "team-a", "/zen").await));

    // A port of another protocol goes past the plugin, bytes as they are.
    let found = apply_changed(&mut mesh, egress, "protocol: HTTP", "protocol: TLS");
    assert!(matches!(&found[..], [only] if only.contains("no plugin runs")), "{found:?}");
    assert_eq!(status(&mesh, "team-b", "/users/torvalds").await, 200);

    // A plugin with a selector runs nowhere, though the port is right again: everybody is let
    // through, and only the finding tells.
    let targets =
        "targetRefs:\n  - group: gateway.networking.k8s.io\n    kind: Gateway\n    name: egress\n";
    let selector = "selector:\n    matchLabels: {gateway.networking.k8s.io/gateway-name: egress}\n";
    apply_changed(&mut mesh, policies, targets, selector);
    let found = apply_changed(&mut mesh, egress, "", "");
    assert!(
        matches!(&found[..], [only]
            if only.contains("attached nowhere") && only.contains("`selector`")),
        "{found:?}"
    );
    assert_eq!(status(&mesh, "team-b", "/users/torvalds").await, 200);
    let audited = mesh.process().audit_lines();
    assert!(
        !audited.is_empty() && !audited.iter().any(|record| record.contains("/users/torvalds")),
        "{audited:?}"
    );

    apply(&mut mesh, policies, Api::WasmPlugin);
    assert_eq!(
        (status(&mesh, "team-a", "/zen").await, status(&mesh, "team-b", "/zen").await),
        (200, 403)
    );
}

/// As api.github.com's certificate has it, while the DestinationRule names the host.
#[tokio::test]
async fn the_origins_certificate_may_name_it_by_a_wildcard_and_must_name_it() {
    let [setup, egress, ..] = &STEPS;
    let (mesh, origin) = start(&[setup, egress].map(|step| step.path(Api::WasmPlugin)));
    let names = mesh
        .derived()
        .routes()
        .map(|(_, _, port)| port.tls.as_ref().map(|tls| tls.subject_alt_names.clone()));
    assert_eq!(names.collect::<Vec<_>>(), [Some(vec![GITHUB.to_owned()])]);
    let failures = |why: &str| {
        mesh.process().stats("").expect("Envoy's statistics")
            [&format!("cluster.inbound-vip|80|http|{GITHUB}.ssl.{why}")]
    };
    for (wrong, why) in [
        (Presented::WrongName, "fail_verify_san"),
        (Presented::WildcardBelow, "fail_verify_san"),
        (Presented::WrongAuthority, "fail_verify_error"),
    ] {
        origin.present(GITHUB, wrong);
        let before = failures(why);
        assert_eq!(status(&mesh, "team-a", "/zen").await, 503, "{wrong:?}");
        assert!(failures(why) > before, "{wrong:?}");
    }
    assert_eq!(origin.requests(), []);
    // No connection has been opened that could be used now.
    origin.present(GITHUB, Presented::Wildcard);
    assert_eq!(status(&mesh, "team-a", "/zen").await, 200);
}

#[tokio::test]
async fn a_plugin_that_is_refused_at_first_is_taken_once_it_is_mended() {
    let [setup, egress, rbac, ..] = &STEPS;
    let (mut mesh, origin) = start(&[setup, egress].map(|step| step.path(Api::WasmPlugin)));
    let text = std::fs::read_to_string(rbac.path(Api::WasmPlugin)).expect("a step's file");
    let broken = text.replace("source.identity.namespace ==", "source.identty.namespace ==");
    assert!(matches!(mesh.apply_text(&broken, rbac.file), Err(MeshError::Refused { .. })));
    // On a waypoint that runs already the listener with the plugin takes over all the same, and
    // refuses everything.
    assert_eq!(
        (status(&mesh, "team-a", "/zen").await, status(&mesh, "team-b", "/zen").await),
        (500, 500)
    );
    assert_eq!(origin.take_requests(), []);
    apply(&mut mesh, rbac, Api::WasmPlugin);
    ask_all(&mesh, &origin, rbac).await;
}

/// What `kubectl apply -f filter-config/` applies: the files of the folder, not of those in it.
fn folder() -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(e2e::envoy::workspace_root().join("filter-config")).expect("the folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[tokio::test]
async fn the_folder_applied_at_once_holds_and_a_broken_update_does_not_replace_it() {
    let (mut mesh, origin) = start(&folder());
    assert_eq!(
        (mesh.derived().findings.len(), mesh.derived().plugins.len()),
        (0, 1),
        "{:?}",
        mesh.derived().findings
    );
    for step in &STEPS[4..] {
        ask_all(&mesh, &origin, step).await;
    }

    let rbac = &STEPS[2];
    let text = std::fs::read_to_string(rbac.path(Api::WasmPlugin)).expect("a step's file");
    let broken = text.replace("source.identity.namespace ==", "source.identty.namespace ==");
    match mesh.apply_text(&broken, rbac.file) {
        Err(MeshError::Refused { what, log }) => {
            assert!(what.contains("egress-direct.egress-filter"), "{what}");
            assert!(log.contains("did you mean `source.identity`"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    for step in &STEPS[4..] {
        ask_all(&mesh, &origin, step).await;
    }

    // A third team is let in by neither: the plugin answers first, and where there is none, Istio's
    // own authorization.
    let third = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team-c, labels: \
                 {istio.io/dataplane-mode: ambient}}\n---\n\
                 apiVersion: v1\nkind: Pod\nmetadata: {name: client, namespace: team-c}\nspec: \
                 {}\n";
    mesh.apply_text(third, "a third team").unwrap_or_else(|error| panic!("{error}"));
    for (answer, team_b) in [("authorization failed", 403), ("RBAC: access denied", 200)] {
        let response = mesh
            .request("team-c", GITHUB, &Request::get(GITHUB, "/zen"))
            .await
            .expect("a response");
        assert_eq!((response.status, response.text().as_str()), (403, answer));
        assert_eq!(status(&mesh, "team-b", "/zen").await, team_b);
        mesh.delete("WasmPlugin", "egress-direct", "egress-filter")
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
