//! What is no module for this host.

use proxy_wasm_host::{HostError, HostOptions, Module, Vm};

#[test]
fn a_module_that_no_envoy_runs_is_refused_with_a_reason() {
    let abi = r#"(func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)"#;
    let malloc = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;
    let refused = |text: String| Module::from_bytes(text.as_bytes()).expect_err("it is refused");
    let import = "(import \"env\" \"proxy_nosuch\" (func)) (import \"wasi_snapshot_preview1\" \
                  \"sock_open\" (func))";
    assert_eq!(
        refused(format!("(module {import} {abi} {malloc})")).to_string(),
        "the module imports what the host does not offer: `env.proxy_nosuch`, \
         `wasi_snapshot_preview1.sock_open`"
    );
    assert!(matches!(refused(format!("(module {malloc})")), HostError::AbiVersion));
    assert!(matches!(
        refused(format!("(module {abi})")),
        HostError::MissingExport("proxy_on_memory_allocate")
    ));
    let callback = r#"(func (export "proxy_on_log") (param i64))"#;
    let error = refused(format!("(module {abi} {malloc} {callback})")).to_string();
    assert!(error.starts_with("`proxy_on_log` has the signature"), "{error}");
    let wrong = r#"(import "env" "proxy_log" (func (param i64)))"#;
    let error = refused(format!("(module {wrong} {abi} {malloc})")).to_string();
    assert!(error.contains("proxy_log"), "{error}");
    assert!(matches!(refused("(module".to_owned()), HostError::Invalid(_)));
    assert!(matches!(Module::load("nosuch.wasm"), Err(HostError::Read { .. })));
    let start = r#"(func (export "_initialize") unreachable)"#;
    let module = Module::from_bytes(format!("(module {abi} {malloc} {start})").as_bytes())
        .expect("it loads");
    assert!(matches!(Vm::new(&module, HostOptions::default()), Err(HostError::Start(_))));
}
