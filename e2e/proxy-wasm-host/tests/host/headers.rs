//! Header maps and local replies.

use proxy_wasm_host::{Request, Step};

use crate::calls::Calls;
use crate::probe::Probe;
use crate::{assert_reports, request, run, run_with};

#[test]
fn a_header_map_can_be_read_and_written_only_in_its_phase() {
    let result = run(Probe::default()
        .request_headers(|calls| {
            calls.get(0, "x-a").get(2, "x-o").pairs(2).add(2, "x", "y").get(9, "x").pairs(9)
        })
        .response_headers(|calls| calls.get(2, "x-o").get(0, "x-a").pairs(0).add(0, "x", "y"))
        .log(|calls| calls.get(0, "x-a").get(2, "x-o").add(0, "x", "y").add(2, "x", "y"))
        .done(|calls| calls.get(0, "x-a")));
    assert_reports(
        &result,
        &[
            "get x-a 0 1",
            "get x-o 2 ",
            "pairs 2 0 ",
            "add x 2 ",
            "get x 2 ",
            "pairs 9 2 ",
            "get x-o 0 a",
            "get x-a 2 ",
            "pairs 0 0 ",
            "add x 2 ",
            "get x-a 0 1",
            "get x-o 0 a",
            "add x 2 ",
            "add x 2 ",
            "get x-a 2 ",
        ],
    );
}

#[test]
fn a_value_is_the_first_of_its_name_and_names_have_no_case() {
    let result = run(Probe::default().request_headers(|calls| {
        calls
            .get(0, "X-A")
            .get(0, "x-empty")
            .get(0, "x-missing")
            .get(0, "host")
            .get(0, ":authority")
            .get(2, ":status")
    }));
    assert_reports(
        &result,
        &[
            "get X-A 0 1",
            "get x-empty 0 ",
            "get x-missing 1 ",
            "get host 0 api.github.com",
            "get :authority 0 api.github.com",
            "get :status 2 ",
        ],
    );
}

#[test]
fn headers_are_changed_as_envoy_does() {
    let result = run(Probe::default()
        .request_headers(|calls| {
            calls
                .add(0, "X-New", "1")
                .add(0, "x-new", "2")
                .add(0, "user-agent", "more")
                .replace(0, "x-a", "only")
                .remove(0, "x-empty")
                .remove(0, "x-missing")
                .replace(0, ":path", "/changed")
        })
        .response_headers(|calls| {
            calls.add(2, "date", "x").add(2, "date", "y").add(2, "set-cookie", "a").add(
                2,
                "set-cookie",
                "b",
            )
        }));
    let headers = &result.request_headers;
    assert_eq!(headers.get_all("x-new"), [b"1", b"2"]);
    assert_eq!(headers.get_all("user-agent"), [b"ua,more"], "Envoy keeps one line of this name");
    assert_eq!(headers.get_all("x-a"), [b"only"]);
    assert!(headers.get("x-empty").is_none());
    let names: Vec<String> = headers
        .lines()
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    assert_eq!(
        names[..4],
        [":authority", ":method", ":scheme", ":path"],
        "a pseudo header stays in front"
    );
    assert_eq!(names.last().map(String::as_str), Some("x-a"), "a replaced header moves to the end");
    let response = result.response_headers.expect("there is a response");
    assert_eq!(response.get_all("date"), [b"x,y"]);
    assert_eq!(response.get_all("set-cookie"), [b"a", b"b"]);
}

#[test]
fn all_headers_come_in_one_map_pseudo_headers_first() {
    let bare = Request::new("GET", "h", "/").header("b", "1").header("a", "").header("b", "2");
    let result =
        run_with(Probe::default().request_headers(|calls| calls.pairs(0).map_size(0)), bare);
    let text = &result.logs[0].text;
    let (head, tail) = text.split_at("pairs 0 0 ".len() + 4);
    assert_eq!(head, "pairs 0 0 \u{9}\0\0\0", "the count is the first word");
    let names = tail.trim_start_matches(|c: char| c != ':');
    assert_eq!(
        names,
        ":authority\0h\0:path\0/\
         \0:method\0GET\0:scheme\0http\0b\x001\0a\0\0b\x002\0x-forwarded-proto\0http\0\
         x-request-id\x0000000000-0000-4000-8000-000000000001\0"
    );
    let size: usize =
        result.request_headers.lines().iter().map(|(name, value)| name.len() + value.len()).sum();
    assert_eq!(result.logs[2].text, format!("size word 0 {}\0\0\0", char::from(size as u8)));
}

#[test]
fn a_whole_map_can_be_set_and_a_malformed_one_empties_it() {
    let good = b"\x01\0\0\0\x02\0\0\0\x03\0\0\0x1\0abc\0";
    let result = run(Probe::default()
        .request_headers(|calls| calls.set_pairs(0, good).get(0, "x1").get(0, "x-a")));
    assert_reports(&result, &["set 0 0 ", "get x1 0 abc", "get x-a 1 "]);
    let cut = b"\x01\0\0\0\x02\0\0\0\x03\0\0\0x1\0ab";
    let result = run(
        Probe::default().request_headers(|calls| calls.set_pairs(0, cut).get(0, "x1").pairs(0))
    );
    assert_reports(&result, &["set 0 0 ", "get x1 1 ", "pairs 0 0 "]);
}

#[test]
fn a_local_reply_is_what_envoy_makes_of_it() {
    let deny =
        |calls: Calls| calls.local_reply(403, "my_details", "authorization failed", b"", u32::MAX);
    let result = run(Probe::default().request_headers(deny).pause());
    let reply = result.local_response.expect("there is a local reply");
    assert_eq!((reply.status, reply.body.as_slice()), (403, b"authorization failed".as_slice()));
    assert_eq!(reply.headers.text("content-type").as_deref(), Some("text/plain"));
    assert_eq!(reply.headers.text("content-length").as_deref(), Some("20"));
    assert_eq!((reply.grpc_status, reply.details.as_str()), (None, "my_details"));
    assert_eq!(result.step, Step::Replied);

    let mut head = request();
    head.headers.set(":method", "HEAD");
    let reply = run_with(Probe::default().request_headers(deny).pause(), head)
        .local_response
        .expect("a reply");
    assert_eq!((reply.status, reply.body.len()), (403, 0));
    assert_eq!(
        reply.headers.text("content-length").as_deref(),
        Some("20"),
        "HEAD keeps the length"
    );

    let grpc = request().header("content-type", "application/grpc");
    let reply = run_with(Probe::default().request_headers(deny).pause(), grpc)
        .local_response
        .expect("a reply");
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let header = |name: &str| reply.headers.text(name).unwrap_or_default();
    assert_eq!(header("content-type"), "application/grpc");
    assert_eq!(
        (header("grpc-status"), header("grpc-message")),
        ("7".into(), "authorization failed".into())
    );
}

#[test]
fn a_local_reply_carries_the_filters_headers_and_its_first_word_counts() {
    let two = b"\x02\0\0\0\x05\0\0\0\x03\0\0\0\x05\0\0\0\x03\0\0\0x-why\0one\0X-Why\0two\0";
    let twice = |calls: Calls| {
        calls.local_reply(503, "first", "a", two, u32::MAX).local_reply(
            404,
            "second",
            "b",
            b"",
            u32::MAX,
        )
    };
    // Continue is turned into a stop.
    let result = run(Probe::default().request_headers(twice));
    let reply = result.local_response.expect("there is a local reply");
    assert_eq!((reply.status, reply.details.as_str()), (503, "first"));
    assert_eq!(reply.headers.get_all("x-why"), [b"one", b"two"]);
}

#[test]
fn a_local_reply_passes_the_filters_own_response_callback() {
    let deny = |calls: Calls| calls.local_reply(403, "", "no", b"", u32::MAX);
    let probe = Probe::default()
        .request_headers(deny)
        .pause()
        .response_headers(|calls| calls.get(2, ":status").add(2, "x-seen", "yes"));
    let result = run(probe);
    assert_reports(&result, &["local 0 ", "get :status 0 403", "add x-seen 0 "]);
    let reply = result.local_response.expect("there is a local reply");
    assert_eq!(reply.headers.text("x-seen").as_deref(), Some("yes"));
    let probe = Probe::default().request_headers(deny).pause().response_headers(deny);
    let failure = run(probe).failure.expect("Envoy hangs here");
    assert!(failure.contains("hangs"), "{failure}");
}
