//! What services answer.

use std::time::Duration;

use egress_filter::cel::data::Data;
use egress_filter::ext_auth::grpc;
use egress_filter::protobuf::header::{HeaderAction, HeaderOption, HeaderValue as OurValue};
use egress_filter::rate_limit::service;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption, QueryParameter};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{
    DescriptorStatus, RateLimit,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::{self, BoolValue};
use envoy_types::pb::google::rpc::Status;
use proptest::prelude::*;
use prost::Message as _;

use super::data::{entries, sorted, structure};

/// A header that has its value in `value`, in `raw_value`, or in neither.
fn header() -> impl Strategy<Value = HeaderValue> {
    ("[a-zA-Z:-]{0,9}", ".{0,9}", prop::collection::vec(any::<u8>(), 0..9), any::<bool>()).prop_map(
        |(key, value, raw_value, is_raw)| {
            let (value, raw_value) =
                if is_raw { (String::new(), raw_value) } else { (value, Vec::new()) };
            HeaderValue { key, value, raw_value }
        },
    )
}

fn options() -> impl Strategy<Value = Vec<HeaderValueOption>> {
    let option = (header(), proptest::option::of(any::<bool>()), 0..4_i32, any::<bool>());
    let option = option.prop_map(|(header, append, append_action, keep_empty_value)| {
        #[allow(deprecated, reason = "what services send")]
        HeaderValueOption {
            header: Some(header),
            append: append.map(|value| BoolValue { value }),
            append_action,
            keep_empty_value,
        }
    });
    prop::collection::vec(option, 0..4)
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,9}", 0..4)
}

fn status() -> impl Strategy<Value = Option<Status>> {
    let status = (any::<i32>(), ".{0,9}");
    proptest::option::of(status.prop_map(|(code, message)| Status {
        code,
        message,
        ..Status::default()
    }))
}

fn response() -> impl Strategy<Value = Option<HttpResponse>> {
    let reply = || {
        (proptest::option::of(0..600_i32), options(), ".{0,9}").prop_map(
            |(status, headers, body)| DeniedHttpResponse {
                status: status.map(|code| HttpStatus { code }),
                headers,
                body,
            },
        )
    };
    let parameters = prop::collection::vec(("[a-z]{0,3}", ".{0,9}"), 0..4);
    let ok = (options(), names(), options(), parameters, names()).prop_map(
        |(headers, headers_to_remove, response_headers_to_add, parameters, removed)| {
            OkHttpResponse {
                headers,
                headers_to_remove,
                response_headers_to_add,
                query_parameters_to_set: parameters
                    .into_iter()
                    .map(|(key, value)| QueryParameter { key, value })
                    .collect(),
                query_parameters_to_remove: removed,
                ..OkHttpResponse::default()
            }
        },
    );
    proptest::option::of(prop_oneof![
        reply().prop_map(HttpResponse::DeniedResponse),
        reply().prop_map(HttpResponse::ErrorResponse),
        ok.prop_map(HttpResponse::OkResponse),
    ])
}

fn check_response() -> impl Strategy<Value = (CheckResponse, Vec<(String, Data)>)> {
    (status(), response(), entries()).prop_map(|(status, http_response, entries)| {
        let dynamic_metadata = (!entries.is_empty()).then(|| structure(&entries));
        (CheckResponse { status, http_response, dynamic_metadata }, entries)
    })
}

/// A header's name and value.
fn pair(header: &HeaderValue) -> (String, Vec<u8>) {
    let value = if header.raw_value.is_empty() {
        header.value.clone().into_bytes()
    } else {
        header.raw_value.clone()
    };
    (header.key.clone(), value)
}

fn our_pair(header: &OurValue<'_>) -> (String, Vec<u8>) {
    (header.name.to_owned(), header.value().to_vec())
}

type Change = ((String, Vec<u8>), HeaderAction);

#[allow(deprecated, reason = "what services send")]
fn changes(options: &[HeaderValueOption]) -> Vec<Change> {
    let action = |option: &HeaderValueOption| match (&option.append, option.append_action) {
        (Some(BoolValue { value: true }), _) => HeaderAction::Append,
        (None, 1) => HeaderAction::AddIfAbsent,
        (None, 3) => HeaderAction::OverwriteIfExists,
        _ => HeaderAction::Overwrite,
    };
    let header = |option: &HeaderValueOption| pair(&option.header.clone().unwrap_or_default());
    options.iter().map(|option| (header(option), action(option))).collect()
}

fn our_changes(options: &[HeaderOption<'_>]) -> Vec<Change> {
    options.iter().map(|option| (our_pair(&option.header), option.action)).collect()
}

/// That two answers are the same.
fn same(theirs: &CheckResponse, ours: &grpc::CheckResponse<'_>) {
    assert_eq!(ours.code, theirs.status.as_ref().map(|status| i64::from(status.code)));
    let metadata = theirs.dynamic_metadata.clone().unwrap_or_default();
    assert_eq!(structure(&ours.metadata), metadata);
    match (&theirs.http_response, &ours.response) {
        (None, grpc::HttpResponse::None) => {}
        (Some(HttpResponse::OkResponse(theirs)), grpc::HttpResponse::Ok(ours)) => {
            assert_eq!(our_changes(&ours.headers), changes(&theirs.headers));
            assert_eq!(ours.headers_to_remove, theirs.headers_to_remove);
            let response = changes(&theirs.response_headers_to_add);
            assert_eq!(our_changes(&ours.response_headers), response);
            let parameters: Vec<_> = theirs
                .query_parameters_to_set
                .iter()
                .map(|parameter| (&parameter.key[..], &parameter.value[..]))
                .collect();
            assert_eq!(ours.query_to_set, parameters);
            assert_eq!(ours.query_to_remove, theirs.query_parameters_to_remove);
        }
        (Some(HttpResponse::DeniedResponse(theirs)), grpc::HttpResponse::Denied(ours))
        | (Some(HttpResponse::ErrorResponse(theirs)), grpc::HttpResponse::Error(ours)) => {
            let status = theirs.status.as_ref().map_or(0, |status| status.code);
            assert_eq!(i64::from(ours.status), i64::from(status));
            assert_eq!(our_changes(&ours.headers), changes(&theirs.headers));
            assert_eq!(ours.body, theirs.body);
        }
        (theirs, ours) => panic!("{theirs:?} against {ours:?}"),
    }
}

fn limit_response() -> impl Strategy<Value = (RateLimitResponse, Vec<(String, Data)>)> {
    let limit = (any::<u32>(), 0..9_i32, ".{0,9}")
        .prop_map(|(requests_per_unit, unit, name)| RateLimit { requests_per_unit, unit, name });
    let reset = (0..1_i64 << 40, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| protobuf::Duration { seconds, nanos });
    let status = (0..4_i32, proptest::option::of(limit), any::<u32>(), proptest::option::of(reset));
    let status = status.prop_map(|(code, current_limit, limit_remaining, duration_until_reset)| {
        DescriptorStatus {
            code,
            current_limit,
            limit_remaining,
            duration_until_reset,
            ..DescriptorStatus::default()
        }
    });
    (
        0..4_i32,
        prop::collection::vec(status, 0..4),
        prop::collection::vec(header(), 0..4),
        prop::collection::vec(header(), 0..4),
        prop::collection::vec(any::<u8>(), 0..9),
        entries(),
    )
        .prop_map(|(overall_code, statuses, response, request, raw_body, entries)| {
            let answer = RateLimitResponse {
                overall_code,
                statuses,
                response_headers_to_add: response,
                request_headers_to_add: request,
                raw_body,
                dynamic_metadata: (!entries.is_empty()).then(|| structure(&entries)),
                ..RateLimitResponse::default()
            };
            (answer, entries)
        })
}

fn code(number: i32) -> service::Code {
    match number {
        1 => service::Code::Ok,
        2 => service::Code::OverLimit,
        _ => service::Code::Unknown,
    }
}

fn same_status(theirs: &DescriptorStatus, ours: &service::DescriptorStatus<'_>) {
    use service::Unit::{Day, Hour, Minute, Month, Second, Week, Year};
    let units = [Second, Minute, Hour, Day, Month, Year, Week];
    assert_eq!((ours.code, ours.remaining), (code(theirs.code), theirs.limit_remaining));
    let limit = theirs.current_limit.as_ref().map(|limit| {
        let unit = usize::try_from(limit.unit - 1).ok().and_then(|index| units.get(index));
        (&limit.name[..], limit.requests_per_unit, unit.copied())
    });
    assert_eq!(ours.limit.map(|limit| (limit.name, limit.requests, limit.unit)), limit);
    let reset = theirs.duration_until_reset.unwrap_or_default();
    let reset = Duration::new(reset.seconds.cast_unsigned(), reset.nanos.cast_unsigned());
    assert_eq!(ours.until_reset, reset);
}

proptest! {
    #[test]
    fn the_filter_reads_a_check_response_as_prost_wrote_it((answer, entries) in check_response()) {
        let bytes = answer.encode_to_vec();
        let ours = grpc::CheckResponse::decode(&bytes).unwrap();
        same(&answer, &ours);
        prop_assert_eq!(sorted(&ours.metadata), sorted(&entries));
    }

    /// Two messages in a row are the sum of both.
    #[test]
    fn parts_of_a_message_are_put_together_as_prost_does(
        (first, _) in check_response(),
        (second, _) in check_response(),
    ) {
        let bytes = [first.encode_to_vec(), second.encode_to_vec()].concat();
        let theirs = CheckResponse::decode(&bytes[..]).unwrap();
        same(&theirs, &grpc::CheckResponse::decode(&bytes).unwrap());
    }

    #[test]
    fn the_filter_reads_a_rate_limit_response_as_prost_wrote_it(
        (answer, entries) in limit_response(),
    ) {
        let bytes = answer.encode_to_vec();
        let ours = service::RateLimitResponse::decode(&bytes).unwrap();
        prop_assert_eq!(ours.code, code(answer.overall_code));
        prop_assert_eq!(ours.statuses.len(), answer.statuses.len());
        for (theirs, ours) in answer.statuses.iter().zip(&ours.statuses) {
            same_status(theirs, ours);
        }
        let pairs = |headers: &[HeaderValue]| headers.iter().map(pair).collect::<Vec<_>>();
        let our_pairs = |headers: &[OurValue<'_>]| headers.iter().map(our_pair).collect::<Vec<_>>();
        let (response, request) = (&answer.response_headers_to_add, &answer.request_headers_to_add);
        prop_assert_eq!(our_pairs(&ours.response_headers), pairs(response));
        prop_assert_eq!(our_pairs(&ours.request_headers), pairs(request));
        prop_assert_eq!(ours.body, &answer.raw_body[..]);
        prop_assert_eq!(sorted(&ours.metadata), sorted(&entries));
    }

    /// An answer that is cut short or has a byte changed, and any bytes at all: the filter reads
    /// nothing that prost refuses, and stays alive.
    #[test]
    fn what_prost_refuses_the_filter_refuses(
        (answer, _) in check_response(),
        (limit, _) in limit_response(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for whole in [answer.encode_to_vec(), limit.encode_to_vec(), noise] {
            let at = at.index(whole.len() + 1);
            let mut changed = whole.clone();
            changed.get_mut(at).into_iter().for_each(|old| *old = byte);
            for bytes in [&whole[..at], &changed] {
                if grpc::CheckResponse::decode(bytes).is_ok() {
                    prop_assert!(refused_for_what_is_skipped(CheckResponse::decode(bytes).err()));
                }
                if service::RateLimitResponse::decode(bytes).is_ok() {
                    let theirs = RateLimitResponse::decode(bytes);
                    prop_assert!(refused_for_what_is_skipped(theirs.err()));
                }
            }
        }
    }
}

/// Whether prost has read a message, or refused a field that the filter has no use for and skips.
fn refused_for_what_is_skipped(error: Option<prost::DecodeError>) -> bool {
    let Some(error) = error else { return true };
    let error = error.to_string();
    ["Status.message", "Status.details", "keep_empty_value", ".quota", "Quota."]
        .iter()
        .any(|field| error.contains(field))
}
