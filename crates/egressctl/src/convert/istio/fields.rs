//! The fields of a rule, read into conditions.

mod doubt;
mod token;
mod values;

use crate::convert::compile;
use crate::convert::note::{At, Effect, Notes};

use super::Action;
use super::condition::{Condition, Term};
use super::rule::{All, Rule};
use values::Subject;

/// What a policy depends on in the mesh.
#[derive(Debug, Clone)]
pub(in crate::convert) struct Mesh {
    /// Its trust domain, and its aliases.
    pub(in crate::convert) trust_domains: Vec<String>,
}

/// Reads the rules of one policy.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    pub(super) action: Action,
    /// The policy's namespace.
    pub(super) namespace: Option<&'r str>,
    pub(super) mesh: &'r Mesh,
}

/// What a condition is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sense {
    /// Where identities that are not of Istio's form count as they do in Istio, lest the rule
    /// misses one: elsewhere they do not count at all.
    pub(super) wide: bool,
    /// Whether a value that is not there must be no error: only of an ALLOW's condition it is the
    /// same.
    pub(super) sure: bool,
}

/// A value without a counterpart, so that what needs it is left out.
#[derive(Debug)]
struct Lost;

impl<'r> Reader<'r> {
    /// A rule; none where it is left out.
    pub(super) fn rule<'d>(&self, at: &At<'d>, notes: &mut Notes<'d>) -> Option<Rule> {
        let mut rule = Rule { from: Vec::new(), to: Vec::new(), when: Vec::new() };
        if at.node.fields().is_none() {
            self.lost(at, format!("expected an object, got {}", at.node.kind()), notes).ok()?;
        }
        for field in at.fields() {
            if matches!(field.name(), "from" | "to" | "when")
                && field.node.items().is_some_and(<[_]>::is_empty)
            {
                self.lost(&field, "an empty list", notes).ok()?;
            }
            match field.name() {
                "from" => rule.from = self.alternatives(&field, "source", notes)?,
                "to" => rule.to = self.alternatives(&field, "operation", notes)?,
                "when" => {
                    let conditions = self.items(&field, notes).ok()?;
                    let keys: Vec<String> = conditions
                        .iter()
                        .filter_map(|one| one.text_at("key"))
                        .map(str::to_ascii_lowercase)
                        .collect();
                    for condition in conditions {
                        rule.when.extend(self.when(&condition, &keys, notes).ok()?);
                    }
                }
                _ => self.unknown(&field, notes).ok()?,
            }
        }
        Some(rule)
    }

    /// The alternatives of `from` or `to`. The list is empty where there is no restriction; `None`
    /// means that every alternative was left out.
    fn alternatives<'d>(
        &self,
        list: &At<'d>,
        inner: &str,
        notes: &mut Notes<'d>,
    ) -> Option<Vec<All>> {
        let items = self.items(list, notes).ok()?;
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for item in &items {
            match self.alternative(item, inner, notes) {
                Ok(all) => kept.push(all),
                Err(Lost) => left_out.push(item),
            }
        }
        if kept.is_empty() && !items.is_empty() {
            return None;
        }
        for item in left_out {
            notes.add(item, Effect::Hint, "the alternative is left out of the ALLOW");
        }
        // One that always matches settles it.
        if kept.iter().any(Vec::is_empty) {
            if kept.len() > 1 {
                notes.field(
                    list,
                    Effect::Hint,
                    "one of these alternatives always matches, so the \
                    others add nothing and are left out",
                );
            }
            kept.clear();
        }
        Some(kept)
    }

    fn alternative<'d>(
        &self,
        item: &At<'d>,
        inner: &str,
        notes: &mut Notes<'d>,
    ) -> Result<All, Lost> {
        let mut all = Vec::new();
        match item.get(inner) {
            None => self.lost(item, format!("`{inner}` is missing, which Istio refuses"), notes)?,
            Some(object) if object.node.fields().is_none() => {
                self.lost(
                    &object,
                    format!("expected an object, got {}", object.node.kind()),
                    notes,
                )?;
            }
            Some(object)
                if object
                    .fields()
                    .iter()
                    .all(|field| field.node.items().is_some_and(<[_]>::is_empty)) =>
            {
                self.lost(&object, format!("`{inner}` says nothing, which Istio refuses"), notes)?;
            }
            Some(_) => {}
        }
        for field in item.fields() {
            if field.name() != inner {
                self.unknown(&field, notes)?;
                continue;
            }
            for field in field.fields() {
                all.extend(self.field(&field, inner, notes)?);
            }
        }
        Ok(all)
    }

    /// A field of `source` or `operation`; nothing where it restricts nothing.
    fn field<'d>(
        &self,
        field: &At<'d>,
        inner: &str,
        notes: &mut Notes<'d>,
    ) -> Result<Option<Condition>, Lost> {
        let (subject, negated) = match (inner, field.name()) {
            ("source", "principals") => (Subject::Principal, false),
            ("source", "notPrincipals") => (Subject::Principal, true),
            ("source", "namespaces") => (Subject::Namespace, false),
            ("source", "notNamespaces") => (Subject::Namespace, true),
            ("source", "trustDomains") => (Subject::TrustDomain, false),
            ("source", "notTrustDomains") => (Subject::TrustDomain, true),
            ("source", "serviceAccounts") => (Subject::ServiceAccount, false),
            ("source", "notServiceAccounts") => (Subject::ServiceAccount, true),
            ("source", "ipBlocks") => (Subject::SourceAddress, false),
            ("source", "notIpBlocks") => (Subject::SourceAddress, true),
            ("source", "remoteIpBlocks" | "notRemoteIpBlocks") => {
                return self.lost(field, REMOTE, notes).map(|()| None);
            }
            ("source", "requestPrincipals") => (Subject::RequestPrincipal, false),
            ("source", "notRequestPrincipals") => (Subject::RequestPrincipal, true),
            ("operation", "hosts") => (Subject::Host, false),
            ("operation", "notHosts") => (Subject::Host, true),
            ("operation", "ports") => (Subject::Port, false),
            ("operation", "notPorts") => (Subject::Port, true),
            ("operation", "methods") => (Subject::Method, false),
            ("operation", "notMethods") => (Subject::Method, true),
            ("operation", "paths") => (Subject::Path, false),
            ("operation", "notPaths") => (Subject::Path, true),
            _ => return self.unknown(field, notes).map(|()| None),
        };
        self.condition(field, &subject, negated, notes)
    }

    /// One item of `when`; these are its fields, in lower case.
    fn when<'d>(&self, at: &At<'d>, keys: &[String], notes: &mut Notes<'d>) -> Result<All, Lost> {
        let mut all = Vec::new();
        let key = at.text_at("key").unwrap_or_default();
        let subject = match key {
            "source.ip" => Ok(Subject::SourceAddress),
            "source.namespace" => Ok(Subject::Namespace),
            "source.principal" => Ok(Subject::Principal),
            "source.trustDomain" => Ok(Subject::TrustDomain),
            "source.serviceAccount" => Ok(Subject::ServiceAccount),
            "destination.ip" => Ok(Subject::DestinationAddress),
            "destination.port" => Ok(Subject::Port),
            "remote.ip" => Err(REMOTE.to_owned()),
            "connection.sni" => Err("a waypoint's callers send no SNI: no counterpart".to_owned()),
            "request.auth.principal" => Ok(Subject::RequestPrincipal),
            "request.auth.audiences" => Ok(Subject::Claim(vec!["aud".to_owned()])),
            "request.auth.presenter" => Ok(Subject::Claim(vec!["azp".to_owned()])),
            _ if key.starts_with("experimental.envoy.filters.") => {
                Err("what other filters put into Envoy's metadata has no counterpart here"
                    .to_owned())
            }
            _ => {
                let header = key.strip_prefix("request.headers[");
                match (header.and_then(|rest| rest.strip_suffix(']')), token::path(key)) {
                    (Some(name), _) => Subject::header(name),
                    (None, Some(path)) => Ok(Subject::Claim(path)),
                    (None, None) => {
                        Err(format!("`{}` is no key that Istio knows", key.escape_debug()))
                    }
                }
            }
        };
        let fields = at.fields();
        if let Some(field) =
            fields.iter().find(|field| !matches!(field.name(), "key" | "values" | "notValues"))
        {
            self.unknown(field, notes)?;
        }
        let subject = match subject {
            Ok(subject) => subject,
            Err(why) => return self.lost(at, why, notes).map(|()| all),
        };
        let is_given = |name: &str| {
            at.get(name).is_some_and(|list| list.node.items().is_none_or(|items| !items.is_empty()))
        };
        if !is_given("values") && !is_given("notValues") {
            self.lost(at, "neither `values` nor `notValues`, which Istio refuses", notes)?;
        }
        for (name, negated) in [("values", false), ("notValues", true)] {
            if let Some(values) = at.get(name) {
                // A rule of this filter looks at one line of a header at a time: two conditions may
                // each have their own.
                let several =
                    keys.iter().filter(|other| other.eq_ignore_ascii_case(key)).count() > 1;
                let subject = match &subject {
                    Subject::Header(name) if several && self.action == Action::Deny && !negated => {
                        Subject::AnyLine(name.clone())
                    }
                    other => other.clone(),
                };
                all.extend(self.condition(&values, &subject, negated, notes)?);
            }
        }
        Ok(all)
    }

    /// A field with its values; nothing where it restricts nothing.
    fn condition<'d>(
        &self,
        list: &At<'d>,
        subject: &Subject,
        negated: bool,
        notes: &mut Notes<'d>,
    ) -> Result<Option<Condition>, Lost> {
        let denies = self.action == Action::Deny;
        let sense = Sense { wide: denies != negated, sure: denies || negated };
        let mut terms = Vec::new();
        let items = self.items(list, notes)?;
        for item in &items {
            let made = match item.node.as_str() {
                Some("") => Err("an empty value, which Istio refuses".to_owned()),
                Some(value) => subject.terms(value, sense, self),
                None => Err(format!("expected a string, got {}", item.node.kind())),
            };
            match made.and_then(checked) {
                Ok(made) => {
                    let doubt = item.node.as_str().and_then(|value| subject.doubt(value, self));
                    if let Some(doubt) = doubt {
                        notes.add(item, Effect::Doubtful, doubt);
                    }
                    terms.extend(made);
                }
                // One value less would match less, or of a `not` more: the whole condition goes.
                Err(why) => return self.lost(item, why, notes).map(|()| None),
            }
        }
        if items.is_empty() {
            notes.field(list, Effect::Hint, "an empty list restricts nothing, as in Istio");
            return Ok(None);
        }
        subject.hint(list, sense, notes);
        if terms.contains(&Term::Always) {
            if !negated {
                return Ok(None);
            }
            terms = vec![Term::Holds("true".to_owned())];
        }
        let mut once: Vec<Term> = Vec::new();
        for term in terms {
            if !once.contains(&term) {
                once.push(term);
            }
        }
        Ok(Some(Condition { terms: once, negated }))
    }

    /// The items of a list.
    fn items<'d>(&self, list: &At<'d>, notes: &mut Notes<'d>) -> Result<Vec<At<'d>>, Lost> {
        match list.node.items() {
            Some(_) => Ok(list.items()),
            None => self
                .lost(list, format!("expected a list, got {}", list.node.kind()), notes)
                .map(|()| Vec::new()),
        }
    }

    fn unknown<'d>(&self, field: &At<'d>, notes: &mut Notes<'d>) -> Result<(), Lost> {
        self.lost(
            field,
            format!("`{}` is no field that is known here", field.name().escape_debug()),
            notes,
        )
    }

    /// Notes what has no counterpart. An ALLOW loses what needs it. A DENY loses the condition, and
    /// denies more.
    fn lost<'d>(
        &self,
        at: &At<'d>,
        why: impl std::fmt::Display,
        notes: &mut Notes<'d>,
    ) -> Result<(), Lost> {
        match self.action {
            Action::Allow => {
                notes.add(
                    at,
                    Effect::Stricter,
                    format!("{why}; what the policy allows by it is not allowed here"),
                );
                Err(Lost)
            }
            Action::Deny => {
                notes.add(
                    at,
                    Effect::Stricter,
                    format!("{why}; left out, so that the rule denies more"),
                );
                Ok(())
            }
        }
    }
}

const REMOTE: &str = "a waypoint's callers are pods, not clients behind a proxy, so there is no \
    other address than `ipBlocks` is about: no counterpart";

/// The terms that the engine accepts. It may refuse a pattern or an address in one.
fn checked(terms: Vec<Term>) -> Result<Vec<Term>, String> {
    for term in &terms {
        match term {
            Term::Holds(test) => compile::check_rule(test)?,
            Term::Is(subject, literal) if subject.starts_with("ip(") => {
                compile::check_rule(&format!("{subject} == {literal}"))?
            }
            Term::Always | Term::Is(..) | Term::Both(..) => {}
        }
    }
    Ok(terms)
}
