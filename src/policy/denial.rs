//! The answer to a request that the rules deny, as the author of the policies composes it.

use super::Engine;
use super::index::Groups;
use super::reply_rules::ReplyRules;
use crate::decision::Reason;

/// A denial of the author's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denial<'e> {
    pub(crate) rules: &'e ReplyRules,
    /// The index of the policy that has it; none for that of the whole configuration.
    pub(crate) policy: Option<usize>,
}

impl<'e> Denial<'e> {
    /// The denial of a request that the rules deny, if it has one of the author's own: that of the
    /// policy that decided. If none decided because no Allow matched, that of the first policy in
    /// scope that has one. Otherwise that of the whole configuration.
    pub(crate) fn of(
        engine: &'e Engine,
        reason: Reason,
        decided: Option<usize>,
        groups: &Groups<'_>,
    ) -> Option<Denial<'e>> {
        let policy = match reason {
            Reason::NoAllowMatched | Reason::DefaultDeny => {
                groups.denial().and_then(|index| usize::try_from(index).ok())
            }
            _ => decided,
        };
        let own = policy.and_then(|index| engine.policies.get(index)?.denial.as_ref());
        match (own, &engine.denial) {
            (Some(rules), _) => Some(Denial { rules, policy }),
            (None, Some(rules)) => Some(Denial { rules, policy: None }),
            (None, None) => None,
        }
    }
}
