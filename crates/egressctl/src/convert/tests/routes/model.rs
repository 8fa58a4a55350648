#![cfg(not(target_arch = "wasm32"))]
//! Gateway API's choice of a rule by itself, and both compared on generated routes and requests.

use egress_filter::trial::Trial;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::*;

const STATUS: [u16; 4] = [301, 302, 307, 308];

/// How specific a match is that fits a request; none if it does not fit.
fn fits(one: &Value, request: &Trial) -> Option<(bool, usize, bool, usize)> {
    let path = request.path.split('?').next().unwrap();
    let (kind, value) = (
        one["path"]["type"].as_str().unwrap_or("PathPrefix"),
        one["path"]["value"].as_str().unwrap_or("/"),
    );
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    };
    let is_exact = kind == "Exact";
    let path_fits = match is_exact {
        true => path == value,
        false => segments(path).starts_with(&segments(value)),
    };
    let method = one["method"].as_str();
    let headers = one["headers"].as_array().cloned().unwrap_or_default();
    let has = |header: &Value| {
        request.headers.iter().any(|(name, value)| {
            header["name"].as_str().unwrap().eq_ignore_ascii_case(name)
                && header["value"] == **value
        })
    };
    let all = path_fits
        && method.is_none_or(|method| method == request.method)
        && headers.iter().all(has);
    all.then(|| (is_exact, value.trim_end_matches('/').len(), method.is_some(), headers.len()))
}

/// The rule that a request belongs to.
fn rule_of(rules: &[Value], request: &Trial) -> Option<usize> {
    let mut best = None;
    for (index, rule) in rules.iter().enumerate() {
        let every = vec![json!({})];
        for one in rule["matches"].as_array().unwrap_or(&every) {
            let Some(rank) = fits(one, request) else { continue };
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, index));
            }
        }
    }
    best.map(|(_, rule)| rule)
}

fn matches() -> impl Strategy<Value = Value> {
    let path = select(vec![
        json!(null),
        json!({"value": "/"}),
        json!({"type": "PathPrefix", "value": "/a"}),
        json!({"type": "PathPrefix", "value": "/a/b/"}),
        json!({"type": "PathPrefix", "value": "/ab"}),
        json!({"type": "Exact", "value": "/a"}),
        json!({"type": "Exact", "value": "/a/b"}),
    ]);
    let method = select(vec![json!(null), json!(null), json!("GET"), json!("POST")]);
    let header = json!({"name": "X-Old", "value": "1"});
    let headers = select(vec![json!(null), json!(null), json!([header])]);
    (path, method, headers).prop_map(|(path, method, headers)| {
        let fields = [("path", path), ("method", method), ("headers", headers)];
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
    })
}

fn rules() -> impl Strategy<Value = Vec<Value>> {
    let rule = (proptest::collection::vec(matches(), 0..3), 0..3);
    proptest::collection::vec(rule, 1..5).prop_map(|rules| {
        let rule = |(index, (matches, kind)): (usize, (Vec<Value>, i32))| {
            let filters = match kind {
                0 => json!([{"type": "RequestRedirect", "requestRedirect":
                    {"scheme": "https", "statusCode": STATUS[index]}}]),
                1 => json!([{"type": "RequestHeaderModifier", "requestHeaderModifier":
                    {"set": [{"name": "x-rule", "value": index.to_string()}]}}]),
                _ => json!([]),
            };
            let mut rule = json!({"filters": filters});
            if !matches.is_empty() {
                rule["matches"] = json!(matches);
            }
            rule
        };
        rules.into_iter().enumerate().map(rule).collect()
    })
}

fn request() -> impl Strategy<Value = Trial> {
    let path = select(vec!["/", "/a", "/a?b", "/a/", "/a/b", "/a/b/c", "/ab", "/abc", "/x"]);
    let method = select(vec!["GET", "POST", "HEAD"]);
    let old = select(vec![None, None, Some("1"), Some("2")]);
    (path, method, old).prop_map(|(path, method, old)| Trial {
        principal: "spiffe://cluster.local/ns/a/sa/b".to_owned(),
        authority: "api.example".to_owned(),
        path: path.to_owned(),
        method: method.to_owned(),
        headers: old.into_iter().map(|old| ("x-old".to_owned(), old.to_owned())).collect(),
        ..Trial::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 128,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_request_gets_the_filters_of_its_rule_and_no_others(
        rules in rules(),
        requests in proptest::collection::vec(request(), 8..16),
    ) {
        let text = with_rules(&json!(rules));
        prop_assert_eq!(losses(&text), Vec::<String>::new(), "{}", json!(rules));
        let engine = engine(&text);
        for request in requests {
            let tried = request.run(&engine);
            let status = tried.denial.as_ref().map(|reply| reply.status);
            let marks: Vec<String> = tried
                .upstream
                .iter()
                .flatten()
                .filter(|(name, _)| name == "x-rule")
                .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                .collect();
            let rule = rule_of(&rules, &request);
            let filter = rule.and_then(|rule| rules[rule].pointer("/filters/0/type"));
            let expected = match (rule, filter.and_then(Value::as_str)) {
                (None, _) => (Some(403), vec![]),
                (Some(rule), Some("RequestRedirect")) => (Some(STATUS[rule]), vec![]),
                (Some(rule), Some(_)) => (None, vec![rule.to_string()]),
                (Some(_), None) => (None, vec![]),
            };
            prop_assert_eq!(
                (status, marks), expected, "{} {:?} {}", json!(rules), request, policies(&text)
            );
        }
    }
}
