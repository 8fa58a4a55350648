//! A service of `envoy.service.auth.v3.Authorization`.

use std::io;

use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc::Status;

use super::{Handler, Reaction, StandIn};

/// An external authorization service, as gRPC has it.
pub type AuthorizationService = StandIn<CheckRequest, CheckResponse>;

impl AuthorizationService {
    /// Starts a service on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(
        react: impl Fn(&CheckRequest) -> Reaction<CheckResponse> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at(0, react)
    }

    /// Starts a service on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start_at(
        port: u16,
        react: impl Fn(&CheckRequest) -> Reaction<CheckResponse> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(port, react, AuthorizationServer::new)
    }
}

#[tonic::async_trait]
impl Authorization for Handler<CheckRequest, CheckResponse> {
    async fn check(
        &self,
        call: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        self.answer(call).await
    }
}

/// An answer that allows a request, and sets these headers of it.
pub fn allowed(headers: &[(&str, &str)]) -> CheckResponse {
    let ok = OkHttpResponse { headers: options(headers), ..OkHttpResponse::default() };
    answer(tonic::Code::Ok, HttpResponse::OkResponse(ok))
}

/// An answer that denies a request, with this reply to the caller.
pub fn denied(status: u16, headers: &[(&str, &str)], body: &str) -> CheckResponse {
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: status.into() }),
        headers: options(headers),
        body: body.to_owned(),
    };
    answer(tonic::Code::PermissionDenied, HttpResponse::DeniedResponse(denied))
}

/// A header that takes the place of values that are there already.
pub fn header(name: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value: value.to_owned(),
            ..HeaderValue::default()
        }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}

fn options(headers: &[(&str, &str)]) -> Vec<HeaderValueOption> {
    headers.iter().map(|(name, value)| header(name, value)).collect()
}

fn answer(code: tonic::Code, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(Status { code: code.into(), ..Status::default() }),
        http_response: Some(response),
        ..CheckResponse::default()
    }
}
