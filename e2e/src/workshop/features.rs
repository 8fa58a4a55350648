//! What follows the workshop: features of the filter's own, each with a configuration of
//! `e2e/demo/`.

use std::io;

use serde_json::Value;

use super::steps::{GITHUB, HTTPBINGO, TEAM_A, TEAM_B};
use super::{Expected, Request, Step, plugin, stand_in};
use crate::envoy::workspace_root;

/// One step for each feature. They need the services of the workshop's steps.
pub const FEATURES: [Step; 5] = [
    Step {
        title: "A maintenance page",
        note: "A direct response: the waypoint answers, and the origin is not called.",
        file: "maintenance-page.yaml",
        plugin: true,
        policies: &["maintenance"],
        requests: &[Request {
            caller: TEAM_A,
            host: GITHUB,
            path: "/zen",
            headers: &[],
            expected: Expected::Answered(
                503,
                "api.github.com is back at 14:00. Questions: #platform",
            ),
        }],
    },
    Step {
        title: "A stable path for an API that moved",
        note: "A rewrite: rules and audit see the path that the pod asked for.",
        file: "moved-api.yaml",
        plugin: true,
        policies: &["orders-moved"],
        requests: &[Request {
            caller: TEAM_A,
            host: HTTPBINGO,
            path: "/v1/orders/7?open=true",
            headers: &[],
            expected: Expected::Target("/anything/v2/orders/7?open=true"),
        }],
    },
    Step {
        title: "A service that must be asked",
        note: "External authorization: a service denies a call without a ticket, and its answer is \
               relayed.",
        file: "external-authorizer.yaml",
        plugin: true,
        policies: &["ask-first"],
        requests: &[
            zen(TEAM_A, Expected::Answered(401, "")),
            Request {
                caller: TEAM_A,
                host: GITHUB,
                path: "/zen",
                headers: &[("Authorization", "Bearer ticket-42")],
                expected: Expected::Allowed,
            },
        ],
    },
    Step {
        title: "Five calls an hour for each caller",
        note: "A local rate limit: the sixth call is too much, and another caller's first is not.",
        file: "rate-limit.yaml",
        plugin: true,
        policies: &["five-an-hour"],
        requests: &[
            zen(TEAM_A, Expected::Allowed),
            zen(TEAM_A, Expected::Allowed),
            zen(TEAM_A, Expected::Allowed),
            zen(TEAM_A, Expected::Allowed),
            zen(TEAM_A, Expected::Allowed),
            zen(TEAM_A, Expected::Answered(429, "rate limit exceeded")),
            zen(TEAM_B, Expected::Allowed),
        ],
    },
    Step {
        title: "A credential that no pod has",
        note: "The token is in the waypoint's environment; a pod's own Authorization does not \
               survive.",
        file: "injected-credential.yaml",
        plugin: true,
        policies: &["httpbingo-token"],
        requests: &[
            token(TEAM_A, &[], Expected::Headers(TOKEN)),
            token(TEAM_A, &[("Authorization", "Bearer forged")], Expected::Headers(TOKEN)),
            token(TEAM_B, &[], Expected::Denied),
        ],
    },
];

const fn zen(caller: &'static str, expected: Expected) -> Request {
    Request { caller, host: GITHUB, path: "/zen", headers: &[], expected }
}

const TOKEN: &[(&str, &[&str])] = &[("Authorization", &["Bearer stand-in-for-HTTPBINGO_TOKEN"])];

const fn token(
    caller: &'static str,
    headers: &'static [(&'static str, &'static str)],
    expected: Expected,
) -> Request {
    Request { caller, host: HTTPBINGO, path: "/headers", headers, expected }
}

impl Step {
    /// The plugin of a feature, as YAML: its configuration of `e2e/demo/` in the plugin of the
    /// workshop's step 3.
    ///
    /// # Errors
    /// When a file cannot be read or is no YAML.
    pub fn feature(&self) -> io::Result<String> {
        let text = std::fs::read_to_string(workspace_root().join("e2e/demo").join(self.file))?;
        let configuration: Value = serde_yaml_ng::from_str(&text).map_err(io::Error::other)?;
        Ok(plugin(&configuration, stand_in)?.to_string())
    }
}
