//! Finds policies, and default actions, that no case needs, by running the cases without each of
//! them in turn.

use std::collections::BTreeMap;

use egress_filter::trial::Trial;
use serde_json::Value;

use super::run::{Ran, Results};
use crate::cases;
use crate::cases::load::{Configurations, Loaded, engine};

/// Notes in the results' coverage which policies, and which default action, some case needs: it
/// passes with the policy and fails without it.
///
/// A configuration is loaded as often as it has policies in scope of some case.
pub(crate) fn note(configurations: &Configurations, results: &mut Results<'_>) {
    let mut cases: BTreeMap<usize, Vec<&Ran<'_>>> = BTreeMap::new();
    for ran in results.cases.iter().filter(|ran| ran.passed()) {
        if let Some(configuration) = ran.configuration {
            cases.entry(configuration).or_default().push(ran);
        }
    }
    for coverage in &mut results.coverage {
        let loaded = configurations.all.get(coverage.configuration);
        let cases = cases.get(&coverage.configuration).map(Vec::as_slice).unwrap_or_default();
        for (index, seen) in coverage.policies.iter_mut().enumerate() {
            let without = |config: &mut Value| remove_policy(config, index);
            seen.missed = Some(
                seen.in_scope > 0 && loaded.is_some_and(|loaded| is_missed(loaded, without, cases)),
            );
        }
        if let Some(default) = &mut coverage.default_deny {
            let without = |config: &mut Value| {
                config.as_object_mut().map(|fields| fields.remove("defaultAction"));
            };
            default.missed = Some(loaded.is_some_and(|loaded| is_missed(loaded, without, cases)));
        }
    }
}

fn remove_policy(config: &mut Value, index: usize) {
    if let Some(policies) = config
        .get_mut("policies")
        .and_then(Value::as_array_mut)
        .filter(|policies| index < policies.len())
    {
        policies.remove(index);
    }
}

/// Whether some case fails if this is taken out of the configuration.
fn is_missed(loaded: &Loaded, without: impl Fn(&mut Value), cases: &[&Ran<'_>]) -> bool {
    let mut config = loaded.config.clone();
    without(&mut config);
    // Without what guards a credential, say, the configuration does not load, so no case passes.
    let Ok(engine) = engine(&config.to_string(), &loaded.environment) else { return true };
    let fails = |ran: &&Ran<'_>| {
        let (now, services) = (ran.now, ran.services.clone());
        let trial = Trial { now, services, ..ran.step.trial(&loaded.identity) };
        let tried = trial.run_with(&engine, &ran.shared.clone());
        let seen = cases::observed(ran.step, &tried);
        cases::compare(ran.step, &seen).iter().any(|fact| !fact.holds)
    };
    cases.iter().any(fails)
}
