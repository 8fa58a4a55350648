#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::{ClientAuth, ClientCredentials, ServiceConfig, Variable};
use crate::request::headers::Headers;

fn client(client_auth: ClientAuth) -> Client {
    let client_secret = Variable { place: String::new(), name: "SECRET".to_owned() };
    let config = ClientCredentials {
        service: ServiceConfig {
            cluster: "outbound|443||sts.example".to_owned(),
            host: "sts.example".to_owned(),
        },
        path: "/oauth2/token".to_owned(),
        client_id: "a:b".to_owned(),
        client_secret,
        scopes: vec!["repo:read".to_owned(), "x".to_owned()],
        client_auth,
        timeout: Duration::from_secs(10),
    };
    Client::new(&config, b"s3cr&t")
}

fn tokens() -> Tokens {
    let name = "authorization".to_owned();
    let location = Location::Header { name, prefix: "Bearer ".to_owned(), is_default: true };
    Tokens::new(client(ClientAuth::Basic), location)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn answer<'a>(status: &'a str, body: &'a str) -> Answer<'a> {
    let headers: Headers<'a> = [(&b":status"[..], status.as_bytes())].into_iter().collect();
    Answer::response(headers, body.as_bytes(), false)
}

/// Makes the call that is due, and ends it.
fn end(tokens: &Tokens, answer: &Answer<'_>, now: Duration) -> Ended {
    let (fetch, _) = tokens.due(0).expect("a call is due");
    tokens.end(fetch.number, answer, now)
}

fn token(taken: &Taken) -> Option<&str> {
    match taken {
        Taken::Token(secret) => std::str::from_utf8(secret.expose()).ok(),
        Taken::Wait | Taken::Failed(_) => None,
    }
}

fn failure(taken: &Taken) -> Option<Failure> {
    match taken {
        Taken::Failed(why) => Some(*why),
        Taken::Wait | Taken::Token(_) => None,
    }
}

/// RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined.
#[test]
fn the_request_says_what_is_asked_for_and_who_asks() {
    let call = client(ClientAuth::Basic).call();
    let header = |name: &str| {
        let found = call.http().0.iter().find(|(line, _)| line == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(header(":method").as_deref(), Some("POST"));
    assert_eq!(header(":path").as_deref(), Some("/oauth2/token"));
    assert_eq!(header(":authority").as_deref(), Some("sts.example"));
    // base64 of `a%3Ab:s3cr%26t`.
    assert_eq!(header("authorization").as_deref(), Some("Basic YSUzQWI6czNjciUyNnQ="));
    let body = String::from_utf8_lossy(call.http().1);
    assert_eq!(body, "grant_type=client_credentials&scope=repo%3Aread%20x");

    let call = client(ClientAuth::Post).call();
    assert!(!call.http().0.iter().any(|(name, _)| name == "authorization"));
    let body = String::from_utf8_lossy(call.http().1);
    assert!(body.ends_with("&client_id=a%3Ab&client_secret=s3cr%26t"), "{body}");
}

#[test]
fn debug_output_has_no_secret() {
    let tokens = tokens();
    tokens.take(seconds(1), false);
    let (_, call) = tokens.due(0).unwrap();
    let got = answer("200", r#"{"access_token":"s3cr&t","token_type":"bearer"}"#);
    tokens.end(1, &got, seconds(1));
    let taken = tokens.take(seconds(1), false);
    for shown in [format!("{tokens:?}"), format!("{call:?}"), format!("{taken:?}")] {
        assert!(!shown.contains("s3cr") && !shown.contains("YSUzQWI6"), "{shown}");
    }
}

#[test]
fn a_token_is_used_until_shortly_before_its_end_and_renewed_before_that() {
    let tokens = tokens();
    assert!(matches!(tokens.take(seconds(10), false), Taken::Wait));
    let body = r#"{"access_token":"one","token_type":"Bearer","expires_in":100}"#;
    assert_eq!(end(&tokens, &answer("200", body), seconds(12)), Ended::Fetched);
    // It counts from the request for it: 100 s from 10 s on.
    for now in [12, 89] {
        assert_eq!(token(&tokens.take(seconds(now), false)), Some("Bearer one"));
        assert!(tokens.due(0).is_none(), "at {now} s it is fresh");
    }
    assert_eq!(token(&tokens.take(seconds(90), false)), Some("Bearer one"));
    let (fetch, _) = tokens.due(0).expect("it is renewed when a fifth of its life is left");
    for now in [91, 101] {
        assert_eq!(token(&tokens.take(seconds(now), false)), Some("Bearer one"));
        assert!(tokens.due(0).is_none(), "one fetch at a time");
    }
    assert!(matches!(tokens.take(seconds(105), false), Taken::Wait), "it is as good as expired");
    let body = r#"{"access_token":"two","token_type":"Bearer","expires_in":100}"#;
    assert_eq!(tokens.end(fetch.number, &answer("200", body), seconds(106)), Ended::Fetched);
    assert_eq!(token(&tokens.take(seconds(106), true)), Some("Bearer two"));
}

#[test]
fn a_token_that_expires_at_once_serves_those_who_waited_for_it() {
    let tokens = tokens();
    tokens.take(seconds(1), false);
    let body = r#"{"access_token":"one","token_type":"bearer","expires_in":0}"#;
    end(&tokens, &answer("200", body), seconds(1));
    for _ in 0..3 {
        assert_eq!(token(&tokens.take(seconds(1), true)), Some("Bearer one"));
    }
    assert!(tokens.due(0).is_none());
    assert!(matches!(tokens.take(seconds(1), false), Taken::Wait), "nobody else");
}

#[test]
fn after_a_failure_there_is_a_pause_that_grows() {
    let tokens = tokens();
    let mut now = seconds(1);
    for (number, pause) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        assert!(matches!(tokens.take(now, false), Taken::Wait));
        let ended = end(&tokens, &answer("500", ""), now);
        assert_eq!(ended, Ended::Failed { why: Failure::Status, is_news: number == 0 });
        let just_before = now + seconds(pause) - Duration::from_millis(1);
        for at in [now, just_before] {
            assert_eq!(failure(&tokens.take(at, false)), Some(Failure::Status), "{pause}");
            assert!(tokens.due(0).is_none());
        }
        now += seconds(pause);
    }
    tokens.take(now, false);
    let body = r#"{"access_token":"one","token_type":"bearer"}"#;
    assert_eq!(end(&tokens, &answer("200", body), now), Ended::Fetched);
    // Without `expires_in`, it lives for 300 s.
    assert_eq!(token(&tokens.take(now + seconds(294), false)), Some("Bearer one"));
    // A failed renewal does no harm as long as it lives.
    end(&tokens, &Answer::CutOff, now + seconds(294));
    assert_eq!(token(&tokens.take(now + seconds(294), false)), Some("Bearer one"));
    let after = tokens.take(now + seconds(294) + Duration::from_millis(999), false);
    assert_eq!(token(&after), Some("Bearer one"));
    let failed = tokens.take(now + seconds(400), false);
    assert!(matches!(failed, Taken::Wait), "the pause is over: {failed:?}");
}

#[test]
fn each_way_to_fail_has_its_words() {
    let good = r#"{"access_token":"t","token_type":"bearer"}"#;
    for (answer, why) in [
        (Answer::NotSent, Failure::NotSent),
        (Answer::CutOff, Failure::CutOff),
        (answer("504", "upstream request timeout"), Failure::TimedOut),
        (answer("503", ""), Failure::Status),
        (answer("400", r#"{"error":"invalid_client"}"#), Failure::Status),
        (answer("201", good), Failure::Status),
        (answer("x", good), Failure::Status),
        (answer("200", ""), Failure::Unreadable),
        (answer("200", "[]"), Failure::Unreadable),
        (answer("200", r#"{"access_token":"t"}"#), Failure::Unreadable),
        (answer("200", r#"{"access_token":"t","token_type":"mac"}"#), Failure::Unreadable),
        (answer("200", r#"{"access_token":"","token_type":"bearer"}"#), Failure::Unreadable),
        (answer("200", r#"{"access_token":"a b","token_type":"bearer"}"#), Failure::Unreadable),
        (
            answer("200", r#"{"access_token":"a\r\nx: y","token_type":"bearer"}"#),
            Failure::Unreadable,
        ),
        (answer("200", r#"{"access_token":1,"token_type":"bearer"}"#), Failure::Unreadable),
        (
            answer("200", r#"{"access_token":"a","access_token":"b","token_type":"bearer"}"#),
            Failure::Unreadable,
        ),
        (
            answer("200", r#"{"access_token":"a","token_type":"bearer","expires_in":-1}"#),
            Failure::Unreadable,
        ),
        (
            answer("200", r#"{"access_token":"a","token_type":"bearer","expires_in":1.5}"#),
            Failure::Unreadable,
        ),
        (
            answer("200", r#"{"access_token":"a","token_type":"bearer","expires_in":"soon"}"#),
            Failure::Unreadable,
        ),
    ] {
        let tokens = tokens();
        tokens.take(seconds(1), false);
        let ended = end(&tokens, &answer, seconds(1));
        assert_eq!(ended, Ended::Failed { why, is_news: true }, "{answer:?}");
        assert_eq!(failure(&tokens.take(seconds(1), true)), Some(why));
    }
}

#[test]
fn lifetimes_are_numbers_of_seconds_and_bounded() {
    for (expires_in, last) in [
        ("3600", 3_594),
        ("\"3600\"", 3_594),
        ("null", 294),
        ("99999999999999", 86_394),
        ("1e300", 0),
    ] {
        let tokens = tokens();
        tokens.take(seconds(0), false);
        let body = format!(
            r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires_in},"x":[1]}}"#
        );
        let ended = end(&tokens, &answer("200", &body), seconds(0));
        if last == 0 {
            assert_eq!(ended, Ended::Failed { why: Failure::Unreadable, is_news: true });
            continue;
        }
        assert!(token(&tokens.take(seconds(last), false)).is_some(), "{expires_in}");
        assert!(token(&tokens.take(seconds(last + 2), false)).is_none(), "{expires_in}");
    }
}

#[test]
fn a_fetch_whose_answer_never_comes_is_given_up_for_lost() {
    let tokens = tokens();
    tokens.take(seconds(1), false);
    let (lost, _) = tokens.due(0).unwrap();
    tokens.take(seconds(21), false);
    assert!(tokens.due(0).is_none());
    tokens.take(seconds(22), false);
    let (next, _) = tokens.due(0).expect("another one");
    let good = answer("200", r#"{"access_token":"t","token_type":"bearer"}"#);
    assert_eq!(tokens.end(lost.number, &good, seconds(22)), Ended::Ignored);
    assert_eq!(tokens.end(next.number, &good, seconds(22)), Ended::Fetched);
}
