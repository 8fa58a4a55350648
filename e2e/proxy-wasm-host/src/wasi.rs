//! The part of WASI that Envoy offers: output goes to the log, there are no files.

use wasmtime::{Caller, Linker};

use super::guest::{Fault, Guest, enter};
use super::options::LogLevel;
use super::state::State;
use super::status::Status;

/// Error numbers of WASI.
const BADF: u32 = 8;
const FAULT: u32 = 21;
const NOSYS: u32 = 52;
const NOTSUP: u32 = 58;

/// Modules built against the old and the new preview name the same functions differently.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

macro_rules! wasi {
    (
        $linker:expr,
        $module:expr,
        $name:literal,
        |$guest:ident $(, $arg:ident: $kind:ty)* $(,)?| $work:block
    ) => {
        $linker.func_wrap(
            $module,
            $name,
            move |caller: Caller<'_, State>, $($arg: $kind),*| -> wasmtime::Result<u32> {
                call(caller, $name, |$guest| $work)
            },
        )?
    };
}

/// Runs a call; a bad pointer is a number of WASI's here, not a proxy-wasm status.
fn call(
    caller: Caller<'_, State>,
    name: &'static str,
    work: impl FnOnce(&mut Guest<'_>) -> Result<(), Fault>,
) -> wasmtime::Result<u32> {
    enter(caller, name, |guest| {
        work(guest).map_err(|fault| match fault {
            Fault::Code(code) if code == Status::InvalidMemoryAccess.code() => Fault::Code(FAULT),
            other => other,
        })
    })
}

/// Defines every function.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for module in MODULES {
        link_files(linker, module)?;
        link_environment(linker, module)?;
        link_the_rest(linker, module)?;
    }
    Ok(())
}

fn link_files(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    wasi!(linker, module, "fd_write", |guest,
                                       fd: u32,
                                       vectors: u32,
                                       count: u32,
                                       written_to: u32| {
        let level = match fd {
            1 => LogLevel::Info,
            2 => LogLevel::Error,
            _ => return Err(Fault::Code(BADF)),
        };
        let mut text = Vec::new();
        for index in 0..count {
            let vector = guest.read(vectors.wrapping_add(index.wrapping_mul(8)), 8)?;
            let word = |at: usize| {
                u32::from_le_bytes([vector[at], vector[at + 1], vector[at + 2], vector[at + 3]])
            };
            text.extend(guest.read(word(0), word(4))?);
        }
        let size = text.len() as u32;
        if !text.is_empty() {
            guest.state().log(level, text.strip_suffix(b"\n").unwrap_or(&text));
        }
        guest.write_u32(written_to, size)
    });
    wasi!(linker, module, "fd_fdstat_get", |guest, fd: u32, to: u32| {
        if fd != 1 && fd != 2 {
            return Err(Fault::Code(BADF));
        }
        // Only the right to write, in the second of three words.
        guest.write_u64(to, 0)?;
        guest.write_u64(to + 8, 64)?;
        guest.write_u64(to + 16, 0)
    });
    wasi!(linker, module, "fd_read", |_guest, _fd: u32, _to: u32, _count: u32, _size_to: u32| {
        Err(Fault::Code(NOSYS))
    });
    wasi!(linker, module, "fd_seek", |_guest, _fd: u32, _offset: i64, _whence: u32, _to: u32| {
        Ok(())
    });
    wasi!(linker, module, "fd_close", |_guest, _fd: u32| { Ok(()) });
    wasi!(linker, module, "fd_fdstat_set_flags", |_guest, _fd: u32, _flags: u32| {
        Err(Fault::Code(NOSYS))
    });
    wasi!(linker, module, "fd_prestat_get", |_guest, _fd: u32, _to: u32| {
        Err(Fault::Code(BADF))
    });
    wasi!(linker, module, "fd_prestat_dir_name", |_guest, _fd: u32, _to: u32, _size: u32| {
        Err(Fault::Code(BADF))
    });
    wasi!(
        linker,
        module,
        "path_filestat_get",
        |_guest, _fd: u32, _flags: u32, _path: u32, _size: u32, _to: u32| {
            Err(Fault::Code(NOSYS))
        }
    );
    wasi!(linker, module, "path_open", |_guest,
                                        _fd: u32,
                                        _dir: u32,
                                        _path: u32,
                                        _size: u32,
                                        _open: u32,
                                        _base: i64,
                                        _all: i64,
                                        _flags: u32,
                                        _to: u32| {
        Err(Fault::Code(NOSYS))
    });
    Ok(())
}

fn link_environment(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    wasi!(linker, module, "environ_sizes_get", |guest, count_to: u32, size_to: u32| {
        let lines = environment(guest.state());
        guest.write_u32(count_to, lines.len() as u32)?;
        guest.write_u32(size_to, lines.iter().map(Vec::len).sum::<usize>() as u32)
    });
    wasi!(linker, module, "environ_get", |guest, pointers_to: u32, text_to: u32| {
        let (mut pointer, mut text) = (pointers_to, text_to);
        for line in environment(guest.state()) {
            guest.write_u32(pointer, text)?;
            guest.write(text, &line)?;
            pointer += 4;
            text += line.len() as u32;
        }
        Ok(())
    });
    wasi!(linker, module, "args_sizes_get", |guest, count_to: u32, size_to: u32| {
        guest.write_u32(count_to, 0)?;
        guest.write_u32(size_to, 0)
    });
    wasi!(linker, module, "args_get", |_guest, _pointers_to: u32, _text_to: u32| { Ok(()) });
    Ok(())
}

fn environment(state: &State) -> Vec<Vec<u8>> {
    state.options.env.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn link_the_rest(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    wasi!(linker, module, "clock_time_get", |guest, clock: u32, _precision: u64, to: u32| {
        // The real-time and the monotonic clock.
        if clock > 1 {
            return Err(Fault::Code(NOTSUP));
        }
        let now = guest.state().now;
        guest.write_u64(to, now)
    });
    wasi!(linker, module, "random_get", |guest, to: u32, size: u32| {
        let bytes = guest.state().random_bytes(size as usize);
        guest.write(to, &bytes)
    });
    wasi!(linker, module, "sched_yield", |_guest| { Ok(()) });
    wasi!(linker, module, "poll_oneoff", |_guest, _in: u32, _out: u32, _count: u32, _to: u32| {
        Err(Fault::Code(NOSYS))
    });
    linker.func_wrap(
        module,
        "proc_exit",
        |_: Caller<'_, State>, code: u32| -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg(format!("the module called `proc_exit({code})`")))
        },
    )?;
    Ok(())
}
