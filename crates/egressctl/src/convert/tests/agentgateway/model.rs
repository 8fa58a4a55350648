#![cfg(not(target_arch = "wasm32"))]
//! AgentGateway's decision by itself, over rules as they are written, and both compared on
//! generated policies and requests.
//!
//! The model is made of what agentgateway was measured to do (main of 2026-08, standalone): any
//! matching Deny denies, each Require must match, any matching Allow allows, and without an Allow
//! the rest passes; what errs does not match; the rules of all policies in scope count together;
//! the host and the path are as the caller wrote them, and of a header's lines the first counts. Of
//! a transformation, `add` comes before `set` and `set` before `remove`; that of a backend comes
//! behind the header modifiers.

mod generated;
mod headers;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use generated::{policies_of, requests};

/// A test over the request, as CEL and as it is to be understood.
#[derive(Debug, Clone)]
enum Test {
    Namespace(&'static str),
    AccountIn(&'static [&'static str]),
    SpiffeId(&'static str),
    HasIdentity,
    Method(&'static str),
    Path(&'static str),
    PathStarts(&'static str),
    Host(&'static str),
    HostEnds(&'static str),
    Header(&'static str),
    HeaderOr(&'static str),
    HasHeader,
    Within(&'static str),
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
}

impl Test {
    fn cel(&self) -> String {
        match self {
            Test::Namespace(it) => format!("source.identity.namespace == {it:?}"),
            Test::AccountIn(list) => format!("source.identity.serviceAccount in {list:?}"),
            Test::SpiffeId(it) => format!("source.spiffeId.startsWith({it:?})"),
            Test::HasIdentity => "has(source.identity)".to_owned(),
            Test::Method(it) => format!("request.method == {it:?}"),
            Test::Path(it) => format!("request.path == {it:?}"),
            Test::PathStarts(it) => format!("request.path.startsWith({it:?})"),
            Test::Host(it) => format!("request.host == {it:?}"),
            Test::HostEnds(it) => format!("request.host.endsWith({it:?})"),
            Test::Header(it) => format!("request.headers[\"x-team\"] == {it:?}"),
            Test::HeaderOr(it) => format!("default(request.headers[\"x-team\"], \"\") == {it:?}"),
            Test::HasHeader => "\"x-team\" in request.headers".to_owned(),
            Test::Within(it) => format!("cidr({it:?}).containsIP(source.address)"),
            Test::Not(test) => format!("!({})", test.cel()),
            Test::And(a, b) => format!("({}) && ({})", a.cel(), b.cel()),
            Test::Or(a, b) => format!("({}) || ({})", a.cel(), b.cel()),
        }
    }

    /// Whether it is true of a request, read so; none if it errs.
    fn holds(&self, request: &Request, by: Reading<'_>) -> Option<bool> {
        let path = request.path.split('?').next().unwrap();
        let is_team = |name: &str| name == "x-team" || by.folds && name.len() == "x-team".len();
        let team = request.headers.iter().find(|(name, _)| is_team(name)).map(|(_, it)| *it);
        let host = by.host;
        match self {
            Test::Namespace(it) => identity(request.caller).map(|(namespace, _)| namespace == *it),
            Test::AccountIn(list) => identity(request.caller).map(|(_, name)| list.contains(&name)),
            Test::SpiffeId(it) => {
                (!request.caller.is_empty()).then(|| request.caller.starts_with(it))
            }
            Test::HasIdentity => Some(identity(request.caller).is_some()),
            Test::Method(it) => Some(request.method == *it),
            Test::Path(it) => Some(path == *it),
            Test::PathStarts(it) => Some(path.starts_with(it)),
            Test::Host(it) => Some(host == *it),
            Test::HostEnds(it) => Some(host.ends_with(it)),
            Test::Header(it) => team.map(|team| team == *it),
            Test::HeaderOr(it) => Some(team.unwrap_or_default() == *it),
            Test::HasHeader => Some(team.is_some()),
            Test::Within(network) => Some(match *network {
                "10.0.0.0/8" => request.address.starts_with("10."),
                _ => request.address.starts_with("192.168."),
            }),
            Test::Not(test) => test.holds(request, by).map(|is| !is),
            Test::And(a, b) => match (a.holds(request, by), b.holds(request, by)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Test::Or(a, b) => match (a.holds(request, by), b.holds(request, by)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

/// How a request is read. There the host is as the caller wrote it, and `x_team` is a header of its
/// own; the filter has one spelling of a host, and counts `x_team` as a line of `x-team`.
#[derive(Debug, Clone, Copy)]
struct Reading<'a> {
    host: &'a str,
    folds: bool,
}

/// As AgentGateway reads it.
fn raw(host: &str) -> Reading<'_> {
    Reading { host, folds: false }
}

/// Namespace and service account of a SPIFFE ID that has them.
fn identity(caller: &str) -> Option<(&str, &str)> {
    match caller.strip_prefix("spiffe://")?.split('/').collect::<Vec<_>>().as_slice() {
        [_, "ns", namespace, "sa", name] => Some((namespace, name)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Gateway,
    /// The route of `a.example`.
    Route,
    /// The backend at `b.example`.
    Backend,
}

#[derive(Debug, Clone)]
struct Rules {
    target: Target,
    action: &'static str,
    tests: Vec<Test>,
}

impl Rules {
    fn document(&self, index: usize) -> Value {
        let (group, kind, name) = match self.target {
            Target::Gateway => ("gateway.networking.k8s.io", "Gateway", "egress"),
            Target::Route => ("gateway.networking.k8s.io", "HTTPRoute", "a"),
            Target::Backend => ("agentgateway.dev", "AgentgatewayBackend", "b"),
        };
        let tests: Vec<String> = self.tests.iter().map(Test::cel).collect();
        json!({
            "apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
            "metadata": {"name": format!("p{index}"), "namespace": "egress"},
            "spec": {
                "targetRefs": [{"group": group, "kind": kind, "name": name}],
                "traffic": {"authorization":
                    {"action": self.action, "policy": {"matchExpressions": tests}}},
            },
        })
    }

    fn is_for(&self, request: &Request) -> bool {
        match self.target {
            Target::Gateway => true,
            Target::Route => canonical(request.authority) == "a.example",
            Target::Backend => canonical(request.authority) == "b.example",
        }
    }

    /// Of a Deny and an Allow, one of several expressions is enough; of a Require, all must match.
    fn matches(&self, request: &Request, by: Reading<'_>) -> bool {
        let mut results = self.tests.iter().map(|test| test.holds(request, by) == Some(true));
        if self.action == "Require" { results.all(|is| is) } else { results.any(|is| is) }
    }

    fn errs(&self, request: &Request, by: Reading<'_>) -> bool {
        self.tests.iter().any(|test| test.holds(request, by).is_none())
    }
}

/// The route and the backend that the rules are for, which a waypoint does not need.
fn resources() -> [Value; 2] {
    [
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "a", "namespace": "egress"},
            "spec": {"parentRefs": [{"name": "egress"}], "hostnames": ["a.example"]}}),
        json!({"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayBackend",
            "metadata": {"name": "b", "namespace": "egress"},
            "spec": {"static": {"host": "b.example", "port": 443}}}),
    ]
}

fn canonical(authority: &str) -> String {
    authority.split(':').next().unwrap().trim_end_matches('.').to_lowercase()
}

/// What AgentGateway does with a request that is read so.
fn allows(policies: &[Rules], request: &Request, by: Reading<'_>) -> bool {
    let of = |action: &str| {
        let of = policies.iter().filter(|rules| rules.action == action && rules.is_for(request));
        of.map(|rules| rules.matches(request, by)).collect::<Vec<_>>()
    };
    let allows = of("Allow");
    !of("Deny").contains(&true)
        && !of("Require").contains(&false)
        && (allows.is_empty() || allows.contains(&true))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn converted_policies_decide_as_agentgateway_does(
        policies in policies_of(),
        requests in proptest::collection::vec(requests(), 32),
    ) {
        let documents: Vec<String> = policies
            .iter()
            .enumerate()
            .map(|(index, rules)| rules.document(index))
            .chain(resources())
            .map(|document| document.to_string())
            .collect();
        let text = documents.join("\n---\n");
        prop_assert_eq!(losses(&text), Vec::<String>::new(), "{}", text);
        let engine = engine(&text);
        for request in requests {
            let here = request.is_allowed_by(&engine);
            let host = canonical(request.authority);
            let there = allows(&policies, &request, raw(request.authority));
            // What is one host or header here may be another there, so that a Deny of it holds
            // here, and an Allow of it is for all its spellings.
            let may = [request.authority, &host].into_iter().any(|host| {
                let is_allowed =
                    |folds| allows(&policies, &request, Reading { host, folds });
                is_allowed(false) || is_allowed(true)
            });
            prop_assert!(!here || may, "looser: {:?}\n{}", request, text);
            // A Deny that errs denies here.
            let errs = policies.iter().any(|rules| {
                rules.action == "Deny"
                    && rules.is_for(&request)
                    && rules.errs(&request, raw(request.authority))
            });
            if request.is_plain() && !errs {
                prop_assert_eq!(here, there, "{:?}\n{}", request, text);
            }
        }
    }
}

impl Request {
    /// Whether there is one way to read it.
    fn is_plain(&self) -> bool {
        let path = self.path.split('?').next().unwrap();
        self.authority == canonical(self.authority)
            && self.headers.len() < 2
            && self.headers.iter().all(|(name, _)| *name == "x-team")
            && !["..", "//", "%", ";"].iter().any(|odd| path.contains(odd))
            && !self.caller.contains(',')
    }
}

#[test]
fn the_model_is_what_was_measured() {
    let request = Request { authority: "a.example", path: "/zen", ..Request::default() };
    let rule = |action, test| Rules { target: Target::Gateway, action, tests: vec![test] };
    let errs = Test::Header("blue");
    let not = |test: Test| Test::Not(Box::new(test));
    for (policies, expected) in [
        (vec![], true),
        (vec![rule("Allow", Test::Path("/zen"))], true),
        (vec![rule("Allow", Test::Path("/x"))], false),
        (vec![rule("Deny", Test::Path("/x"))], true),
        (vec![rule("Require", Test::Path("/x"))], false),
        (vec![rule("Allow", Test::Path("/zen")), rule("Deny", Test::Method("GET"))], false),
        (vec![rule("Allow", errs.clone())], false),
        (vec![rule("Deny", errs.clone())], true),
        (vec![rule("Require", errs.clone())], false),
        (vec![rule("Deny", not(errs.clone()))], true),
        (
            vec![rule("Allow", Test::Or(Box::new(errs.clone()), Box::new(Test::Method("GET"))))],
            true,
        ),
        (
            vec![rule("Require", not(Test::And(Box::new(errs), Box::new(Test::Method("PUT")))))],
            true,
        ),
    ] {
        assert_eq!(allows(&policies, &request, raw("a.example")), expected, "{policies:?}");
    }
    // By a raw authority, a Deny for a host is walked round.
    let deny = [rule("Deny", Test::Host("a.example"))];
    let odd = Request { authority: "a.example:80", ..Request::default() };
    assert!(allows(&deny, &odd, raw(odd.authority)));
    assert!(!allows(&deny, &odd, raw(&canonical(odd.authority))));
}
