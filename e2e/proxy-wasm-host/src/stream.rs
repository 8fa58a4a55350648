//! One HTTP request on its way through a VM.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::headers::Headers;
use super::message::{Request, Response};
use super::reply::{Asked, LocalResponse};
use super::state::{Http, Log, Phase};
use super::usage::Usage;
use super::vm::Inner;

/// Where a stream stands after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It goes on to the next filter.
    Continue,
    /// The filter holds it.
    Paused,
    /// The client got, or gets, a local response.
    Replied,
    /// The filter reset it: the client gets no response at all.
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
    /// The filter state that the filter wrote, by key (`wasm.<name>`).
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// What was logged in the stream's callbacks.
    pub logs: Vec<Log>,
    /// By how much the stream's callbacks changed each metric.
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
    request_body: Vec<u8>,
    response_body: Vec<u8>,
    local: Option<LocalResponse>,
    callbacks: Vec<(String, Usage)>,
    first_log: usize,
    step: Step,
    failure: Option<String>,
}

impl Stream {
    /// Envoy creates the guest's context only when the first headers arrive.
    pub(crate) fn begin(vm: Arc<Mutex<Inner>>, request: Request) -> Self {
        let mut inner = vm.lock().expect("no earlier use of this VM has panicked");
        let id = inner.next_context();
        let root = inner.root.unwrap_or(0);
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
        let key = |path: &[String]| path.join("\0").into_bytes();
        let stream = Http {
            root,
            request: headers,
            request_trailers: request.trailers,
            properties: request
                .properties
                .iter()
                .map(|(path, value)| (key(path), value.clone()))
                .collect(),
            filter_state: request
                .filter_state
                .into_iter()
                .map(|(key, value)| (key.into_bytes(), value))
                .collect(),
            ..Http::default()
        };
        inner.store.data_mut().streams.insert(id, stream);
        let first_log = inner.store.data().logs.len();
        drop(inner);
        Self {
            vm,
            id,
            request_body: request.body,
            response_body: Vec::new(),
            local: None,
            callbacks: Vec::new(),
            first_log,
            step: Step::Continue,
            failure: None,
        }
    }

    /// Lets the guest be told of trailers that it then cannot see, as of a map that is not there.
    #[must_use]
    pub fn hiding_trailers(self) -> Self {
        self.http(|stream| stream.hides_trailers = true);
        self
    }

    /// From now on header maps come as bytes that are none, which no Envoy does.
    pub fn garble_maps(&mut self) {
        self.http(|stream| stream.garbles_maps = true);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.vm.lock().expect("no earlier use of this VM has panicked")
    }

    fn http<R>(&self, work: impl FnOnce(&mut Http) -> R) -> R {
        let mut inner = self.lock();
        work(
            inner
                .store
                .data_mut()
                .streams
                .get_mut(&self.id)
                .expect("a stream is removed only by `finish`"),
        )
    }

    /// Calls a callback of this stream's context and notes what it used.
    fn call(&mut self, phase: Phase, name: &str, args: &[u32]) -> Option<u32> {
        self.http(|stream| {
            stream.phase = phase;
            stream.resumed = false;
        });
        let mut inner = self.lock();
        let before = inner.usage();
        let args: Vec<u32> = std::iter::once(self.id).chain(args.iter().copied()).collect();
        let answer = inner.call(self.id, name, &args);
        let usage = inner.usage().since(&before);
        let failed = inner.failed.clone();
        drop(inner);
        self.http(|stream| stream.phase = Phase::Idle);
        if answer.is_some() || (failed.is_some() && self.failure.is_none() && usage.fuel > 0) {
            self.callbacks.push((name.to_owned(), usage));
        }
        self.failure = self.failure.take().or(failed);
        answer
    }

    /// The request's headers arrive: the context is created and asked. A plugin without a
    /// configuration gives 500, a dead VM 503.
    pub fn on_request_headers(&mut self) -> Step {
        let root = self.http(|stream| stream.root);
        if self.lock().failed.is_none() && root == 0 {
            return self.answer(&Asked::bare(500, "filter_config_not_available"));
        }
        self.call(Phase::Idle, "proxy_on_context_create", &[root]);
        let count = self.http(|stream| stream.request.len()) as u32;
        let end = u32::from(
            self.request_body.is_empty() && self.http(|stream| stream.request_trailers.is_empty()),
        );
        let answer = self.call(Phase::RequestHeaders, "proxy_on_request_headers", &[count, end]);
        self.settle(answer)
    }

    /// The request's body arrives, in one piece; nothing happens where there is none.
    pub fn on_request_body(&mut self) -> Step {
        if self.step != Step::Continue || self.request_body.is_empty() {
            return self.step;
        }
        let body = std::mem::take(&mut self.request_body);
        let size = body.len() as u32;
        self.http(|stream| stream.body = body);
        let end = u32::from(self.http(|stream| stream.request_trailers.is_empty()));
        let answer = self.call(Phase::RequestBody, "proxy_on_request_body", &[size, end]);
        self.request_body = self.http(|stream| std::mem::take(&mut stream.body));
        self.settle(answer)
    }

    /// The request's trailers arrive; nothing happens where there are none.
    pub fn on_request_trailers(&mut self) -> Step {
        let count = self.http(|stream| stream.request_trailers.len()) as u32;
        if self.step != Step::Continue || count == 0 {
            return self.step;
        }
        let answer = self.call(Phase::RequestTrailers, "proxy_on_request_trailers", &[count]);
        self.settle(answer)
    }

    /// The origin's response arrives; nothing happens where the stream did not go on to the origin.
    pub fn on_response(&mut self, response: Response) -> Step {
        if self.step != Step::Continue {
            return self.step;
        }
        self.respond(response)
    }

    fn respond(&mut self, response: Response) -> Step {
        let (count, size) = (response.headers.len() as u32, response.body.len() as u32);
        let trailers = response.trailers.len() as u32;
        self.http(|stream| {
            stream.response = Some(response.headers);
            stream.response_trailers = response.trailers;
        });
        let end = u32::from(size == 0 && trailers == 0);
        let answer = self.call(Phase::ResponseHeaders, "proxy_on_response_headers", &[count, end]);
        self.response_body = response.body;
        let mut step = self.settle(answer);
        if step == Step::Continue && size > 0 {
            let body = std::mem::take(&mut self.response_body);
            self.http(|stream| stream.body = body);
            let end = u32::from(trailers == 0);
            let answer = self.call(Phase::ResponseBody, "proxy_on_response_body", &[size, end]);
            self.response_body = self.http(|stream| std::mem::take(&mut stream.body));
            step = self.settle(answer);
        }
        if step == Step::Continue && trailers > 0 {
            let answer =
                self.call(Phase::ResponseTrailers, "proxy_on_response_trailers", &[trailers]);
            step = self.settle(answer);
        }
        step
    }

    /// What a callback's end means for the stream.
    fn settle(&mut self, answer: Option<u32>) -> Step {
        if self.failure.is_some() && self.lock().failed.is_some() {
            return self.answer(&Asked::bare(503, "wasm_fail_stream"));
        }
        let (reply, resumed, closed) =
            self.http(|stream| (stream.reply.take(), stream.resumed, stream.closed));
        if closed {
            self.step = Step::Closed;
        } else if let Some(asked) = reply {
            return self.answer(&asked);
        } else {
            let goes_on = resumed || answer.unwrap_or(0) == 0;
            self.step = if goes_on { Step::Continue } else { Step::Paused };
        }
        self.step
    }

    /// A local reply passes through the filter's own response callbacks, unless the VM is dead.
    fn answer(&mut self, asked: &Asked) -> Step {
        if self.local.is_some() && self.lock().failed.is_none() {
            self.failure =
                Some("a local reply while another one was on its way: Envoy hangs here".to_owned());
            self.step = Step::Replied;
            return self.step;
        }
        let reply = asked.prepare(&self.http(|stream| stream.request.clone()));
        let (headers, body) = (reply.headers.clone(), reply.body.clone());
        self.local = Some(reply);
        self.step = Step::Replied;
        let ours = self.lock().failed.is_none() && self.http(|stream| stream.root) != 0;
        if ours {
            self.respond(Response { headers, body, trailers: Headers::response() });
        } else {
            self.http(|stream| stream.response = Some(headers));
            self.response_body = body;
        }
        let finally = self.http(|stream| stream.response.clone());
        if let (Some(reply), Some(headers)) = (&mut self.local, finally) {
            reply.headers = headers;
            reply.body = self.response_body.clone();
        }
        self.step = Step::Replied;
        self.step
    }

    /// Ends the stream: the access log, then the context's end.
    #[must_use]
    pub fn finish(mut self) -> StreamResult {
        if self.http(|stream| stream.root) != 0 {
            self.call(Phase::Log, "proxy_on_log", &[]);
            self.call(Phase::Idle, "proxy_on_done", &[]);
            self.call(Phase::Idle, "proxy_on_delete", &[]);
        }
        let mut inner = self.lock();
        let stream = inner
            .store
            .data_mut()
            .streams
            .remove(&self.id)
            .expect("a stream is removed only by `finish`");
        let logs = inner.store.data().logs.get(self.first_log..).unwrap_or_default();
        let logs = logs.iter().filter(|log| log.context == self.id).cloned().collect();
        drop(inner);
        let mut usage = Usage::default();
        for (_, each) in &self.callbacks {
            usage.add(each);
        }
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let written =
            stream.filter_state.into_iter().filter(|(key, _)| stream.written.contains(key));
        StreamResult {
            local_response: self.local,
            request_headers: stream.request,
            request_trailers: stream.request_trailers,
            request_body: self.request_body,
            response_headers: stream.response,
            response_body: self.response_body,
            response_trailers: stream.response_trailers,
            filter_state: written.map(|(key, value)| (text(&key), value)).collect(),
            logs,
            metrics: stream.metrics,
            usage,
            callbacks: self.callbacks,
            step: self.step,
            failure: self.failure,
        }
    }

    /// The whole life of a request whose origin answers `response`.
    #[must_use]
    pub fn run(mut self, response: Response) -> StreamResult {
        self.on_request_headers();
        self.on_request_body();
        self.on_request_trailers();
        self.on_response(response);
        self.finish()
    }
}
