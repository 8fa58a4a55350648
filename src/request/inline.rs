//! Headers that Envoy keeps on one line, by the direction of their message.

pub use egress_reading::inline::{REQUEST, RESPONSE, is_of_request, join};

use crate::header_name::Direction;

/// Whether Envoy keeps a header on one line; its name in lower case.
#[must_use]
pub fn is_inline(direction: Direction, name: &[u8]) -> bool {
    let (names, pseudo): (_, &[&str]) = match direction {
        Direction::Request => {
            (REQUEST, &[":authority", ":method", ":path", ":protocol", ":scheme"])
        }
        Direction::Response => (RESPONSE, &[":status"]),
    };
    names.iter().chain(pseudo).any(|known| known.as_bytes() == name)
}
