//! Values that can hardly be meant get a warning, and are converted as Istio takes them.

use super::*;

/// The warnings about a rule of an ALLOW, without their effect.
fn doubts(rule: &str, arguments: &[&str]) -> Vec<String> {
    let text = policy("ALLOW", &format!("[{rule}]"));
    converted(&text, arguments, |converted| {
        let doubtful = converted.notes.iter().filter(|note| note.effect == Effect::Doubtful);
        doubtful
            .map(|note| format!("{}: {}", note.diagnostic.path, note.diagnostic.message))
            .collect()
    })
}

#[test]
fn a_star_that_is_a_letter_gets_a_warning() {
    for (rule, path, mend) in [
        (
            "{to: [{operation: {hosts: ['*.corp.example:*']}}]}",
            "to[0].operation.hosts[0]",
            "write `*.corp.example`",
        ),
        (
            "{to: [{operation: {paths: ['/svc/*health']}}]}",
            "to[0].operation.paths[0]",
            "`{*}` stands for one segment",
        ),
        (
            "{from: [{source: {notPrincipals: ['*.partner.mesh/ns/int*']}}]}",
            "from[0].source.notPrincipals[0]",
            "`namespaces`",
        ),
        ("{from: [{source: {trustDomains: ['*a*']}}]}", "from[0].source.trustDomains[0]", ""),
        ("{to: [{operation: {methods: ['G*T']}}]}", "to[0].operation.methods[0]", ""),
        ("{when: [{key: 'request.headers[x]', values: ['*b*']}]}", "when[0].values[0]", ""),
    ] {
        let told = doubts(rule, &[]);
        assert!(
            told.len() == 1
                && told[0].starts_with(&format!("spec.rules[0].{path}: "))
                && told[0].contains("only one `*`")
                && told[0].contains(mend),
            "{rule}: {told:?}"
        );
        assert_eq!(losses(&policy("ALLOW", &format!("[{rule}]"))).len(), 1, "{rule}");
    }
    for rule in [
        "{to: [{operation: {hosts: ['*.a', 'a.*', '*'], paths: ['/{*}/b', '/a/*', '*']}}]}",
        "{from: [{source: {principals: ['*/sa/x'], namespaces: ['a*b*'], trustDomains: ['a*']}}]}",
        "{when: [{key: 'request.headers[x]', values: ['*', 'a*', '*b']}]}",
    ] {
        assert_eq!(doubts(rule, &[]), Vec::<String>::new(), "{rule}");
    }
}

#[test]
fn a_trust_domain_that_stands_for_no_other_gets_a_warning() {
    let of = |principal: &str, domains: &str| {
        let rule = format!("{{from: [{{source: {{principals: ['{principal}']}}}}]}}");
        doubts(&rule, &["--trust-domain", domains])
    };
    let told = of("cluster.local/ns/app/*", "corp");
    assert!(told.len() == 1 && told[0].contains("write `corp/...`"), "{told:?}");
    for (principal, domains) in [
        ("cluster.local/ns/app/*", "cluster.local"),
        ("cluster.local/ns/app/*", "corp,cluster.local"),
        ("cluster.local/ns/app/sa/*", "corp"),
        ("other/ns/app/*", "corp"),
    ] {
        assert_eq!(of(principal, domains), Vec::<String>::new(), "{principal} {domains}");
    }
}
