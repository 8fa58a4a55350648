//! Why a module does not load or start.

/// Why a module does not load or start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The file cannot be read.
    #[error("cannot read the module `{path}`: {source}; has it been built?")]
    Read {
        /// The file that was asked for.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are no WebAssembly module, or an import has another type than the host's.
    #[error("not a module that this host can run: {0}")]
    Invalid(String),
    /// The module imports functions that no Envoy offers.
    #[error("the module imports what the host does not offer: {}", quoted(.0))]
    UnknownImports(Vec<String>),
    /// The module does not say that it speaks proxy-wasm 0.2.
    #[error("the module exports neither `proxy_abi_version_0_2_1` nor `proxy_abi_version_0_2_0`")]
    AbiVersion,
    /// The host cannot hand values over without these.
    #[error("the module exports no `{0}`")]
    MissingExport(&'static str),
    /// A callback has another signature than the ABI's.
    #[error("`{name}` has the signature {found}, the host calls it as {expected}")]
    Signature {
        /// The exported function.
        name: String,
        /// The signature that it has.
        found: String,
        /// The signature that the ABI gives it.
        expected: String,
    },
    /// The module trapped while it was initialised.
    #[error("the module does not start: {0}")]
    Start(String),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
