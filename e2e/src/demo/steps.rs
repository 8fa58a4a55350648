//! The workshop's steps, as data.

use crate::envoy::Pod;

/// One step of the workshop.
#[derive(Debug)]
pub(super) struct Step {
    /// What the workshop calls it.
    pub(super) title: &'static str,
    /// What it shows.
    pub(super) note: &'static str,
    /// How many of the policies of `envoy.yaml` are in force.
    pub(super) policies: usize,
    /// What is asked.
    pub(super) requests: &'static [Request],
}

/// One request of a pod, and what must come of it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) pod: Pod,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    /// Headers beside those of any client.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) expected: Expected,
}

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// The origin's answer.
    Allowed,
    /// The filter's refusal: 403 and its body.
    Denied,
    /// The origin's answer, and these headers at the origin: the name with all its values, none for a header that is gone.
    Headers(&'static [(&'static str, &'static [&'static str])]),
}

const GITHUB: &str = "api.github.com";
const HTTPBINGO: &str = "httpbingo.org";

/// The headers a client of step 5 and 6 sends: one that must not leave, and one that it forges.
const CLIENT_HEADERS: &[(&str, &str)] = &[("X-Internal-Debug", "secret"), ("X-Caller-Identity", "admin/root")];

const ORIGIN_HEADERS: &[(&str, &[&str])] =
    &[("X-Caller-Identity", &["team-a/team-a"]), ("X-Forwarded-By", &["agentgateway-egress"]), ("X-Internal-Debug", &[])];

const fn get(pod: Pod, path: &'static str, expected: Expected) -> Request {
    Request { pod, host: GITHUB, path, headers: &[], expected }
}

/// The workshop.
pub(super) const STEPS: [Step; 6] = [
    Step {
        title: "Lay down the egress waypoint and two team workloads",
        note: "HBONE is mutual TLS: without a certificate of the mesh nobody gets in.",
        policies: 0,
        requests: &[],
    },
    Step {
        title: "Wire the direct egress to api.github.com",
        note: "The pods speak plain HTTP; the waypoint opens TLS to the origin and verifies its certificate.",
        policies: 0,
        requests: &[get(Pod::TeamA, "/zen", Expected::Allowed), get(Pod::TeamB, "/zen", Expected::Allowed)],
    },
    Step {
        title: "Identity-based RBAC (SPIFFE)",
        note: "Allow only namespace team-a, service account team-a, as its certificate says.",
        policies: 1,
        requests: &[get(Pod::TeamA, "/zen", Expected::Allowed), get(Pod::TeamB, "/zen", Expected::Denied)],
    },
    Step {
        title: "Path allow-list",
        note: "Deny what is neither /zen nor /repos/*: a matching Deny beats the Allow.",
        policies: 2,
        requests: &[
            get(Pod::TeamA, "/zen", Expected::Allowed),
            get(Pod::TeamA, "/repos/anthropics/claude-code", Expected::Allowed),
            get(Pod::TeamA, "/users/torvalds", Expected::Denied),
            get(Pod::TeamB, "/repos/anthropics/claude-code", Expected::Denied),
        ],
    },
    Step {
        title: "Header injection and stripping, with values from the SPIFFE ID",
        note: "Set X-Caller-Identity (a forged one is overwritten), add X-Forwarded-By, remove X-Internal-Debug.",
        policies: 3,
        requests: &[Request {
            pod: Pod::TeamA,
            host: GITHUB,
            path: "/zen",
            headers: CLIENT_HEADERS,
            expected: Expected::Headers(ORIGIN_HEADERS),
        }],
    },
    Step {
        title: "Verify at httpbingo.org, which echoes the headers that reached it",
        note: "The path allow-list speaks of api.github.com only; the other policies hold for every host.",
        policies: 3,
        requests: &[
            Request {
                pod: Pod::TeamA,
                host: HTTPBINGO,
                path: "/headers",
                headers: CLIENT_HEADERS,
                expected: Expected::Headers(ORIGIN_HEADERS),
            },
            Request { pod: Pod::TeamB, host: HTTPBINGO, path: "/headers", headers: &[], expected: Expected::Denied },
        ],
    },
];
