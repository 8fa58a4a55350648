//! Bodies, in the module that reads them: each is held by the proxy until all of it is there, and
//! then read once.

use super::abi;
use super::stream::Stream;
use super::sys::{self, HostError};
use crate::exchange::{Event, Expectation, Part, Received};

/// How many bytes of the bodies of a stream are held.
#[derive(Debug, Default)]
pub(super) struct Held {
    request: usize,
    response: usize,
}

impl Held {
    fn of(&mut self, part: Part) -> &mut usize {
        if part == Part::ResponseBody { &mut self.response } else { &mut self.request }
    }
}

impl Stream {
    /// A piece of a body has arrived, of which `size` bytes are held with it.
    pub(super) fn on_body(&mut self, part: Part, size: usize, is_end: bool) -> u32 {
        *self.held.of(part) = size;
        match self.exchange.expects_body(part, size, is_end) {
            (Expectation::Pass, _) => abi::CONTINUE,
            (Expectation::Hold, _) => abi::PAUSE,
            (Expectation::Read, limit) => self.read_body(part, size, limit),
        }
    }

    /// Trailers have arrived, and were dealt with. If the body is held, they have ended it.
    pub(super) fn end_body(&mut self, part: Part, action: u32) -> u32 {
        let size = *self.held.of(part);
        match self.exchange.expects_body(part, size, true) {
            (Expectation::Read, limit) if self.exchange.is_receiving(part) => {
                self.read_body(part, size, limit)
            }
            _ => action,
        }
    }

    fn read_body(&mut self, part: Part, size: usize, limit: usize) -> u32 {
        let read = || match size {
            0 => Ok(Vec::new()),
            _ if size > limit => Ok(Vec::new()),
            _ => sys::buffer(buffer(part), size).and_then(|bytes| match bytes.len() == size {
                true => Ok(bytes),
                false => Err(HostError::short("a body")),
            }),
        };
        match read() {
            Ok(bytes) => {
                let received =
                    if size > limit { Received::TooLarge } else { Received::Whole(&bytes) };
                let event = match part {
                    Part::ResponseBody => Event::ResponseBody(received),
                    _ => Event::RequestBody(received),
                };
                self.drive(part, event)
            }
            Err(error) => self.unreadable(part, error),
        }
    }
}

/// The proxy's number of a body.
pub(super) fn buffer(part: Part) -> u32 {
    if part == Part::ResponseBody { abi::RESPONSE_BODY } else { abi::REQUEST_BODY }
}
