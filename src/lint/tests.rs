#![cfg(not(target_arch = "wasm32"))]

mod generated_rules;
