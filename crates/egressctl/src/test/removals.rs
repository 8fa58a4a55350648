//! Finds policies that no case needs, by running the cases without each of them in turn.

use std::collections::BTreeMap;

use serde_json::Value;

use super::run::{Ran, Results};
use crate::cases;
use crate::cases::load::{Configurations, Loaded, engine};

/// Notes in the results' coverage which policies some case needs: it passes with the policy and
/// fails without it.
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
            seen.missed = Some(
                seen.in_scope > 0 && loaded.is_some_and(|loaded| is_missed(loaded, index, cases)),
            );
        }
    }
}

fn is_missed(loaded: &Loaded, index: usize, cases: &[&Ran<'_>]) -> bool {
    let mut config = loaded.config.clone();
    if let Some(policies) = config
        .get_mut("policies")
        .and_then(Value::as_array_mut)
        .filter(|policies| index < policies.len())
    {
        policies.remove(index);
    }
    let Ok(engine) = engine(&config.to_string(), &loaded.environment) else { return false };
    let fails = |ran: &&Ran<'_>| {
        let tried = ran.step.trial(&loaded.identity).run(&engine);
        let seen = cases::observed(ran.step, &tried);
        cases::compare(ran.step, &seen).iter().any(|fact| !fact.holds)
    };
    cases.iter().any(fails)
}
