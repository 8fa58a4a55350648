//! The guest's memory as a host call sees it.

use wasmtime::{Caller, Extern, Memory, TypedFunc};

use super::state::State;
use super::status::Status;

/// Why a host call ends early: with a code for the guest, or because the guest trapped while it
/// allocated.
pub(crate) enum Fault {
    Code(u32),
    Trap(wasmtime::Error),
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Code(status.code())
    }
}

/// One host call in progress.
pub(crate) struct Guest<'a> {
    caller: Caller<'a, State>,
    memory: Memory,
}

/// Runs a host call: counts it, fails it where a test wants that, and turns its result into the
/// guest's status.
pub(crate) fn enter(
    mut caller: Caller<'_, State>,
    name: &'static str,
    work: impl FnOnce(&mut Guest<'_>) -> Result<(), Fault>,
) -> wasmtime::Result<u32> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("the module exports no `memory`"))?;
    let mut guest = Guest { caller, memory };
    guest.state().count(name);
    if let Some(status) = guest.state().injected(name) {
        return Ok(status.code());
    }
    match work(&mut guest) {
        Ok(()) => Ok(0),
        Err(Fault::Code(code)) => Ok(code),
        Err(Fault::Trap(error)) => Err(error),
    }
}

impl Guest<'_> {
    pub(crate) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// Copies bytes out of the guest.
    pub(crate) fn read(&mut self, pointer: u32, size: u32) -> Result<Vec<u8>, Fault> {
        let start = pointer as usize;
        let bytes = start
            .checked_add(size as usize)
            .and_then(|end| self.memory.data(&self.caller).get(start..end));
        let bytes = bytes.ok_or(Status::InvalidMemoryAccess)?.to_vec();
        self.state().usage.bytes_from_guest += u64::from(size);
        Ok(bytes)
    }

    /// Copies bytes to a place in the guest.
    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.memory.write(&mut self.caller, pointer as usize, bytes);
        written.map_err(|_| Status::InvalidMemoryAccess)?;
        self.state().usage.bytes_to_guest += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, pointer: u32, number: u32) -> Result<(), Fault> {
        self.write(pointer, &number.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, pointer: u32, number: u64) -> Result<(), Fault> {
        self.write(pointer, &number.to_le_bytes())
    }

    /// Hands a value over in memory that the guest allocates; an empty one as a null pointer,
    /// without allocating.
    pub(crate) fn give(
        &mut self,
        bytes: &[u8],
        pointer_to: u32,
        size_to: u32,
    ) -> Result<(), Fault> {
        let pointer = if bytes.is_empty() { 0 } else { self.allocate(bytes.len() as u32)? };
        if !bytes.is_empty() {
            self.write(pointer, bytes)?;
        }
        self.write_u32(pointer_to, pointer)?;
        self.write_u32(size_to, bytes.len() as u32)
    }

    fn allocate(&mut self, size: u32) -> Result<u32, Fault> {
        let export = self
            .caller
            .get_export("malloc")
            .or_else(|| self.caller.get_export("proxy_on_memory_allocate"));
        let allocate = export.and_then(Extern::into_func).ok_or(Status::InvalidMemoryAccess)?;
        let allocate: TypedFunc<u32, u32> = allocate.typed(&self.caller).map_err(Fault::Trap)?;
        self.state().usage.allocations += 1;
        match allocate.call(&mut self.caller, size).map_err(Fault::Trap)? {
            0 => Err(Status::InvalidMemoryAccess.into()),
            pointer => Ok(pointer),
        }
    }
}
