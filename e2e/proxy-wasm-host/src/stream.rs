//! One HTTP request on its way through a VM.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::callout::{Answer, Call};
use super::headers::{Headers, Message};
use super::instance::Inner;
use super::message::{Request, Response};
use super::reply::{Asked, LocalResponse};
use super::side::{Part, Passed, Side};
use super::state::{Http, Log};
use super::usage::Usage;

/// Where a stream stands after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on to the next filter.
    Continue,
    /// The filter holds it.
    Paused,
    /// The client got, or gets, a local response.
    Replied,
    /// It was reset: the client gets no response, or no more of the one that had begun.
    Closed,
}

/// What became of a stream.
#[derive(Debug, Clone)]
pub struct StreamResult {
    /// The response that did not come from the origin, if it was one.
    pub local_response: Option<LocalResponse>,
    /// The request's headers as the filter left them.
    pub request_headers: Headers,
    /// The request's body as the filter left it.
    pub request_body: Vec<u8>,
    /// The request's trailers as the filter left them.
    pub request_trailers: Headers,
    /// The response's headers as the filter left them; of the local response, if there was one.
    pub response_headers: Option<Headers>,
    /// The response's body as the filter left it.
    pub response_body: Vec<u8>,
    /// The response's trailers as the filter left them.
    pub response_trailers: Headers,
    /// What of the request went on to the origin.
    pub to_origin: Passed,
    /// What of the response went on to the client.
    pub to_client: Passed,
    /// The filter state that the filter wrote, by key (`wasm.<name>`).
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// What was logged in the stream's callbacks, and in those of its callouts' answers.
    pub logs: Vec<Log>,
    /// By how much these callbacks changed each metric.
    pub metrics: BTreeMap<String, i64>,
    /// What the stream cost in all.
    pub usage: Usage,
    /// What each callback cost, in the order they ran.
    pub callbacks: Vec<(String, Usage)>,
    /// Where the stream stood at its end.
    pub step: Step,
    /// What went wrong in the VM: a trap, or a local reply that Envoy would hang on.
    pub failure: Option<String>,
}

/// One HTTP request on its way through a VM. Dropped without [`Stream::finish`], its context stays
/// in the VM, as that of a request that hangs.
#[derive(Debug)]
pub struct Stream {
    vm: Arc<Mutex<Inner>>,
    id: u32,
    /// What of the request has not arrived yet.
    body: Vec<Vec<u8>>,
    /// Whether more of the request follows than what was given at its beginning.
    more: bool,
    first_log: usize,
}

impl Stream {
    /// Envoy creates the guest's context only when the first headers arrive.
    pub(crate) fn begin(vm: Arc<Mutex<Inner>>, request: Request) -> Self {
        let mut inner = vm.lock().expect("no earlier use of this VM has panicked");
        let id = inner.next_context();
        let mut stream = Http::new(inner.root.unwrap_or(0));
        let mut headers = request.headers;
        // The connection manager adds these behind what the client sent, where the client did not
        // send them.
        for (name, value) in [
            ("x-forwarded-proto", "http"),
            ("x-request-id", "00000000-0000-4000-8000-000000000001"),
        ] {
            if headers.get(name).is_none() {
                headers.add(name, value);
            }
        }
        stream.request.headers = headers;
        stream.request.trailers = request.trailers;
        let properties = request.properties.into_iter();
        stream.properties =
            properties.map(|(path, value)| (path.join("\0").into_bytes(), value)).collect();
        let filter_state = request.filter_state.into_iter();
        stream.filter_state = filter_state.map(|(key, value)| (key.into_bytes(), value)).collect();
        inner.store.data_mut().streams.insert(id, stream);
        let first_log = inner.store.data().logs.len();
        drop(inner);
        let body = pieces(request.body, request.piece);
        Self { vm, id, body, more: request.more, first_log }
    }

    /// Announces trailers to the guest that it then cannot read, as a map that is not there.
    #[must_use]
    pub fn hiding_trailers(self) -> Self {
        self.lock().http(self.id).hides_trailers = true;
        self
    }

    /// From now on header maps come as bytes that do not decode, which no Envoy does.
    pub fn garble_maps(&mut self) {
        self.lock().http(self.id).garbles_maps = true;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.vm.lock().expect("no earlier use of this VM has panicked")
    }

    /// The number of the stream's context.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where the stream stands.
    #[must_use]
    pub fn step(&self) -> Step {
        self.lock().http(self.id).step()
    }

    /// The calls that were made for this stream and wait for an answer, in the order in which they
    /// were made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let inner = self.lock();
        let calls = inner.store.data().calls.values().map(|pending| &pending.call);
        calls.filter(|call| call.stream == Some(self.id)).cloned().collect()
    }

    /// Answers a call, as [`crate::Vm::answer`] does.
    pub fn answer(&mut self, call: &Call, answer: Answer) -> Step {
        let mut inner = self.lock();
        inner.answer(call.token, answer);
        inner.pump();
        inner.http(self.id).step()
    }

    /// What of the request has gone on to the origin.
    #[must_use]
    pub fn to_origin(&self) -> Passed {
        self.lock().http(self.id).request.passed.clone()
    }

    /// What of the response has gone on to the client.
    #[must_use]
    pub fn to_client(&self) -> Passed {
        self.lock().http(self.id).response.passed.clone()
    }

    /// Lets parts of a message arrive.
    fn arrive(&self, message: Message, parts: impl IntoIterator<Item = Part>) -> Step {
        let mut inner = self.lock();
        let http = inner.http(self.id);
        if http.end.is_none() {
            http.side(message).waiting.extend(parts);
            inner.drive(self.id);
            inner.pump();
        }
        inner.http(self.id).step()
    }

    /// The request's headers arrive: the context is created and asked. A plugin without a
    /// configuration gives 500, a dead VM 503.
    pub fn on_request_headers(&mut self) -> Step {
        let mut inner = self.lock();
        let root = inner.http(self.id).root;
        if inner.failed.is_none() && root == 0 {
            inner.reply_for_envoy(self.id, &Asked::bare(500, "filter_config_not_available"));
            return Step::Replied;
        }
        inner.call_stream(self.id, "proxy_on_context_create", &[root]);
        let trailers = !inner.http(self.id).request.trailers.is_empty();
        drop(inner);
        let end = self.body.is_empty() && !trailers && !self.more;
        self.arrive(Message::Request, [Part::Headers { end }])
    }

    /// The body that the request was given arrives; nothing happens where there is none.
    pub fn on_request_body(&mut self) -> Step {
        let body = std::mem::take(&mut self.body);
        let last = !self.more && self.lock().http(self.id).request.trailers.is_empty();
        self.arrive(Message::Request, body_parts(body, last))
    }

    /// A further piece of the request's body arrives, of a request with
    /// [`Request::more_to_come`]. HTTP/1.1 ends a body with an empty piece.
    pub fn on_request_piece(&mut self, bytes: impl AsRef<[u8]>, end: bool) -> Step {
        self.more = !end;
        self.arrive(Message::Request, [Part::Body { bytes: bytes.as_ref().to_vec(), end }])
    }

    /// The request's trailers arrive; nothing happens where there are none.
    pub fn on_request_trailers(&mut self) -> Step {
        let some = !self.more && !self.lock().http(self.id).request.trailers.is_empty();
        self.arrive(Message::Request, some.then_some(Part::Trailers))
    }

    /// The origin's response arrives; nothing happens where the request's headers have not gone on
    /// to the origin, or the stream has ended.
    pub fn on_response(&mut self, response: Response) -> Step {
        let Response { headers, body, trailers, piece, more } = response;
        let mut inner = self.lock();
        let http = inner.http(self.id);
        if http.request.passed.headers.is_none() || http.response.begun || http.end.is_some() {
            return http.step();
        }
        let last = trailers.is_empty() && !more;
        let end = body.is_empty() && last;
        http.response.headers = headers;
        http.response.trailers = trailers;
        drop(inner);
        let trailers = (!last && !more).then_some(Part::Trailers);
        let body = body_parts(pieces(body, piece), last);
        let parts = std::iter::once(Part::Headers { end }).chain(body).chain(trailers);
        self.arrive(Message::Response, parts.collect::<Vec<Part>>())
    }

    /// A further piece of the response's body arrives, of a response with
    /// [`Response::more_to_come`].
    pub fn on_response_piece(&mut self, bytes: impl AsRef<[u8]>, end: bool) -> Step {
        self.arrive(Message::Response, [Part::Body { bytes: bytes.as_ref().to_vec(), end }])
    }

    /// The client goes away: the stream ends wherever it stands. Its calls are not cancelled, and
    /// their answers come when the stream is gone.
    #[must_use]
    pub fn gone(self) -> StreamResult {
        self.finish()
    }

    /// Ends the stream: the access log, then the context's end.
    #[must_use]
    pub fn finish(self) -> StreamResult {
        let mut inner = self.lock();
        if inner.http(self.id).root != 0 {
            inner.http(self.id).logging = true;
            inner.call_stream(self.id, "proxy_on_log", &[]);
            inner.http(self.id).logging = false;
            for side in [Message::Request, Message::Response] {
                inner.http(self.id).side(side).close_view();
            }
            inner.call_stream(self.id, "proxy_on_done", &[]);
            inner.call_stream(self.id, "proxy_on_delete", &[]);
        }
        let state = inner.store.data_mut();
        let stream = state.streams.remove(&self.id).expect("only this handle ends the stream");
        let logs = state.logs.get(self.first_log..).unwrap_or_default();
        let logs = logs.iter().filter(|log| log.stream == self.id).cloned().collect();
        inner.after_callback();
        inner.reap();
        inner.pump();
        drop(inner);
        result(stream, logs)
    }

    /// The whole life of a request whose origin answers `response`.
    #[must_use]
    pub fn run(mut self, response: Response) -> StreamResult {
        if self.arrive_whole() == Step::Continue {
            self.on_response(response);
        }
        self.finish()
    }

    /// The whole request arrives, as far as it was given.
    pub(crate) fn arrive_whole(&mut self) -> Step {
        self.on_request_headers();
        self.on_request_body();
        self.on_request_trailers()
    }
}

fn result(stream: Http, logs: Vec<Log>) -> StreamResult {
    let mut usage = Usage::default();
    for (_, each) in &stream.callbacks {
        usage.add(each);
    }
    let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    let step = stream.step();
    let Http { request, response, written, .. } = stream;
    let filter_state = stream.filter_state.into_iter().filter(|(key, _)| written.contains(key));
    let trailers = |side: &Side| side.passed.trailers.clone().unwrap_or(side.trailers.clone());
    StreamResult {
        local_response: stream.local,
        request_headers: request.final_headers().clone(),
        request_body: request.body(),
        request_trailers: trailers(&request),
        response_headers: response.begun.then(|| response.final_headers().clone()),
        response_body: response.body(),
        response_trailers: trailers(&response),
        to_origin: request.passed,
        to_client: response.passed,
        filter_state: filter_state.map(|(key, value)| (text(&key), value)).collect(),
        logs,
        metrics: stream.metrics,
        usage,
        callbacks: stream.callbacks,
        step,
        failure: stream.failure,
    }
}

/// A body in pieces of that many bytes, or in one.
fn pieces(body: Vec<u8>, piece: Option<usize>) -> Vec<Vec<u8>> {
    match piece {
        Some(size) => body.chunks(size.max(1)).map(<[u8]>::to_vec).collect(),
        None if body.is_empty() => Vec::new(),
        None => vec![body],
    }
}

fn body_parts(body: Vec<Vec<u8>>, last: bool) -> Vec<Part> {
    let count = body.len();
    let parts = body.into_iter().enumerate();
    parts.map(|(at, bytes)| Part::Body { bytes, end: last && at + 1 == count }).collect()
}
