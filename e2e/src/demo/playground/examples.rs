//! Calls to try, guessed from a policy's own words: its hosts, and the texts that its expressions
//! compare a caller, a method and a path with.

use regex_lite::Regex;
use serde_json::Value;

use super::file::Policy;

/// The most calls that are shown.
const MAX: usize = 4;

/// A call to try: the caller, and what curl is told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    /// The namespace and the service account, as a user and a password.
    pub(super) caller: String,
    /// The method, where it is not GET, and the URL.
    pub(super) rest: String,
}

/// A call that looks like what each policy speaks of, and the last one by somebody else.
pub(super) fn of(policy: &Policy) -> Vec<Example> {
    let everything = policy.configuration.to_string();
    let mut examples = Vec::new();
    for one in policy.policies() {
        let example = example(one, &everything);
        if !examples.contains(&example) && examples.len() < MAX - 1 {
            examples.push(example);
        }
    }
    let stranger = examples.last().map(|last: &Example| last.rest.clone());
    examples.push(Example {
        caller: "somebody:else".to_owned(),
        rest: stranger.unwrap_or_else(|| "http://example.com/".to_owned()),
    });
    examples
}

fn example(policy: &Value, everything: &str) -> Example {
    let own = policy.to_string();
    let find = |pattern: &str| found(&own, pattern).or_else(|| found(everything, pattern));
    let namespace = [own.as_str(), everything].into_iter().find_map(namespace);
    let namespace = namespace.unwrap_or_else(|| "team-a".to_owned());
    let account = find(r#"serviceAccount (?:==|in) \[?\\"([a-z0-9.-]+)\\""#);
    let account = account.unwrap_or_else(|| "default".to_owned());

    let hosts = policy["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let host = hosts.map(|host| host.replacen('*', "www", 1)).next();
    let host = host.or_else(|| self::host(&own)).unwrap_or_else(|| any_host(everything));
    let rewritten =
        || Some(policy.pointer("/traffic/urlRewrite/path/prefix")?.as_str()?.to_owned());
    let path = found(&own, r#"\\"(/[A-Za-z0-9/._-]+)\\""#).or_else(rewritten);
    let path = path.unwrap_or_else(|| "/".to_owned());
    let method = found(&own, r#"method (?:==|in) \[?\\"([A-Z]+)\\""#);
    let method = match method.as_deref() {
        None | Some("GET") => String::new(),
        Some("HEAD") => "-I ".to_owned(),
        Some(method) => format!("-X {method} "),
    };
    Example {
        caller: format!("{namespace}:{account}"),
        rest: format!("{method}http://{host}{path}"),
    }
}

/// A host to start with where no policy names one exactly.
pub(super) fn any_host(configuration: &str) -> String {
    host(configuration).unwrap_or_else(|| "example.com".to_owned())
}

/// A host that expressions name.
fn host(text: &str) -> Option<String> {
    found(text, r#"request\.host (?:==|in) \[?\\"([a-z0-9-]+\.[a-z0-9.-]*[a-z])\\""#)
}

/// A namespace that expressions name, or begin the name of.
fn namespace(text: &str) -> Option<String> {
    let named = || found(text, r#"namespace (?:==|in) \[?\\"([a-z0-9-]+)\\""#);
    let begun = || found(text, r#"namespace\.startsWith\(\\"([a-z0-9-]+)\\""#);
    named().or_else(|| Some(format!("{}x", begun()?)))
}

/// The first group of a pattern's first match.
fn found(text: &str, pattern: &str) -> Option<String> {
    let pattern = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.captures(text).map(|groups| groups[1].to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policys_own_words_make_a_call() {
        let rules =
            |rules: &[&str]| json!({"authorization": {"policy": {"matchExpressions": rules}}});
        let stripe = rules(&[
            r#"source.identity.namespace == "payments" && request.method == "POST""#,
            r#"request.path.startsWith("/v1/charges/")"#,
        ]);
        let push = rules(&[r#"source.identity.namespace.startsWith("ci-")"#]);
        let policy = Policy::checked(json!({"policies": [
            {"name": "stripe", "hosts": ["api.stripe.com"], "traffic": stripe},
            {"name": "push", "hosts": ["*.github.com"], "traffic": push},
            {"name": "moved", "hosts": ["a.example"], "traffic": {"urlRewrite": {"path": {
                "type": "ReplacePrefixMatch", "prefix": "/old", "replacePrefixMatch": "/new"}}}},
        ]}));
        let calls: Vec<String> = of(&policy)
            .into_iter()
            .map(|example| format!("{} {}", example.caller, example.rest))
            .collect();
        assert_eq!(
            calls,
            [
                "payments:default -X POST http://api.stripe.com/v1/charges/",
                "ci-x:default http://www.github.com/",
                "payments:default http://a.example/old",
                "somebody:else http://a.example/old",
            ]
        );
    }

    #[test]
    fn a_policy_that_says_nothing_has_a_call_all_the_same() {
        assert_eq!(any_host(r#"{"a": "request.host == \"a.example\""}"#), "a.example");
        let calls = of(&Policy::checked(json!({"policies": []})));
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].rest, "http://example.com/");
    }
}
