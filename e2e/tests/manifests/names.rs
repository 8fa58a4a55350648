//! Labels and annotations are read by name, and a misspelt one by nobody: each that the files use
//! is in a list here.

use std::collections::BTreeSet;

use e2e::manifests;
use regex_lite::Regex;
use serde_json::Value;

/// Every name with a prefix, and where it was looked up: the package that defines it, or the
/// release that introduced it.
const NAMES: [(&str, &str); 13] = [
    (
        "ambient.istio.io/dns-capture",
        "Istio 1.25.0, change notes; istio-cni reads it with Go's `strconv.ParseBool`",
    ),
    ("gateway.networking.k8s.io/gateway-name", "istio.io/api v1.27.1, package `label`"),
    ("istio.io/dataplane-mode", "istio.io/api v1.27.1, package `label`"),
    ("istio.io/use-waypoint", "istio.io/api v1.27.1, package `label`"),
    ("istio.io/use-waypoint-canary", "istio.io/api v1.31.0-rc.0, package `label`"),
    ("istio.io/use-waypoint-namespace", "istio.io/api v1.27.1, package `label`"),
    ("istio.io/waypoint-for", "istio.io/api v1.27.1, package `label`"),
    (
        "kubernetes.io/metadata.name",
        "Kubernetes 1.30, well-known labels; the API server sets it on each namespace",
    ),
    ("pod-security.kubernetes.io/enforce", "Kubernetes 1.30, Pod Security Admission"),
    ("proxy.istio.io/config", "istio.io/api v1.22.0, package `annotation`"),
    ("sidecar.istio.io/componentLogLevel", "istio.io/api v1.22.0, package `annotation`"),
    (
        "sidecar.istio.io/statsInclusionPrefixes",
        "istio.io/api v1.22.0, package `annotation`, deprecated there",
    ),
    (
        "sidecar.istio.io/status",
        "istio.io/api v1.22.0, package `annotation`; the sidecar's injector sets it",
    ),
];

#[test]
fn labels_and_annotations_are_those_that_kubernetes_and_istio_know() {
    let literal = Regex::new(r#""([a-z0-9.-]+/[A-Za-z0-9._-]+)""#).expect("a pattern");
    let mut used = BTreeSet::new();
    for manifest in manifests::all() {
        visit(&manifest.value, &mut |name, value| match (name, value) {
            ("labels" | "annotations" | "matchLabels", Value::Object(fields)) => {
                used.extend(fields.keys().cloned())
            }
            ("key", Value::String(key)) => drop(used.insert(key.clone())),
            ("expression", Value::String(text)) => {
                used.extend(literal.captures_iter(text).map(|found| found[1].to_owned()))
            }
            _ => {}
        });
    }
    // Without a prefix a name is the user's own, or that of the pods of another installation.
    used.retain(|name| name.contains('/'));
    assert_eq!(used, NAMES.iter().map(|(name, _)| (*name).to_owned()).collect());
}

fn visit(value: &Value, seen: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                seen(name, value);
                visit(value, seen);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, seen)),
        _ => {}
    }
}
