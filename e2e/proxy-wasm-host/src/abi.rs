//! The host functions of proxy-wasm 0.2.1, with the status codes that Envoy 1.40 answers.

mod basic;
mod callouts;
mod headers;
mod metrics;
mod property;
mod shared;
mod stream;

use wasmtime::Linker;

use super::state::State;

/// Defines a host function that returns a status.
macro_rules! host_call {
    ($linker:expr, $name:literal, |$guest:ident $(, $arg:ident: $kind:ty)* $(,)?| $work:block) => {
        $linker.func_wrap(
            "env",
            $name,
            move |caller: wasmtime::Caller<'_, crate::state::State>,
                  $($arg: $kind),*|
                  -> wasmtime::Result<u32> {
                crate::guest::enter(caller, $name, |$guest| $work)
            },
        )?
    };
}
pub(crate) use host_call;

/// Defines every function of the ABI.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    basic::link(linker)?;
    callouts::link(linker)?;
    headers::link(linker)?;
    metrics::link(linker)?;
    property::link(linker)?;
    shared::link(linker)?;
    stream::link(linker)
}
