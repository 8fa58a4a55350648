//! The filter with the servers that people run beside it, each in a real Envoy.

mod native;
mod setting;
