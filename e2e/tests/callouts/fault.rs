//! What a service does with a call. The path of the request that it is asked about says so:
//! `/fault/<word>`.

use std::time::Duration;

use e2e::http1::ReceivedRequest;
use e2e::origin::{Reaction, Wait};

/// What a service does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Lets the request go on.
    None,
    /// Never answers.
    Mute,
    /// Answers too late.
    Late,
    /// Answers when the test says so.
    Held,
    /// Closes the connection without a word.
    NoHead,
    /// Closes it in the middle of the answer's head: for gRPC, after it.
    CutInHead,
    /// Closes it in the middle of the body.
    CutInBody,
    /// Sends [`Fault::LARGE`] bytes.
    Large,
    /// Answers twice.
    Doubled,
    /// Sends what cannot be read.
    Garbage,
    /// 500, or the status 2.
    Error,
    /// 503, or the status 14, of its own.
    Unavailable,
    /// 504, or the status 4, of its own.
    DeadlineExceeded,
}

impl Fault {
    const ALL: [(Fault, &'static str); 13] = [
        (Fault::None, "none"),
        (Fault::Mute, "mute"),
        (Fault::Late, "late"),
        (Fault::Held, "held"),
        (Fault::NoHead, "no-head"),
        (Fault::CutInHead, "cut-in-head"),
        (Fault::CutInBody, "cut-in-body"),
        (Fault::Large, "large"),
        (Fault::Doubled, "doubled"),
        (Fault::Garbage, "garbage"),
        (Fault::Error, "error"),
        (Fault::Unavailable, "unavailable"),
        (Fault::DeadlineExceeded, "deadline-exceeded"),
    ];

    /// More than is read of an answer.
    pub(crate) const LARGE: usize = 1_000_000;

    /// The path of a request that is asked about with this outcome.
    pub(crate) fn path(self) -> String {
        let found = Self::ALL.into_iter().find(|(fault, _)| *fault == self);
        format!("/fault/{}", found.map_or("none", |(_, word)| word))
    }

    /// The fault that a call's bytes name.
    pub(crate) fn find(bytes: &[u8]) -> Fault {
        let text = String::from_utf8_lossy(bytes);
        let word = text.split_once("/fault/").map_or("none", |(_, after)| after);
        let named = |(_, name): &&(Fault, &str)| word.starts_with(name);
        Self::ALL.iter().find(named).map_or(Fault::None, |(fault, _)| *fault)
    }

    /// What a service of HTTP does with a call. [`Fault::Late`] answers after this time.
    pub(crate) fn of_http(call: &ReceivedRequest, late: Duration) -> Reaction {
        let answer = |status| Reaction::answer(status, &[], "");
        let part = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n";
        match Fault::find(call.target.as_bytes()) {
            Fault::None => {
                // Two lines of one name are two lines of the answer.
                let line = |value: &str| ("x-line".to_owned(), value.to_owned());
                Reaction::answer(200, &[line("a"), line("b")], "")
            }
            Fault::Mute => Reaction::never(),
            Fault::Late => answer(200).after(Wait::For(late)),
            Fault::Held => answer(200).after(Wait::Release),
            Fault::NoHead => Reaction::cut_off(""),
            Fault::CutInHead => Reaction::cut_off(part),
            Fault::CutInBody => Reaction::cut_off(format!("{part}\r\nbegin")),
            Fault::Large => Reaction::answer(200, &[], vec![b'.'; Fault::LARGE]),
            Fault::Doubled => {
                let mut reaction = answer(200);
                reaction.bytes.extend_from_within(..);
                reaction
            }
            Fault::Garbage => Reaction::cut_off("not HTTP\r\n\r\n"),
            Fault::Error => answer(500),
            Fault::Unavailable => answer(503),
            Fault::DeadlineExceeded => answer(504),
        }
    }
}
