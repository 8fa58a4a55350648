//! Calls out of the proxy, and the foreign functions.

use std::time::Duration;

use wasmtime::Linker;

use super::host_call;
use crate::callout::{Answer, Call, Protocol, Reception, UNAVAILABLE};
use crate::grpc_service::GrpcService;
use crate::guest::Fault;
use crate::headers::{Headers, decode_pairs};
use crate::state::{Pending, State};
use crate::status::Status;

/// Tokens of one kind are this far apart; the kind is the remainder: 0 for HTTP, 1 for a gRPC
/// call, 2 for a gRPC stream.
const STEP: u32 = 4;
const GRPC_CALL: u32 = 1;
const GRPC_STREAM: u32 = 2;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_http(linker)?;
    link_grpc(linker)?;
    link_grpc_streams(linker)?;
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

fn link_http(linker: &mut Linker<State>) -> wasmtime::Result<()> {
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
         timeout: u32,
         token_to: u32| {
            let cluster = guest.read(cluster, cluster_size)?;
            let headers = pairs(Headers::request(), &guest.read(headers, headers_size)?);
            let body = guest.read(body, body_size)?;
            let trailers = pairs(Headers::request(), &guest.read(trailers, trailers_size)?);
            guest.write_u32(token_to, 0)?;
            let call = Call {
                protocol: Protocol::Http,
                token: 0,
                cluster: String::from_utf8_lossy(&cluster).into_owned(),
                authority: headers.text(":authority").unwrap_or_default(),
                service: String::new(),
                method: String::new(),
                headers,
                body,
                trailers,
                timeout: milliseconds(timeout),
                stream: None,
            };
            let token = http_call(guest.state(), call, timeout)?;
            guest.write_u32(token_to, token)
        }
    );
    Ok(())
}

fn http_call(state: &mut State, mut call: Call, timeout: u32) -> Result<u32, Status> {
    // The ABI's number is unsigned; Envoy reads it as one with a sign.
    if timeout.cast_signed() < 0 || !state.options.clusters.exists(&call.cluster) {
        return Err(Status::BadArgument);
    }
    if [":method", ":path", ":authority"].iter().any(|name| call.headers.get(name).is_none()) {
        return Err(Status::BadArgument);
    }
    if !call.body.is_empty() {
        call.headers.set("content-length", call.body.len().to_string());
    }
    send(state, call)
}

fn link_grpc(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_grpc_call",
        |guest,
         target: u32,
         target_size: u32,
         service: u32,
         service_size: u32,
         method: u32,
         method_size: u32,
         metadata: u32,
         metadata_size: u32,
         message: u32,
         message_size: u32,
         timeout: u32,
         token_to: u32| {
            let target = guest.read(target, target_size)?;
            let service = guest.read(service, service_size)?;
            let method = guest.read(method, method_size)?;
            let headers = pairs(Headers::request(), &guest.read(metadata, metadata_size)?);
            let body = guest.read(message, message_size)?;
            let (cluster, authority) = target_of(guest.state(), &target)?;
            let call = Call {
                protocol: Protocol::Grpc,
                token: 0,
                cluster,
                authority,
                service: String::from_utf8_lossy(&service).into_owned(),
                method: String::from_utf8_lossy(&method).into_owned(),
                headers,
                body,
                trailers: Headers::request(),
                timeout: milliseconds(timeout),
                stream: None,
            };
            let token = send(guest.state(), call)?;
            guest.write_u32(token_to, token)
        }
    );
    host_call!(linker, "proxy_grpc_cancel", |guest, token: u32| {
        Ok(end_call(guest.state(), token)?)
    });
    host_call!(linker, "proxy_grpc_close", |guest, token: u32| {
        Ok(end_call(guest.state(), token)?)
    });
    Ok(())
}

/// The cluster and the authority of a gRPC call. A name that no cluster has is found out at once,
/// one inside a message only when the call is sent.
fn target_of(state: &State, target: &[u8]) -> Result<(String, String), Fault> {
    match GrpcService::read(target) {
        GrpcService::Name(name) if state.options.clusters.exists(&name) => Ok((name.clone(), name)),
        GrpcService::Name(_) => Err(Status::ParseFailure.into()),
        GrpcService::Envoy { cluster, authority } => {
            let authority = if authority.is_empty() { cluster.clone() } else { authority };
            Ok((cluster, authority))
        }
        GrpcService::NoTarget => Err(Fault::Trap(wasmtime::Error::msg(
            "`proxy_grpc_call` with a `GrpcService` that has no `envoy_grpc`: Envoy may abort",
        ))),
    }
}

/// Closing and cancelling a unary call are the same: no callback comes any more.
fn end_call(state: &mut State, token: u32) -> Result<(), Status> {
    match token % STEP {
        GRPC_CALL => {
            let root = state.root_id();
            let own = state.calls.get(&token).is_some_and(|pending| pending.root == root);
            let ended = own.then(|| state.calls.remove(&token));
            ended.map(|_| ()).ok_or(Status::NotFound)
        }
        GRPC_STREAM => Err(Status::NotFound),
        _ => Err(Status::BadArgument),
    }
}

fn link_grpc_streams(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    // This host has no gRPC streams: one to a cluster that exists fails.
    host_call!(
        linker,
        "proxy_grpc_stream",
        |guest,
         target: u32,
         target_size: u32,
         service: u32,
         service_size: u32,
         method: u32,
         method_size: u32,
         metadata: u32,
         metadata_size: u32,
         _token_to: u32| {
            let target = guest.read(target, target_size)?;
            guest.read(service, service_size)?;
            guest.read(method, method_size)?;
            guest.read(metadata, metadata_size)?;
            target_of(guest.state(), &target)?;
            Err(Status::InternalFailure.into())
        }
    );
    host_call!(linker, "proxy_grpc_send", |guest,
                                           token: u32,
                                           message: u32,
                                           size: u32,
                                           _end: u32| {
        guest.read(message, size)?;
        let stream = token % STEP == GRPC_STREAM;
        Err((if stream { Status::NotFound } else { Status::BadArgument }).into())
    });
    Ok(())
}

/// Sends a call and gives it a token. Envoy uses up a token also for a gRPC call that fails at
/// once, and also reports its end by a callback.
fn send(state: &mut State, mut call: Call) -> Result<u32, Status> {
    let (kind, first) = match call.protocol {
        Protocol::Http => (0, 0),
        Protocol::Grpc => (1, GRPC_CALL),
    };
    let last = state.last_token.get_mut(kind).ok_or(Status::InternalFailure)?;
    *last = last.checked_add(STEP).unwrap_or(STEP + first);
    call.token = *last;
    call.stream = Some(state.attributed).filter(|stream| *stream != 0);
    let (root, token) = (state.root_id(), call.token);
    match state.options.clusters.receive(&call) {
        Some(Reception::Sent(answer)) => {
            let at = |after: Duration| state.now.saturating_add(after.as_nanos() as u64);
            let deadline = call.timeout.map(at);
            let answer = answer.map(|(after, answer)| (at(after), answer));
            state.calls.insert(token, Pending { call, root, deadline, answer });
            Ok(token)
        }
        unsent => {
            if call.protocol == Protocol::Grpc {
                let text = match unsent {
                    None => "Cluster not available",
                    Some(_) => "no healthy upstream",
                };
                let answer = Answer::GrpcStatus { code: UNAVAILABLE, message: text.to_owned() };
                state.refused.push((root, token, answer));
            }
            Err(Status::InternalFailure)
        }
    }
}

fn pairs(mut headers: Headers, bytes: &[u8]) -> Headers {
    for (name, value) in decode_pairs(bytes) {
        headers.add(name, value);
    }
    headers
}

/// A timeout of 0 is none.
fn milliseconds(timeout: u32) -> Option<Duration> {
    (timeout != 0).then(|| Duration::from_millis(timeout.into()))
}
