//! Files of cases, as data.

use std::ops::Range;

use egress_filter::config::IdentityConfig;
use egress_filter::outcome::Reason;
use egress_filter::trial::Trial;

use crate::request;
use crate::source::Source;
use crate::yaml::Node;

/// A file: one suite a document.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: Source,
    pub(crate) suites: Vec<Suite>,
}

/// A configuration and what requests meet under it.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: Option<String>,
    pub(crate) policies: Policies,
    /// The name of the plugin that is meant, where the files have several.
    pub(crate) plugin: Option<String>,
    pub(crate) cases: Vec<Case>,
}

/// Where a suite's policies are.
#[derive(Debug)]
pub(crate) enum Policies {
    /// In files: their names from where the command runs, and where the suite names them.
    Files(Vec<(String, Range<usize>)>),
    /// In the suite itself.
    Inline(Node),
    /// It does not say: it leaves that to the command line.
    Unsaid(Range<usize>),
}

/// One request and what is to become of it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where its name stands.
    pub(crate) span: Range<usize>,
    /// Its SPIFFE ID, or what else the proxy is told of it; `none` for nothing.
    pub(crate) caller: String,
    /// The caller as the file has it, where its trust domain is that of the configuration.
    pub(crate) short: Option<String>,
    pub(crate) trial: Trial,
    pub(crate) expect: Expect,
}

/// What is to become of a request. What is left out is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expect {
    pub(crate) verdict: Option<Verdict>,
    /// The deciding policy; inside, none.
    pub(crate) policy: Option<Option<String>>,
    pub(crate) reason: Option<Reason>,
    /// Any of these.
    pub(crate) status: Option<Vec<u16>>,
    /// The headers that the origin gets.
    pub(crate) headers: Vec<(String, Lines)>,
    /// The headers that the caller gets of the origin's answer.
    pub(crate) response_headers: Vec<(String, Lines)>,
    /// Exactly these shadow policies would have denied it.
    pub(crate) shadow: Option<Vec<String>>,
    /// Exactly these policies had expressions that erred.
    pub(crate) errors: Option<Vec<String>>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// The lines of a header; empty where it is to be absent.
pub(crate) type Lines = Vec<String>;

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
        }
    }
}

impl Case {
    /// Makes the request that of a proxy with a configuration of this identity.
    pub(crate) fn meet(&mut self, identity: &IdentityConfig) {
        let short = self.short.as_ref();
        if let Some(principal) =
            short.and_then(|short| request::principal(short, request::trust_domain(identity)))
        {
            self.caller.clone_from(&principal);
            self.trial.principal = principal;
        }
        self.trial.present(identity);
    }
}

impl Expect {
    /// Whether nothing at all is looked at.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Expect::default()
    }
}
