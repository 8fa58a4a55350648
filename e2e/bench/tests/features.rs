//! What each feature costs in the emulated host: where it is used, and where it is not.

use bench::features::{all, costs};

/// A feature's configuration is taken, and the feature does what it must (`costs` checks both); it
/// makes only the host calls that it needs.
#[test]
fn each_feature_is_measured_and_makes_no_host_call_too_many() {
    let costs = costs().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(costs.len(), all().len());
    for (cost, feature) in costs.iter().zip(all()) {
        let (with, without) = (cost.with.total_calls(), cost.without.total_calls());
        println!("{:>7} {:>7} {with} {without} {}", cost.with.fuel, cost.without.fuel, cost.name);
        assert!(with <= without + feature.calls, "{}: {:?}", cost.name, cost.with.calls);
    }
}
