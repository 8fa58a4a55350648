//! What comes to a VM from outside its streams: answers of callouts, timeouts and ticks.

use crate::callout::{Answer, Call, INTERNAL, Protocol};
use crate::headers::Headers;
use crate::instance::Inner;
use crate::state::{Answered, Root};
use crate::status::Status;

impl Inner {
    /// Delivers what is due by now, until nothing more is: a callback may cause the next answer.
    pub(crate) fn pump(&mut self) {
        loop {
            let refused = std::mem::take(&mut self.store.data_mut().refused);
            let due = self.due_call();
            if refused.is_empty() && due.is_none() {
                return;
            }
            for (root, token, answer) in refused {
                self.tell(root, Protocol::Grpc, token, 0, answer);
            }
            if let Some((token, answer)) = due {
                self.answer(token, answer);
            }
        }
    }

    /// The earliest call whose answer, or whose timeout, is due by now.
    fn due_call(&self) -> Option<(u32, Answer)> {
        let state = self.store.data();
        let due = state.calls.iter().filter_map(|(token, pending)| {
            let answer = pending.answer.as_ref().map(|(at, answer)| (*at, Some(answer)));
            let timeout = pending.deadline.map(|at| (at, None));
            let (at, answer) = answer.into_iter().chain(timeout).min_by_key(|(at, _)| *at)?;
            (at <= state.now).then(|| {
                let timeout = || Answer::timeout(pending.call.protocol);
                (at, *token, answer.cloned().unwrap_or_else(timeout))
            })
        });
        due.min_by_key(|(at, token, _)| (*at, *token)).map(|(_, token, answer)| (token, answer))
    }

    /// When the next answer, timeout or tick is due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let state = self.store.data();
        let calls = state.calls.values().flat_map(|pending| {
            pending.answer.as_ref().map(|(at, _)| *at).into_iter().chain(pending.deadline)
        });
        let ticks = state.roots.values().filter_map(|root| root.tick.map(|tick| tick.due));
        calls.chain(ticks).min()
    }

    /// Moves the clock and delivers what is due then.
    pub(crate) fn run_at(&mut self, now: u64) {
        self.store.data_mut().now = now;
        self.pump();
        let roots = self.store.data().roots.iter();
        let due: Vec<u32> = roots
            .filter(|(_, root)| root.tick.is_some_and(|tick| tick.due <= now))
            .map(|(id, _)| *id)
            .collect();
        for root in due {
            self.call(root, "proxy_on_tick", &[root]);
            if let Some(tick) = self.store.data_mut().roots.get_mut(&root).and_then(tick_of) {
                tick.due = now.saturating_add(u64::from(tick.period).saturating_mul(1_000_000));
            }
            self.after_callback();
            self.pump();
        }
        self.reap();
    }

    /// Answers a call and returns whether it was still waiting.
    pub(crate) fn answer(&mut self, token: u32, answer: Answer) -> bool {
        let Some(pending) = self.store.data_mut().calls.remove(&token) else {
            return false;
        };
        let Call { protocol, stream, .. } = pending.call;
        self.tell(pending.root, protocol, token, stream.unwrap_or(0), answer);
        true
    }

    /// Calls the guest's root context with an answer.
    pub(crate) fn tell(
        &mut self,
        root: u32,
        protocol: Protocol,
        token: u32,
        stream: u32,
        answer: Answer,
    ) {
        let Some(context) = self.store.data_mut().roots.get_mut(&root) else {
            return;
        };
        let (callback, args) = match (protocol, answer) {
            (Protocol::Http, Answer::Http { headers, body, trailers }) => {
                let sizes = [headers.len(), body.len(), trailers.len()];
                context.answer = Some(Answered::Http { headers, body, trailers });
                ("proxy_on_http_call_response", sizes.map(|size| size as u32).to_vec())
            }
            (Protocol::Http, Answer::CutOff) => {
                context.status = (Status::BrokenConnection.code(), "reset".to_owned());
                ("proxy_on_http_call_response", vec![0, 0, 0])
            }
            (Protocol::Grpc, Answer::Grpc(message)) => {
                let size = message.len() as u32;
                context.answer = Some(Answered::Grpc(message));
                ("proxy_on_grpc_receive", vec![size])
            }
            (Protocol::Grpc, Answer::GrpcStatus { code, message }) => {
                context.status = (code, message);
                ("proxy_on_grpc_close", vec![code])
            }
            (Protocol::Grpc, Answer::CutOff) => {
                context.status = (INTERNAL, String::new());
                ("proxy_on_grpc_close", vec![INTERNAL])
            }
            (protocol, answer) => panic!("a call of {protocol:?} cannot get {answer:?}"),
        };
        let args: Vec<u32> = [root, token].into_iter().chain(args).collect();
        let before = self.usage();
        self.store.data_mut().attributed = stream;
        let ran = self.call(root, callback, &args).is_some() || self.failed.is_some();
        self.store.data_mut().attributed = 0;
        let usage = self.usage().since(&before);
        if let Some(http) = self.store.data_mut().streams.get_mut(&stream).filter(|_| ran) {
            http.callbacks.push((callback.to_owned(), usage));
        }
        if let Some(context) = self.store.data_mut().roots.get_mut(&root) {
            context.answer = None;
            context.status.1.clear();
        }
        self.after_callback();
        self.reap();
    }
}

fn tick_of(root: &mut Root) -> Option<&mut crate::state::Tick> {
    root.tick.as_mut()
}

/// What the guest can read of the answer of a callout, by the ABI's number of the map.
pub(crate) fn map_of(answer: &Answered, map: u32) -> Option<&Headers> {
    match (answer, map) {
        (Answered::Http { headers, .. }, 6) => Some(headers),
        (Answered::Http { trailers, .. }, 7) if !trailers.is_empty() => Some(trailers),
        _ => None,
    }
}
