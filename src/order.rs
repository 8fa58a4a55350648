//! The order in which a request passes the stages of its decision.

/// A stage of the decision about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Refuses what no origin should get, whatever the rules say.
    Admission,
    /// Evaluates the Deny, Require and Allow rules.
    Authorization,
    /// Calls a service, for tests of requests that wait.
    #[cfg(any(test, feature = "trap-for-tests"))]
    Probe,
    /// Asks the services that authorize requests.
    ExternalAuthorization,
    /// Evaluates the rules that read what these services have said.
    LateAuthorization,
    /// Takes tokens from the buckets that all workers of the proxy share.
    LocalRateLimit,
    /// Asks the services that count requests.
    GlobalRateLimit,
    /// Computes the changes of the request's headers, and finds the policies that the stages
    /// behind it apply.
    Transformation,
    /// Gives headers of the request fixed values.
    HeaderModifiers,
    /// Changes the request's path and authority.
    Rewrite,
    /// Tells Envoy's router of timeouts and retries.
    RouterHeaders,
    /// Answers with a redirect.
    Redirect,
    /// Answers with a direct response.
    DirectResponse,
    /// Puts credentials into the request.
    Credentials,
    /// Evaluates the rules that read the request's body.
    BodyAuthorization,
    /// Asks the services that authorize requests by their bodies.
    BodyExternalAuthorization,
    /// Replaces the request's body.
    BodyTransformation,
}

/// The order of the stages. It is written down only here; tests hold the documents to it.
pub(crate) const ORDER: &[Stage] = &[
    Stage::Admission,
    Stage::Authorization,
    #[cfg(any(test, feature = "trap-for-tests"))]
    Stage::Probe,
    Stage::ExternalAuthorization,
    Stage::LateAuthorization,
    Stage::LocalRateLimit,
    Stage::GlobalRateLimit,
    Stage::Transformation,
    Stage::HeaderModifiers,
    Stage::Rewrite,
    Stage::RouterHeaders,
    Stage::Redirect,
    Stage::DirectResponse,
    Stage::Credentials,
];

/// The order of the stages that need the request's body. They follow the others, once the body is
/// there.
pub(crate) const BODY_ORDER: &[Stage] =
    &[Stage::BodyAuthorization, Stage::BodyExternalAuthorization, Stage::BodyTransformation];

impl Stage {
    /// The stage's name, in traces and documents.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Admission => "admission",
            Stage::Authorization => "authorization",
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => "probe",
            Stage::ExternalAuthorization => "external-authorization",
            Stage::LateAuthorization => "late-authorization",
            Stage::LocalRateLimit => "local-rate-limit",
            Stage::GlobalRateLimit => "global-rate-limit",
            Stage::Transformation => "transformation",
            Stage::HeaderModifiers => "header-modifiers",
            Stage::Rewrite => "rewrite",
            Stage::RouterHeaders => "router-headers",
            Stage::Redirect => "redirect",
            Stage::DirectResponse => "direct-response",
            Stage::Credentials => "credentials",
            Stage::BodyAuthorization => "body-authorization",
            Stage::BodyExternalAuthorization => "body-external-authorization",
            Stage::BodyTransformation => "body-transformation",
        }
    }

    /// Whether every request passes it, whatever the policies are.
    pub(crate) fn is_for_all(self) -> bool {
        match self {
            Stage::Admission | Stage::Authorization => true,
            #[cfg(any(test, feature = "trap-for-tests"))]
            Stage::Probe => true,
            Stage::ExternalAuthorization
            | Stage::LateAuthorization
            | Stage::LocalRateLimit
            | Stage::GlobalRateLimit
            | Stage::Transformation
            | Stage::HeaderModifiers
            | Stage::Rewrite
            | Stage::Redirect
            | Stage::RouterHeaders
            | Stage::DirectResponse
            | Stage::Credentials
            | Stage::BodyAuthorization
            | Stage::BodyExternalAuthorization
            | Stage::BodyTransformation => false,
        }
    }
}
