//! What the filter asks.

use std::collections::BTreeMap;
use std::time::Duration;

use egress_filter::ext_auth::grpc;
use egress_filter::rate_limit::service;
use egress_filter::request::headers::Headers;
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, Metadata, SocketAddress};
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::google::protobuf::{Timestamp, UInt64Value};
use proptest::prelude::*;
use prost::Message as _;

use super::data::{entries, structure};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
        // Longer than a length of one byte, and of two.
        (100_usize..20_000).prop_map(|length| vec![b'x'; length]),
    ]
}

fn peer((address, port, principal): &(Vec<u8>, u16, Vec<u8>)) -> Peer {
    let socket = SocketAddress {
        address: text(address),
        port_specifier: Some(PortSpecifier::PortValue(u32::from(*port))),
        ..SocketAddress::default()
    };
    let address =
        (!address.is_empty()).then_some(Address { address: Some(Kind::SocketAddress(socket)) });
    Peer { address, principal: text(principal), ..Peer::default() }
}

/// The headers as a map, whose lines of one name are joined.
fn map(lines: &[(String, Vec<u8>)]) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for (name, value) in lines {
        map.entry(name.clone()).or_default().push(value);
    }
    map.into_iter()
        .map(|(name, values)| {
            let separator: &[u8] = if name == "cookie" { b"; " } else { b", " };
            let value = text(&values.join(separator));
            (name, value)
        })
        .collect()
}

proptest! {
    #[test]
    fn prost_reads_a_check_request_as_it_was_meant(
        source in (bytes(), any::<u16>(), bytes()),
        destination in (bytes(), any::<u16>(), bytes()),
        time in proptest::option::of((0..1_u64 << 40, 0..1_000_000_000_u32)),
        lines in prop::collection::vec(("(:path|cookie|x-[ab]|accept)", bytes()), 0..8),
        [id, method, path, host, scheme, protocol, body] in prop::array::uniform7(bytes()),
        size in any::<i64>(),
        extensions in prop::collection::btree_map("[a-z]{0,3}", ".{0,9}", 0..3),
        namespaces in prop::collection::btree_map("[a-z.]{0,9}", entries(), 0..3),
    ) {
        let headers: Headers<'_> =
            lines.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let of_peer = |(address, port, principal): &'_ (Vec<u8>, u16, Vec<u8>)| {
            (address.clone(), *port, principal.clone())
        };
        let (from, to) = (of_peer(&source), of_peer(&destination));
        let context_extensions: Vec<(String, String)> = extensions.clone().into_iter().collect();
        let metadata: Vec<_> = namespaces.clone().into_iter().collect();
        let request = grpc::CheckRequest {
            source: grpc::Peer { address: &from.0, port: from.1, principal: &from.2 },
            destination: grpc::Peer { address: &to.0, port: to.1, principal: &to.2 },
            time: time.map(|(seconds, nanos)| Duration::new(seconds, nanos)),
            http: grpc::HttpRequest {
                id: &id,
                method: &method,
                headers: &headers,
                path: &path,
                host: &host,
                scheme: &scheme,
                protocol: &protocol,
                size,
                body: &body,
            },
            context_extensions: &context_extensions,
            metadata: &metadata,
        };
        let http = HttpRequest {
            id: text(&id),
            method: text(&method),
            headers: map(&lines).into_iter().collect(),
            path: text(&path),
            host: text(&host),
            scheme: text(&scheme),
            size,
            protocol: text(&protocol),
            body: text(&body),
            raw_body: if std::str::from_utf8(&body).is_ok() { vec![] } else { body.clone() },
            ..HttpRequest::default()
        };
        let filter_metadata =
            namespaces.iter().map(|(name, entries)| (name.clone(), structure(entries))).collect();
        let time = time.map(|(seconds, nanos)| Timestamp {
            seconds: seconds.cast_signed(),
            nanos: nanos.cast_signed(),
        });
        let expected = AttributeContext {
            source: Some(peer(&source)),
            destination: Some(peer(&destination)),
            request: Some(Request { time, http: Some(http) }),
            context_extensions: extensions.into_iter().collect(),
            metadata_context: Some(Metadata { filter_metadata, ..Metadata::default() }),
            ..AttributeContext::default()
        };
        let read = CheckRequest::decode(&request.encode().unwrap()[..]).unwrap();
        prop_assert_eq!(read, CheckRequest { attributes: Some(expected) });
    }

    #[test]
    fn prost_reads_a_rate_limit_request_as_it_was_meant(
        domain in ".{0,9}",
        descriptors in prop::collection::vec(
            (
                prop::collection::vec(("[a-z]{1,3}", ".{0,9}"), 0..4),
                proptest::option::of((any::<u32>(), 0..6_usize)),
                proptest::option::of(any::<u64>()),
            ),
            0..4,
        ),
    ) {
        use service::Unit::{Day, Hour, Minute, Month, Second, Year};
        let units = [(Second, 1), (Minute, 2), (Hour, 3), (Day, 4), (Month, 5), (Year, 6)];
        let ours: Vec<_> = descriptors
            .iter()
            .map(|(entries, limit, hits)| service::Descriptor {
                entries: entries.iter().map(|(key, value)| (&key[..], value.clone())).collect(),
                limit: limit.map(|(requests, unit)| (requests, units[unit].0)),
                hits: *hits,
            })
            .collect();
        let request = service::RateLimitRequest { domain: &domain, descriptors: &ours };
        let theirs = descriptors.iter().map(|(entries, limit, hits)| RateLimitDescriptor {
            entries: entries
                .iter()
                .map(|(key, value)| Entry { key: key.clone(), value: value.clone() })
                .collect(),
            limit: limit.map(|(requests_per_unit, unit)| RateLimitOverride {
                requests_per_unit,
                unit: units[unit].1,
            }),
            hits_addend: hits.map(|value| UInt64Value { value }),
            ..RateLimitDescriptor::default()
        });
        let expected = RateLimitRequest {
            domain: domain.clone(),
            descriptors: theirs.collect(),
            hits_addend: 0,
        };
        prop_assert_eq!(RateLimitRequest::decode(&request.encode()[..]).unwrap(), expected);
    }
}
