use super::*;

const STEP: &str = "with-secrets/10-client-certificate.yaml";

const SECRET: &str = r#"{"apiVersion": "v1", "kind": "Secret",
    "metadata": {"name": "client-badssl", "namespace": "egress-direct"},
    "stringData": {"tls.crt": "certificate", "tls.key": "key", "ca.crt": "authorities"}}"#;

/// Step 10 with a text of it replaced, and a Secret.
fn with_secret(from: &str, to: &str, secret: &str) -> Derived {
    let mut resources = resources(&[SETUP, STEP], STEP, from, to);
    resources.apply_text(secret, "secret").expect("a Secret");
    Derived::new(&resources, Release::V1_30).expect("a waypoint")
}

#[test]
fn the_secret_is_served_where_the_waypoint_can_list_secrets() {
    let derived = with_secret("mode: MUTUAL", "mode: MUTUAL", SECRET);
    assert_eq!(derived.findings, []);
    let tls = derived.services[0].ports[0].tls.as_ref().expect("TLS");
    let expected = Credential {
        name: "client-badssl".to_owned(),
        served: Some(ClientCertificate {
            certificate: "certificate".to_owned(),
            key: "key".to_owned(),
            authorities: "authorities".to_owned(),
        }),
    };
    assert_eq!(tls.credential, Some(expected));
    assert!(!format!("{derived:?}").contains("authorities"), "no secret gets into a log");
}

#[test]
fn a_secret_that_is_not_served_is_found() {
    let role = "no Role lets the service account `egress` list the Secrets of `egress-direct`";
    let missing = "there is no Secret `egress-direct/client-badssl`";
    let lacks = "lacks one of `tls.crt`, `tls.key`, `ca.crt`";
    let same = "mode: MUTUAL";
    for (from, to, secret, why) in [
        ("verbs: [list]", "verbs: [get, watch]", SECRET.to_owned(), role),
        ("[list]", "[list]\n  resourceNames: [client-badssl]", SECRET.to_owned(), role),
        ("  name: egress\n", "  name: default\n", SECRET.to_owned(), role),
        ("  name: egress-secrets\nsubjects", "  name: other\nsubjects", SECRET.to_owned(), role),
        (
            "credentialName: client-badssl",
            "credentialName: client",
            SECRET.to_owned(),
            "`egress-direct/client`",
        ),
        (same, same, SECRET.replace("egress-direct", "team-a"), missing),
        (same, same, SECRET.replace("ca.crt", "ca.pem"), lacks),
        (same, same, SECRET.replace("tls.key", "key.pem"), lacks),
    ] {
        let derived = with_secret(from, to, &secret);
        let [finding] = &findings(&derived)[..] else { panic!("{to}: {:?}", derived.findings) };
        assert!(finding.contains(why) && finding.contains("get 503"), "{to}: {finding}");
        assert!(!derived.services[0].ports[0].is_ready(), "{to}");
    }
}
