//! Services answer as their script says.

use super::*;

/// A request that makes these calls one after another, each with a timeout of a second.
struct Caller {
    calls: Vec<&'static str>,
    token: u32,
    waited: Duration,
    events: Vec<String>,
}

impl Caller {
    fn new(calls: &[&'static str]) -> Self {
        Self { calls: calls.to_vec(), token: 1, waited: Duration::ZERO, events: Vec::new() }
    }

    fn end(&mut self, event: String) {
        self.calls.remove(0);
        self.token += 1;
        self.waited = Duration::ZERO;
        self.events.push(event);
    }
}

impl Callouts for Caller {
    fn pending(&self) -> Vec<Call> {
        let call = |cluster: &&str| Call { token: self.token, cluster: (*cluster).to_owned() };
        self.calls.first().map(call).into_iter().collect()
    }

    fn answer(&mut self, token: u32, answer: &Origin) {
        assert_eq!(token, self.token);
        self.end(format!("{} {}", answer.status, answer.body));
    }

    fn cut_off(&mut self, token: u32) {
        assert_eq!(token, self.token);
        self.end("cut off".to_owned());
    }

    fn advance(&mut self, time: Duration) {
        self.waited += time;
        if self.waited >= Duration::from_secs(1) {
            self.end("timeout".to_owned());
        }
    }
}

fn answer(late: u64, outcome: Result<u16, Fault>) -> Answer {
    let origin = |status| Origin { status, headers: Vec::new(), body: "b".to_owned() };
    Answer { late: Duration::from_millis(late), outcome: outcome.map(origin) }
}

fn script(answers: &[Answer]) -> Script {
    Script::new(&[Service { cluster: "a".to_owned(), answers: answers.to_vec() }])
}

#[test]
fn each_call_gets_the_next_answer_and_the_last_one_stays() {
    let mut caller = Caller::new(&["a", "a", "a", "a", "a"]);
    let mut script = script(&[
        answer(0, Ok(200)),
        answer(300, Ok(201)),
        answer(0, Err(Fault::CutOff)),
        answer(0, Ok(403)),
    ]);
    assert_eq!(serve(&mut caller, &mut script), Ok(()));
    assert_eq!(caller.events, ["200 b", "201 b", "cut off", "403 b", "403 b"]);
}

#[test]
fn an_answer_that_comes_after_the_timeout_or_never_is_none() {
    let mut caller = Caller::new(&["a", "a", "a"]);
    let mut script =
        script(&[answer(1_000, Ok(200)), answer(0, Err(Fault::Never)), answer(0, Ok(200))]);
    assert_eq!(serve(&mut caller, &mut script), Ok(()));
    assert_eq!(caller.events, ["timeout", "timeout", "200 b"]);
}

#[test]
fn a_request_that_calls_what_is_not_there_or_without_end_is_reported() {
    let mut caller = Caller::new(&["b"]);
    let wrong = serve(&mut caller, &mut script(&[answer(0, Ok(200))])).expect_err("no service");
    assert_eq!(wrong, "the cluster `b` is called, and has no service");
    let mut caller = Caller::new(&["a"; MAX_CALLS + 1]);
    let wrong = serve(&mut caller, &mut script(&[answer(0, Ok(200))])).expect_err("no end");
    assert_eq!(wrong, "the request has made 100 calls, and makes more");
    let clusters: Vec<String> = script(&[]).clusters().map(str::to_owned).collect();
    assert_eq!(clusters, ["a"]);
}
