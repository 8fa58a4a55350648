//! Calls out of the proxy. This host has no clusters, so each gets what Envoy answers for an
//! unknown one.

use wasmtime::Linker;

use super::host_call;
use crate::state::State;
use crate::status::Status;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_http_call",
        |guest,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         _timeout: u32,
         token_to: u32| {
            for (pointer, size) in [
                (cluster, cluster_size),
                (headers, headers_size),
                (body, body_size),
                (trailers, trailers_size),
            ] {
                guest.read(pointer, size)?;
            }
            guest.write_u32(token_to, 0)?;
            Err(Status::BadArgument.into())
        }
    );
    host_call!(
        linker,
        "proxy_grpc_call",
        |guest,
         service: u32,
         service_size: u32,
         _name: u32,
         _name_size: u32,
         _method: u32,
         _method_size: u32,
         _metadata: u32,
         _metadata_size: u32,
         _message: u32,
         _message_size: u32,
         _timeout: u32,
         _token_to: u32| {
            guest.read(service, service_size)?;
            Err(Status::ParseFailure.into())
        }
    );
    host_call!(
        linker,
        "proxy_grpc_stream",
        |guest,
         service: u32,
         service_size: u32,
         _name: u32,
         _name_size: u32,
         _method: u32,
         _method_size: u32,
         _metadata: u32,
         _metadata_size: u32,
         _token_to: u32| {
            guest.read(service, service_size)?;
            Err(Status::ParseFailure.into())
        }
    );
    host_call!(linker, "proxy_grpc_send", |_guest,
                                           _token: u32,
                                           _message: u32,
                                           _size: u32,
                                           _end: u32| {
        Err(Status::BadArgument.into())
    });
    host_call!(linker, "proxy_grpc_cancel", |_guest, _token: u32| { Err(Status::NotFound.into()) });
    host_call!(linker, "proxy_grpc_close", |_guest, _token: u32| { Err(Status::NotFound.into()) });
    host_call!(
        linker,
        "proxy_call_foreign_function",
        |guest,
         name: u32,
         size: u32,
         arguments: u32,
         arguments_size: u32,
         _results: u32,
         _results_size: u32| {
            guest.read(name, size)?;
            guest.read(arguments, arguments_size)?;
            Err(Status::NotFound.into())
        }
    );
    Ok(())
}
