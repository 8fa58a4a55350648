//! Every field of AgentGateway's policies, one by one: without it the result is another, or a note
//! is about it. `fields.txt` lists them; a backend's own `policies` are as `backend`.

use std::collections::BTreeSet;

use super::*;
use crate::convert::tests::leaves::covers;

/// The paths of the list, with `{a,b}` written out.
fn listed() -> BTreeSet<String> {
    let lines = include_str!("fields.txt").lines();
    let mut found = BTreeSet::new();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut open = vec![line.to_owned()];
        while let Some(path) = open.pop() {
            let Some((before, rest)) = path.split_once('{') else {
                assert!(found.insert(path.clone()), "{path} is there twice");
                continue;
            };
            let (names, after) = rest.split_once('}').unwrap();
            open.extend(names.split(',').map(|name| format!("{before}{name}{after}")));
        }
    }
    found
}

/// The samples: a `spec` each.
fn samples() -> Vec<serde_json::Value> {
    let file = manifest(include_str!("fields.yaml"));
    serde_json::from_str(&file.documents[0].to_json()).unwrap()
}

/// The JSON pointers of all values that have none below them.
pub(in crate::convert::tests) fn leaves(
    value: &serde_json::Value,
    pointer: &str,
    found: &mut Vec<String>,
) {
    let below: Vec<(String, &serde_json::Value)> = match value {
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.replace('/', "~1"), value)).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    if below.is_empty() {
        found.push(pointer.to_owned());
    }
    for (name, value) in below {
        leaves(value, &format!("{pointer}/{name}"), found);
    }
}

/// A pointer as a path of the list: without indices, and with `*` for a key that is anybody's.
fn path_of(pointer: &str, listed: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> =
        pointer.split('/').skip(1).filter(|name| name.parse::<usize>().is_err()).collect();
    let fits = |path: &&String| {
        let parts: Vec<&str> = path.split('.').collect();
        parts.len() == names.len()
            && parts.iter().zip(&names).all(|(part, name)| *part == "*" || part == name)
    };
    listed.iter().find(fits).cloned()
}

/// The result, and the notes about fields.
fn outcome(spec: &serde_json::Value) -> (String, Vec<(String, String)>) {
    let mut spec = spec.clone();
    let entry = json!([{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "e"}]);
    if spec.get("targetRefs").is_none() && spec.get("targetSelectors").is_none() {
        spec["targetRefs"] = entry;
    }
    let policy = json!({"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
        "metadata": {"name": "p", "namespace": "egress-direct"}, "spec": spec});
    let host = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "e", "namespace": "egress-direct"}, "spec": {"hosts": ["h.example"]}});
    converted(&format!("{policy}\n---\n{host}"), &["--gateway", "egress"], |converted| {
        let notes = converted.notes.iter().map(|note| &note.diagnostic);
        let notes = notes.map(|note| (note.path.clone(), note.message.clone())).collect();
        (converted.resource.to_yaml(), notes)
    })
}

/// Takes a value away.
pub(in crate::convert::tests) fn take(from: &mut serde_json::Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match from.pointer_mut(parent).unwrap() {
        serde_json::Value::Object(fields) => {
            fields.remove(&name.replace("~1", "/"));
        }
        serde_json::Value::Array(items) => {
            items.remove(name.parse().unwrap());
        }
        _ => panic!("{pointer} is in an object or a list"),
    }
}

/// A pointer as notes have it: `/a/0/b` is `a[0].b`.
pub(in crate::convert::tests) fn shown(pointer: &str) -> String {
    pointer.split('/').skip(1).fold("spec".to_owned(), |path, name| match name.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) => format!("{path}.{}", name.replace("~1", "/")),
    })
}

#[test]
fn the_samples_have_every_field_of_the_list_and_no_other() {
    let listed = listed();
    assert!(listed.len() > 300, "{}", listed.len());
    let mut found = BTreeSet::new();
    for sample in samples() {
        let mut pointers = Vec::new();
        leaves(&sample, "", &mut pointers);
        for pointer in pointers {
            let path = path_of(&pointer, &listed);
            found.insert(path.unwrap_or_else(|| panic!("{pointer} is not in the list")));
        }
    }
    let missing: Vec<_> = listed.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn without_any_one_field_the_result_or_its_notes_are_others() {
    let mut silent = Vec::new();
    for sample in samples() {
        let (result, notes) = outcome(&sample);
        let mut pointers = Vec::new();
        leaves(&sample, "", &mut pointers);
        for pointer in pointers {
            let path = shown(&pointer);
            // A note about what it is in says that all of it is not as it was.
            if notes.iter().any(|(told, _)| told.len() > "spec".len() && covers(told, &path)) {
                continue;
            }
            let mut less = sample.clone();
            take(&mut less, &pointer);
            if outcome(&less) == (result.clone(), notes.clone()) {
                silent.push(path);
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}

/// A field that nobody has heard of is told wherever it stands.
#[test]
fn a_field_that_is_not_in_the_list_is_told_on_every_level() {
    fn objects(value: &serde_json::Value, pointer: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                found.push(pointer.to_owned());
                for (name, value) in fields {
                    objects(value, &format!("{pointer}/{}", name.replace('/', "~1")), found);
                }
            }
            serde_json::Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    objects(item, &format!("{pointer}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut silent = Vec::new();
    for sample in samples() {
        let mut places = Vec::new();
        objects(&sample, "", &mut places);
        for pointer in places {
            let mut more = sample.clone();
            more.pointer_mut(&pointer).unwrap()["brandNew"] = json!("unheard-of");
            let (result, notes) = outcome(&more);
            let place = format!("{}.brandNew", shown(&pointer));
            let told = notes.iter().any(|(told, _)| told.len() > 4 && covers(told, &place));
            // A key that is anybody's is carried over.
            if !told && !result.contains("unheard-of") {
                silent.push(place);
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}

/// What a backend's own `policies` have is what `backend` of a policy has.
#[test]
fn without_any_one_field_of_a_backends_policies_the_result_or_its_notes_are_others() {
    let outcome = |policies: &serde_json::Value| {
        let text = json!({"apiVersion": "agentgateway.dev/v1alpha1",
            "kind": "AgentgatewayBackend", "metadata": {"name": "b", "namespace": "n"},
            "spec": {"static": {"host": "h.example", "port": 443}, "policies": policies}});
        converted(&text.to_string(), &["--gateway", "egress"], |converted| {
            let notes = converted.notes.iter().map(|note| &note.diagnostic);
            let notes: Vec<_> =
                notes.map(|note| (note.path.clone(), note.message.clone())).collect();
            (converted.resource.to_yaml(), notes)
        })
    };
    let (mut count, mut silent) = (0, Vec::new());
    for sample in samples().into_iter().filter_map(|sample| sample.get("backend").cloned()) {
        let whole = outcome(&sample);
        let mut pointers = Vec::new();
        leaves(&sample, "", &mut pointers);
        for pointer in pointers {
            count += 1;
            let path = shown(&pointer).replacen("spec", "spec.policies", 1);
            let is_told = |told: &str| told.len() > "spec.policies".len() && covers(told, &path);
            let mut less = sample.clone();
            take(&mut less, &pointer);
            if !whole.1.iter().any(|(told, _)| is_told(told)) && outcome(&less) == whole {
                silent.push(path);
            }
        }
    }
    assert!(count > 100, "{count}");
    assert_eq!(silent, Vec::<String>::new());
}
