//! A service of `envoy.service.ratelimit.v3.RateLimitService`.

use std::io;

use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    Code, DescriptorStatus, RateLimit,
};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService as Service, RateLimitServiceServer,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use envoy_types::pb::google::protobuf::Duration;

use super::{Handler, Reaction, StandIn};

/// A rate-limit service.
pub type RateLimitService = StandIn<RateLimitRequest, RateLimitResponse>;

impl RateLimitService {
    /// Starts a service on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(
        react: impl Fn(&RateLimitRequest) -> Reaction<RateLimitResponse> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at(0, react)
    }

    /// Starts a service on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start_at(
        port: u16,
        react: impl Fn(&RateLimitRequest) -> Reaction<RateLimitResponse> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(port, react, RateLimitServiceServer::new)
    }
}

#[tonic::async_trait]
impl Service for Handler<RateLimitRequest, RateLimitResponse> {
    async fn should_rate_limit(
        &self,
        call: tonic::Request<RateLimitRequest>,
    ) -> Result<tonic::Response<RateLimitResponse>, tonic::Status> {
        self.answer(call).await
    }
}

/// An answer that lets a request pass: for each descriptor, how many more hits its limit allows.
pub fn admitted(limit: &RateLimit, remaining: &[u32]) -> RateLimitResponse {
    let statuses = remaining.iter().map(|left| status(Code::Ok, limit, *left)).collect();
    RateLimitResponse { overall_code: Code::Ok.into(), statuses, ..RateLimitResponse::default() }
}

/// An answer that stops a request, because this limit is reached.
pub fn over_limit(limit: &RateLimit) -> RateLimitResponse {
    RateLimitResponse {
        overall_code: Code::OverLimit.into(),
        statuses: vec![status(Code::OverLimit, limit, 0)],
        ..RateLimitResponse::default()
    }
}

/// A status whose limit allows its full number again after 30 seconds.
fn status(code: Code, limit: &RateLimit, remaining: u32) -> DescriptorStatus {
    DescriptorStatus {
        code: code.into(),
        current_limit: Some(limit.clone()),
        limit_remaining: remaining,
        duration_until_reset: Some(Duration { seconds: 30, nanos: 0 }),
        ..DescriptorStatus::default()
    }
}
