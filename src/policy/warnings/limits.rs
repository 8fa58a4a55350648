//! Warnings about rate limits: those that some requests, or all, do not get.

use super::{ConfigWarning, Warnings};
use crate::config::{ConditionalConfig, Config, Mode, RateLimitConfig, Spot};

impl Warnings {
    /// Looks at the rate limits of all policies.
    #[inline(never)]
    pub(super) fn add_limits(&mut self, config: &Config) {
        for policy in &config.policies {
            let Some(limits) = &policy.rate_limit else { continue };
            let mut warn = |name: &'static str, place: String, message: String| {
                self.add(|| ConfigWarning {
                    name,
                    policy: Some(policy.name.clone()),
                    place,
                    spot: Spot::Whole,
                    message,
                });
            };
            if policy.mode == Mode::Shadow {
                let message = "a policy in mode Shadow counts nothing and asks nobody, so what \
                    its limits would refuse is not reported: enforce it, with a limit that is high \
                    enough";
                warn(
                    "limit-in-shadow",
                    format!("{}.traffic.rateLimit", policy.place),
                    message.to_owned(),
                );
            }
            let forms: Vec<&RateLimitConfig> = match limits {
                ConditionalConfig::Always(form) => vec![form],
                ConditionalConfig::FirstTrue { place, entries } => {
                    let last = entries.last().and_then(|entry| entry.condition.as_ref());
                    if last.is_some_and(|condition| condition.source.trim() != "true") {
                        let message = "the last entry has a condition, so a request for which \
                            none is true is not limited: add an entry without a condition";
                        warn("no-fallback", place.clone(), message.to_owned());
                    }
                    entries.iter().map(|entry| &entry.value).collect()
                }
            };
            for global in forms.into_iter().filter_map(|form| form.global.as_ref()) {
                if global.timeout > config.deadline {
                    let message = format!(
                        "the answer is never waited for that long: all calls about a request may \
                         together take {} ms, as `callouts.deadline` says",
                        config.deadline.as_millis()
                    );
                    warn("long-timeout", format!("{}.timeout", global.place), message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use crate::policy::Engine;

    fn warnings(mode: &str, limits: &Value) -> Vec<String> {
        let config = json!({"policies": [
            {"name": "p", "mode": mode, "traffic": {"rateLimit": limits}}]});
        let engine = Engine::load(config.to_string().as_bytes())
            .unwrap_or_else(|errors| panic!("{config}: {errors:?}"));
        engine.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn limits_that_requests_do_not_get_are_warned_about() {
        let local = json!({"local": [{"requests": 1, "unit": "Hours"}]});
        let entry = json!({"condition": "request.path == '/a'", "policy": local});
        let global = |timeout: &str| {
            json!({"global": {"cluster": "c", "host": "c.example", "domain": "d",
                "timeout": timeout, "descriptors": [
                    {"entries": [{"name": "a", "expression": "request.path"}]}]}})
        };
        for (mode, limits, expected) in [
            ("Enforce", local.clone(), None),
            ("Shadow", local.clone(), Some("traffic.rateLimit: a policy in mode Shadow counts")),
            ("Enforce", json!({"conditional": [entry]}), Some("conditional: the last entry has")),
            ("Enforce", json!({"conditional": [entry, {"policy": local}]}), None),
            ("Enforce", global("1s"), None),
            ("Enforce", global("1001ms"), Some("global.timeout: the answer is never waited")),
        ] {
            let found = warnings(mode, &limits);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{limits}: {found:?}");
            let expected = expected.unwrap_or_default();
            assert!(found.iter().all(|one| one.contains(expected)), "{expected}: {found:?}");
        }
    }
}
