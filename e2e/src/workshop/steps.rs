//! The steps.

use super::{Expected, Request, Step};

pub(super) const TEAM_A: &str = "team-a";
pub(super) const TEAM_B: &str = "team-b";
pub(super) const GITHUB: &str = "api.github.com";
pub(super) const HTTPBINGO: &str = "httpbingo.org";

const RBAC: &str = "github-api-rbac";
const PATHS: &str = "github-api-paths";
const HEADERS: &str = "github-api-headers";

/// The headers a client of step 5 and 6 sends: one that must not leave, and one that it forges.
const CLIENT_HEADERS: &[(&str, &str)] =
    &[("X-Internal-Debug", "secret"), ("X-Caller-Identity", "admin/root")];

const ORIGIN_HEADERS: &[(&str, &[&str])] = &[
    ("X-Caller-Identity", &["team-a/team-a"]),
    ("X-Forwarded-By", &["agentgateway-egress"]),
    ("X-Internal-Debug", &[]),
];

const fn get(caller: &'static str, path: &'static str, expected: Expected) -> Request {
    Request { caller, host: GITHUB, path, headers: &[], expected }
}

/// The workshop's six steps.
pub const STEPS: [Step; 6] = [
    Step {
        title: "Lay down the egress waypoint and two team workloads",
        note: "HBONE is mutual TLS: without a certificate of the mesh nobody gets in.",
        file: "01-setup.yaml",
        plugin: false,
        policies: &[],
        requests: &[],
    },
    Step {
        title: "Wire the direct egress to api.github.com",
        note: "The pods speak plain HTTP; the waypoint opens TLS to the origin and verifies its \
               certificate.",
        file: "02-egress-direct.yaml",
        plugin: false,
        policies: &[],
        requests: &[get(TEAM_A, "/zen", Expected::Allowed), get(TEAM_B, "/zen", Expected::Allowed)],
    },
    Step {
        title: "Identity-based RBAC (SPIFFE)",
        note: "Allow only namespace team-a, service account team-a, as its certificate says.",
        file: "03-policy-rbac.yaml",
        plugin: true,
        policies: &[RBAC],
        requests: &[get(TEAM_A, "/zen", Expected::Allowed), get(TEAM_B, "/zen", Expected::Denied)],
    },
    Step {
        title: "Path allow-list",
        note: "Deny what is neither /zen nor /repos/*: a matching Deny beats the Allow.",
        file: "04-policy-path.yaml",
        plugin: true,
        policies: &[RBAC, PATHS],
        requests: &[
            get(TEAM_A, "/zen", Expected::Allowed),
            get(TEAM_A, "/repos/anthropics/claude-code", Expected::Allowed),
            get(TEAM_A, "/users/torvalds", Expected::Denied),
            get(TEAM_B, "/repos/anthropics/claude-code", Expected::Denied),
        ],
    },
    Step {
        title: "Header injection and stripping, with values from the SPIFFE ID",
        note: "Set X-Caller-Identity (a forged one is overwritten), add X-Forwarded-By, remove \
               X-Internal-Debug.",
        file: "05-policy-headers.yaml",
        plugin: true,
        policies: &[RBAC, PATHS, HEADERS],
        requests: &[Request {
            caller: TEAM_A,
            host: GITHUB,
            path: "/zen",
            headers: CLIENT_HEADERS,
            expected: Expected::Headers(ORIGIN_HEADERS),
        }],
    },
    Step {
        title: "Verify at httpbingo.org, which echoes the headers that reached it",
        note: "The path allow-list speaks of api.github.com only; the other policies hold for \
               every host.",
        file: "06-verify-headers.yaml",
        plugin: false,
        policies: &[RBAC, PATHS, HEADERS],
        requests: &[
            Request {
                caller: TEAM_A,
                host: HTTPBINGO,
                path: "/headers",
                headers: CLIENT_HEADERS,
                expected: Expected::Headers(ORIGIN_HEADERS),
            },
            Request {
                caller: TEAM_B,
                host: HTTPBINGO,
                path: "/headers",
                headers: &[],
                expected: Expected::Denied,
            },
        ],
    },
];
