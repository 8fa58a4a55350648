//! What each feature costs: ours beside a configuration without it, and what Envoy brings for the
//! same job where it brings anything.

mod list;
mod measure;
mod native;
mod report;

use serde_json::{Value, json};

pub use list::all;
pub use measure::{Cost, Figures, costs, measure};
pub(super) use report::{asking, differences};
pub use report::{documented, render};

/// A feature, in a configuration that has nothing else but the rule of [`base`].
#[derive(Debug)]
pub struct Feature {
    /// What the report calls it.
    pub name: &'static str,
    /// The plugin's configuration.
    pub configuration: Value,
    /// The configuration that it is compared with; [`base`] where it is left out.
    compared: Option<Value>,
    /// The status of the answer.
    status: u16,
    /// How many host calls it may make.
    pub calls: u64,
    /// A header that shows that the feature is there.
    shows: Shows,
    /// Whether it is in the summary of the page.
    sums_up: bool,
    /// What Envoy brings.
    native: Option<Native>,
}

/// A header, and its value.
#[derive(Debug, Clone, Copy)]
enum Shows {
    /// Nothing in the message shows it.
    Nothing,
    /// Of the request, as the origin gets it.
    Request(&'static str, &'static str),
    /// Of the response.
    Response(&'static str, &'static str),
}

/// What Envoy itself brings for the same job, without any of our filter.
#[derive(Debug)]
struct Native {
    name: &'static str,
    /// HTTP filters before the router.
    filters: Vec<Value>,
    /// What the route does; it answers 200 where this is left out.
    route: Option<Value>,
}

/// A limit that no measurement reaches.
const PLENTY: u32 = 1_000_000;

/// The feature that is held to its bar: what it may add to what Envoy's own adds, in microseconds.
pub(super) const ASKED: (&str, f64) = ("`extAuth` of HTTP that answers at once", 40.0);

/// The environment of the filter.
const ENVIRONMENT: (&str, &str) = ("TOKEN", "the-credential");

/// One Allow, which reads the caller's identity.
fn base() -> Value {
    let rule = r#"source.identity.namespace == "team-a""#;
    json!({
        "policies": [{"name": "base", "hosts": ["api.github.com"], "traffic": {"authorization":
            {"policy": {"matchExpressions": [rule]}}}}],
        "audit": {"log": "None"},
    })
}

/// The same with these fields in a policy of its own.
fn with(fields: Value) -> Value {
    let mut policy = json!({"name": "feature", "hosts": ["api.github.com"]});
    merge(&mut policy, fields);
    let mut configuration = base();
    if let Some(policies) = configuration["policies"].as_array_mut() {
        policies.push(policy);
    }
    configuration
}

/// The same with another rule, and with these fields of the whole configuration.
fn ruled(rule: &str, fields: Value) -> Value {
    let mut configuration = base();
    configuration["policies"][0]["traffic"]["authorization"]["policy"]["matchExpressions"] =
        json!([rule]);
    merge(&mut configuration, fields);
    configuration
}

fn merge(into: &mut Value, fields: Value) {
    if let (Some(into), Value::Object(fields)) = (into.as_object_mut(), fields) {
        into.extend(fields);
    }
}

fn feature(name: &'static str, configuration: Value, shows: Shows) -> Feature {
    Feature {
        name,
        configuration,
        compared: None,
        status: 200,
        calls: 5,
        shows,
        sums_up: false,
        native: None,
    }
}
