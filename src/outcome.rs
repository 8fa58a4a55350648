//! What was decided about a request, and what is to be done.

use std::borrow::Cow;

/// The body of every denial by policy.
pub const DENIAL_BODY: &str = "authorization failed";
/// The body of every refusal of a malformed request.
pub const BAD_REQUEST_BODY: &str = "bad request";

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The answer to give instead of forwarding, if the request is denied.
    pub denial: Option<Denial>,
    /// The index of the policy that decided, where one did.
    pub policy: Option<usize>,
    /// Why.
    pub reason: Reason,
    /// Shadow policies that would have denied the request, were they enforced.
    pub shadow: Vec<usize>,
    /// Expressions that erred, by policy.
    pub errors: Vec<(usize, String)>,
    /// What to change of the request's headers, in order.
    pub changes: Vec<Change<'a>>,
    /// The policies whose header rules hold for the request, its response, and the trailers of
    /// either.
    pub applied: Vec<u32>,
    /// Whether any of them has rules for the response.
    pub responds: bool,
    /// The line of the audit log, if this decision is logged.
    pub audit: Option<String>,
}

impl Outcome<'_> {
    /// The request goes on.
    pub(crate) fn allowed(reason: Reason, policy: Option<usize>) -> Self {
        Outcome {
            denial: None,
            policy,
            reason,
            shadow: Vec::new(),
            errors: Vec::new(),
            changes: Vec::new(),
            applied: Vec::new(),
            responds: false,
            audit: None,
        }
    }

    /// The request ends here.
    pub(crate) fn denied(denial: Denial, policy: Option<usize>) -> Self {
        Outcome {
            reason: denial.reason,
            denial: Some(denial),
            ..Outcome::allowed(Reason::InternalError, policy)
        }
    }

    /// The request ends here because something failed that must not.
    #[must_use]
    pub(crate) fn internal_error(detail: &'static str) -> Self {
        let denial = Denial { detail: Some(detail), ..Denial::forbidden(Reason::InternalError) };
        Outcome::denied(denial, None)
    }

    /// Tells what is to be counted.
    pub fn count(&self, mut step: impl FnMut(Count)) {
        let verdict = if self.denial.is_some() { Counter::Denied } else { Counter::Allowed };
        step(Count { policy: None, counter: verdict });
        if let Some(index) = self.policy {
            step(Count { policy: Some(index), counter: verdict });
        }
        if self.reason == Reason::InternalError {
            step(Count { policy: None, counter: Counter::InternalErrors });
        }
        if !self.shadow.is_empty() {
            step(Count { policy: None, counter: Counter::ShadowDenied });
        }
        for index in &self.shadow {
            step(Count { policy: Some(*index), counter: Counter::ShadowDenied });
        }
        count_errors(&self.errors, step);
    }
}

fn count_errors(errors: &[(usize, String)], mut step: impl FnMut(Count)) {
    for (index, _) in errors {
        step(Count { policy: None, counter: Counter::EvaluationErrors });
        step(Count { policy: Some(*index), counter: Counter::EvaluationErrors });
    }
}

/// What is to be done to a response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseOutcome<'a> {
    /// What to change of its headers, in order.
    pub changes: Vec<Change<'a>>,
    /// Expressions that erred, by policy.
    pub errors: Vec<(usize, String)>,
    /// The rules cost more than one response gets, so that some were not applied: it must not pass.
    pub exhausted: bool,
}

impl ResponseOutcome<'_> {
    /// Tells what is to be counted.
    pub fn count(&self, step: impl FnMut(Count)) {
        count_errors(&self.errors, step);
    }
}

/// The answer that a denied request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// The HTTP status.
    pub status: u16,
    /// The status for gRPC calls (gRPC's `statuscodes.md`).
    pub grpc_status: u8,
    /// The body, or the message for gRPC calls.
    pub body: &'static str,
    /// Why.
    pub reason: Reason,
    /// What exactly, for the audit record.
    pub detail: Option<&'static str>,
}

impl Denial {
    /// A denial by policy: 403, PERMISSION_DENIED.
    pub(crate) fn forbidden(reason: Reason) -> Denial {
        Denial { status: 403, grpc_status: 7, body: DENIAL_BODY, reason, detail: None }
    }

    /// A refusal of a malformed request: 400, INVALID_ARGUMENT.
    pub(crate) fn bad_request(reason: Reason, detail: &'static str) -> Denial {
        Denial { status: 400, grpc_status: 3, body: BAD_REQUEST_BODY, reason, detail: Some(detail) }
    }
}

/// Why a request was allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An Allow matched.
    AllowMatched,
    /// Nothing denied it, and no Allow is in scope.
    NoAllowRule,
    /// A Deny matched.
    DenyMatched,
    /// A Deny erred.
    DenyError,
    /// A Require did not match, or erred.
    RequireNotMatched,
    /// Allows are in scope, and none matched.
    NoAllowMatched,
    /// The path could be read in two ways.
    PathUnsafe,
    /// The method could be read in two ways.
    MethodUnsafe,
    /// A header could be read in two ways, or takes others off on the way.
    HeaderUnsafe,
    /// What its rules would cost is more than one request gets.
    LimitExceeded,
    /// The host is not that of the service which the caller dialled.
    HostMismatch,
    /// There is no one host.
    BadHost,
    /// A rewrite of the request line gave no value.
    RewriteError,
    /// Something failed that must not.
    InternalError,
}

impl Reason {
    /// All of them, in order.
    pub const ALL: [Reason; 14] = [
        Reason::AllowMatched,
        Reason::NoAllowRule,
        Reason::DenyMatched,
        Reason::DenyError,
        Reason::RequireNotMatched,
        Reason::NoAllowMatched,
        Reason::PathUnsafe,
        Reason::MethodUnsafe,
        Reason::HeaderUnsafe,
        Reason::LimitExceeded,
        Reason::HostMismatch,
        Reason::BadHost,
        Reason::RewriteError,
        Reason::InternalError,
    ];

    /// The word for audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::AllowMatched => "allow-matched",
            Reason::NoAllowRule => "no-allow-rule",
            Reason::DenyMatched => "deny-matched",
            Reason::DenyError => "deny-error",
            Reason::RequireNotMatched => "require-not-matched",
            Reason::NoAllowMatched => "no-allow-matched",
            Reason::PathUnsafe => "path-unsafe",
            Reason::MethodUnsafe => "method-unsafe",
            Reason::HeaderUnsafe => "header-unsafe",
            Reason::LimitExceeded => "limit-exceeded",
            Reason::HostMismatch => "host-mismatch",
            Reason::BadHost => "bad-host",
            Reason::RewriteError => "rewrite-error",
            Reason::InternalError => "internal-error",
        }
    }
}

/// A change of a header. Names are lower-case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// One more line.
    Add(&'a str, Cow<'a, [u8]>),
    /// This value on the one line there is, or on a new one.
    Replace(&'a str, Cow<'a, [u8]>),
    /// No line of this name.
    Remove(Cow<'a, str>),
}

/// One step of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The policy whose counter it is; the filter's own if none.
    pub policy: Option<usize>,
    /// Which.
    pub counter: Counter,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Requests that went on.
    Allowed,
    /// Requests that ended here.
    Denied,
    /// Requests that a shadow policy would have denied.
    ShadowDenied,
    /// Expressions that erred.
    EvaluationErrors,
    /// Requests refused because a host call failed, or another thing that must not.
    InternalErrors,
}

impl Counter {
    /// All of them, in order.
    pub const ALL: [Counter; 5] = [
        Counter::Allowed,
        Counter::Denied,
        Counter::ShadowDenied,
        Counter::EvaluationErrors,
        Counter::InternalErrors,
    ];

    /// The counter's name, for the filter or for a policy.
    ///
    /// What tells the policies' counters apart stands before the name in the form that Istio's
    /// bootstrap makes a tag of, where the tag is listed in `proxyConfig.extraStatTags`
    /// (`<tag>=.=<value>;.;`, tools/packaging/common/envoy_bootstrap.json of istio/istio): see
    /// [`POLICY_TAG`] and [`PLUGIN_TAG`].
    #[must_use]
    pub fn name(self, of: Option<PolicyOf<'_>>) -> String {
        let what = self.what();
        match of {
            None => format!("egress_{what}"),
            Some(PolicyOf { policy, plugin }) => {
                let plugin = tag_value(plugin);
                format!("{POLICY_TAG}=.={policy};.;{PLUGIN_TAG}=.={plugin};.;egress_policy_{what}")
            }
        }
    }

    fn what(self) -> &'static str {
        match self {
            Counter::Allowed => "allowed",
            Counter::Denied => "denied",
            Counter::ShadowDenied => "shadow_denied",
            Counter::EvaluationErrors => "evaluation_errors",
            Counter::InternalErrors => "internal_errors",
        }
    }
}

/// The tag of a policy's counters that has the policy's name.
pub const POLICY_TAG: &str = "egress_policy";
/// The tag of a policy's counters that has the plugin's name.
pub const PLUGIN_TAG: &str = "egress_plugin";

/// Whose counter it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyOf<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// The name of the plugin that it is of.
    pub plugin: &'a str,
}

/// A plugin's name as the value of a tag, which may not have the mark of its end in it.
fn tag_value(plugin: &str) -> String {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-._~/:".contains(letter);
    plugin.chars().map(|letter| if legal(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_policys_counter_has_policy_and_plugin_before_its_name() {
        let name = |policy, plugin| Counter::Denied.name(Some(PolicyOf { policy, plugin }));
        assert_eq!(
            name("p.a", "egress-direct.egress-filter~istio-translated-wasmplugin"),
            "egress_policy=.=p.a;.;\
             egress_plugin=.=egress-direct.egress-filter~istio-translated-wasmplugin;.;\
             egress_policy_denied",
        );
        assert_eq!(
            name("p", "a;.;b c\u{9b}"),
            "egress_policy=.=p;.;egress_plugin=.=a_._b_c_;.;egress_policy_denied"
        );
        assert_eq!(name("p", ""), "egress_policy=.=p;.;egress_plugin=.=;.;egress_policy_denied");
        assert_eq!(Counter::Denied.name(None), "egress_denied");
    }
}
