//! How the parts of a stream pass the filter: which callback comes when, and what its result means.

use crate::headers::Message;
use crate::instance::Inner;
use crate::reply::Asked;
use crate::side::{Hold, Part};
use crate::state::Http;
use crate::stream::Step;

/// Results of a body callback, besides 0 for going on and 1 for holding everything in a buffer.
const STOP_AND_WATERMARK: u32 = 2;
const STOP_WITHOUT_BUFFER: u32 = 3;

/// The names of the callbacks of a direction.
fn callbacks(message: Message) -> [&'static str; 3] {
    match message {
        Message::Request => {
            ["proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers"]
        }
        Message::Response => {
            ["proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers"]
        }
    }
}

impl Inner {
    pub(crate) fn http(&mut self, stream: u32) -> &mut Http {
        self.store.data_mut().streams.get_mut(&stream).expect("a stream is removed only at its end")
    }

    fn has(&self, stream: u32) -> bool {
        self.store.data().streams.contains_key(&stream)
    }

    /// Calls a callback of a stream's context and notes what it used.
    pub(crate) fn call_stream(&mut self, stream: u32, name: &str, args: &[u32]) -> Option<u32> {
        let before = self.usage();
        let args: Vec<u32> = std::iter::once(stream).chain(args.iter().copied()).collect();
        self.store.data_mut().attributed = stream;
        let result = self.call(stream, name, &args);
        self.store.data_mut().attributed = 0;
        let usage = self.usage().since(&before);
        let failed = self.failed.clone();
        let http = self.http(stream);
        if result.is_some() || (failed.is_some() && http.failure.is_none() && usage.fuel > 0) {
            http.callbacks.push((name.to_owned(), usage));
        }
        http.failure = http.failure.take().or(failed);
        result
    }

    /// Shows the filter everything that has arrived, as long as it does not hold the stream.
    pub(crate) fn drive(&mut self, stream: u32) {
        for message in [Message::Request, Message::Response] {
            while self.has(stream)
                && let Some(part) = self.http(stream).side(message).next_part()
            {
                self.show(stream, message, part);
            }
        }
    }

    fn show(&mut self, stream: u32, message: Message, part: Part) {
        let [on_headers, on_body, on_trailers] = callbacks(message);
        let side = self.http(stream).side(message);
        match part {
            Part::Headers { end } => {
                side.begun = true;
                side.headers_open = true;
                side.ended = end;
                let args = [side.headers.len() as u32, u32::from(end)];
                let result = self.call_stream(stream, on_headers, &args);
                let holds_headers = self.options.allow_on_headers_stop_iteration;
                self.settle(stream, message, result, |result, side| match result {
                    0 => {
                        side.headers_open = false;
                        side.pass();
                    }
                    1 if holds_headers => side.hold = Hold::Headers,
                    _ => side.hold = Hold::Everything,
                });
            }
            Part::Body { bytes, end } => {
                let limit = self.options.buffer_limit;
                let side = self.http(stream).side(message);
                let buffers = side.hold == Hold::Body;
                side.window.extend(bytes);
                side.window_open = true;
                side.ended = end;
                if buffers && side.window.len().saturating_add(side.kept.len()) > limit {
                    self.reply_for_envoy(stream, &too_large(message));
                    return;
                }
                let args = [side.window.len() as u32, u32::from(end)];
                let result = self.call_stream(stream, on_body, &args);
                self.settle(stream, message, result, |result, side| match result {
                    0 => side.pass(),
                    STOP_AND_WATERMARK => {
                        side.kept.append(&mut side.window);
                        side.hold = Hold::Body;
                    }
                    STOP_WITHOUT_BUFFER => {
                        side.window.clear();
                        side.hold = Hold::Body;
                    }
                    _ => side.hold = Hold::Body,
                });
            }
            Part::Trailers => {
                side.ended = true;
                side.trailers_open = true;
                let args = [side.trailers.len() as u32];
                let result = self.call_stream(stream, on_trailers, &args);
                self.settle(stream, message, result, |result, side| {
                    side.hold = Hold::Trailers;
                    if result == 0 {
                        side.trailers_open = false;
                        side.pass();
                    }
                });
            }
        }
    }

    /// Applies the result of a stream's callback; a callback that is not exported lets the stream
    /// go on.
    fn settle(
        &mut self,
        stream: u32,
        message: Message,
        result: Option<u32>,
        apply: impl FnOnce(u32, &mut crate::side::Side),
    ) {
        if self.failed.is_some() {
            self.reply_for_envoy(stream, &Asked::bare(503, "wasm_fail_stream"));
            return;
        }
        let http = self.http(stream);
        if http.reply.is_some() || http.closed {
            // Envoy stops the iteration, whatever the callback returned.
            http.side(message).waiting.clear();
        } else {
            apply(result.unwrap_or(0), http.side(message));
        }
        self.after_callback();
    }

    /// Does what the callback asked of streams, its own or others.
    pub(crate) fn after_callback(&mut self) {
        let touched = std::mem::take(&mut self.store.data_mut().touched);
        for stream in touched {
            if !self.has(stream) {
                continue;
            }
            let http = self.http(stream);
            if http.closed {
                http.end = Some(Step::Closed);
                stop(http);
            } else if let Some(asked) = http.reply.take() {
                self.reply_for_guest(stream, &asked);
            } else {
                self.resume(stream);
            }
        }
    }

    /// Lets the directions go on that the guest asked for.
    fn resume(&mut self, stream: u32) {
        for message in [Message::Request, Message::Response] {
            let side = self.http(stream).side(message);
            if std::mem::take(&mut side.resumed) && side.hold != Hold::Nothing {
                if side.hold == Hold::Everything {
                    side.merge_waiting();
                }
                side.pass();
            }
        }
        self.drive(stream);
    }

    /// A local response that the guest asked for. Where a response has begun already, Envoy sends
    /// it past the filters, or resets the stream when the client has the head of the other one.
    fn reply_for_guest(&mut self, stream: u32, asked: &Asked) {
        let http = self.http(stream);
        if http.local.is_some() {
            http.failure =
                Some("a local reply while another one was on its way: Envoy hangs here".to_owned());
            http.end = Some(Step::Replied);
        } else if http.response.passed.headers.is_some() {
            http.end = Some(Step::Closed);
            stop(http);
        } else if http.response.begun {
            self.send_reply(stream, asked, false);
        } else {
            self.send_reply(stream, asked, true);
        }
    }

    /// A local response of Envoy's own.
    pub(crate) fn reply_for_envoy(&mut self, stream: u32, asked: &Asked) {
        let ours = self.failed.is_none() && self.http(stream).root != 0;
        let begun = self.http(stream).response.begun;
        self.send_reply(stream, asked, ours && !begun);
    }

    /// Sends a local response, through the filter's own response callbacks or past them.
    fn send_reply(&mut self, stream: u32, asked: &Asked, through_callbacks: bool) {
        let http = self.http(stream);
        stop(http);
        let reply = asked.prepare(&http.request.headers);
        let side = &mut http.response;
        side.headers = reply.headers.clone();
        side.trailers.clear();
        side.kept.clear();
        side.window.clear();
        side.hold = Hold::Nothing;
        http.end = Some(Step::Replied);
        let body = reply.body.clone();
        http.local = Some(reply);
        if through_callbacks {
            http.response.waiting.push_back(Part::Headers { end: body.is_empty() });
            if !body.is_empty() {
                http.response.waiting.push_back(Part::Body { bytes: body, end: true });
            }
            self.drive(stream);
        } else {
            http.response.begun = true;
            http.response.ended = true;
            http.response.window = body;
            http.response.pass();
        }
        if self.has(stream) {
            let http = self.http(stream);
            let (headers, body) = (http.response.final_headers().clone(), http.response.body());
            if let Some(reply) = &mut http.local {
                reply.headers = headers;
                reply.body = body;
            }
        }
    }
}

/// Nothing more of the stream comes to the filter.
fn stop(http: &mut Http) {
    http.request.waiting.clear();
    http.response.waiting.clear();
}

/// What Envoy answers when a filter buffers more than it may.
fn too_large(message: Message) -> Asked {
    match message {
        Message::Request => Asked {
            body: b"Payload Too Large".to_vec(),
            ..Asked::bare(413, "request_payload_too_large")
        },
        Message::Response => Asked {
            body: b"Internal Server Error".to_vec(),
            ..Asked::bare(500, "response_payload_too_large")
        },
    }
}
