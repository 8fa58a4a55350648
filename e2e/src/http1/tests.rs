use super::*;

/// A connection whose other end has said this and then closed.
fn said(bytes: &'static [u8]) -> Connection<tokio::io::DuplexStream> {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        // In two parts, so that a message is not always whole at the first read.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        far.write_all(first).await.expect("room in the pipe");
        tokio::task::yield_now().await;
        far.write_all(second).await.expect("room in the pipe");
    });
    Connection::new(near)
}

#[tokio::test]
async fn each_framing_of_a_body_is_read() {
    let cases: [(&[u8], bool, u16, &str, bool); 9] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcREST", false, 200, "abc", false),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
            false,
            200,
            "abc",
            true,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \
           chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\na: b\r\n\r\n",
            false,
            200,
            "abcde",
            false,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, 200, "until the end", true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", true, 200, "", false),
        (b"HTTP/1.1 204 No Content\r\n\r\nREST", false, 204, "", false),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n", false, 304, "", false),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\ncontent-length: 1\r\n\r\nx",
            false,
            403,
            "x",
            false,
        ),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", false, 200, "x", true),
    ];
    for (bytes, head, status, body, closes) in cases {
        let input = String::from_utf8_lossy(bytes);
        let response = said(bytes)
            .read_response(head)
            .await
            .unwrap_or_else(|error| panic!("{input}: {error}"));
        assert_eq!(
            (response.status, response.text().as_str(), response.closes),
            (status, body, closes),
            "{input}"
        );
    }
}

#[tokio::test]
async fn what_is_cut_off_or_no_http_is_an_error() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        let result = said(bytes).read_response(false).await;
        assert!(result.is_err(), "{}: {result:?}", String::from_utf8_lossy(bytes));
    }
}

#[tokio::test]
async fn header_lines_keep_their_order_their_case_and_their_bytes() {
    let mut connection = said(
        b"GET /a HTTP/1.1\r\nX-B: 1\r\nx-a: \xff\xfe\r\nx-b: 2\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    );
    let first = connection.read_request().await.expect("a request").expect("not the end");
    let lines: Vec<(&[u8], &[u8])> =
        first.headers.0.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(lines, [(&b"X-B"[..], &b"1"[..]), (b"x-a", b"\xff\xfe"), (b"x-b", b"2")]);
    assert_eq!(first.headers.all("X-b").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(
        connection.read_request().await.expect("a request").expect("not the end").target,
        "/b"
    );
    assert_eq!(connection.read_request().await.expect("a clean end"), None);
}

#[test]
fn a_request_is_written_as_asked() {
    let request = Request::new("POST", b"/\xff").header("A", "1").header("a", b"\x80").body("xy");
    assert_eq!(
        request.to_bytes(),
        b"POST /\xff HTTP/1.1\r\nA: 1\r\na: \x80\r\ncontent-length: 2\r\n\r\nxy"
    );
}
