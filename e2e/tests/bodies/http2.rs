//! Callers that speak HTTP/2: bodies in frames, with and without trailers.

use bytes::Bytes;
use e2e::pki::TEAM_A_SPIFFE_ID;

use super::envoy::{BUFFERED, HOST, PLAIN, Setting, contains, split};

/// What comes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer: its status and its body.
    Answer(u16, String),
    /// The stream was reset.
    Reset,
}

/// How the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    WithTheLastFrame,
    WithTrailers,
    Never,
}

impl Setting {
    pub(crate) fn send_http2(&self, mark: &str, frames: &[&[u8]], end: End) -> Came {
        let caller = self.waypoint.caller(TEAM_A_SPIFFE_ID);
        self.runtime.block_on(async {
            let tunnel = caller.tunnel(&self.waypoint.vip(HOST)).await.expect("a tunnel");
            let stream = tunnel.into_stream();
            let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            let driver = tokio::spawn(connection);
            let request = http::Request::post(format!("http://{HOST}/{mark}"));
            let request = request.body(()).expect("a request");
            let (response, mut body) = sender.send_request(request, false).expect("it is sent");
            for frame in frames {
                // It may have been answered before the end.
                let _ = body.send_data(Bytes::copy_from_slice(frame), false);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let _ = match end {
                End::WithTheLastFrame => body.send_data(Bytes::new(), true),
                End::WithTrailers => {
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("x-kept", http::HeaderValue::from_static("1"));
                    body.send_trailers(trailers)
                }
                End::Never => Ok(()),
            };
            let came = of_response(response).await;
            drop(body);
            driver.abort();
            came
        })
    }
}

async fn of_response(response: h2::client::ResponseFuture) -> Came {
    let limit = e2e::envoy::PATIENCE;
    let Ok(response) = tokio::time::timeout(limit, response).await.expect("an end") else {
        return Came::Reset;
    };
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let Ok(data) = data else { return Came::Reset };
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
    }
    Came::Answer(head.status.as_u16(), String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn of_frames_that_are_denied_nothing_goes_on() {
    for end in [End::WithTheLastFrame, End::WithTrailers] {
        let mark = format!("frames-denied-{end:?}");
        let came = PLAIN.send_http2(&mark, &[b"a s", b"ecr", b"et"], end);
        assert_eq!(came, Came::Answer(403, "authorization failed".to_owned()), "{end:?}");
        assert_eq!(PLAIN.reason(&mark), "deny-matched");
        let arrived =
            PLAIN.origin.once(&mark, |found| found.first().is_some_and(|one| one.is_closed));
        let [one] = &arrived[..] else { panic!("{arrived:?}") };
        let (head, body) = split(&one.bytes).expect("the head");
        assert!(head.contains("x-mark: marked"), "{head}");
        assert_eq!(body, b"", "{end:?}: not one byte of the body");

        let mark = format!("frames-denied-buffered-{end:?}");
        let came = BUFFERED.send_http2(&mark, &[b"a s", b"ecr", b"et"], end);
        assert_eq!(came, Came::Answer(403, "authorization failed".to_owned()), "{end:?}");
        assert_eq!(BUFFERED.origin.of(&mark).len(), 0, "{end:?}");
    }
}

#[test]
fn frames_that_are_allowed_arrive() {
    for (setting, name) in [(&*PLAIN, "plain"), (&*BUFFERED, "buffered")] {
        for end in [End::WithTheLastFrame, End::WithTrailers] {
            let mark = format!("frames-{name}-{end:?}");
            let came = setting.send_http2(&mark, &[b"nothing ", b"of interest"], end);
            assert_eq!(came, Came::Answer(200, "the secret".to_owned()), "{mark}");
            let [one] = &setting.origin.of(&mark)[..] else { panic!("{mark}: one request") };
            let (_, body) = split(&one.bytes).expect("a request");
            assert!(contains(body, b"nothing of interest"), "{}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn frames_over_the_limit_get_413() {
    let half = vec![b'a'; 40_000];
    let mark = "frames-grown";
    let came = PLAIN.send_http2(mark, &[&half, &half], End::WithTheLastFrame);
    assert_eq!(came, Came::Answer(413, "request body too large".to_owned()));
    assert_eq!(PLAIN.reason(mark), "body-too-large");
    for one in PLAIN.origin.of(mark) {
        assert!(!contains(&one.bytes, b"aaaa"), "nothing of the body");
    }
}

#[test]
fn an_answer_that_comes_before_the_last_frame_does_not_pass() {
    for (name, frames) in [("nothing", &[][..]), ("part", &[&b"fine"[..]])] {
        let mark = format!("early-frames-{name}");
        assert_eq!(PLAIN.send_http2(&mark, frames, End::Never), Came::Reset, "{name}");
        assert_eq!(PLAIN.reason(&mark), "internal-error");
        for one in PLAIN.origin.of(&mark) {
            let (_, body) = split(&one.bytes).expect("the head");
            assert_eq!(body, b"", "{name}: nothing of the body");
        }
    }
}
