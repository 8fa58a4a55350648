//! Good updates under load.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::callers::{Callers, Line};
use crate::load::Load;
use crate::setting::Setting;
use crate::versions::{Verdict, policies, read, version};

/// How many updates there are.
const UPDATES: u64 = 100;

/// Reports how long the answers since the last report took.
fn tell(what: &str, begin: Instant, load: &Load) {
    let (requests, median, longest) = load.take_times();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what}: {requests} requests in {:.1} s; an answer took {:.1} ms in the median, {:.1} ms \
         at most",
        begin.elapsed().as_secs_f64(),
        milliseconds(median),
        milliseconds(longest),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_hundred_updates_each_request_is_decided_by_one_whole_set_of_policies() {
    let mut setting = Setting::start(&version(0));
    let load = Load::start(&setting, 0).await;

    load.take_times();
    let begin = Instant::now();
    load.rounds(&setting, 400).await;
    tell("no updates", begin, &load);

    let (before, begin) = (load.answered(), Instant::now());
    for number in 1..=UPDATES {
        load.expect(number);
        setting.publish(&version(number));
        load.until_in_force(&setting, number).await;
    }
    tell("100 updates", begin, &load);
    let answered: Vec<usize> =
        load.answered().iter().zip(before).map(|(now, before)| now - before).collect();
    let counts = load.stop(&setting).await;

    assert_eq!(
        (setting.updates("update_success"), setting.updates("update_rejected")),
        (UPDATES + 1, 0)
    );
    // That each number decided on each worker takes one connection of each team there. The others
    // must not have stood still: each had an answer under each number on average, and none far
    // fewer than another, however slow the machine.
    println!("by connection {answered:?}, in all {counts:?}");
    let (least, most) = (
        answered.iter().min().copied().unwrap_or_default(),
        answered.iter().max().copied().unwrap_or_default(),
    );
    assert!(
        least as u64 >= UPDATES && 4 * least >= most,
        "the load was not steady: {answered:?} answers by connection"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_updates_that_come_faster_than_they_load_the_last_holds() {
    let mut setting = Setting::start(&version(0));
    let load = Load::start(&setting, 0).await;
    for burst in 1..=3 {
        let last = burst * 30;
        for number in last - 29..=last {
            load.expect(number);
            setting.publish(&version(number));
        }
        load.until_in_force(&setting, last).await;
        // The same configuration again changes nothing.
        setting.publish(&version(last));
        load.rounds(&setting, 40).await;
    }
    load.stop(&setting).await;
    assert_eq!(setting.updates("update_rejected"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_ends_under_the_policies_that_it_began_with() {
    let mut setting = Setting::start(&version(2));
    let callers = Callers::new(&setting.waypoint);
    let lines = callers.everywhere(&setting, 1).await;
    let count = lines.len();
    let load = Load::start(&setting, 2).await;
    let held: Vec<_> = lines
        .into_iter()
        .map(|mut line| tokio::spawn(async move { (line.team, line.get("/held").await) }))
        .collect();
    setting
        .until("the held requests", |setting| {
            setting.origin.requests_where(|request| request.target == "/held").len() == count
        })
        .await;
    // The last of these would deny team-b.
    for number in 3..=9 {
        load.expect(number);
        setting.publish(&version(number));
        load.until_in_force(&setting, number).await;
    }
    setting.origin.release();
    for held in held {
        let (team, response) = held.await.expect("a response");
        assert_eq!(read(team, &response), Ok(Verdict::Decided(2)));
    }
    load.stop(&setting).await;
}

/// What team-a and team-b get, on every worker.
async fn await_statuses(setting: &Setting, lines: &mut [Line], statuses: [u16; 2]) {
    for line in lines.iter_mut() {
        line.until(setting, "/zen", statuses[line.team as usize]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_in_the_middle_and_the_last_policy_can_be_changed_and_removed() {
    let with = |middle: &[Value]| {
        let mut configuration = policies(1);
        let list = configuration["policies"].as_array_mut().expect("a list");
        list.splice(2..3, middle.iter().cloned());
        configuration.to_string()
    };
    let denying = |team: &str| {
        let rule = format!("source.identity.namespace == '{team}'");
        json!({
            "name": "middle",
            "traffic": {
                "authorization": {"action": "Deny", "policy": {"matchExpressions": [rule]}},
            },
        })
    };
    let mut setting = Setting::start(&with(&[denying("team-b")]));
    let mut lines = Callers::new(&setting.waypoint).everywhere(&setting, 1).await;
    await_statuses(&setting, &mut lines, [200, 403]).await;
    for (middle, statuses) in [
        (vec![denying("team-a")], [403, 200]),
        (vec![], [200, 200]),
        (vec![denying("team-a"), denying("team-b")], [403, 200]),
    ] {
        setting.publish(&with(&middle));
        if middle.len() < 2 {
            await_statuses(&setting, &mut lines, statuses).await;
        } else {
            // Two of one name are refused, and what was in force before stays: no policy in the
            // middle.
            setting.until("the refusal", |setting| setting.updates("update_rejected") == 1).await;
        }
        for line in &mut lines {
            let response = line.get("/zen").await;
            let expected = if middle.len() < 2 { statuses[line.team as usize] } else { 200 };
            assert_eq!(response.status, expected, "{middle:?}: {response:?}");
            if expected == 200 {
                assert_eq!(
                    response.header("x-response-version").as_deref(),
                    Some("1"),
                    "the policies around it stay"
                );
            }
        }
    }

    // Without any policy the filter lets everything through as it came; the next policy closes it
    // again.
    setting.publish(&with(&[denying("team-b")]));
    await_statuses(&setting, &mut lines, [200, 403]).await;
    setting.publish(r#"{"policies": []}"#);
    await_statuses(&setting, &mut lines, [200, 200]).await;
    for line in &mut lines {
        let response = line.get("/zen").await;
        assert_eq!((response.status, response.header("x-response-version")), (200, None));
        assert!(!response.text().contains("x-request-version"), "{response:?}");
    }
    setting.publish(&version(3));
    await_statuses(&setting, &mut lines, [200, 403]).await;
}
