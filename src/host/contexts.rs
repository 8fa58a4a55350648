//! The contexts of a VM: the plugins that are configured in it, and the streams that they serve.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;

use super::calls::{self, Received, Waiting};
use super::fetches::{self, Fetching};
use super::plugin::{Loaded, Plugin};
use super::stream::Stream;
use super::{abi, sys};
use crate::call::{Answer, MAX_BODY};
use crate::counters::{Count, Counter};
use crate::slots::Slots;

thread_local! {
    /// With the numbers of their contexts. A VM has one plugin, or a few.
    static PLUGINS: RefCell<Vec<(u32, Plugin)>> = const { RefCell::new(Vec::new()) };
    /// Boxed, because a stream is large. Envoy numbers contexts in turn.
    static STREAMS: RefCell<Slots<Box<Stream>>> = const { RefCell::new(Slots::new()) };
}

/// Runs a function on the contexts of one kind. They are never in use already, because a host call
/// does not call back into the module. If one did, its callback would find no context, and the
/// stream would be held.
fn with<T, R>(contexts: &'static LocalKey<RefCell<T>>, run: impl FnOnce(&mut T) -> R) -> Option<R> {
    contexts.with(|contexts| contexts.try_borrow_mut().ok().map(|mut contexts| run(&mut contexts)))
}

/// The plugin with this number.
fn plugin(plugins: &mut [(u32, Plugin)], root_context_id: u32) -> Option<&mut Plugin> {
    plugins.iter_mut().find(|(own, _)| *own == root_context_id).map(|(_, plugin)| plugin)
}

/// Makes a context: a plugin's, or that of a stream of the plugin `root_context_id`.
pub(super) fn create(context_id: u32, root_context_id: u32) {
    if root_context_id == 0 {
        with(&PLUGINS, |plugins| plugins.push((context_id, Plugin::default())));
    } else {
        let stream = Box::new(Stream::new(context_id, loaded(root_context_id)));
        with(&STREAMS, |streams| streams.insert(context_id, stream));
    }
}

/// Loads a plugin's configuration; returns whether it is in force.
pub(super) fn configure(root_context_id: u32, size: usize) -> bool {
    with(&PLUGINS, |plugins| Some(plugin(plugins, root_context_id)?.configure(size)))
        .flatten()
        .unwrap_or(false)
}

/// Publishes a plugin's counters, and wakes streams that wait for a fetch which could not be made.
pub(super) fn tick(root_context_id: u32) {
    for (loaded, credential) in fetches::take_unsent() {
        wake(&loaded, credential);
    }
    with(&PLUGINS, |plugins| {
        if let Some(plugin) = plugin(plugins, root_context_id) {
            plugin.tick();
        }
    });
}

/// Runs a callback on its stream. A stream that is not known here is held, because nothing was
/// decided about it.
pub(super) fn stream(context_id: u32, run: impl FnOnce(&mut Stream) -> u32) -> u32 {
    with(&STREAMS, |streams| streams.get_mut(context_id).map(|stream| run(stream)))
        .flatten()
        .unwrap_or(abi::PAUSE)
}

/// Passes an answer to the stream that made the call. An answer that nobody waits for is counted.
pub(super) fn answer(root_context_id: u32, token: u32, header_count: usize, body_size: usize) {
    if let Some(fetching) = fetches::take(token) {
        let received = Received::read(header_count, body_size);
        return fetched(root_context_id, &fetching, &Received::answer(received.as_ref()));
    }
    let Some(waiting) = calls::take(token) else {
        return ignored(root_context_id);
    };
    // The answer can be read only in the plugin's context, and the request changed only in the
    // stream's.
    let received = Received::read(header_count, body_size);
    deliver(root_context_id, waiting, Received::answer(received.as_ref()));
}

/// Passes the message with which a call of gRPC succeeded to the stream that made the call.
pub(super) fn message(root_context_id: u32, token: u32, size: usize) {
    let Some(waiting) = calls::take(token) else {
        return ignored(root_context_id);
    };
    if size > MAX_BODY {
        return deliver(root_context_id, waiting, Answer::TooLarge);
    }
    match calls::message(size) {
        Ok(message) => deliver(root_context_id, waiting, Answer::Message(&message)),
        Err(error) => {
            log::error!("egress filter: an answer was lost: {error}");
            deliver(root_context_id, waiting, Answer::CutOff);
        }
    }
}

/// Tells the stream that made a call of gRPC that it failed. Envoy says so of a call that it did
/// not make, too, after the callback that tried to. Such a call has no token here, and the exchange
/// has heard of it from what the call returned.
pub(super) fn closed(root_context_id: u32, token: u32, status: u32) {
    if let Some(waiting) = calls::take(token) {
        deliver(root_context_id, waiting, Answer::Status(status));
    }
}

/// Passes an answer to the stream that waits for it.
fn deliver(root_context_id: u32, waiting: Waiting, answer: Answer<'_>) {
    if let Err(error) = sys::set_effective_context(waiting.context_id) {
        log::warn!("egress filter: an answer came for a stream that is gone: {error}");
        return ignored(root_context_id);
    }
    let is_taken = with(&STREAMS, |streams| {
        let stream = streams.get_mut(waiting.context_id)?;
        Some(stream.on_answer(waiting.call, answer))
    });
    if is_taken.flatten() != Some(true) {
        ignored(root_context_id);
    }
}

/// Ends a fetch, and lets the streams that wait for it go on.
fn fetched(root_context_id: u32, Fetching { loaded, fetch }: &Fetching, answer: &Answer<'_>) {
    if !fetches::end(loaded, *fetch, answer) {
        return ignored(root_context_id);
    }
    wake(loaded, fetch.credential);
}

/// Lets the streams go on that wait for the token of a credential.
fn wake(loaded: &Loaded, credential: usize) {
    for context_id in loaded.waiters.take(credential) {
        if let Err(error) = sys::set_effective_context(context_id) {
            log::warn!("egress filter: a token came for a stream that is gone: {error}");
            continue;
        }
        with(&STREAMS, |streams| {
            if let Some(stream) = streams.get_mut(context_id) {
                stream.on_fetched(credential);
            }
        });
    }
}

/// Forgets a context.
pub(super) fn delete(context_id: u32) {
    match with(&STREAMS, |streams| streams.remove(context_id)).flatten() {
        Some(mut stream) => stream.on_gone(),
        None => {
            with(&PLUGINS, |plugins| plugins.retain(|(own, _)| *own != context_id));
        }
    }
}

fn loaded(root_context_id: u32) -> Option<Rc<Loaded>> {
    with(&PLUGINS, |plugins| plugin(plugins, root_context_id)?.loaded()).flatten()
}

fn ignored(root_context_id: u32) {
    if let Some(loaded) = loaded(root_context_id) {
        loaded.metrics.count(Count { policy: None, counter: Counter::IgnoredAnswers });
    }
}
