//! What the policies for a host say together.

use super::Entry;
use crate::config::DefaultAction;
use crate::path::PathSafety;

/// What the policies of a group, or of all groups that a host is in, say together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Together {
    /// Whether an enforced Allow is among them.
    pub(super) allows: bool,
    /// The strictest path safety that an enforced policy sets.
    pub(super) path_safety: Option<PathSafety>,
    /// The default action that enforced policies set: Deny if any of them does.
    pub(super) default_action: Option<SetBy>,
    /// The first enforced policy that has a denial of its own.
    pub(super) denial: Option<u32>,
    /// Whether a shadow policy would close the host by default.
    pub(super) closes_in_shadow: bool,
}

/// A default action, and the first policy that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetBy {
    pub(crate) action: DefaultAction,
    pub(crate) policy: u32,
}

impl Together {
    /// What one policy says.
    pub(super) fn of(position: u32, entry: &Entry<'_>) -> Together {
        let sets = entry.default_action;
        if !entry.enforced {
            let closes_in_shadow = sets == Some(DefaultAction::Deny);
            return Together { closes_in_shadow, ..Together::default() };
        }
        Together {
            allows: entry.rule.as_ref().is_some_and(|rule| rule.is_allow),
            path_safety: entry.path_safety,
            default_action: sets.map(|action| SetBy { action, policy: position }),
            denial: entry.has_denial.then_some(position),
            closes_in_shadow: false,
        }
    }

    /// Adds what more policies say.
    pub(super) fn add(&mut self, more: &Together) {
        self.allows |= more.allows;
        self.path_safety = self.path_safety.max(more.path_safety);
        self.closes_in_shadow |= more.closes_in_shadow;
        if let Some(other) = more.default_action {
            let stays = self.default_action.filter(|own| !own.yields_to(other));
            self.default_action = stays.or(Some(other));
        }
        if let Some(other) = more.denial {
            self.denial = Some(self.denial.map_or(other, |own| own.min(other)));
        }
    }
}

impl SetBy {
    /// Deny goes before Allow, and among equals, the policy that comes first.
    fn yields_to(self, other: SetBy) -> bool {
        match self.action.cmp(&other.action) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => other.policy < self.policy,
            std::cmp::Ordering::Greater => false,
        }
    }
}
