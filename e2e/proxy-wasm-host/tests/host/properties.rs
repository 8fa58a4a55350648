//! Properties of the stream.

use crate::probe::Probe;
use crate::{assert_reports, request, run, run_with};

#[test]
fn a_property_of_the_request_derives_from_its_headers() {
    let names = [
        "path",
        "url_path",
        "query",
        "host",
        "method",
        "scheme",
        "protocol",
        "useragent",
        "referer",
        "nosuch",
    ];
    let mut probe = Probe::default();
    for name in names {
        probe = probe.request_headers(|calls| calls.get_property(&["request", name]));
    }
    let result = run(probe);
    assert_reports(
        &result,
        &[
            "request.path 0 /zen?x=1#f",
            "request.url_path 0 /zen",
            "request.query 0 x=1",
            "request.host 0 api.github.com",
            "request.method 0 GET",
            "request.scheme 0 http",
            "request.protocol 0 HTTP/1.1",
            "request.useragent 0 ua",
            "request.referer 1 ",
            "request.nosuch 1 ",
        ],
    );
}

#[test]
fn a_property_sees_the_headers_as_they_are_now() {
    let result = run(Probe::default().request_headers(|calls| {
        calls
            .get_property(&["request", "headers", "x-a"])
            .replace(0, "x-a", "new")
            .get_property(&["request", "headers", "X-A"])
            .replace(0, ":path", "/other")
            .get_property(&["request", "url_path"])
            .get_property(&["request", "headers", "x-missing"])
            .get_property(&["request", "headers"])
    }));
    assert_reports(
        &result,
        &[
            "request.headers.x-a 0 1,2",
            "replace x-a 0 ",
            "request.headers.X-A 0 new",
            "replace :path 0 ",
            "request.url_path 0 /other",
            "request.headers.x-missing 1 ",
            "request.headers 3 ",
        ],
    );
    assert_eq!(result.request_headers.get("x-a"), Some(b"new".as_slice()));
}

#[test]
fn properties_of_the_stream_come_as_envoy_encodes_them() {
    let result = run_with(
        Probe::default().request_headers(|calls| {
            calls
                .get_property(&["filter_state", "io.istio.peer_principal"])
                .get_property(&["filter_state", "nosuch"])
                .get_property(&["xds", "filter_chain_name"])
                .get_property(&["connection", "mtls"])
                .get_property(&["connection", "requested_server_name"])
                .get_property(&["connection", "uri_san_peer_certificate"])
                .get_property(&["source", "port"])
                .get_property(&["source", "address"])
                .get_property(&["plugin_name"])
                .get_property(&["plugin_root_id"])
                .get_property(&["nosuch"])
                .get_property(&[""])
        }),
        request().property(&["source", "port"], i64::from(u32::from_le_bytes(*b"abcd"))),
    );
    assert_reports(
        &result,
        &[
            "filter_state.io.istio.peer_principal 0 spiffe://cluster.local/ns/team-a/sa/team-a",
            "filter_state.nosuch 1 ",
            "xds.filter_chain_name 0 inbound-vip|80|http|api.github.com",
            "connection.mtls 0 ~",
            "connection.requested_server_name 0 ",
            "connection.uri_san_peer_certificate 1 ",
            "source.port 0 abcd~~~~",
            "source.address 0 127.0.0.1:54894",
            "plugin_name 0 egress",
            "plugin_root_id 0 ",
            "nosuch 1 ",
            " 3 ",
        ],
    );
}

#[test]
fn what_a_guest_leaves_in_filter_state_has_the_prefix_wasm() {
    let result = run(Probe::default().request_headers(|calls| {
        calls
            .set_property(&["k"], "val")
            .get_property(&["k"])
            .get_property(&["filter_state", "wasm.k"])
            .get_property(&["filter_state", "k"])
            .set_property(&["a", "b"], "nul")
            .get_property(&["a", "b"])
            .set_property(&["empty"], "")
            .get_property(&["empty"])
    }));
    assert_reports(
        &result,
        &[
            "set k 0 ",
            "k 0 val",
            "filter_state.wasm.k 0 val",
            "filter_state.k 1 ",
            "set a.b 0 ",
            "a.b 1 ",
            "set empty 0 ",
            "empty 0 ",
        ],
    );
    let keys: Vec<&str> = result.filter_state.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["wasm.a\0b", "wasm.empty", "wasm.k"],
        "the principal was not written by the guest"
    );
}

#[test]
fn what_derives_from_the_request_is_gone_when_its_phase_is() {
    let result = run(Probe::default()
        .response_headers(|calls| {
            calls
                .get_property(&["request", "path"])
                .get_property(&["request", "headers", "x-a"])
                .get_property(&["request", "id"])
                .get_property(&["request", "protocol"])
                .get_property(&["response", "headers", "x-o"])
        })
        .log(|calls| calls.get_property(&["request", "url_path"]))
        .done(|calls| calls.get_property(&["request", "url_path"])));
    assert_reports(
        &result,
        &[
            "request.path 1 ",
            "request.headers.x-a 1 ",
            "request.id 1 ",
            "request.protocol 0 HTTP/1.1",
            "response.headers.x-o 0 a,b",
            "request.url_path 0 /zen",
            "request.url_path 1 ",
        ],
    );
}
