//! An origin that answers before it has the body: a caller that keeps back the rest of a body which
//! a rule must judge gets nothing of that answer.

use std::time::Duration;

use e2e::envoy::PATIENCE;
use e2e::http1::Request;
use e2e::pki::TEAM_A_SPIFFE_ID;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::envoy::{BUFFERED, HOST, PLAIN, Setting, contains, split};

/// What a caller sends that withholds its body, or the rest of it.
pub(crate) fn withheld(mark: &str) -> [(String, Vec<u8>); 4] {
    let of = |name: &str, method: &str, rest: &str| {
        let mark = format!("early-{mark}-{name}");
        let head = format!("{method} /{mark} HTTP/1.1\r\nHost: {HOST}\r\n{rest}");
        (mark, head.into_bytes())
    };
    [
        of("nothing", "GET", "transfer-encoding: chunked\r\n\r\n"),
        of("stated", "POST", "content-length: 5\r\n\r\n"),
        of("part", "POST", "transfer-encoding: chunked\r\n\r\n4\r\nfine\r\n"),
        of("all-but-one", "POST", "content-length: 5\r\n\r\nfine"),
    ]
}

impl Setting {
    /// Sends this, and reads until the connection is closed, or nothing has come for this long.
    pub(crate) fn read_after(&self, sent: &[u8], patience: Duration) -> (Vec<u8>, bool) {
        let caller = self.waypoint.caller(TEAM_A_SPIFFE_ID);
        self.runtime.block_on(async {
            let tunnel = caller.tunnel(&self.waypoint.vip(HOST)).await.expect("a tunnel");
            let mut stream = tunnel.into_stream();
            stream.write_all(sent).await.expect("it is sent");
            stream.flush().await.expect("it is sent");
            let mut came = Vec::new();
            let end = tokio::time::timeout(patience, stream.read_to_end(&mut came)).await;
            (came, end.is_ok())
        })
    }
}

#[test]
fn an_answer_that_comes_before_the_body_was_judged_does_not_pass() {
    let setting = &*PLAIN;
    // The origin answers these at once: without a body there is nothing to wait for.
    let request = Request::get(HOST, "/early-empty");
    let (came, _) = setting.read_after(&request.to_bytes(), Duration::from_secs(1));
    assert!(contains(&came, b"the secret"), "{}", String::from_utf8_lossy(&came));
    for (mark, sent) in withheld("plain") {
        let (came, is_closed) = setting.read_after(&sent, PATIENCE);
        assert_eq!(String::from_utf8_lossy(&came), "", "{mark}: the caller gets no byte");
        assert!(is_closed, "{mark}: its connection is closed");
        assert_eq!(setting.reason(&mark), "internal-error");
        let arrived = setting.origin.once(&mark, |found| found.iter().all(|one| one.is_closed));
        let [one] = &arrived[..] else { panic!("{mark}: {arrived:?}") };
        let (_, body) = split(&one.bytes).expect("the head has come to the origin");
        assert_eq!(body, b"", "{mark}: nothing of the body has");
    }
}

#[test]
fn with_the_buffer_filter_behind_there_is_no_answer_that_comes_early() {
    let setting = &*BUFFERED;
    for (mark, sent) in withheld("buffered") {
        let (came, is_closed) = setting.read_after(&sent, Duration::from_millis(400));
        assert_eq!(String::from_utf8_lossy(&came), "", "{mark}");
        assert!(!is_closed, "{mark}: its body is waited for");
        assert_eq!(setting.origin.of(&mark).len(), 0, "{mark}: nothing has come to the origin");
    }
}
