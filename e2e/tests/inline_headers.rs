//! The filter and the emulated host each have a table of the headers that Envoy keeps on one line.

use std::collections::BTreeSet;

use e2e::host::{Message, inline_headers};
use egress_filter::config::Direction;
use egress_filter::request::inline;

#[test]
fn the_filter_and_the_host_join_the_same_headers() {
    let tables = [
        (Message::Request, Direction::Request, inline::REQUEST),
        (Message::Response, Direction::Response, inline::RESPONSE),
    ];
    for (message, direction, filter) in tables {
        let host: BTreeSet<&str> = inline_headers(message).iter().copied().collect();
        for name in &host {
            assert!(inline::is_inline(direction, name.as_bytes()), "{name}");
        }
        let regular: BTreeSet<&str> =
            host.into_iter().filter(|name| !name.starts_with(':')).collect();
        assert_eq!(regular, filter.iter().copied().collect(), "{message:?}");
    }
}
