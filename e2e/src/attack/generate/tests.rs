use std::collections::BTreeSet;

use super::*;
use crate::attack::CALLERS;
use crate::attack::arrived::Arrived;

/// What would arrive if nothing stood between a pod and the origin.
fn unfiltered(number: u64) -> (Block, Arrived) {
    let (block, request) = (Block::of(1, number), request(1, number));
    let host = (b"host".to_vec(), request.host);
    let arrived = Arrived {
        service: block.rule().host(),
        method: request.method,
        target: request.target,
        fields: std::iter::once(host).chain(request.fields).collect(),
        trailers: request.trailers,
        ..Arrived::default()
    };
    (block, arrived)
}

#[test]
fn a_number_is_the_same_request_each_time_and_can_be_told_from_it() {
    for number in 0..2_000 {
        assert_eq!(request(7, number), request(7, number));
        assert_eq!(unfiltered(number).1.number(), Some(number));
    }
    assert_ne!(request(7, 5), request(8, 5));
}

#[test]
fn every_kind_of_origin_is_tempted_with_every_policy() {
    let mut found = BTreeSet::new();
    for number in 0..100_000 {
        let (block, mut arrived) = unfiltered(number);
        // As it should have been set, so that what else is wrong with it shows.
        if block.rule().lure == Lure::Changes && number % 2 == 0 {
            arrived.fields.retain(|(name, _)| !name.to_ascii_lowercase().ends_with(b"identity"));
            arrived.fields.retain(|(name, _)| !name.to_ascii_lowercase().ends_with(b"debug"));
            arrived.fields.push((CALLER.into(), CALLERS[block.pod].into()));
        }
        let breach = block.rule().breach(&arrived, Some(CALLERS[block.pod]));
        found.extend(breach.map(|reading| (block.rule().name, reading.reader)));
    }
    let headers = [
        "role", "list", "pattern", "prefix", "optional", "bound", "selected", "raw", "agent",
        "mode", "each",
    ];
    let expected = headers
        .iter()
        .flat_map(|rule| ["by name", "CGI", "dropping"].map(|reader| (*rule, reader)));
    let others = [
        ("agent", "list"),
        ("mode", "replacing"),
        ("cookie", "by name"),
        ("cookie", "PHP"),
        ("cookie", "Flask"),
        ("cookie", "Node"),
        ("method", "Flask"),
        ("path", "never decoded"),
        ("path", "decoded once"),
        ("path", "decoded twice"),
        ("query", "queries with &"),
        ("query", "queries with & and ;"),
        ("json", "JSON"),
        ("token", "JSON"),
        ("address", "anybody"),
        ("changes", "by name"),
        ("changes", "CGI"),
        ("changes", "httpd"),
        ("changes", "trailers"),
    ];
    for pair in expected.chain(others) {
        // For an Allow whatever is not `safe` will do, so that the first way of two to read it is
        // the one that counts.
        assert!(
            found.contains(&pair) || pair == ("mode", "dropping"),
            "not among what 100,000 requests try: {pair:?}: {found:?}"
        );
    }
}
