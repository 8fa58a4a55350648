#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn errors(json: &str) -> Vec<String> {
    Config::parse(json.as_bytes()).expect_err(json).iter().map(ConfigError::to_string).collect()
}

fn policy(fields: &str) -> String {
    format!(r#"{{"policies": [{{"name": "p", {fields}}}]}}"#)
}

const RULE: &str = r#""traffic": {"authorization": {"action": "Allow", "policy":
    {"matchExpressions": ["true"]}}}"#;

#[test]
fn a_whole_configuration_is_read() {
    let json = r#"{
        "identity": {"sources": ["peerCertificate"], "trustDomains": ["cluster.local"]},
        "pathSafety": "Lenient", "hostBinding": "Off", "audit": {"log": "All"},
        "policies": [{
            "name": "a", "hosts": ["API.github.com", "*.example.com"], "mode": "Shadow",
            "pathSafety": "Off",
            "traffic": {
                "authorization": {"action": "Deny", "match": "Any", "onError": "Ignore",
                    "policy": {"matchExpressions": ["true", "false"]}},
                "transformation": {
                    "request": {"set": [{"name": "X-A", "value": "'a'"}], 
                        "add": [{"name": "x-b", "value": "'b'"}], "remove": ["X-C"]},
                    "response": {"remove": ["server"]}
                }
            }
        }]
    }"#;
    let config = Config::parse(json.as_bytes()).unwrap();
    assert_eq!(config.identity.sources, [IdentitySource::PeerCertificate]);
    assert_eq!(
        (config.path_safety, config.host_binding, config.audit),
        (PathSafety::Lenient, HostBinding::Off, AuditLog::All)
    );
    let policy = &config.policies[0];
    assert_eq!(
        policy.hosts,
        [HostPattern::Exact("api.github.com".into()), HostPattern::Under(".example.com".into())]
    );
    assert_eq!((policy.mode, policy.path_safety), (Mode::Shadow, Some(PathSafety::Off)));
    let rule = policy.authorization.as_ref().unwrap();
    assert_eq!(
        (rule.action, rule.combine, rule.on_error, rule.expressions.len()),
        (Action::Deny, Combine::Any, OnError::Ignore, 2)
    );
    let form = policy.transformation.get(0).unwrap();
    assert_eq!(form.request.set[0].name, "x-a");
    assert_eq!(
        form.request.set[0].value.place,
        "policies[0].traffic.transformation.request.set[0].value"
    );
    assert_eq!(
        (form.request.remove[0].as_str(), form.response.remove[0].as_str()),
        ("x-c", "server")
    );
}

/// kubectl reads YAML 1.1, where `Off` without quotes is `false`.
#[test]
fn an_off_that_came_as_false_is_off() {
    let json = r#"{"pathSafety": false, "hostBinding": false, "policies": []}"#;
    let config = Config::parse(json.as_bytes()).unwrap();
    assert_eq!((config.path_safety, config.host_binding), (PathSafety::Off, HostBinding::Off));
    for (json, expected) in [
        (r#"{"pathSafety": true, "policies": []}"#, "pathSafety: expected a string, got a boolean"),
        (
            r#"{"audit": {"log": false}, "policies": []}"#,
            "audit.log: expected a string, got a boolean",
        ),
    ] {
        assert_eq!(errors(json), [expected]);
    }
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let config = Config::parse(policy(RULE).as_bytes()).unwrap();
    assert_eq!(config.identity, IdentityConfig::default());
    assert_eq!(
        (config.path_safety, config.host_binding, config.audit),
        (PathSafety::Strict, HostBinding::Strict, AuditLog::Denied)
    );
    assert_eq!((config.policies[0].mode, config.policies[0].path_safety), (Mode::Enforce, None));
    assert_eq!(Config::parse(br#"{"policies": []}"#).unwrap().policies, []);
    // As in AgentGateway's CRD.
    let rule = r#""traffic": {"authorization": {"policy": {"matchExpressions": ["true"]}}}"#;
    let config = Config::parse(policy(rule).as_bytes()).unwrap();
    assert_eq!(config.policies[0].authorization.as_ref().unwrap().action, Action::Allow);
}

#[test]
fn every_error_names_its_place_and_the_mend() {
    for (json, expected) in [
        (
            "".to_owned(),
            "the configuration is empty: give `policies`, an empty list if there are none yet",
        ),
        ("{".to_owned(), "not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]".to_owned(), "expected an object, got a list"),
        ("{}".to_owned(), "field `policies` is missing"),
        (
            policy(&format!(r#""hosts": null, {RULE}"#)),
            "policy `p`: policies[0]: field `hosts` is null: give it a value, or leave it out",
        ),
        (
            r#"{"policies": [], "identity": {"trustDomains": null}}"#.to_owned(),
            "identity: field `trustDomains` is null: give it a value, or leave it out",
        ),
        (
            r#"{"policies": [], "polices": []}"#.to_owned(),
            "unknown field `polices` (did you mean `policies`?): expected `identity`, `policies`, \
             `defaultAction`, `denial`, `variables`, `callouts`, `bodies`, `audit`, \
             `pathSafety`, `hostBinding`",
        ),
        (
            r#"{"policies": [], "policies": []}"#.to_owned(),
            "field `policies` is given twice: leave one out",
        ),
        (
            r#"{"policies": [], "audit": {"log": "Everything"}}"#.to_owned(),
            "audit.log: unknown value `Everything`: expected `All`, `Denied`, `None`",
        ),
        (
            r#"{"policies": [], "pathSafety": "strict"}"#.to_owned(),
            "pathSafety: unknown value `strict` (did you mean `Strict`?): expected `Strict`, \
             `Lenient`, `Off`",
        ),
        (
            r#"{"policies": [], "identity": {"trustDomains": []}}"#.to_owned(),
            "identity.trustDomains: `trustDomains` is empty: name a trust domain, or leave the \
             field out to believe any that TLS let in",
        ),
        (
            r#"{"policies": [], "identity": {"trustDomains": ["Cluster.local"]}}"#.to_owned(),
            "identity.trustDomains[0]: `Cluster.local` is no trust domain: expected lower-case \
             letters, digits, `.`, `-`, `_`",
        ),
        (
            r#"{"policies": [], "identity": {"sources": ["xfcc"]}}"#.to_owned(),
            "identity.sources[0]: unknown value `xfcc`: expected `filterState`, \
             `peerCertificate`, `forwardedClientCert`",
        ),
        (r#"{"policies": [{"traffic": {}}]}"#.to_owned(), "policies[0]: field `name` is missing"),
        (
            policy(r#""traffic": {}"#),
            "policy `p`: policies[0].traffic: `traffic` is empty: give `authorization`, \
             `transformation` or another of its fields",
        ),
        (
            policy(
                r#""traffic": {"extProc": {}, "authorization": {"action": "Allow", "policy":
                    {"matchExpressions": ["true"]}}}"#,
            ),
            "policy `p`: policies[0].traffic: there is no `extProc` here: use Envoy's own \
             ext_proc filter, by an EnvoyFilter",
        ),
        (
            policy(
                r#""traffic": {"authorization": {"action": "allow", "policy":
                    {"matchExpressions": ["true"]}}}"#,
            ),
            "policy `p`: policies[0].traffic.authorization.action: unknown value `allow` (did you \
             mean `Allow`?): expected `Allow`, `Deny`, `Require`",
        ),
        (
            policy(
                r#""traffic": {"authorization": {"action": "Allow", "policy":
                    {"matchExpressions": []}}}"#,
            ),
            "policy `p`: policies[0].traffic.authorization.policy.matchExpressions: \
             `matchExpressions` is empty: give an expression (`true` for one that always matches)",
        ),
        (
            policy(
                r#""traffic": {"authorization": {"action": "Allow", "policy":
                    {"matchExpressions": ["true", "false"]}}}"#,
            ),
            "policy `p`: policies[0].traffic.authorization: field `match` is missing: say whether \
             the 2 expressions must match `All` or `Any` (AgentGateway's documentation says all; \
             its controller does any, for Require all)",
        ),
        (
            policy(
                r#""traffic": {"authorization": {"action": "Allow", "policy":
                    {"matchExpressions": [true]}}}"#,
            ),
            "policy `p`: policies[0].traffic.authorization.policy.matchExpressions[0]: expected a \
             string, got a boolean",
        ),
        (
            policy(&format!(r#""hosts": ["https://a"], {RULE}"#)),
            "policy `p`: policies[0].hosts[0]: `https://a` is no host: expected a name such as \
             `api.example.com`, or one leading wildcard such as `*.example.com`; no port, scheme \
             or trailing dot",
        ),
        (
            policy(&format!(r#""hosts": [], {RULE}"#)),
            "policy `p`: policies[0].hosts: `hosts` is empty: name a host, or leave the field out \
             for a policy of all hosts",
        ),
        (
            policy(&format!(r#""pathSafety": "Off", {RULE}"#)),
            "policy `p`: policies[0].pathSafety: `pathSafety` needs `hosts`: without them it \
             would be every host's; set `pathSafety` at the top level for that",
        ),
        (
            policy(&format!(r#""defaultAction": "Deny", {RULE}"#)),
            "policy `p`: policies[0].defaultAction: `defaultAction` needs `hosts`: without them it \
             would be every host's; set `defaultAction` at the top level for that, or try it with \
             `mode: Shadow`",
        ),
        (
            r#"{"policies": [], "defaultAction": "deny"}"#.to_owned(),
            "defaultAction: unknown value `deny` (did you mean `Deny`?): expected `Allow`, `Deny`",
        ),
        (
            policy(
                r#""hosts": ["*"], "traffic": {"authorization": {"policy":
                {"matchExpressions": ["true"]}}}"#,
            ),
            "policy `p`: policies[0].hosts[0]: `*` is no host: leave `hosts` out for a policy of \
             all hosts",
        ),
        (
            policy(r#""hosts": ["a.b"]"#),
            "policy `p`: policies[0]: some of `traffic`, `backend`, `pathSafety`, `defaultAction`, \
             `denial` must be there",
        ),
        (
            r#"{"policies": [], "denial": {}}"#.to_owned(),
            "denial: some of `body`, `bodyExpression`, `headers` must be there",
        ),
        (
            r#"{"policies": [], "denial": {"body": ""}}"#.to_owned(),
            "denial.body: the text is empty: give one, or leave the field out",
        ),
        (
            r#"{"policies": [], "denial": {"body": "a", "bodyExpression": "'a'"}}"#.to_owned(),
            "denial: only one of `body`, `bodyExpression` may be there: leave the others out",
        ),
        (
            r#"{"policies": [], "denial": {"headers": [
                {"name": "Content-Length", "value": "'1'"}]}}"#
                .to_owned(),
            "denial.headers[0].name: `content-length` cannot be changed: it frames the message on \
             the connection",
        ),
        (
            r#"{"policies": [], "denial": {"headers": [
                {"name": ":status", "value": "'200'"}]}}"#
                .to_owned(),
            "denial.headers[0].name: `:status` is no header: an answer has no pseudo-headers here",
        ),
        (
            policy(r#""traffic": {"transformation": {"request": {"remove": ["Host"]}}}"#),
            "policy `p`: policies[0].traffic.transformation.request.remove[0]: `host` cannot be \
             changed: `set` `:authority`",
        ),
        (
            policy(
                r#""traffic": {"transformation": {"request": {"add": [{"name": ":path",
                    "value": "'/'"}]}}}"#,
            ),
            "policy `p`: policies[0].traffic.transformation.request.add[0].name: `:path` has one \
             value: `set` it",
        ),
        (
            policy(
                r#""traffic": {"transformation": {"response": {"set": [{"name": "x y",
                    "value": "'/'"}]}}}"#,
            ),
            "policy `p`: policies[0].traffic.transformation.response.set[0].name: `x y` is no \
             header name: expected letters, digits and `!#$%&'*+-.^_`|~`",
        ),
        (
            r#"{"policies": [{"name": "a b", "traffic": {}}]}"#.to_owned(),
            "policy `a b`: policies[0].name: `a b` is no policy name: expected 1 to 253 letters, \
             digits, `-`, `_` and `.` (it becomes part of a metric's name)",
        ),
        (
            format!(r#"{{"policies": [{{"name": "a", {RULE}}}, {{"name": "a", {RULE}}}]}}"#),
            "policy `a`: policies[1].name: the name is taken by policies[0]: give each policy its \
             own",
        ),
    ] {
        assert!(
            errors(&json).iter().any(|error| error == expected),
            "{json}\nexpected {expected}\ngot      {:#?}",
            errors(&json)
        );
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let json = r#"{"audit": {"log": 1}, "hostBinding": "On", "policies": [{"nam": "a"}, 7,
        {"name": "b", "mode": "Dry", "traffic": {"transformation": {"request": {"set": [
        {"name": "host"}]}}}}]}"#;
    let errors = errors(json);
    assert_eq!(errors.len(), 9, "{errors:#?}");
}

#[test]
fn limits_are_kept() {
    let many = |n: usize, one: &str| vec![one; n].join(",");
    for (json, limit) in [
        (
            policy(&format!(r#""hosts": [{}], {RULE}"#, many(257, "\"a\""))),
            "policies[0].hosts: `hosts` has 257 entries, the limit is 256",
        ),
        (
            policy(&format!(
                r#""traffic": {{"authorization": {{"action": "Allow", "match": "Any",
                    "policy": {{"matchExpressions": [{}]}}}}}}"#,
                many(65, "\"true\"")
            )),
            "has 65 entries, the limit is 64",
        ),
        (
            policy(&format!(
                r#""traffic": {{"transformation": {{"request": {{"remove": [{}]}}}}}}"#,
                many(65, "\"a\"")
            )),
            "has 65 entries, the limit is 64",
        ),
        (
            format!(r#"{{"policies": [{}]}}"#, many(20_001, "{}")),
            "policies: `policies` has 20001 entries, the limit is 20000",
        ),
    ] {
        assert!(errors(&json).iter().any(|error| error.contains(limit)), "{limit}");
    }
    let deep = format!(r#"{{"policies": {}{}}}"#, "[".repeat(500), "]".repeat(500));
    assert!(
        errors(&deep).iter().any(|error| error.contains("recursion limit")),
        "{:?}",
        errors(&deep)
    );
}

/// `{"policies": [...]}` with so many policies of so many expressions, or hosts.
fn of_policies(count: usize, each: usize, field: impl Fn(&str) -> String, entry: &str) -> String {
    let entries = vec![format!("{entry:?}"); each].join(",");
    let policies: Vec<String> =
        (0..count).map(|index| format!(r#"{{"name": "p{index}", {}}}"#, field(&entries))).collect();
    format!(r#"{{"policies": [{}]}}"#, policies.join(","))
}

fn rule_of(entries: &str) -> String {
    format!(
        r#""traffic": {{"authorization": {{"action": "Deny", "match": "Any",
            "policy": {{"matchExpressions": [{entries}]}}}}}}"#
    )
}

#[test]
fn the_whole_configuration_is_bounded() {
    let hosts = |entries: &str| format!(r#""hosts": [{entries}], {RULE}"#);
    let long = "x".repeat(4096);
    for (name, json, expected) in [
        (
            "bytes",
            " ".repeat(MAX_BYTES + 1),
            "the configuration has 16777217 bytes, the limit is 16777216: leave out the policies",
        ),
        (
            "values",
            format!("[{}]", vec!["0"; MAX_VALUES].join(",")),
            "the configuration has 1000001 JSON values",
        ),
        (
            "expressions",
            of_policies(1563, 64, rule_of, "true"),
            "policies[1562].traffic.authorization.policy.matchExpressions[32]: the policies have \
             100032 expressions in all, the limit is 100000, and is passed here: use `in [...]`",
        ),
        (
            "sources",
            of_policies(25, 64, rule_of, &long),
            "policies[24].traffic.authorization.policy.matchExpressions[0]: the policies have \
             6553600 bytes of expressions in all, the limit is 6291456",
        ),
        (
            "hosts",
            of_policies(391, 256, hosts, "a.com"),
            "policies[390].hosts[160]: the policies have 100096 entries of `hosts` in all",
        ),
    ] {
        let errors = errors(&json);
        assert_eq!(errors.len(), 1, "{name}: {:?}", errors.get(..3));
        assert!(errors[0].starts_with(expected), "{name}: {}", errors[0]);
    }
    for json in [
        of_policies(390, 256, hosts, "a.com"),
        of_policies(1562, 64, rule_of, "true"),
        of_policies(24, 64, rule_of, &long),
    ] {
        assert!(Config::parse(json.as_bytes()).is_ok());
    }
}

#[test]
fn values_within_the_limit_are_all_kept() {
    let json = format!("[{}]", ["0"; 9].join(","));
    let (kept, values) = json::read(json.as_bytes(), 10).unwrap();
    assert_eq!((kept, values), (json::Json::Array(vec![json::Json::Number(Some(0)); 9]), 10));
    let (kept, values) = json::read(json.as_bytes(), 5).unwrap();
    assert_eq!((kept, values), (json::Json::Array(vec![json::Json::Number(Some(0)); 4]), 10));
}

#[test]
fn of_many_errors_the_first_are_told() {
    let policies = format!(r#"{{"policies": [{}]}}"#, vec!["1"; 20_000].join(","));
    let errors = errors(&policies);
    assert_eq!(errors.len(), MAX_ERRORS + 1);
    assert_eq!(errors[MAX_ERRORS - 1], "policies[9999]: expected an object, got a number");
    assert_eq!(
        errors[MAX_ERRORS],
        "there are more than 10000 errors: mend those that are told first"
    );
    // And what they repeat of the configuration is short.
    let long = policy(&format!(r#""{}": 1, {RULE}"#, "a".repeat(100_000)));
    assert!(self::errors(&long).concat().len() < 1_000);
    let fields = format!("{{{}}}", vec![r#""policies":[]"#; 100].join(","));
    assert!(self::errors(&fields).iter().any(|error| error.contains("an object has 100 fields")));
}

#[test]
fn a_wildcard_is_for_what_is_under_it() {
    let under = HostPattern::Under(".example.com".to_owned());
    for (host, expected) in [
        ("a.example.com", true),
        ("a.b.example.com", true),
        ("example.com", false),
        (".example.com", false),
        ("badexample.com", false),
    ] {
        assert_eq!(under.matches(host), expected, "{host}");
    }
}
