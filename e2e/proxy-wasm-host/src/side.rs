//! One direction of a stream: what has arrived, what the filter holds, and what has gone on.

use std::collections::VecDeque;

use crate::headers::{Headers, Message};

/// What has gone on from the filter to the origin, or to the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The headers as they went on; `None` while the filter holds them.
    pub headers: Option<Headers>,
    /// The bytes of the body that went on.
    pub body: Vec<u8>,
    /// The trailers as they went on, where there are any.
    pub trailers: Option<Headers>,
    /// Whether the end of the message went on.
    pub complete: bool,
}

/// A part of a message on its way to the filter.
#[derive(Debug)]
pub(crate) enum Part {
    /// The headers lie in the [`Side`] already; `end` says that nothing follows them.
    Headers {
        end: bool,
    },
    Body {
        bytes: Vec<u8>,
        end: bool,
    },
    /// The trailers lie in the [`Side`] already.
    Trailers,
}

/// What the filter holds back.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing: what arrives goes on.
    #[default]
    Nothing,
    /// Envoy's stop-all: the headers, and no further callback comes.
    Everything,
    /// The headers only: callbacks of the body and the trailers come.
    Headers,
    /// The body so far; its further pieces are shown.
    Body,
    /// The trailers, and all before them that had not gone on.
    Trailers,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Side {
    /// Whether the message has begun; a response may never do so.
    pub(crate) begun: bool,
    pub(crate) headers: Headers,
    pub(crate) trailers: Headers,
    /// Whether the guest may read and write the headers, the trailers and the body's bytes.
    pub(crate) headers_open: bool,
    pub(crate) trailers_open: bool,
    pub(crate) window_open: bool,
    /// The bytes of the body that the guest is shown.
    pub(crate) window: Vec<u8>,
    /// Held bytes that came before those of the window, and are not shown again.
    pub(crate) kept: Vec<u8>,
    pub(crate) waiting: VecDeque<Part>,
    pub(crate) hold: Hold,
    /// Whether the last part has been shown.
    pub(crate) ended: bool,
    /// Whether the guest has asked that this direction go on.
    pub(crate) resumed: bool,
    pub(crate) passed: Passed,
}

impl Side {
    pub(crate) fn new(message: Message) -> Self {
        let empty = || match message {
            Message::Request => Headers::request(),
            Message::Response => Headers::response(),
        };
        Self {
            begun: false,
            headers: empty(),
            trailers: empty(),
            headers_open: false,
            trailers_open: false,
            window_open: false,
            window: Vec::new(),
            kept: Vec::new(),
            waiting: VecDeque::new(),
            hold: Hold::Nothing,
            ended: false,
            resumed: false,
            passed: Passed::default(),
        }
    }

    /// The next part that the filter is to be shown. While it holds everything, nothing is.
    pub(crate) fn next_part(&mut self) -> Option<Part> {
        match self.hold {
            Hold::Everything | Hold::Trailers => None,
            Hold::Nothing | Hold::Headers | Hold::Body => self.waiting.pop_front(),
        }
    }

    /// Lets everything go on that is held and has been shown.
    pub(crate) fn pass(&mut self) {
        if self.passed.headers.is_none() && self.begun {
            self.passed.headers = Some(self.headers.clone());
        }
        self.passed.body.append(&mut self.kept);
        self.passed.body.append(&mut self.window);
        self.window_open = false;
        if self.hold == Hold::Trailers {
            self.pass_trailers();
        }
        self.passed.complete = self.ended;
        self.hold = Hold::Nothing;
    }

    pub(crate) fn pass_trailers(&mut self) {
        self.passed.trailers = Some(self.trailers.clone());
    }

    /// Puts the pieces of the body that came while everything was held together into one, as they
    /// wait in one buffer of Envoy's.
    pub(crate) fn merge_waiting(&mut self) {
        let mut merged: Option<(Vec<u8>, bool)> = None;
        while let Some(Part::Body { .. }) = self.waiting.front() {
            if let Some(Part::Body { bytes, end }) = self.waiting.pop_front() {
                let (all, last) = merged.get_or_insert_default();
                all.extend(bytes);
                *last |= end;
            }
        }
        if let Some((bytes, end)) = merged {
            self.waiting.push_front(Part::Body { bytes, end });
        }
    }

    /// The guest can no longer read or write the message.
    pub(crate) fn close_view(&mut self) {
        self.headers_open = false;
        self.trailers_open = false;
        self.window_open = false;
    }

    /// The whole body as the filter left it, whether it has gone on or not.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = self.passed.body.clone();
        body.extend_from_slice(&self.kept);
        body.extend_from_slice(&self.window);
        for part in &self.waiting {
            if let Part::Body { bytes, .. } = part {
                body.extend_from_slice(bytes);
            }
        }
        body
    }

    /// The headers as they went on, or as they are while they have not.
    pub(crate) fn final_headers(&self) -> &Headers {
        self.passed.headers.as_ref().unwrap_or(&self.headers)
    }
}
