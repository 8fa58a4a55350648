//! Takes the numbers of proxy-wasm's ABI from the SDK's types, for `src/host`.
//!
//! The SDK itself is not linked into the module: it defines every callback of the ABI, Envoy calls
//! each callback that a module exports, and two definitions of one symbol do not link. So the
//! filter has exports of its own (`src/host/exports.rs`), and only the numbers are the SDK's.

use std::env;
use std::fs;
use std::path::Path;

use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, MetricType, Status, StreamType};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let numbers = [
        ("CONTINUE", Action::Continue as u32),
        ("PAUSE", Action::Pause as u32),
        ("OK", Status::Ok as u32),
        ("NOT_FOUND", Status::NotFound as u32),
        ("CAS_MISMATCH", Status::CasMismatch as u32),
        ("LOG_TRACE", LogLevel::Trace as u32),
        ("LOG_DEBUG", LogLevel::Debug as u32),
        ("LOG_INFO", LogLevel::Info as u32),
        ("LOG_WARN", LogLevel::Warn as u32),
        ("LOG_ERROR", LogLevel::Error as u32),
        ("REQUEST_HEADERS", MapType::HttpRequestHeaders as u32),
        ("REQUEST_TRAILERS", MapType::HttpRequestTrailers as u32),
        ("RESPONSE_HEADERS", MapType::HttpResponseHeaders as u32),
        ("RESPONSE_TRAILERS", MapType::HttpResponseTrailers as u32),
        ("CALL_RESPONSE_HEADERS", MapType::HttpCallResponseHeaders as u32),
        ("CALL_RESPONSE_BODY", BufferType::HttpCallResponseBody as u32),
        ("GRPC_MESSAGE", BufferType::GrpcReceiveBuffer as u32),
        ("PLUGIN_CONFIGURATION", BufferType::PluginConfiguration as u32),
        ("HTTP_REQUEST", StreamType::HttpRequest as u32),
        ("COUNTER", MetricType::Counter as u32),
        ("GAUGE", MetricType::Gauge as u32),
        ("HISTOGRAM", MetricType::Histogram as u32),
    ];
    let of_bodies = [
        ("REQUEST_BODY", BufferType::HttpRequestBody as u32),
        ("RESPONSE_BODY", BufferType::HttpResponseBody as u32),
    ];
    let of_bodies = of_bodies.into_iter().filter(|_| cfg!(feature = "bodies"));
    let line = |(name, number): (&str, u32)| format!("pub(super) const {name}: u32 = {number};\n");
    let out = env::var("OUT_DIR")?;
    fs::write(
        Path::new(&out).join("abi.rs"),
        numbers.into_iter().chain(of_bodies).map(line).collect::<String>(),
    )?;
    Ok(())
}
