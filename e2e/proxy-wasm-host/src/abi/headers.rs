//! The header maps.

use wasmtime::Linker;

use super::host_call;
use crate::delivery::map_of;
use crate::headers::{Headers, decode_pairs, encode_pairs};
use crate::state::State;
use crate::status::Status;

/// The kinds of maps of a stream, as the ABI numbers them. Those of callouts follow.
const REQUEST: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;

/// The last kind is the trailers of a callout's response.
const LAST: u32 = 7;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_reads(linker)?;
    link_writes(linker)
}

fn link_reads(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_get_header_map_pairs",
        |guest, map: u32, data_to: u32, size_to: u32| {
            if map > LAST {
                return Err(Status::BadArgument.into());
            }
            // An empty map comes as nothing at all, not as a count of zero; so does one of another
            // phase.
            if guest.state().http().is_some_and(|stream| stream.garbles_maps) {
                return guest.give(&[0xff; 64], data_to, size_to);
            }
            let headers = readable(guest.state(), map).map(Headers::lines).unwrap_or_default();
            let bytes = if headers.is_empty() { Vec::new() } else { encode_pairs(headers) };
            guest.give(&bytes, data_to, size_to)
        }
    );
    host_call!(linker, "proxy_get_header_map_size", |guest, map: u32, to: u32| {
        let size = readable(guest.state(), map)?.byte_size() as u32;
        guest.write_u32(to, size)
    });
    host_call!(
        linker,
        "proxy_get_header_map_value",
        |guest, map: u32, name: u32, name_size: u32, data_to: u32, size_to: u32| {
            let name = guest.read(name, name_size)?;
            let value = readable(guest.state(), map)?.get(name).ok_or(Status::NotFound)?.to_vec();
            guest.give(&value, data_to, size_to)
        }
    );
    Ok(())
}

fn link_writes(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_add_header_map_value",
        |guest, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
            writable(guest.state(), map)?.add(name, value);
            Ok(())
        }
    );
    host_call!(
        linker,
        "proxy_replace_header_map_value",
        |guest, map: u32, name: u32, name_size: u32, value: u32, value_size: u32| {
            let (name, value) = (guest.read(name, name_size)?, guest.read(value, value_size)?);
            writable(guest.state(), map)?.set(name, value);
            Ok(())
        }
    );
    host_call!(
        linker,
        "proxy_remove_header_map_value",
        |guest, map: u32, name: u32, name_size: u32| {
            let name = guest.read(name, name_size)?;
            writable(guest.state(), map)?.remove(name);
            Ok(())
        }
    );
    host_call!(linker, "proxy_set_header_map_pairs", |guest, map: u32, data: u32, size: u32| {
        let bytes = guest.read(data, size)?;
        let headers = writable(guest.state(), map)?;
        headers.clear();
        for (name, value) in decode_pairs(&bytes) {
            headers.add(name, value);
        }
        Ok(())
    });
    Ok(())
}

/// Only the access log sees both maps of headers, and may change none. Trailers are seen while they
/// pass.
fn readable(state: &State, map: u32) -> Result<&Headers, Status> {
    if map > RESPONSE_TRAILERS {
        let answer = state.root().and_then(|root| root.answer.as_ref());
        return answer.and_then(|answer| map_of(answer, map)).ok_or(Status::BadArgument);
    }
    let stream = state.http().ok_or(Status::BadArgument)?;
    let found = match map {
        REQUEST => stream.request_map(),
        RESPONSE => stream.response_map(),
        REQUEST_TRAILERS | RESPONSE_TRAILERS if stream.hides_trailers => None,
        REQUEST_TRAILERS if stream.request.trailers_open => Some(&stream.request.trailers),
        RESPONSE_TRAILERS if stream.response.trailers_open => Some(&stream.response.trailers),
        _ => None,
    };
    found.ok_or(Status::BadArgument)
}

fn writable(state: &mut State, map: u32) -> Result<&mut Headers, Status> {
    let stream = state.http_mut().ok_or(Status::BadArgument)?;
    let side = match map {
        REQUEST | REQUEST_TRAILERS => &mut stream.request,
        RESPONSE | RESPONSE_TRAILERS => &mut stream.response,
        _ => return Err(Status::BadArgument),
    };
    match map {
        REQUEST | RESPONSE if side.headers_open => Ok(&mut side.headers),
        REQUEST_TRAILERS | RESPONSE_TRAILERS if side.trailers_open => Ok(&mut side.trailers),
        _ => Err(Status::BadArgument),
    }
}
