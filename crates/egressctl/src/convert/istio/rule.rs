//! A rule of an AuthorizationPolicy.

use super::condition::Condition;
use super::expression::Test;

/// Conditions of which all must hold.
pub(super) type All = Vec<Condition>;

/// A rule: one of `from`, one of `to` and all of `when`; where `from` or `to` is empty, it
/// restricts nothing.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    // INVARIANT: no alternative of `from` and `to` is empty, unless it is the only one.
    pub(super) from: Vec<All>,
    pub(super) to: Vec<All>,
    pub(super) when: All,
}

impl Rule {
    /// As CEL, in several lines where it is long.
    pub(super) fn to_cel(&self) -> String {
        let all = |all: &All| Test::All(all.iter().map(Condition::test).collect());
        let mut parts: Vec<Test> = Vec::new();
        for group in [&self.from, &self.to] {
            if !group.iter().any(Vec::is_empty) && !group.is_empty() {
                parts.push(Test::Any(group.iter().map(all).collect()));
            }
        }
        parts.extend(self.when.iter().map(Condition::test));
        Test::All(parts).to_cel()
    }

    /// Two rules of which one matches exactly when this one does, where it can be parted.
    pub(super) fn halves(&self) -> Option<[Rule; 2]> {
        if let Some([first, second]) = parted(&self.from) {
            return Some([
                Rule { from: first, ..self.clone() },
                Rule { from: second, ..self.clone() },
            ]);
        }
        if let Some([first, second]) = parted(&self.to) {
            return Some([Rule { to: first, ..self.clone() }, Rule { to: second, ..self.clone() }]);
        }
        // There is one alternative at most of each: part the longest condition.
        let groups = [self.from.concat(), self.to.concat(), self.when.clone()];
        let conditions = groups.iter().enumerate().flat_map(|(group, all)| {
            all.iter().enumerate().map(move |(index, one)| (group, index, one))
        });
        let (group, index, condition) = conditions
            .filter(|(_, _, one)| one.halves().is_some())
            .max_by_key(|(_, _, one)| one.size())?;
        let with = |half: &Condition| {
            let mut groups = groups.clone();
            if let Some(whole) = groups.get_mut(group).and_then(|all| all.get_mut(index)) {
                *whole = half.clone();
            }
            let [from, to, when] = groups;
            Rule { from: vec![from], to: vec![to], when }
        };
        condition.halves().map(|halves| halves.map(|half| with(&half)))
    }
}

fn parted(group: &[All]) -> Option<[Vec<All>; 2]> {
    if group.len() < 2 {
        return None;
    }
    let (first, second) = group.split_at(group.len().div_ceil(2));
    Some([first.to_vec(), second.to_vec()])
}
