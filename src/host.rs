//! The filter: moves bytes between the proxy (proxy-wasm ABI 0.2.1) and the engine.

mod allocator;
mod facts;
mod host;
mod logger;
mod metrics;
mod root;
mod stream;
#[cfg(feature = "trap-for-tests")]
mod trap;

proxy_wasm::main! {{
    logger::install();
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
