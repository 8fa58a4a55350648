//! The messages of `envoy.service.auth.v3.Authorization/Check`.

mod request;
mod response;
#[cfg(test)]
mod tests;

pub use request::{CheckRequest, HttpRequest, Peer};
pub use response::{CheckResponse, HttpResponse, OkResponse, Reply};
