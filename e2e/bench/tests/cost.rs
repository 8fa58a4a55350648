//! What a request may cost a worker, whatever it is and whatever is loaded: instructions of the
//! compiled module, the same in every run.

use bench::cost::search::search;
use bench::cost::{Cost, REQUEST, RULE, try_pair, worst_pairs};
use e2e::envoy::filter_wasm;
use proxy_wasm_host::Module;

/// The most memory that the filter may take, in bytes.
const MEMORY: u64 = 128 << 20;

#[test]
fn no_rule_and_no_request_cost_more_than_the_bar() {
    let module = Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours");
    let mut costs: Vec<(u64, Cost)> = Vec::new();
    let mut refused = Vec::new();
    for pair in worst_pairs() {
        let bar = if pair.name.starts_with("whole request") { REQUEST } else { RULE };
        match try_pair(&module, &pair) {
            Some(cost) => {
                if std::env::var_os("COST_VERBOSE").is_some() {
                    println!("{:>12} {:>8.1?} {}", cost.instructions, cost.took, cost.name);
                }
                costs.push((bar, cost));
            }
            None => refused.push(pair.name),
        }
    }
    // A configuration that does not load costs nothing, and shows nothing.
    assert_eq!(refused, Vec::<String>::new());
    costs.sort_by_key(|(bar, cost)| std::cmp::Reverse(cost.instructions * 1000 / bar));
    for (bar, cost) in costs.iter().take(25) {
        let share = cost.instructions as f64 / *bar as f64;
        println!(
            "{:>12} instructions, {share:.2} of the bar, {:>6.1?}, {} MB: {}",
            cost.instructions,
            cost.took,
            cost.memory >> 20,
            cost.name
        );
    }
    let over: Vec<&Cost> = costs
        .iter()
        .filter(|(bar, cost)| cost.instructions > *bar || cost.memory > MEMORY)
        .map(|(_, cost)| cost)
        .collect();
    assert!(over.is_empty(), "{over:#?}");
}

/// A short search, the same each time; `make bench ARGS=--worst` looks longer.
#[test]
fn a_search_finds_no_dearer_pair() {
    let module = Module::load(filter_wasm()).expect("a filter: `make wasm` builds ours");
    let found = search(&module, 20_261_127, 150);
    assert!(found.len() > 5, "hardly anything was tried: {found:?}");
    for cost in &found {
        assert!(cost.instructions <= RULE && cost.memory <= MEMORY, "{cost:?}");
    }
}
