//! In a real Envoy: requests that are held while the service takes its time.

use std::time::Duration;

use bytes::Bytes;
use e2e::envoy::PATIENCE;
use e2e::hbone::Tunnel;
use e2e::pki::TEAM_A_SPIFFE_ID;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request};

use crate::setting::{HTTP2, PATIENT, Setting, enter};

/// A tunnel of team-a's to a host.
async fn tunnel(setting: &Setting, host: &str) -> Tunnel {
    let client = setting.waypoint.caller(TEAM_A_SPIFFE_ID).timeout(PATIENCE);
    client.tunnel(&setting.waypoint.vip(host)).await.unwrap_or_else(|error| panic!("{error}"))
}

/// HTTP/2 in a tunnel.
async fn http2(setting: &Setting, host: &str) -> SendRequest<Bytes> {
    let stream = tunnel(setting, host).await.into_stream();
    let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2 in the tunnel");
    tokio::spawn(connection);
    sender.ready().await.expect("the connection is ready")
}

fn request(host: &str, id: &str, probe: &str) -> Request<()> {
    Request::post(format!("http://{host}/{id}"))
        .header("x-request-id", id)
        .header("x-probe", probe)
        .header("te", "trailers")
        .body(())
        .expect("a legal request")
}

/// The status and the body of an answer.
async fn read(response: ResponseFuture) -> (u16, String) {
    let read = async {
        let response = response.await.expect("an answer");
        let status = response.status().as_u16();
        (status, text(response.into_body()).await)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("no request hangs")
}

async fn text(mut body: RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("a body");
        body.flow_control().release_capacity(data.len()).expect("capacity");
        text.extend_from_slice(&data);
    }
    String::from_utf8(text).expect("text")
}

/// How many requests Envoy has begun to send to a host's origin.
fn begun(setting: &Setting, host: &str) -> u64 {
    let name = format!("cluster.inbound-vip|80|http|{host}.upstream_rq_total");
    let stats = setting.waypoint.stats(&name).expect("statistics");
    stats.get(&name).copied().unwrap_or_else(|| panic!("no statistic `{name}`"))
}

/// Sends a body in parts, as fast as it is taken, and trailers.
async fn send(mut stream: SendStream<Bytes>, parts: usize, size: usize) {
    for part in 0..parts {
        let mut data = Bytes::from(vec![u8::try_from(part % 256).expect("a byte"); size]);
        while !data.is_empty() {
            stream.reserve_capacity(data.len());
            let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
            let capacity = capacity.expect("the stream is open").expect("capacity");
            let now = data.split_to(capacity.min(data.len()));
            stream.send_data(now, false).expect("sent");
        }
    }
    let trailers = [("x-end", "1"), ("x-mark", "spoof")];
    let lines = trailers.map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    });
    stream.send_trailers(lines.into_iter().collect::<HeaderMap>()).expect("sent");
}

#[tokio::test]
async fn the_body_and_the_trailers_of_a_held_request_follow_its_headers() {
    const PARTS: usize = 40;
    let (_turn, setting) = enter().await;
    for (id, size) in [("small", 10), ("large", 100_000)] {
        let before = (setting.calls("/held").len(), begun(setting, HTTP2));
        let mut sender = http2(setting, HTTP2).await;
        let held = request(HTTP2, id, "/held");
        let (response, stream) = sender.send_request(held, false).expect("sent");
        let sent = tokio::spawn(send(stream, PARTS, size));
        setting.waypoint.until("the call", || setting.calls("/held").len() > before.0).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(begun(setting, HTTP2), before.1, "{id}: nothing goes on meanwhile");
        setting.service.release();
        assert_eq!(read(response).await, (200, String::new()), "{id}");
        sent.await.expect("all was sent");
        let arrived = setting.arrived(id);
        assert_eq!(arrived.len(), 1, "{id}");
        let trailers: Vec<_> = arrived[0].trailers.0.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(arrived[0].values("x-mark"), ["audited"], "{id}");
        assert_eq!(arrived[0].body_length, PARTS * size, "{id}");
        // The policy that sets `x-mark` keeps it out of the trailers.
        assert_eq!(trailers, [b"x-end"], "{id}");
    }
    setting.assert_unharmed().await;
}

#[tokio::test]
async fn the_answer_for_a_caller_that_has_left_is_ignored() {
    let (_turn, setting) = enter().await;
    let names = ["egress_denied", "egress_ignored_answers"];
    let before = setting.waypoint.settled(&names).await;
    let (calls, sent) = (setting.calls("/held").len(), begun(setting, HTTP2));
    // One resets its stream, the other closes its whole connection.
    let mut sender = http2(setting, HTTP2).await;
    let held = request(HTTP2, "reset", "/held");
    let (response, mut stream) = sender.send_request(held, false).expect("sent");
    let mut closing = http2(setting, HTTP2).await;
    let held = request(HTTP2, "closed", "/held");
    let (unread, open) = closing.send_request(held, false).expect("sent");
    setting.waypoint.until("the calls", || setting.calls("/held").len() == calls + 2).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop((response, unread, open, closing));
    for id in ["reset", "closed"] {
        // Envoy writes its access log before it tells the filter that the stream is over.
        let entry = setting.logged_access(&format!("/{id}")).await;
        assert_eq!((&entry["response_code"], &entry["egress_decision"]), (&0.into(), &().into()));
        let record = setting.waypoint.record(id).await;
        assert_eq!((&record["verdict"], &record["reason"]), (&"deny".into(), &"gone".into()));
        assert_eq!((&record["status"], &record["caller"]), (&().into(), &TEAM_A_SPIFFE_ID.into()));
    }
    setting.assert_grown(&names, &before, &[2, 0]).await;
    setting.service.release();
    setting.assert_grown(&names, &before, &[2, 2]).await;
    assert_eq!(begun(setting, HTTP2), sent, "nothing reaches the origin");
    setting.assert_unharmed().await;
}

#[tokio::test]
async fn two_hundred_held_requests_each_get_their_own_answer() {
    const CONNECTIONS: usize = 4;
    const EACH: usize = 50;
    let (_turn, setting) = enter().await;
    let names = ["egress_allowed", "egress_denied", "egress_ignored_answers"];
    let before = setting.waypoint.settled(&names).await;
    let mut held = Vec::new();
    let mut senders = Vec::new();
    for connection in 0..CONNECTIONS {
        let mut sender = http2(setting, PATIENT).await;
        for number in (0..EACH).map(|number| connection * EACH + number) {
            let id = format!("own-{number}");
            let asking = request(PATIENT, &id, &format!("/own/{number}"));
            sender = sender.ready().await.expect("room for a stream");
            let (response, _) = sender.send_request(asking, true).expect("sent");
            held.push((number, id, response));
        }
        senders.push(sender);
    }
    let called = |setting: &Setting| {
        setting.service.calls_where(|call| call.target.starts_with("/own/")).len()
    };
    setting.waypoint.until("the calls", || called(setting) == CONNECTIONS * EACH).await;
    assert!(held.iter().all(|(_, id, _)| setting.arrived(id).is_empty()), "all are held");
    setting.service.release();
    for (number, id, response) in held {
        let goes_on = number % 2 == 0;
        let body = if goes_on { String::new() } else { format!("/own/{number}") };
        assert_eq!(read(response).await, (if goes_on { 200 } else { 418 }, body), "{id}");
        assert_eq!(setting.arrived(&id).len(), usize::from(goes_on), "{id}");
    }
    setting.assert_grown(&names, &before, &[100, 100, 0]).await;
    setting.assert_unharmed().await;
}
