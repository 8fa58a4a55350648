//! The files of `filter-config/`, step by step, in a real Envoy whose configuration is derived from them.

use std::path::PathBuf;
use std::sync::Arc;

use e2e::istio::Mesh;
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;
use e2e::workshop::{Api, STEPS};

fn start(files: &[PathBuf]) -> (Mesh, Origin) {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Workshop, 0).expect("the origin starts");
    let mesh = Mesh::start(&pki, origin.port(), files).unwrap_or_else(|error| panic!("{error}"));
    (mesh, origin)
}

fn policies(mesh: &Mesh) -> Vec<&str> {
    mesh.derived().plugins.iter().flat_map(e2e::istio::Plugin::policies).collect()
}

/// One Envoy takes the steps one after the other, as updates.
async fn play(api: Api) -> (Mesh, Origin) {
    let (mut mesh, origin) = start(&[STEPS[0].path(api)]);
    for step in &STEPS {
        mesh.apply(&step.path(api)).unwrap_or_else(|error| panic!("{}: {error}", step.file));
        assert_eq!(mesh.derived().findings, [], "{}", step.file);
        assert_eq!(policies(&mesh), step.policies, "{}", step.file);
        for request in step.requests {
            let asked = step.ask(&mesh, Some(&origin), request).await;
            assert!(asked.passed, "{}: {request:?}\nexpected {}\ngot      {}", step.file, asked.expected, asked.got);
        }
    }
    (mesh, origin)
}

#[tokio::test]
async fn the_steps_give_the_workshops_results() {
    play(Api::WasmPlugin).await;
}

#[tokio::test]
async fn the_steps_give_the_same_as_traffic_extensions() {
    play(Api::TrafficExtension).await;
}
