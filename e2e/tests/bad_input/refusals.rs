//! Configurations and header maps that cannot be read, and what is refused with them.

use e2e::host::{Failure, HostOptions, Response, Shared, Status, Step, Vm};
use e2e::pki::TEAM_A_SPIFFE_ID;
use serde_json::json;

use super::POLICIES;
use super::host_calls::{MODULE, counter, records, request, run, vm, vm_with};

#[test]
fn a_configuration_that_cannot_be_read_is_refused() {
    for function in [
        "proxy_get_buffer_bytes",
        "proxy_get_property",
        "proxy_set_shared_data",
        "proxy_get_shared_data",
        "proxy_define_metric",
        "*",
    ] {
        for (json, good) in [(POLICIES, true), ("{", false)] {
            let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() })
                .expect("the filter starts");
            vm.fail_calls([Failure::always(function, Status::InternalFailure)]);
            let configured = vm.configure(json);
            let unreadable = matches!(function, "proxy_get_buffer_bytes" | "*");
            assert_eq!(
                (configured.accepted, vm.failure()),
                (good && !unreadable, None),
                "{function}: {:?}",
                configured.logs
            );
        }
    }
}

#[test]
fn without_a_configuration_every_request_is_refused_recorded_and_counted() {
    let shared = Shared::default();
    let options = HostOptions {
        canary: false,
        keeps_refused: true,
        shared: shared.clone(),
        ..HostOptions::default()
    };
    let vm = Vm::new(&MODULE, options).expect("the filter starts");
    assert!(vm.configure("{").accepted, "this host keeps it all the same");
    let result = run(&vm, request(TEAM_A_SPIFFE_ID));
    assert_eq!(
        result.local_response.as_ref().map(|answer| answer.status),
        Some(403),
        "{result:#?}"
    );
    let [record] = &records(&result, "reason", "internal-error")[..] else {
        panic!("not one record: {result:#?}")
    };
    let expected = json!({
        "event": "egress", "verdict": "deny", "policy": null, "reason": "internal-error",
        "detail": "no configuration is loaded", "shadow": [], "caller": null, "method": "GET",
        "host": "api.github.com", "path": "/zen", "destination": null, "status": 403,
        "requestId": "00000000-0000-4000-8000-000000000001",
    });
    assert_eq!(*record, expected);
    assert_eq!(
        (counter(&shared, "egress_denied"), counter(&shared, "egress_internal_errors")),
        (1, 1)
    );
    // It does not pass either where its headers cannot be read.
    vm.fail_calls([Failure::always("proxy_get_header_map_pairs", Status::InternalFailure)]);
    let result = run(&vm, request(TEAM_A_SPIFFE_ID));
    assert_eq!(
        result.local_response.as_ref().map(|answer| answer.status),
        Some(403),
        "{result:#?}"
    );
    assert_eq!(records(&result, "reason", "internal-error").len(), 1);
}

#[test]
fn maps_that_cannot_be_read_refuse_the_request_or_cut_it_off() {
    let shared = Shared::default();
    let vm = vm_with(&shared);
    for (steps, detail) in [
        (0, "unreadable headers"),
        (1, "request trailers could not be changed"),
        (2, "response headers could not be changed"),
    ] {
        vm.tick();
        let before = counter(&shared, "egress_internal_errors");
        let mut stream = vm.stream(request(TEAM_A_SPIFFE_ID));
        for step in 0..3 {
            if step == steps {
                stream.garble_maps();
            }
            match step {
                0 => stream.on_request_headers(),
                1 => stream.on_request_trailers(),
                _ => stream.on_response(Response::new(200).header("x-origin-mode", "echo")),
            };
        }
        let result = stream.finish();
        vm.tick();
        assert_eq!(
            result.step,
            if steps == 0 { Step::Replied } else { Step::Closed },
            "{result:#?}"
        );
        let [record] = &records(&result, "reason", "internal-error")[..] else {
            panic!("not one record: {result:#?}")
        };
        assert_eq!(
            (&record["detail"], &record["caller"]),
            (&json!(detail), &json!(TEAM_A_SPIFFE_ID)),
            "{record}"
        );
        assert_eq!(counter(&shared, "egress_internal_errors"), before + 1, "{detail}");
    }
}

#[test]
fn refusals_follow_the_audits_setting() {
    for (log, logged) in [("All", 1), ("Denied", 1), ("None", 0)] {
        let mut json: serde_json::Value = serde_json::from_str(POLICIES).expect("it is JSON");
        json["audit"]["log"] = log.into();
        let vm = Vm::new(&MODULE, HostOptions { canary: false, ..HostOptions::default() })
            .expect("the filter starts");
        assert!(vm.configure(json.to_string()).accepted, "{:?}", vm.logs());
        for call in 0..4 {
            vm.fail_calls([Failure::nth(
                "proxy_get_header_map_pairs",
                call,
                Status::InternalFailure,
            )]);
            let result = run(&vm, request(TEAM_A_SPIFFE_ID));
            assert!(matches!(result.step, Step::Replied | Step::Closed), "{result:#?}");
            assert_eq!(
                records(&result, "reason", "internal-error").len(),
                logged,
                "{log}, call {call}: {result:#?}"
            );
        }
    }
}

#[test]
fn trailers_lose_what_policies_set_or_remove() {
    let names = |headers: &e2e::host::Headers| -> Vec<String> {
        headers.lines().iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    };
    let vm = vm();
    let result = run(
        &vm,
        request(TEAM_A_SPIFFE_ID)
            .trailer("x_caller_identity", "spoof")
            .trailer("x-forwarded-by", "me"),
    );
    assert_eq!((&result.failure, result.step), (&None, Step::Continue), "{result:#?}");
    assert_eq!(
        names(&result.request_trailers),
        ["x-mine", "x-forwarded-by"],
        "what is only added is the caller's too"
    );
    assert_eq!(names(&result.response_trailers), ["x-origins"]);
    // A host that announces trailers and then shows others.
    for callback in ["proxy_on_request_trailers", "proxy_on_response_trailers"] {
        let mut unreadable = request(TEAM_A_SPIFFE_ID);
        let mut response = Response::new(200);
        if callback == "proxy_on_request_trailers" {
            response.trailers.clear();
        } else {
            unreadable.trailers.clear();
            response = response.trailer("x-origins", "1");
        }
        let result = vm.stream(unreadable).hiding_trailers().run(response);
        assert_eq!(
            (&result.failure, result.step),
            (&None, Step::Closed),
            "{callback}: {result:#?}"
        );
        assert_eq!(
            records(&result, "reason", "internal-error").len(),
            1,
            "{callback}: {result:#?}"
        );
    }
}
