//! Shadow Allows that can report nothing: an Allow only ever lets more through.

use super::Found;
use crate::config::{Action, Config, Mode, PolicyConfig, Spot};
use crate::lint::{self, Known, Side, Work};
use crate::policy::{Policy, covers};

/// The most pairs of rules that are compared.
const MAX_PAIRS: usize = 256;

/// Looks for Allows in shadow whose requests an enforced Allow lets through already.
pub(super) fn examine(config: &Config, policies: &[Policy], found: &mut Found) {
    let allows = |mode: Mode| {
        config.policies.iter().zip(policies).filter_map(move |(of, compiled)| {
            let rule = of.authorization.as_ref()?;
            let is_meant = rule.action == Action::Allow && of.mode == mode;
            let expressions = compiled.rule_expressions().filter(|_| is_meant)?;
            Some((of, Side { expressions, combine: rule.combine }))
        })
    };
    let (mut pairs, mut work) = (MAX_PAIRS, Work::default());
    for (shadow, side) in allows(Mode::Shadow) {
        let is_covered_by = |(enforced, wide): &(&PolicyConfig, Side<'_>)| {
            let Some(left) = pairs.checked_sub(1) else { return false };
            pairs = left;
            let known = Known {
                hosts: &shadow.hosts,
                trust_domains: &config.identity.trust_domains,
                strict_paths: false,
            };
            covers(enforced, shadow) && lint::is_covered(side, *wide, known, &mut work)
        };
        let wider = allows(Mode::Enforce).find(is_covered_by);
        if let Some((wider, _)) = wider {
            let message = format!(
                "`{}` lets all of this through already, so this Allow in shadow changes and \
                 reports nothing: to see whom a narrower rule would deny, write it as a `Require` \
                 in shadow",
                wider.name
            );
            let place = format!("{}.mode", shadow.place);
            found.add(shadow, "shadow-allow-narrows-nothing", (&place, Spot::Whole), message);
        }
    }
}
