//! What a real gRPC client sees of the stand-ins.

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, RateLimit};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client as rate_limit_client;
use envoy_types::pb::google::rpc::Status;
use rate_limit_client::RateLimitServiceClient;
use tonic::transport::Channel;

use super::*;

async fn channel(port: u16) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
    endpoint.unwrap().connect().await.unwrap()
}

async fn check(port: u16) -> Result<CheckResponse, tonic::Status> {
    let mut client = AuthorizationClient::new(channel(port).await);
    client.check(CheckRequest::default()).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_service_answers_as_the_test_says_and_records_what_came() {
    let service = AuthorizationService::start(|_| Reaction::answer(allowed(&[("x-a", "1")])));
    let service = service.unwrap();
    assert_eq!(check(service.port()).await.unwrap(), allowed(&[("x-a", "1")]));
    service.react(|_| Reaction::answer(denied(401, &[], "who are you?")));
    assert_eq!(check(service.port()).await.unwrap(), denied(401, &[], "who are you?"));
    let calls = service.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].authority, format!("127.0.0.1:{}", service.port()));
    assert!(calls[0].headers.0.contains(&(b"te".to_vec(), b"trailers".to_vec())), "{calls:?}");
}

#[tokio::test]
async fn a_rate_limit_service_sees_its_message() {
    let limit = RateLimit { requests_per_unit: 5, ..RateLimit::default() };
    let answer = over_limit(&limit);
    let service = RateLimitService::start(move |request: &RateLimitRequest| {
        let answer = if request.domain == "a" { &answer } else { &admitted(&limit, &[4]) };
        Reaction::answer(answer.clone())
    });
    let service = service.unwrap();
    let mut client = RateLimitServiceClient::new(channel(service.port()).await);
    for (domain, code) in [("a", Code::OverLimit), ("b", Code::Ok)] {
        let request = RateLimitRequest { domain: domain.to_owned(), ..RateLimitRequest::default() };
        let answer = client.should_rate_limit(request).await.unwrap().into_inner();
        assert_eq!(answer.overall_code(), code, "{domain}");
        assert_eq!(answer.statuses.len(), 1, "{domain}");
    }
    let domains: Vec<String> =
        service.calls().into_iter().map(|call| call.message.domain).collect();
    assert_eq!(domains, ["a", "b"]);
}

#[tokio::test]
async fn a_status_a_delay_and_silence_are_what_they_say() {
    let service = AuthorizationService::start(|_| Reaction::status(tonic::Code::Internal)).unwrap();
    assert_eq!(check(service.port()).await.unwrap_err().code(), tonic::Code::Internal);

    let delay = Duration::from_millis(80);
    service.react(move |_| Reaction::answer(allowed(&[])).after(Wait::For(delay)));
    let start = Instant::now();
    check(service.port()).await.unwrap();
    assert!(start.elapsed() >= delay);

    service.react(|_| Reaction::never());
    let answer = tokio::time::timeout(Duration::from_millis(80), check(service.port())).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn calls_wait_at_the_gate_until_it_is_opened() {
    let service =
        AuthorizationService::start(|_| Reaction::answer(allowed(&[])).after(Wait::Release));
    let service = service.unwrap();
    let call = tokio::spawn(check(service.port()));
    while service.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!call.is_finished());
    service.release();
    assert_eq!(call.await.unwrap().unwrap(), allowed(&[]));
}

#[tokio::test]
async fn an_answer_breaks_off_before_its_head_or_within_its_message() {
    let status = Status { message: "x".repeat(16 * 1024), ..Status::default() };
    let message = CheckResponse { status: Some(status), ..CheckResponse::default() };
    let service = AuthorizationService::start(|_| Reaction::never()).unwrap();
    for after in [0, 4096] {
        let message = message.clone();
        service.react(move |_| Reaction::cut_off(message.clone(), after));
        let error = check(service.port()).await.unwrap_err();
        assert!(
            matches!(
                error.code(),
                tonic::Code::Unknown | tonic::Code::Unavailable | tonic::Code::Internal
            ),
            "{after}: {error:?}"
        );
    }
    // The next connection is a whole one.
    service.react(|_| Reaction::answer(allowed(&[])));
    check(service.port()).await.unwrap();
}

#[tokio::test]
async fn a_dropped_service_is_absent() {
    let service = AuthorizationService::start(|_| Reaction::never()).unwrap();
    let port = service.port();
    drop(channel(port).await);
    drop(service);
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
    assert!(endpoint.unwrap().connect().await.is_err());
}
