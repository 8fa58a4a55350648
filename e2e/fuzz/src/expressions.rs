//! Feeds expressions with requests, and whole configurations, to the engine: nothing may panic,
//! overflow a stack of a megabyte or take all memory, and a lowered expression must agree with the
//! interpreter.
//!
//! An input is an expression, a line `---`, and the request (see `egress_filter::fuzzing`; where
//! there is none, it is the one below). One that starts with `{` is a configuration.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

/// A request with something in it for every attribute: a header on two lines, one that is not
/// UTF-8.
const REQUEST: &[u8] = b":method GET
:scheme http
:authority API.github.com.:80
:path /repos/a?x=1
x-team a
x-list one,two
x-request-id 42
x-bytes \xff
x_team b
@caller spiffe://cluster.local/ns/team-a/sa/reader
@service inbound-vip|80|http|api.github.com
@source 10.0.0.7:41000
@destination 240.240.0.1:80
@version HTTP/1.1
@line x-team 1
<:status 200
<server envoy";

fuzz_target!(|input: &[u8]| -> Corpus {
    if input.first() == Some(&b'{') {
        let _ = egress_filter::fuzzing::load(input);
        return Corpus::Keep;
    }
    let separator: &[u8] = b"\n---\n";
    let at = input.windows(separator.len()).position(|window| window == separator);
    let (source, request) = match at {
        Some(at) => (&input[..at], &input[at + separator.len()..]),
        None => (input, REQUEST),
    };
    let Ok(source) = std::str::from_utf8(source) else { return Corpus::Reject };
    if let Err(difference) = egress_filter::fuzzing::agree(source, request) {
        panic!("{difference}");
    }
    Corpus::Keep
});
