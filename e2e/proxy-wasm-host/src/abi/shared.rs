//! Shared data and queues: what the plugins of one VM id have in common across workers.

use wasmtime::Linker;

use super::host_call;
use crate::state::State;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host_call!(
        linker,
        "proxy_get_shared_data",
        |guest, key: u32, key_size: u32, data_to: u32, size_to: u32, cas_to: u32| {
            let key = guest.read(key, key_size)?;
            let options = &guest.state().options;
            let (value, cas) = options.shared.data(&options.vm_id, &key)?;
            guest.give(&value, data_to, size_to)?;
            guest.write_u32(cas_to, cas)
        }
    );
    host_call!(
        linker,
        "proxy_set_shared_data",
        |guest, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32| {
            let (key, value) = (guest.read(key, key_size)?, guest.read(value, value_size)?);
            let options = &guest.state().options;
            Ok(options.shared.set_data(&options.vm_id, &key, &value, cas)?)
        }
    );
    host_call!(
        linker,
        "proxy_register_shared_queue",
        |guest, name: u32, name_size: u32, token_to: u32| {
            let name = guest.read(name, name_size)?;
            let state = guest.state();
            let token = state.options.shared.register_queue(&state.options.vm_id, &name);
            if let Some(root) = state.root_mut().filter(|root| !root.queues.contains(&token)) {
                root.queues.push(token);
            }
            guest.write_u32(token_to, token)
        }
    );
    host_call!(
        linker,
        "proxy_resolve_shared_queue",
        |guest, vm_id: u32, vm_id_size: u32, name: u32, name_size: u32, token_to: u32| {
            let (vm_id, name) = (guest.read(vm_id, vm_id_size)?, guest.read(name, name_size)?);
            let token = guest
                .state()
                .options
                .shared
                .resolve_queue(&String::from_utf8_lossy(&vm_id), &name)?;
            guest.write_u32(token_to, token)
        }
    );
    host_call!(linker, "proxy_enqueue_shared_queue", |guest, token: u32, data: u32, size: u32| {
        let data = guest.read(data, size)?;
        Ok(guest.state().options.shared.enqueue(token, &data)?)
    });
    host_call!(
        linker,
        "proxy_dequeue_shared_queue",
        |guest, token: u32, data_to: u32, size_to: u32| {
            let item = guest.state().options.shared.dequeue(token)?;
            guest.give(&item, data_to, size_to)
        }
    );
    Ok(())
}
