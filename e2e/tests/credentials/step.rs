//! Step 9 of `filter-config/` in a real Envoy whose configuration and environment are derived from
//! the files: the waypoint gets a Secret, and the origin its token.

use std::path::PathBuf;
use std::sync::Arc;

use e2e::envoy::workspace_root;
use e2e::http1::Request;
use e2e::istio::{Mesh, Release};
use e2e::origin::{Mode, Origin};
use e2e::pki::Pki;

const HOST: &str = "httpbingo.org";
const FILES: [&str; 4] = [
    "01-setup.yaml",
    "02-egress-direct.yaml",
    "06-verify-headers.yaml",
    "with-secrets/09-credentials.yaml",
];

/// A mesh in which the steps were applied, and before them a Secret with this token.
fn start(token: &str, folder: &tempfile::TempDir) -> (Mesh, Origin) {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Workshop, 0).expect("the origin starts");
    let secret = folder.path().join("secret.yaml");
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: httpbingo, namespace: egress-direct}}\n\
         stringData: {{token: {token}}}\n"
    );
    std::fs::write(&secret, text).expect("a file");
    let steps = FILES.map(|file| workspace_root().join("filter-config").join(file));
    let mut files: Vec<PathBuf> = steps.into();
    files.insert(1, secret);
    let mesh = Mesh::start(&pki, Release::V1_27, origin.port(), &files)
        .unwrap_or_else(|error| panic!("{error}"));
    (mesh, origin)
}

/// A Secret's new value is used by the pods that start after it has changed.
#[tokio::test]
async fn the_origin_gets_the_token_of_the_waypoints_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    for token in ["tok-1", "tok-2"] {
        let (mesh, origin) = start(token, &folder);
        let spoof = Request::get(HOST, "/headers").header("authorization", "Bearer of-the-caller");
        let response = mesh.request("team-a", HOST, &spoof).await.expect("an answer");
        let body = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 200, "{body}");
        assert!(body.contains(&format!("Bearer {token}")), "{body}");
        let got = origin.take_requests();
        assert_eq!(got[0].values("authorization"), [format!("Bearer {token}")]);

        let response = mesh.request("team-b", HOST, &spoof).await.expect("an answer");
        assert_eq!((response.status, origin.take_requests().len()), (403, 0));
        // The workshop's other host has no credential, and keeps the caller's own.
        let other = Request::get("api.github.com", "/zen").header("authorization", "Bearer own");
        let response = mesh.request("team-a", "api.github.com", &other).await.expect("an answer");
        assert_eq!(response.status, 200);
        assert_eq!(origin.take_requests()[0].values("authorization"), ["Bearer own"]);
    }
}
