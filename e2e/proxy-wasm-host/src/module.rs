//! A compiled module: read, checked against the ABI and linked once, then shared by any number of
//! VMs.

use std::path::Path;

use wasmtime::{Config, Engine, ExternType, InstancePre, Linker, ValType};

use super::error::HostError;
use super::state::State;
use super::{abi, wasi};

/// The callbacks that this host calls: name, number of `i32` parameters, whether there is an `i32`
/// result.
const CALLBACKS: &[(&str, usize, bool)] = &[
    ("proxy_on_context_create", 2, false),
    ("proxy_on_vm_start", 2, true),
    ("proxy_on_configure", 2, true),
    ("proxy_on_tick", 1, false),
    ("proxy_on_queue_ready", 2, false),
    ("proxy_on_request_headers", 3, true),
    ("proxy_on_request_body", 3, true),
    ("proxy_on_request_trailers", 2, true),
    ("proxy_on_response_headers", 3, true),
    ("proxy_on_response_body", 3, true),
    ("proxy_on_response_trailers", 2, true),
    ("proxy_on_http_call_response", 5, false),
    ("proxy_on_grpc_receive", 3, false),
    ("proxy_on_grpc_close", 3, false),
    ("proxy_on_done", 1, true),
    ("proxy_on_log", 1, false),
    ("proxy_on_delete", 1, false),
];

/// A compiled module; a clone is another handle on the same.
#[derive(Clone)]
pub struct Module {
    pub(crate) linked: InstancePre<State>,
    size: usize,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Module {
    /// Reads and compiles a file, in binary or text form.
    ///
    /// # Errors
    /// See [`Module::from_bytes`]; also if the file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, HostError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|source| HostError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes)
    }

    /// Compiles a module, in binary or text form.
    ///
    /// # Errors
    /// If it is no valid module, imports what Envoy does not offer, or does not follow the ABI.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HostError> {
        let invalid = |error: wasmtime::Error| HostError::Invalid(format!("{error:#}"));
        let mut config = Config::new();
        config.consume_fuel(true);
        // Tests compile more than they run: the baseline compiler takes seconds where the
        // optimising one takes a minute.
        config.strategy(wasmtime::Strategy::Winch);
        // V8 gives a guest about this much stack.
        config.max_wasm_stack(1 << 20);
        let engine = Engine::new(&config).map_err(invalid)?;
        let module = wasmtime::Module::new(&engine, bytes).map_err(invalid)?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker).map_err(invalid)?;
        wasi::link(&mut linker).map_err(invalid)?;
        check_imports(&module, &linker)?;
        check_exports(&module)?;
        let linked = linker.instantiate_pre(&module).map_err(invalid)?;
        Ok(Self { linked, size: bytes.len() })
    }

    /// The size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The names of all functions that the module exports.
    #[must_use]
    pub fn exports(&self) -> Vec<String> {
        let functions =
            self.linked.module().exports().filter(|export| export.ty().func().is_some());
        functions.map(|export| export.name().to_owned()).collect()
    }
}

fn check_imports(module: &wasmtime::Module, linker: &Linker<State>) -> Result<(), HostError> {
    let mut store =
        wasmtime::Store::new(module.engine(), State::new(super::HostOptions::default()));
    let unknown: Vec<String> = module
        .imports()
        .filter(|import| linker.get(&mut store, import.module(), import.name()).is_none())
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(HostError::UnknownImports(unknown)) }
}

fn check_exports(module: &wasmtime::Module) -> Result<(), HostError> {
    let exports = |name: &str| module.get_export(name).is_some();
    if !exports("proxy_abi_version_0_2_1") && !exports("proxy_abi_version_0_2_0") {
        return Err(HostError::AbiVersion);
    }
    if !exports("memory") {
        return Err(HostError::MissingExport("memory"));
    }
    if !exports("malloc") && !exports("proxy_on_memory_allocate") {
        return Err(HostError::MissingExport("proxy_on_memory_allocate"));
    }
    for (name, params, result) in CALLBACKS {
        let Some(ExternType::Func(found)) = module.get_export(name) else {
            continue;
        };
        let integers = |mut types: Box<dyn Iterator<Item = ValType> + '_>| {
            types.all(|kind| matches!(kind, ValType::I32))
        };
        let fits = found.params().len() == *params
            && found.results().len() == usize::from(*result)
            && integers(Box::new(found.params()))
            && integers(Box::new(found.results()));
        if !fits {
            return Err(HostError::Signature {
                name: (*name).to_owned(),
                found: found.to_string(),
                expected: signature(*params, *result),
            });
        }
    }
    Ok(())
}

fn signature(params: usize, result: bool) -> String {
    let result = if result { " (result i32)" } else { "" };
    format!("(func (param{}){result})", " i32".repeat(params))
}
