//! The numbers of the ABI, as the SDK has them (`build.rs`).

include!(concat!(env!("OUT_DIR"), "/abi.rs"));
