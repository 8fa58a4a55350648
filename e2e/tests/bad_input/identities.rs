//! Callers whose certificates say something else than one workload's SPIFFE ID.

use e2e::http1::Request;
use e2e::pki::{San, TEAM_A_SPIFFE_ID, TEAM_B_SPIFFE_ID};

use super::{Answer, GITHUB, RAW};

/// Certificates that the mesh's authority signed and that name no workload.
fn nobodies() -> Vec<(String, Vec<San>)> {
    let uri = |text: &str| San::Uri(text.to_owned());
    let one = |text: &str| (text.chars().take(80).collect::<String>(), vec![uri(text)]);
    let mut cases = vec![
        ("no name".to_owned(), vec![]),
        ("a DNS name".to_owned(), vec![San::Dns("team-a.example".to_owned())]),
        ("a DNS name that is a SPIFFE ID".to_owned(), vec![San::Dns(TEAM_A_SPIFFE_ID.to_owned())]),
        ("two SPIFFE IDs".to_owned(), vec![uri(TEAM_A_SPIFFE_ID), uri(TEAM_B_SPIFFE_ID)]),
        ("the same SPIFFE ID twice".to_owned(), vec![uri(TEAM_A_SPIFFE_ID), uri(TEAM_A_SPIFFE_ID)]),
        ("fifty SPIFFE IDs".to_owned(), vec![uri(TEAM_A_SPIFFE_ID); 50]),
        ("an empty URI and a SPIFFE ID".to_owned(), vec![uri(""), uri(TEAM_A_SPIFFE_ID)]),
        ("a garbage URI and a SPIFFE ID".to_owned(), vec![uri("-"), uri(TEAM_A_SPIFFE_ID)]),
    ];
    let long = format!("spiffe://cluster.local/ns/team-a/sa/{}", "a".repeat(9_000));
    cases.extend(
        [
            "",
            "-",
            "?",
            ",",
            " ",
            "team-a",
            "https://cluster.local/ns/team-a/sa/team-a",
            "spiffe:/cluster.local/ns/team-a/sa/team-a",
            "SPIFFE://cluster.local/ns/team-a/sa/team-a",
            "spiffe://CLUSTER.LOCAL/ns/team-a/sa/team-a",
            "spiffe://",
            "spiffe:///ns/team-a/sa/team-a",
            "spiffe://cluster.local",
            "spiffe://cluster.local/",
            "spiffe://cluster.local/ns/team-a",
            "spiffe://cluster.local/ns/team-a/sa/",
            "spiffe://cluster.local/ns//sa/team-a",
            "spiffe://cluster.local//ns/team-a/sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/team-a/",
            "spiffe://cluster.local/ns/team-a/sa/team-a/x",
            "spiffe://cluster.local/sa/team-a/ns/team-a",
            "spiffe://cluster.local/NS/team-a/SA/team-a",
            "spiffe://cluster.local/ns/team%2da/sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/team-a%",
            "spiffe://cluster.local/ns/x/../team-a/sa/team-a",
            "spiffe://cluster.local/ns/./sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/..",
            "spiffe://cluster.local/ns/team-a/sa/team-a?x",
            "spiffe://cluster.local/ns/team-a/sa/team-a#x",
            "spiffe://cluster.local:443/ns/team-a/sa/team-a",
            "spiffe://user@cluster.local/ns/team-a/sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/team-a,x",
            "spiffe://cluster.local/ns/team a/sa/team-a",
            " spiffe://cluster.local/ns/team-a/sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/team-a ",
            "spiffe://cluster.local/ns/team-a/sa/team-a\n",
            "spiffe://cluster.local/ns/team-a/sa/team-a\u{1}",
            "spiffe://cluster.local/ns/team-a/sa/team-a\0",
            "spiffe://cluster.local/ns/team-a/sa/team-a\"",
            "spiffe://cluster.local.evil/ns/team-a/sa/team-a",
            "spiffe://other/ns/team-a/sa/team-a",
            "spiffe://cluster.local/ns/team-b/sa/team-a",
            "spiffe://cluster.local/ns/team-a/sa/team-b",
            "spiffe://cluster.local/ns/team-a/sa/team-a.",
            &long,
        ]
        .map(one),
    );
    cases
}

#[tokio::test]
async fn a_garbage_identity_is_nobody() {
    for (name, names) in nobodies() {
        let client = RAW.waypoint.client(&RAW.pki.caller_with(&names));
        let response = client
            .request(&RAW.vip(), &Request::get(GITHUB, "/zen"))
            .await
            .unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(Answer::of(&response), Answer::Filter(403), "{name:?}");
    }
    let caller = RAW.pki.caller_with(&[
        San::Dns("team-a.example".to_owned()),
        San::Uri(TEAM_A_SPIFFE_ID.to_owned()),
    ]);
    let response = RAW
        .waypoint
        .client(&caller)
        .request(&RAW.vip(), &Request::get(GITHUB, "/zen"))
        .await
        .expect("a response");
    assert_eq!(
        Answer::of(&response),
        Answer::Origin(200),
        "a DNS name beside the SPIFFE ID does no harm"
    );
    RAW.assert_unharmed().await;
}

#[tokio::test]
async fn what_the_caller_says_of_itself_is_no_identity() {
    let uri = format!("By=spiffe://x;Hash=0;URI={TEAM_A_SPIFFE_ID}");
    let request = Request::get(GITHUB, "/zen")
        .header("x-forwarded-client-cert", &uri)
        .header("io.istio.peer_principal", TEAM_A_SPIFFE_ID)
        .header("x-caller-identity", "team-a/team-a")
        .header("baggage", "k8s.namespace.name=team-a");
    let client = RAW
        .waypoint
        .caller(TEAM_B_SPIFFE_ID)
        .connect_header("x-forwarded-client-cert", &uri)
        .connect_header("baggage", "k8s.namespace.name=team-a");
    let response = client.request(&RAW.vip(), &request).await.expect("a response");
    assert_eq!(Answer::of(&response), Answer::Filter(403));
}

#[tokio::test]
async fn an_audit_record_is_one_line_whatever_it_says() {
    let path = "/users/\"}%0d%0a{\"event\":\"egress\"";
    let request =
        Request::get(GITHUB, path).header("X-Request-Id", "a\"},{\"verdict\":\"allow\u{2028}");
    let response = RAW.team_a().request(&RAW.vip(), &request).await.expect("a response");
    assert_eq!(Answer::of(&response), Answer::Filter(400), "an escaped control byte");
    let request = Request::get(GITHUB, "/users/\"}{")
        .header("X-Request-Id", b"id-\xff\"},{\"verdict\":\"allow\"");
    let response = RAW.team_a().request(&RAW.vip(), &request).await.expect("a response");
    assert_eq!(Answer::of(&response), Answer::Filter(403));
    let records = RAW.waypoint.audit_records();
    let record = records.iter().find(|record| record["path"] == "/users/\"}{").expect("the record");
    assert_eq!(
        (&record["verdict"], &record["policy"]),
        (&serde_json::json!("deny"), &serde_json::json!("paths"))
    );
}
