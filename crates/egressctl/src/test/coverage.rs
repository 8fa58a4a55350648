//! Which policies the cases exercise.

use egress_filter::config::{Action, DefaultAction, Mode};
use egress_filter::coverage::{Form, Part, RuleResult, outlines};
use egress_filter::decision::Reason;
use egress_filter::policy::Engine;
use egress_filter::trial::Tried;

use crate::cases::load::Loaded;

/// How the cases exercise the policies of one configuration.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// The index of the configuration.
    pub(crate) configuration: usize,
    /// Its files.
    pub(crate) label: String,
    /// How many cases were run on it.
    pub(crate) cases: usize,
    pub(crate) policies: Vec<Seen>,
    /// The default action of the whole configuration, if that is Deny.
    pub(crate) default_deny: Option<DefaultDeny>,
}

/// How the cases exercise the default action Deny of a whole configuration.
#[derive(Debug, Default)]
pub(crate) struct DefaultDeny {
    /// How many cases it denied.
    pub(crate) denied: usize,
    /// Whether some case fails without it; `None` where that was not tried.
    pub(crate) missed: Option<bool>,
}

impl DefaultDeny {
    /// What no case exercises.
    pub(crate) fn gap(&self) -> Option<String> {
        (self.denied == 0)
            .then(|| "Deny has denied no case: none is of a host that no Allow is for".to_owned())
    }

    /// Whether some case is denied by it and, where that was tried, fails without it.
    pub(crate) fn is_covered(&self) -> bool {
        self.gap().is_none() && self.missed != Some(false)
    }
}

/// How the cases exercise a policy: the number of cases for each effect.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) mode: Mode,
    pub(crate) action: Option<Action>,
    changes_request: bool,
    changes_response: bool,
    /// The forms of its features, each with the number of cases that got it.
    pub(crate) forms: Vec<(Form, usize)>,
    pub(crate) in_scope: usize,
    pub(crate) matched: usize,
    pub(crate) not_matched: usize,
    pub(crate) erred: usize,
    pub(crate) decided: usize,
    pub(crate) changed_request: usize,
    pub(crate) changed_response: usize,
    default_action: Option<DefaultAction>,
    /// Cases that its default action decided.
    pub(crate) defaulted: usize,
    /// Whether some case fails without the policy; `None` where that was not tried.
    pub(crate) missed: Option<bool>,
}

impl Coverage {
    pub(crate) fn new(configuration: usize, loaded: &Loaded) -> Coverage {
        let outlines = loaded.engine.iter().flat_map(outlines);
        let seen = outlines.map(|outline| Seen {
            name: outline.name.to_owned(),
            mode: outline.mode,
            action: outline.action,
            changes_request: outline.changes_request,
            changes_response: outline.changes_response,
            forms: outline.forms.into_iter().map(|form| (form, 0)).collect(),
            in_scope: 0,
            matched: 0,
            not_matched: 0,
            erred: 0,
            decided: 0,
            changed_request: 0,
            changed_response: 0,
            default_action: outline.default_action,
            defaulted: 0,
            missed: None,
        });
        let closes = |engine: &Engine| engine.default_action_of_all() == DefaultAction::Deny;
        Coverage {
            configuration,
            label: loaded.label.clone(),
            cases: 0,
            policies: seen.collect(),
            default_deny: loaded
                .engine
                .as_ref()
                .filter(|engine| closes(engine))
                .map(|_| DefaultDeny::default()),
        }
    }

    /// Whether every policy, and the default action, is exercised.
    pub(crate) fn is_whole(&self) -> bool {
        self.policies.iter().all(Seen::is_covered)
            && self.default_deny.as_ref().is_none_or(DefaultDeny::is_covered)
    }

    /// Counts what the policies did in a case.
    pub(crate) fn count(&mut self, parts: &[Part], tried: &Tried) {
        let add =
            |count: &mut usize, really: bool| *count = count.saturating_add(usize::from(really));
        add(&mut self.cases, true);
        let by_default = tried.reason == Reason::DefaultDeny;
        if let Some(default) = &mut self.default_deny {
            add(&mut default.denied, by_default && tried.policy.is_none());
        }
        for part in parts {
            let Some(seen) = self.policies.get_mut(part.policy) else { continue };
            add(&mut seen.in_scope, true);
            add(&mut seen.matched, part.rule == Some(RuleResult::Matches));
            add(&mut seen.not_matched, part.rule == Some(RuleResult::DoesNotMatch));
            add(
                &mut seen.erred,
                matches!(part.rule, Some(RuleResult::Fails | RuleResult::PassesLimit)),
            );
            add(&mut seen.decided, tried.policy.as_ref() == Some(&seen.name));
            let defaulted = match (seen.default_action, seen.mode) {
                (Some(DefaultAction::Deny), Mode::Enforce) => by_default,
                (Some(DefaultAction::Deny), Mode::Shadow) => tried.shadow.contains(&seen.name),
                (Some(DefaultAction::Allow), _) => tried.reason == Reason::NoAllowRule,
                (None, _) => false,
            };
            add(&mut seen.defaulted, defaulted);
            add(&mut seen.changed_request, part.changed_request);
            add(&mut seen.changed_response, part.changed_response);
            for (form, count) in &mut seen.forms {
                let used = (form.feature, form.entry.unwrap_or(0));
                add(count, part.used.contains(&used));
            }
        }
    }
}

impl Seen {
    /// The parts of the policy that no case exercises. A rule is exercised where it had an effect:
    /// an Allow or Deny matched, or a Require did not.
    pub(crate) fn gaps(&self) -> Vec<String> {
        if self.in_scope == 0 {
            return vec!["never in scope".to_owned()];
        }
        let in_scope = cases(self.in_scope);
        let mut gaps = Vec::new();
        match self.action {
            Some(Action::Allow | Action::Deny) if self.matched == 0 => {
                gaps.push(format!("never matched, in scope of {in_scope}"))
            }
            Some(Action::Require) if self.matched == self.in_scope => {
                gaps.push(format!("never refused, in scope of {in_scope}"))
            }
            _ => {}
        }
        match self.default_action {
            Some(DefaultAction::Deny) if self.defaulted == 0 => {
                gaps.push(format!("its defaultAction denied none of {in_scope}"));
            }
            Some(DefaultAction::Allow) if self.defaulted == 0 && self.mode == Mode::Enforce => {
                gaps.push(format!("its defaultAction let none of {in_scope} through"));
            }
            _ => {}
        }
        if self.mode == Mode::Enforce {
            if self.changes_request && self.changed_request == 0 {
                gaps.push(format!("never changed a request header, in scope of {in_scope}"));
            }
            if self.changes_response && self.changed_response == 0 {
                gaps.push(format!("never changed a response header, in scope of {in_scope}"));
            }
            let unused = self.forms.iter().filter(|(_, count)| *count == 0);
            gaps.extend(unused.map(|(form, _)| format!("no case got `{form}`")));
        }
        gaps
    }

    /// Whether every part is exercised and, where that was tried, some case fails without it.
    pub(crate) fn is_covered(&self) -> bool {
        self.gaps().is_empty() && self.missed != Some(false)
    }

    /// A remark if the rule had the same result in every case, so that no case shows its limits.
    pub(crate) fn one_way(&self) -> Option<String> {
        if self.in_scope == 0 {
            return None;
        }
        let says = |what: &str| {
            Some(format!("{what} each of {}: no case shows where it ends", cases(self.in_scope)))
        };
        match self.action {
            Some(Action::Allow | Action::Deny) if self.matched == self.in_scope => says("matched"),
            Some(Action::Require) if self.matched == 0 => says("refused"),
            _ => None,
        }
    }

    /// A summary in one line.
    pub(crate) fn summary(&self) -> String {
        let mut parts = vec![format!("in scope of {}", cases(self.in_scope))];
        if self.action.is_some() {
            parts.push(format!("matched {}, not {}", self.matched, self.not_matched));
            if self.erred > 0 {
                parts.push(format!("erred {}", self.erred));
            }
            if self.decided > 0 {
                parts.push(format!("decided {}", self.decided));
            }
        }
        if let Some(action) = self.default_action {
            parts.push(format!("defaultAction {action:?} decided {}", self.defaulted));
        }
        if self.changes_request {
            parts.push(format!(
                "changed {} request{}",
                self.changed_request,
                if self.changed_request == 1 { "" } else { "s" }
            ));
        }
        if self.changes_response {
            parts.push(format!(
                "changed {} response{}",
                self.changed_response,
                if self.changed_response == 1 { "" } else { "s" }
            ));
        }
        let forms = self.forms.iter();
        parts.extend(forms.map(|(form, count)| format!("`{form}` {count}")));
        parts.join(", ")
    }
}

fn cases(count: usize) -> String {
    format!("{count} case{}", if count == 1 { "" } else { "s" })
}
