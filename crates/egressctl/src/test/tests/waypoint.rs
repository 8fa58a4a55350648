//! A case is the request that the waypoint would get.

use egress_filter::config::IdentityConfig;

use super::{POLICIES, failures, read_text};

#[test]
fn the_blanks_around_a_value_do_not_come() {
    let text = "cases: [{name: a, caller: none, request: {host: 'a:8080', headers: {x-a: ' b '}}, \
        expect: deny}]";
    let trial =
        read_text(text).unwrap().suites[0].cases[0].steps[0].trial(&IdentityConfig::default());
    assert_eq!(trial.headers, [("x-a".to_owned(), "b".to_owned())]);
    assert_eq!(trial.destination_address, "240.240.0.1:8080");
}

/// Of several lines of a header that Envoy keeps on one, a rule sees one, here as in the waypoint.
#[test]
fn lines_are_joined_as_the_waypoint_joins_them() {
    let text = r#"
config:
  policies:
  - name: agents
    traffic: {authorization: {action: Allow,
      policy: {matchExpressions: ['request.headers["user-agent"] == "a,b"']}}}
cases:
- {name: joined, caller: none, request: {host: a.example, headers: {User-Agent: [a, b]}},
    expect: {verdict: allow, headers: {user-agent: 'a,b'}}}
- {name: other, caller: none, request: {host: a.example, headers: {User-Agent: [b, a]}},
    expect: deny}
"#;
    assert_eq!(failures(&mut [read_text(text).unwrap()]), <[String; 0]>::default());
}

#[test]
fn a_callers_trust_domain_is_the_configurations_unless_said() {
    for (domains, defaults, expected) in [
        ("[]", "", "cluster.local"),
        ("[prod.example, test.example]", "", "prod.example"),
        ("[prod.example, cluster.local]", "", "cluster.local"),
        ("[prod.example, test.example]", "defaults: {trustDomain: test.example}\n", "test.example"),
    ] {
        let identity =
            if domains == "[]" { "{}".to_owned() } else { format!("{{trustDomains: {domains}}}") };
        let rule = format!("source.spiffeId == \"spiffe://{expected}/ns/a/sa/b\"");
        let text = format!(
            "config:\n  identity: {identity}\n  policies:\n  - name: one\n    traffic: \
             {{authorization: {{action: Allow, policy: \
             {{matchExpressions: ['{rule}']}}}}}}\n{defaults}cases:\n\
             - {{name: a, caller: a/b, request: http://a.example, expect: allow}}\n\
             - {{name: b, caller: a/c, request: http://a.example, expect: deny}}\n"
        );
        let mut file = [read_text(&text).unwrap()];
        assert_eq!(failures(&mut file), <[String; 0]>::default(), "{text}");
        assert_eq!(
            file[0].suites[0].cases[0].steps[0].caller.to_string(),
            format!("spiffe://{expected}/ns/a/sa/b")
        );
    }
}

#[test]
fn a_caller_is_who_it_is_whatever_the_sources() {
    for sources in ["[filterState]", "[peerCertificate]", "[forwardedClientCert]"] {
        let text = POLICIES
            .replace("config:\n", &format!("config:\n  identity: {{sources: {sources}}}\n"));
        let cases = "cases:\n\
                     - {name: a, caller: team-a/x, request: http://a.example, expect: allow}\n\
                     - {name: b, caller: team-b/x, request: http://a.example, expect: deny}\n";
        assert_eq!(
            failures(&mut [read_text(&format!("{text}{cases}")).unwrap()]),
            <[String; 0]>::default(),
            "{sources}"
        );
    }
}
