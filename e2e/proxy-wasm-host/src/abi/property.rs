//! Properties: what Envoy knows of the stream, and what the guest leaves there for the access log.

use wasmtime::Linker;

use super::host_call;
use crate::property::{Property, of_request, of_response};
use crate::state::State;
use crate::status::Status;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_get_property",
        |guest, path: u32, path_size: u32, data_to: u32, size_to: u32| {
            let path = guest.read(path, path_size)?;
            if path.is_empty() {
                return Err(Status::SerializationFailure.into());
            }
            let value = lookup(guest.state(), &path).ok_or(Status::NotFound)?.encode()?;
            guest.give(&value, data_to, size_to)
        }
    );
    host_call!(
        linker,
        "proxy_set_property",
        |guest, path: u32, path_size: u32, value: u32, value_size: u32| {
            // The path is the key as it stands: several segments leave NULs in it.
            let mut key = b"wasm.".to_vec();
            key.extend(guest.read(path, path_size)?);
            let value = guest.read(value, value_size)?;
            let stream = guest.state().http_mut().ok_or(Status::NotFound)?;
            if !stream.written.contains(&key) {
                stream.written.push(key.clone());
            }
            stream.filter_state.insert(key, value);
            Ok(())
        }
    );
    Ok(())
}

fn lookup(state: &State, path: &[u8]) -> Option<Property> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    let segments: Vec<&[u8]> = path.split(|byte| *byte == 0).collect();
    let text = |text: &str| Some(Property::from(text));
    match segments.as_slice() {
        [b"plugin_name"] => return text(&state.options.plugin_name),
        [b"plugin_root_id"] => return text(&state.options.root_id),
        [b"plugin_vm_id"] => return text(&state.options.vm_id),
        _ => {}
    }
    of_stream(state, path, &segments).or_else(|| {
        let known = state.options.properties.iter();
        let mut known = known
            .filter(|(name, _)| name.iter().map(String::as_bytes).eq(segments.iter().copied()));
        known.next().map(|(_, value)| value.clone())
    })
}

fn of_stream(state: &State, path: &[u8], segments: &[&[u8]]) -> Option<Property> {
    let stream = state.http()?;
    let filter_state = |key: &[u8]| stream.filter_state.get(key).cloned().map(Property::Bytes);
    // What derives from headers is there only while they are.
    let of_request = |name: &[u8], key| {
        of_request(stream.request_map()?, name, key, stream.request.body().len())
    };
    let of_response = |name: &[u8], key| of_response(stream.response_map()?, name, key);
    let derived = match segments {
        [b"request", name] => of_request(name, None),
        [b"request", name, key] => of_request(name, Some(*key)),
        [b"response", name] => of_response(name, None),
        [b"response", name, key] => of_response(name, Some(*key)),
        [b"filter_state", key] => filter_state(key),
        _ => None,
    };
    // A name that Envoy does not know is looked up among what a guest wrote.
    let written = || match segments {
        [name] => filter_state(&[b"wasm.".as_slice(), name].concat()),
        _ => None,
    };
    derived.or_else(|| stream.properties.get(path).cloned()).or_else(written)
}
