//! What a filter does to the stream itself: answer, let go on, close.

use wasmtime::Linker;

use super::host_call;
use crate::headers::decode_pairs;
use crate::reply::Asked;
use crate::state::State;
use crate::status::Status;

/// The kinds of streams, as the ABI numbers them; those of TCP follow, up to the last.
const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const LAST_STREAM: u32 = 3;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_send_local_response",
        |guest,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         grpc_status: i32| {
            let details = guest.read(details, details_size)?;
            let body = guest.read(body, body_size)?;
            let headers = decode_pairs(&guest.read(headers, headers_size)?);
            // Envoy answers ok from a root context too, and does nothing.
            if let Some(stream) = guest.state().touch() {
                stream.replies += 1;
                stream.reply.get_or_insert(Asked { status, body, headers, grpc_status, details });
            }
            Ok(())
        }
    );
    host_call!(linker, "proxy_continue_stream", |guest, kind: u32| {
        if kind > LAST_STREAM {
            return Err(Status::BadArgument.into());
        }
        if let Some(stream) = guest.state().touch() {
            match kind {
                REQUEST => stream.request.resumed = true,
                RESPONSE => stream.response.resumed = true,
                _ => {}
            }
            // Whichever direction goes on, Envoy takes the request out of the guest's sight.
            if kind <= RESPONSE {
                stream.request.close_view();
            }
        }
        Ok(())
    });
    host_call!(linker, "proxy_close_stream", |guest, kind: u32| {
        if kind > LAST_STREAM {
            return Err(Status::BadArgument.into());
        }
        if let Some(stream) = guest.state().touch() {
            stream.closed = true;
        }
        Ok(())
    });
    Ok(())
}
