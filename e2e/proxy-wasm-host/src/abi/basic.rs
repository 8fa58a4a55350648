//! Log, time, timers, buffers and the calls about the context itself.

use wasmtime::Linker;

use super::host_call;
use crate::guest::Fault;
use crate::options::LogLevel;
use crate::state::{Answered, State, Tick};
use crate::status::Status;

/// The kinds of buffers, as the ABI numbers them.
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const DOWNSTREAM_DATA: u32 = 2;
const UPSTREAM_DATA: u32 = 3;
const CALL_BODY: u32 = 4;
const GRPC_MESSAGE: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const CALL_DATA: u32 = 8;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(linker, "proxy_log", |guest, level: u32, text: u32, size: u32| {
        let level = LogLevel::from_code(level).ok_or(Status::BadArgument)?;
        let text = guest.read(text, size)?;
        guest.state().log(level, &text);
        Ok(())
    });
    host_call!(linker, "proxy_get_log_level", |guest, to: u32| {
        let level = guest.state().options.log_level as u32;
        guest.write_u32(to, level)
    });
    host_call!(linker, "proxy_get_current_time_nanoseconds", |guest, to: u32| {
        let now = guest.state().now;
        guest.write_u64(to, now)
    });
    host_call!(linker, "proxy_set_tick_period_milliseconds", |guest, period: u32| {
        let state = guest.state();
        let due = state.now.saturating_add(u64::from(period).saturating_mul(1_000_000));
        if let Some(root) = state.root_mut() {
            root.tick = (period != 0).then_some(Tick { period, due });
        }
        Ok(())
    });
    // After the callback of a failed callout Envoy forgets the text and keeps the number.
    host_call!(linker, "proxy_get_status", |guest, code_to: u32, text_to: u32, size_to: u32| {
        let (code, text) = guest.state().root().map(|root| root.status.clone()).unwrap_or_default();
        guest.write_u32(code_to, code)?;
        guest.give(text.as_bytes(), text_to, size_to)
    });
    host_call!(linker, "proxy_set_effective_context", |guest, context: u32| {
        let state = guest.state();
        if !state.exists(context) {
            return Err(Status::BadArgument.into());
        }
        state.effective = context;
        Ok(())
    });
    host_call!(linker, "proxy_done", |guest| {
        let state = guest.state();
        let context = state.context();
        let root =
            state.roots.get_mut(&context).filter(|root| root.pending).ok_or(Status::NotFound)?;
        root.pending = false;
        Ok(())
    });
    link_buffers(linker)
}

fn link_buffers(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_get_buffer_bytes",
        |guest, kind: u32, start: u32, length: u32, data_to: u32, size_to: u32| {
            let buffer = buffer(guest.state(), kind)?;
            let rest = buffer.get(start as usize..).unwrap_or_default();
            let part = &rest[..rest.len().min(length as usize)];
            // Envoy leaves the two words alone where there is nothing to hand over.
            if part.is_empty() { Ok(()) } else { guest.give(part, data_to, size_to) }
        }
    );
    host_call!(
        linker,
        "proxy_get_buffer_status",
        |guest, kind: u32, size_to: u32, flags_to: u32| {
            let size = buffer(guest.state(), kind)?.len() as u32;
            guest.write_u32(size_to, size)?;
            guest.write_u32(flags_to, 0)
        }
    );
    host_call!(
        linker,
        "proxy_set_buffer_bytes",
        |guest, kind: u32, start: u32, length: u32, data: u32, size: u32| {
            buffer(guest.state(), kind)?;
            let data = guest.read(data, size)?;
            let body = body(guest.state(), kind).ok_or(Status::BadArgument)?;
            let held = body.len() as u32;
            // Envoy can put bytes before or after a body and replace it whole, nothing else.
            match (start, length) {
                (0, 0) => drop(body.splice(..0, data)),
                (0, length) if length >= held => *body = data,
                (start, _) if start >= held => body.extend_from_slice(&data),
                _ => return Err(Status::BadArgument.into()),
            }
            Ok(())
        }
    );
    Ok(())
}

/// The buffer as it is in this phase.
fn buffer(state: &mut State, kind: u32) -> Result<Vec<u8>, Fault> {
    if kind > CALL_DATA {
        return Err(Status::BadArgument.into());
    }
    let found = match kind {
        VM_CONFIGURATION => Some(state.options.vm_config.clone()),
        PLUGIN_CONFIGURATION => {
            let root = state.roots.get(&state.context());
            root.filter(|root| root.configuring).map(|root| root.config.clone())
        }
        // Outside its phase a buffer is empty, not absent; only the body of a callout's answer is
        // absent.
        REQUEST_BODY | RESPONSE_BODY => Some(body(state, kind).cloned().unwrap_or_default()),
        DOWNSTREAM_DATA | UPSTREAM_DATA | CALL_DATA => Some(Vec::new()),
        CALL_BODY => match state.root().and_then(|root| root.answer.as_ref()) {
            Some(Answered::Http { body, .. }) => Some(body.clone()),
            _ => None,
        },
        GRPC_MESSAGE => match state.root().and_then(|root| root.answer.as_ref()) {
            Some(Answered::Grpc(message)) => Some(message.clone()),
            _ => Some(Vec::new()),
        },
        _ => None,
    };
    found.ok_or_else(|| Status::NotFound.into())
}

/// The body that the guest may change, where it may see one.
fn body(state: &mut State, kind: u32) -> Option<&mut Vec<u8>> {
    let stream = state.http_mut()?;
    let side = match kind {
        REQUEST_BODY => &mut stream.request,
        RESPONSE_BODY => &mut stream.response,
        _ => return None,
    };
    side.window_open.then_some(&mut side.window)
}
