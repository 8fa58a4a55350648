use super::*;

fn owned(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shown(lines: &Lines) -> Vec<String> {
    lines.iter().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value))).collect()
}

#[test]
fn lines_of_headers_that_envoy_keeps_on_one_are_joined() {
    let trial = Trial {
        authority: "a.example".to_owned(),
        headers: owned(&[
            ("User-Agent", "a"),
            ("x-a", "1"),
            ("user-agent", ""),
            ("user-agent", "b"),
            ("X-A", "2"),
            ("Host", "b.example"),
        ]),
        response: Response {
            status: 200,
            headers: owned(&[
                ("vary", "a"),
                ("user-agent", "a"),
                ("Vary", "b"),
                ("user-agent", "b"),
            ]),
            body: Vec::new(),
        },
        ..Trial::default()
    };
    let request = shown(&lines(&trial.request_headers()));
    let id = "x-request-id=00000000-0000-4000-8000-000000000000";
    assert_eq!(
        request,
        [
            ":method=GET",
            ":scheme=http",
            ":authority=a.example,b.example",
            ":path=/",
            "user-agent=a,b",
            "x-a=1",
            "x-a=2",
            id
        ]
    );
    let response = shown(&lines(&trial.response_headers()));
    assert_eq!(response, [":status=200", "vary=a,b", "user-agent=a", "user-agent=b"]);
}

#[test]
fn a_caller_is_presented_where_the_configuration_looks() {
    const ID: &str = "spiffe://cluster.local/ns/a/sa/b";
    let engine = |sources: &str| {
        let config = format!(
            r#"{{"identity": {{"sources": {sources}}}, "policies": [{{"name": "a",
            "traffic": {{"authorization": {{"action": "Allow",
            "policy": {{"matchExpressions": ["source.identity.namespace == 'a'"]}}}}}}}}]}}"#
        );
        (
            Engine::load(config.as_bytes()).unwrap(),
            crate::config::Config::parse(config.as_bytes()).unwrap().identity,
        )
    };
    for sources in [
        r#"["filterState"]"#,
        r#"["peerCertificate"]"#,
        r#"["forwardedClientCert"]"#,
        r#"["forwardedClientCert", "peerCertificate"]"#,
        r#"["peerCertificate", "filterState"]"#,
    ] {
        let (engine, identity) = engine(sources);
        for (principal, allowed) in
            [(ID, true), ("spiffe://cluster.local/ns/b/sa/b", false), ("", false), ("-", false)]
        {
            let mut trial = Trial {
                principal: principal.to_owned(),
                authority: "a.example".to_owned(),
                ..Trial::default()
            };
            trial.present(&identity);
            assert_eq!(trial.run(&engine).denial.is_none(), allowed, "{sources} {principal}");
        }
    }
    let (engine, identity) = engine(r#"["forwardedClientCert"]"#);
    let forged = ("x-forwarded-client-cert".to_owned(), format!("URI={ID}"));
    let mut trial = Trial {
        principal: "spiffe://cluster.local/ns/b/sa/b".to_owned(),
        authority: "a.example".to_owned(),
        ..Trial::default()
    };
    trial.headers.push(forged);
    trial.present(&identity);
    assert!(trial.run(&engine).denial.is_some(), "what the proxy in front appends counts");
}

#[test]
fn what_a_policy_adds_is_joined_too() {
    let config = br#"{"policies": [{"name": "a", "traffic": {"transformation": {
        "request": {"add": [
            {"name": "User-Agent", "value": "'x'"}, {"name": "x-a", "value": "'x'"}]},
        "response": {"add": [{"name": "vary", "value": "'x'"}]}}}}]}"#;
    let trial = Trial {
        authority: "a.example".to_owned(),
        headers: owned(&[("user-agent", "a"), ("x-a", "1")]),
        response: Response { status: 200, headers: owned(&[("vary", "a")]), body: Vec::new() },
        ..Trial::default()
    };
    let tried = trial.run(&Engine::load(config).unwrap());
    let lines = [shown(&tried.upstream.unwrap()), shown(&tried.downstream.unwrap())].concat();
    for expected in ["user-agent=a,x", "x-a=1", "x-a=x", "vary=a,x"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
}
