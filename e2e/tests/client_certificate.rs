//! Step 10 of `filter-config/` in a real Envoy whose configuration and Secrets are derived from the
//! files: the waypoint shows a client certificate to an origin that insists on one.

use std::path::PathBuf;
use std::sync::Arc;

use e2e::envoy::workspace_root;
use e2e::http1::{Request, Response};
use e2e::istio::{Mesh, Release};
use e2e::origin::{Mode, Origin, Script};
use e2e::pki::{Credentials, Pki};

const HOST: &str = "client.badssl.com";
const OTHER: &str = "api.github.com";
const STEP: &str = "with-secrets/10-client-certificate.yaml";

struct Setup {
    pki: Arc<Pki>,
    origin: Origin,
    mesh: Mesh,
}

/// A mesh with the steps before, and an origin that insists on a certificate for the host.
fn start() -> Setup {
    let pki = Arc::new(Pki::new());
    let origin = Origin::start(&pki, Mode::Scripted, 0).expect("the origin starts");
    origin.insist_on_a_certificate(HOST);
    // Each request has a connection of its own, and so a handshake.
    let close = ("connection".to_owned(), "close".to_owned());
    origin.script(Script { headers: vec![close], ..Script::default() });
    let files = ["01-setup.yaml", "02-egress-direct.yaml", "05-policy-headers.yaml"].map(path);
    let mesh = Mesh::start(&pki, Release::V1_27, origin.port(), &files)
        .unwrap_or_else(|error| panic!("{error}"));
    Setup { pki, origin, mesh }
}

fn path(file: &str) -> PathBuf {
    workspace_root().join("filter-config").join(file)
}

fn step() -> String {
    std::fs::read_to_string(path(STEP)).expect("the step")
}

/// The Secret as `kubectl create secret` makes it, but in plain text.
fn secret(pki: &Pki, client: &Credentials) -> String {
    let data = serde_json::json!({
        "tls.crt": client.certificate_pem(),
        "tls.key": client.key_pem(),
        "ca.crt": pki.origins.certificate_pem(),
    });
    let metadata = r#"{"name": "client-badssl", "namespace": "egress-direct"}"#;
    format!("apiVersion: v1\nkind: Secret\nmetadata: {metadata}\nstringData: {data}\n")
}

impl Setup {
    fn apply(&mut self, text: &str) {
        self.mesh.apply_text(text, "a text").unwrap_or_else(|error| panic!("{error}"));
    }

    async fn ask(&self, caller: &str, host: &str) -> Response {
        let path = if host == OTHER { "/zen" } else { "/" };
        self.mesh.request(caller, host, &Request::get(host, path)).await.expect("an answer")
    }

    /// The host's only answer to team-a is the origin's, which got this certificate.
    async fn expect(&self, client: &Credentials) {
        let response = self.ask("team-a", HOST).await;
        assert_eq!(response.status, 200, "{}", response.text());
        let [received] = &self.origin.take_requests()[..] else { panic!("one request") };
        assert_eq!(received.sni.as_deref(), Some(HOST));
        assert_eq!(received.client_certificate, Some(client.certificate_der()));
        assert_eq!(received.values("x-caller-identity"), ["team-a/team-a"]);
    }

    /// The origin gets no request of team-a's, which is answered by Envoy.
    async fn expect_503(&self) {
        let response = self.ask("team-a", HOST).await;
        assert_eq!((response.status, self.origin.take_requests().len()), (503, 0));
    }
}

#[tokio::test]
async fn the_origin_gets_the_waypoints_certificate_and_a_new_one_without_a_restart() {
    let mut setup = start();
    // Without a client certificate the origin takes nobody.
    let simple = step()
        .replace("mode: MUTUAL", "mode: SIMPLE")
        .replace("      credentialName: client-badssl\n", "");
    setup.apply(&simple);
    setup.expect_503().await;

    let client = setup.pki.clients.issue("egress of example.com", &[]);
    setup.apply(&secret(&setup.pki, &client));
    setup.apply(&step());
    setup.expect(&client).await;

    // The rules decide who uses it.
    let response = setup.ask("team-b", HOST).await;
    assert_eq!((response.status, setup.origin.take_requests().len()), (403, 0));
    // Another origin asks for a certificate too, and gets none.
    assert_eq!(setup.ask("team-a", OTHER).await.status, 200);
    assert_eq!(setup.origin.take_requests()[0].client_certificate, None);

    // The Secret's new value, with neither a restart nor another resource.
    let renewed = setup.pki.clients.issue("egress of example.com", &[]);
    setup.apply(&secret(&setup.pki, &renewed));
    setup.expect(&renewed).await;
    // One of an authority that the origin does not know.
    let unknown = setup.pki.unknown.issue("egress of example.com", &[]);
    setup.apply(&secret(&setup.pki, &unknown));
    setup.expect_503().await;
}

/// The origin's own certificate is checked against the Secret's authorities, and no others.
#[tokio::test]
async fn an_origin_that_the_secrets_authorities_have_not_signed_gets_nothing() {
    let mut setup = start();
    let client = setup.pki.clients.issue("egress of example.com", &[]);
    let good = secret(&setup.pki, &client);
    setup.apply(&good);
    setup.apply(&step());
    setup.expect(&client).await;
    let quoted = |pem: String| serde_json::Value::from(pem).to_string();
    let (own, wrong) = (
        quoted(setup.pki.origins.certificate_pem()),
        quoted(setup.pki.wrong_origins.certificate_pem()),
    );
    assert!(good.contains(&own));
    setup.apply(&good.replace(&own, &wrong));
    setup.expect_503().await;
}

/// `kubectl apply -f filter-config/` without the Secret breaks no other host.
#[tokio::test]
async fn without_the_secret_or_the_role_only_this_host_gets_503() {
    let mut setup = start();
    setup.apply(&step());
    let found = |setup: &Setup, why: &str| {
        let findings = &setup.mesh.derived().findings;
        assert!(findings.iter().any(|finding| finding.message.contains(why)), "{findings:?}");
    };
    setup.expect_503().await;
    found(&setup, "there is no Secret `egress-direct/client-badssl`");
    assert_eq!(setup.ask("team-a", OTHER).await.status, 200);
    setup.origin.take_requests();

    let client = setup.pki.clients.issue("egress of example.com", &[]);
    setup.apply(&secret(&setup.pki, &client));
    setup.expect(&client).await;
    setup
        .mesh
        .delete("RoleBinding", "egress-direct", "egress-secrets")
        .unwrap_or_else(|error| panic!("{error}"));
    setup.expect_503().await;
    found(&setup, "no Role lets the service account `egress` list the Secrets");
}
