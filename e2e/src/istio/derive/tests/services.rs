use super::*;

#[test]
fn a_destination_rule_of_the_waypoints_namespace_hides_those_of_others() {
    let rule = |namespace: &str, host: &str, mode: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {}, \
             namespace: {namespace}}}\n\
             spec: {{host: '{host}', trafficPolicy: {{tls: {{mode: {mode}}}}}}}\n---\n",
            mode.to_lowercase(),
        )
    };
    let egress = std::fs::read_to_string(workspace_root().join("filter-config").join(EGRESS))
        .expect("a file of filter-config");
    let (entry, _) = egress
        .split_once("apiVersion: networking.istio.io/v1\nkind: DestinationRule")
        .expect("a ServiceEntry and a rule");
    let entry = entry.replace("\n  namespace: egress-direct", "\n  namespace: team-a");
    let from = "from: Same";
    for (rules, simple) in [
        (vec![], false),
        (vec![rule("istio-system", "api.github.com", "SIMPLE")], true),
        (vec![rule("team-b", "api.github.com", "SIMPLE")], false),
        (
            vec![
                rule("istio-system", "api.github.com", "DISABLE"),
                rule("team-a", "*.github.com", "SIMPLE"),
            ],
            true,
        ),
        (
            vec![
                rule("team-a", "api.github.com", "DISABLE"),
                rule("egress-direct", "*.github.com", "SIMPLE"),
            ],
            true,
        ),
        (
            vec![rule("team-a", "api.github.com", "SIMPLE"), rule("egress-direct", "*", "DISABLE")],
            false,
        ),
        (
            vec![
                rule("egress-direct", "*", "DISABLE"),
                rule("egress-direct", "*.github.com", "SIMPLE"),
            ],
            true,
        ),
    ] {
        let mut resources = resources(&[SETUP], SETUP, from, "from: All");
        resources
            .apply_text(&format!("{entry}\n{}", rules.concat()), "rules")
            .unwrap_or_else(|error| panic!("{error}"));
        let derived =
            Derived::new(&resources, Release::V1_30).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(derived.services[0].ports[0].tls.is_some(), simple, "{rules:?}");
    }
    let error = with(&rule("egress-direct", "api.github.com", "DISABLE"))
        .expect_err("two rules for one host");
    assert!(error.contains("a second rule for `api.github.com`"), "{error}");
}

#[test]
fn a_service_that_stays_outside_is_found() {
    let label = "    istio.io/use-waypoint: egress\n";
    for (file, from, to, part) in [
        (EGRESS, label, "", "neither it nor its namespace is labelled"),
        (EGRESS, label, "    istio.io/use-waypoint: none\n", "names `egress-direct/none`"),
        (
            EGRESS,
            "use-waypoint-namespace: egress-direct",
            "use-waypoint-namespace: team-a",
            "names `team-a/egress`",
        ),
        (EGRESS, "namespace: egress-direct", "namespace: team-a", "`allowedRoutes` do not let in"),
        (
            SETUP,
            "istio.io/waypoint-for: service",
            "istio.io/waypoint-for: workload",
            "a waypoint for `workload`",
        ),
    ] {
        let derived = applied(&[SETUP, EGRESS], file, from, to)
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(derived.services, [], "{to}");
        let [finding] = &findings(&derived)[..] else { panic!("{to}: {:?}", derived.findings) };
        assert!(
            finding.contains("not reached through the waypoint") && finding.contains(part),
            "{to}: {finding}"
        );
    }
    let named = "  name: egress-direct\n  labels:\n";
    let to = format!("{named}    istio.io/use-waypoint: egress\n");
    let mut resources = Resources::default();
    for (file, from, to) in [(SETUP, named, to.as_str()), (EGRESS, label, "")] {
        let text = std::fs::read_to_string(workspace_root().join("filter-config").join(file))
            .expect("a file");
        resources.apply_text(&text.replacen(from, to, 1), file).expect("resources");
    }
    assert_eq!(
        Derived::new(&resources, Release::V1_30).expect("a waypoint").services.len(),
        1,
        "a namespace's label holds for what is in it"
    );
}

#[test]
fn a_port_without_http_is_found_or_refused() {
    for protocol in ["TLS", "HTTPS", "TCP", "tcp"] {
        let derived =
            applied(&[SETUP, EGRESS], EGRESS, "protocol: HTTP", &format!("protocol: {protocol}"))
                .expect("resources");
        assert_eq!(derived.services[0].ports[0].protocol, Protocol::Tcp, "{protocol}");
        assert_eq!(derived.services[0].ports[0].chain("a"), "inbound-vip|80|tcp|a");
        assert!(
            findings(&derived)[0].contains("no plugin runs; declare `protocol: HTTP`"),
            "{:?}",
            derived.findings
        );
    }
    for (to, part) in [
        ("", "has no protocol"),
        ("protocol: UDP", "`UDP` is not derived"),
        ("protocol: GRPC", "`GRPC` is not derived"),
    ] {
        let error = applied(&[SETUP, EGRESS], EGRESS, "protocol: HTTP", to).expect_err(to);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn http2_is_the_origins_and_the_chain_is_one_with_filters() {
    for (protocol, http2) in [("HTTP", false), ("HTTP2", true), ("http2", true)] {
        let derived =
            applied(&[SETUP, EGRESS], EGRESS, "protocol: HTTP", &format!("protocol: {protocol}"))
                .expect("resources");
        let port = &derived.services[0].ports[0];
        assert_eq!((port.protocol, port.http2), (Protocol::Http, http2), "{protocol}");
        assert_eq!(port.chain("a"), "inbound-vip|80|http|a");
    }
}

#[test]
fn an_origin_in_plain_text_or_unverified_is_found() {
    let policy = "    tls:\n";
    for (from, to, part) in [
        ("host: api.github.com", "host: github.com", "spoken to in plain text"),
        ("mode: SIMPLE", "mode: DISABLE", "spoken to in plain text"),
        ("mode: SIMPLE", "mode: ISTIO_MUTUAL", "spoken to in plain text"),
        (
            policy,
            "    portLevelSettings: [{port: {number: 80}}]\n    tls:\n",
            "spoken to in plain text",
        ),
        ("mode: SIMPLE", "mode: SIMPLE\n      insecureSkipVerify: true", "need not be its own"),
        ("      subjectAltNames:\n      - api.github.com", "", "need not be its own"),
    ] {
        let derived = applied(&[SETUP, EGRESS], EGRESS, from, to)
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        let [finding] = &findings(&derived)[..] else { panic!("{to}: {:?}", derived.findings) };
        assert!(finding.contains(part), "{to}: {finding}");
    }
    for (from, to) in [
        ("host: api.github.com", "host: \"*.github.com\""),
        (policy, "    portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]\n    tls:\n"),
        ("      sni: api.github.com\n      subjectAltNames:\n      - api.github.com", ""),
    ] {
        let derived = applied(&[SETUP, EGRESS], EGRESS, from, to)
            .unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(derived.findings, [], "{to}");
    }
}
