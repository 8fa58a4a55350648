//! Warnings about `conditional`: lists without a fallback, and conditions that choose nothing.

use super::{ConfigWarning, Warnings, says};
use crate::cel::Expression;
use crate::config::{Combine, ConditionalConfig, PolicyConfig, Spot};
use crate::lint::{self, Known, Work};
use crate::policy::Policy;
use crate::policy::conditional::Conditional;

impl Warnings {
    /// Looks at the conditional features of a policy.
    pub(super) fn add_conditional(
        &mut self,
        config: &PolicyConfig,
        policy: &Policy,
        known: Known<'_>,
        work: &mut Work,
    ) {
        let of = config;
        self.add_list(&of.transformation, &policy.transformation, (of, known), work);
        self.add_fallback(of);
        if let Some((rewrite, compiled)) = of.url_rewrite.as_ref().zip(policy.url_rewrite.as_ref())
        {
            self.add_list(rewrite, compiled, (of, known), work);
        }
        if let Some((redirect, compiled)) = of.redirect.as_ref().zip(policy.redirect.as_ref()) {
            self.add_list(redirect, compiled, (of, known), work);
        }
        let ext_auth = of.ext_auth.as_ref();
        if let Some((forms, compiled)) = ext_auth.zip(policy.ext_auth.as_ref()) {
            self.add_list(forms, compiled, (of, known), work);
        }
        if let Some((limits, compiled)) = of.rate_limit.as_ref().zip(policy.rate_limit.as_ref()) {
            self.add_list(limits, compiled, (of, known), work);
        }
        let answer = of.direct_response.as_ref();
        if let Some((answer, compiled)) = answer.zip(policy.direct_response.as_ref()) {
            self.add_list(answer, compiled, (of, known), work);
        }
    }

    fn add_list<C, T>(
        &mut self,
        config: &ConditionalConfig<C>,
        compiled: &Conditional<T>,
        (policy, known): (&PolicyConfig, Known<'_>),
        work: &mut Work,
    ) {
        let ConditionalConfig::FirstTrue { entries, .. } = config else { return };
        for (entry, condition) in entries.iter().zip(compiled.conditions()) {
            let (Some(expr), Some(condition)) = (&entry.condition, condition) else { continue };
            self.add_condition(policy, &expr.place, condition, known, work);
        }
    }

    /// Warns of transformations that some requests do not get. A rewrite or an answer cannot say
    /// that it is for nobody else, so a list of these needs no fallback.
    fn add_fallback(&mut self, policy: &PolicyConfig) {
        let ConditionalConfig::FirstTrue { place, entries } = &policy.transformation else {
            return;
        };
        let last = entries.last().and_then(|entry| entry.condition.as_ref());
        if last.is_some_and(|condition| condition.source.trim() != "true") {
            self.add(|| ConfigWarning {
                name: "no-fallback",
                policy: Some(policy.name.clone()),
                place: place.clone(),
                spot: Spot::Whole,
                message: "the last entry has a condition, so a request for which none is true \
                    keeps its headers as they are: add an entry without a condition, such as \
                    `policy: {}` if that is meant"
                    .to_owned(),
            });
        }
    }

    /// Warns of a condition that has the same result for every request.
    fn add_condition(
        &mut self,
        policy: &PolicyConfig,
        place: &str,
        condition: &Expression,
        known: Known<'_>,
        work: &mut Work,
    ) {
        let found = lint::examine(std::slice::from_ref(condition), Combine::All, known, work);
        let parts = found.parts.into_iter().map(|(_, message)| message);
        let settled = found.rule.map(|settled| {
            let so = if settled.matches {
                "the entries behind it are never used"
            } else {
                "this entry is never used"
            };
            format!("{}, so {so}", says(&settled, policy))
        });
        for message in parts.chain(settled) {
            self.add(|| ConfigWarning {
                name: "constant-condition",
                policy: Some(policy.name.clone()),
                place: place.to_owned(),
                spot: Spot::Whole,
                message,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use crate::policy::Engine;

    fn warnings(feature: &str, entries: Value) -> Vec<String> {
        let config = json!({"policies": [{"name": "p", "hosts": ["a.com"], "traffic": {
            feature: {"conditional": entries}}}]});
        let engine = Engine::load(config.to_string().as_bytes())
            .unwrap_or_else(|errors| panic!("{config}: {errors:?}"));
        let warnings = engine.warnings().iter();
        warnings.map(|warning| format!("{}: {}", warning.place, warning.message)).collect()
    }

    #[test]
    fn a_list_without_a_fallback_is_warned_about() {
        let first = |policy: Value| json!({"condition": "request.path == '/a'", "policy": policy});
        let changes = json!({"request": {"remove": ["x-a"]}});
        assert_eq!(
            warnings("transformation", json!([first(changes.clone())])),
            ["policies[0].traffic.transformation.conditional: the last entry has a condition, so \
              a request for which none is true keeps its headers as they are: add an entry without \
              a condition, such as `policy: {}` if that is meant"]
        );
        for last in [json!({"policy": {}}), json!({"condition": "true", "policy": changes})] {
            let found = warnings("transformation", json!([first(changes.clone()), last]));
            assert_eq!(found, Vec::<String>::new());
        }
        let found = warnings("directResponse", json!([first(json!({"status": 503}))]));
        assert_eq!(found, Vec::<String>::new(), "the others reach the origin");
    }

    #[test]
    fn a_condition_that_is_always_the_same_is_warned_about() {
        let fallback = json!({"policy": {"status": 503}});
        for (condition, expected) in [
            (
                "request.path == '/a' && request.path == '/b'",
                "never matches: `request.path == \"/a\"` and `request.path == \"/b\"` are never \
                 true together, so this entry is never used",
            ),
            (
                "request.host == 'a.com'",
                "always matches: `request.host == \"a.com\"` is always true for the policy's \
                 `hosts`, so the entries behind it are never used",
            ),
        ] {
            let entry = json!({"condition": condition, "policy": {"status": 204}});
            let found = warnings("directResponse", json!([entry, fallback.clone()]));
            let place = "policies[0].traffic.directResponse.conditional[0].condition: ";
            assert_eq!(found, [format!("{place}{expected}")], "{condition}");
        }
    }
}
