//! The part of WASI that Envoy offers.

use proxy_wasm_host::{HostOptions, LogLevel, Module, Vm};

/// A module whose `_initialize` does this, with the number of the last call's error at address 64.
fn start(imports: &str, code: &str, options: HostOptions) -> Result<Vm, String> {
    let text = format!(
        r#"(module {imports}
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) i32.const 0)
            (data (i32.const 128) "\a0\00\00\00\03\00\00\00\b0\00\00\00\02\00\00\00")
            (data (i32.const 160) "one")
            (data (i32.const 176) "!\n")
            (func (export "_initialize") {code}))"#
    );
    let module =
        Module::from_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Vm::new(&module, options).map_err(|error| error.to_string())
}

fn import(name: &str, params: &str) -> String {
    let params = params.replace('i', " i32").replace('l', " i64");
    format!(
        r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{params}) (result i32)))"#
    )
}

/// Logs bytes of the memory at `info`.
fn show(at: u32, size: u32) -> String {
    format!("(drop (call $log (i32.const 2) (i32.const {at}) (i32.const {size})))")
}

fn logs(vm: &Vm) -> Vec<(LogLevel, String)> {
    vm.logs().into_iter().map(|log| (log.level, log.text)).collect()
}

#[test]
fn output_goes_to_the_log_without_its_last_newline() {
    let write = |fd: u32| {
        format!(
            "(i32.store (i32.const 64) (call $fd_write (i32.const {fd}) (i32.const 128) \
             (i32.const 2) (i32.const 68)))"
        )
    };
    let code = [write(1), show(64, 8), write(2), write(3), show(64, 1)].concat();
    let vm = start(&import("fd_write", "iiii"), &code, HostOptions::default()).expect("it starts");
    let expected = [
        (LogLevel::Info, "one!"),
        (LogLevel::Info, "\0\0\0\0\u{5}\0\0\0"),
        (LogLevel::Error, "one!"),
        (LogLevel::Info, "\u{8}"),
    ];
    assert_eq!(logs(&vm), expected.map(|(level, text)| (level, text.to_owned())));
}

#[test]
fn the_environment_is_what_the_operator_gave() {
    let imports = [import("environ_sizes_get", "ii"), import("environ_get", "ii")].concat();
    let code = [
        "(drop (call $environ_sizes_get (i32.const 64) (i32.const 68)))".to_owned(),
        show(64, 8),
        "(drop (call $environ_get (i32.const 256) (i32.const 512)))".to_owned(),
        show(256, 8),
        show(512, 8),
    ]
    .concat();
    let env = vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
    let vm =
        start(&imports, &code, HostOptions { env, ..HostOptions::default() }).expect("it starts");
    let texts: Vec<String> = logs(&vm).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["\u{2}\0\0\0\u{8}\0\0\0", "\0\u{2}\0\0\u{4}\u{2}\0\0", "A=1\0B=2\0"]);
}

#[test]
fn the_clock_is_the_hosts_and_random_bytes_follow_the_seed() {
    let imports = [import("clock_time_get", "ili"), import("random_get", "ii")].concat();
    let code = [
        "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))".to_owned(),
        show(64, 8),
        "(i32.store (i32.const 64) (call $clock_time_get (i32.const 7) (i64.const 0) (i32.const \
         72)))"
            .to_owned(),
        show(64, 1),
        "(drop (call $random_get (i32.const 256) (i32.const 20)))".to_owned(),
        show(256, 20),
    ]
    .concat();
    let texts = |seed: u64| -> Vec<String> {
        let now = u64::from_le_bytes(*b"nanosecs");
        let vm = start(&imports, &code, HostOptions { now, seed, ..HostOptions::default() })
            .expect("it starts");
        logs(&vm).into_iter().map(|(_, text)| text).collect()
    };
    assert_eq!(texts(1)[..2], ["nanosecs", ":"], "58: there is no such clock");
    assert_eq!(texts(1), texts(1));
    assert_ne!(texts(1)[2], texts(2)[2]);
}

#[test]
fn a_bad_pointer_is_a_number_of_wasi_and_an_exit_ends_the_guest() {
    let imports = [import("random_get", "ii"), import("fd_write", "iiii")].concat();
    let code = [
        "(i32.store (i32.const 64) (call $random_get (i32.const -4) (i32.const 8)))".to_owned(),
        show(64, 1),
        "(i32.store (i32.const 64) (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) \
         (i32.const 68)))"
            .to_owned(),
        show(64, 1),
    ]
    .concat();
    let vm = start(&imports, &code, HostOptions::default()).expect("it starts");
    let fault = (LogLevel::Info, "\u{15}".to_owned());
    assert_eq!(logs(&vm), [fault.clone(), fault]);
    let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))"#;
    let error = start(exit, "(call $proc_exit (i32.const 3))", HostOptions::default())
        .expect_err("it ends");
    assert!(error.contains("`proc_exit(3)`"), "{error}");
}
