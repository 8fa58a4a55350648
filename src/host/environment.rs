//! The environment that the proxy gives the VM (`vmConfig.env`).

use std::os::wasi::ffi::OsStrExt;

use crate::credential::{Environment, Secret, Value};

/// The VM's environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfVm;

impl Environment for OfVm {
    fn value(&self, name: &str) -> Option<Value> {
        let value = std::env::var_os(name)?;
        Some(Value::Known(Secret::new(value.as_bytes())))
    }
}
