//! Counters, gauges and histograms.

use wasmtime::Linker;

use super::host_call;
use crate::shared::MetricKind;
use crate::state::State;
use crate::status::Status;

/// Ids of one kind are this far apart; the kind is the remainder.
const STEP: u32 = 4;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_define_metric",
        |guest, kind: u32, name: u32, size: u32, id_to: u32| {
            let name = guest.read(name, size)?;
            let name = String::from_utf8_lossy(&name).into_owned();
            let found = MetricKind::from_code(kind).ok_or(Status::BadArgument)?;
            let state = guest.state();
            // The same name defined again is another id of the same statistic.
            state.last_metric[kind as usize] += STEP;
            let id = state.last_metric[kind as usize];
            state.options.shared.define(found, &name);
            state.metrics.insert(id, (found, name));
            guest.write_u32(id_to, id)
        }
    );
    host_call!(linker, "proxy_increment_metric", |guest, id: u32, offset: i64| {
        let state = guest.state();
        let (kind, name) = number(state, id)?;
        match kind {
            MetricKind::Counter if offset <= 0 => return Err(Status::BadArgument.into()),
            _ => state.options.shared.change(kind, &name, offset),
        }
        note(state, name, offset);
        Ok(())
    });
    host_call!(linker, "proxy_record_metric", |guest, id: u32, value: u64| {
        let state = guest.state();
        let (kind, name) = metric(state, id)?;
        state.options.shared.record(kind, &name, value);
        if kind == MetricKind::Counter {
            note(state, name, value as i64);
        }
        Ok(())
    });
    host_call!(linker, "proxy_get_metric", |guest, id: u32, to: u32| {
        let state = guest.state();
        let (kind, name) = number(state, id)?;
        let value = state.options.shared.value(kind, &name);
        guest.write_u64(to, value)
    });
    Ok(())
}

fn metric(state: &State, id: u32) -> Result<(MetricKind, String), Status> {
    state.metrics.get(&id).cloned().ok_or(Status::NotFound)
}

/// A metric that has one value. A histogram has none, and an id that is not even of these kinds is
/// no argument.
fn number(state: &State, id: u32) -> Result<(MetricKind, String), Status> {
    if id % STEP > 1 {
        return Err(Status::BadArgument);
    }
    metric(state, id)
}

/// Remembers what a stream counted, whatever other workers count at the same time.
fn note(state: &mut State, name: String, offset: i64) {
    let stream = state.attributed;
    if let Some(stream) = state.streams.get_mut(&stream) {
        *stream.metrics.entry(name).or_default() += offset;
    }
}
