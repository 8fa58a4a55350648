//! An explanation for people: the parts of rules on the left, their values on the right.

mod page;

use std::io;

use anstyle::Style;
use egress_filter::config::{Action, Config, DefaultAction, IdentitySource, Mode};
use egress_filter::decision::Verdict;
use egress_filter::explain::{
    Choice, Decided, Effect, Explanation, Expression, Fate, Feature, Header, HeaderRule, Operation,
    Policy, Rule, RuleResult, Step, Value, Variable,
};

use super::request::Request;
use crate::terminal::{BAD, FAINT, GOOD, ODD, STRONG, painted};
use page::Page;

/// The most of a value that is shown, in characters.
const MAX_VALUE: usize = 120;
/// The most choices of a repeated header's lines that are shown, and the last.
const MAX_CHOICES: usize = 8;
/// The most policies for other hosts that are named.
const MAX_OUT_OF_SCOPE: usize = 10;

/// The reason of a request that the default action denies.
const DEFAULT_DENY: &str = "default-deny";

pub(super) fn write(
    out: &mut impl io::Write,
    request: &Request,
    config: &Config,
    explanation: &Explanation,
) -> io::Result<()> {
    writeln!(
        out,
        "{}",
        painted(
            STRONG,
            format_args!("{} http://{}{}", request.method, request.authority, clean(&request.path))
        )
    )?;
    if let Some(sent) = &request.sent_path {
        writeln!(out, "sent as  {}, which the waypoint normalises", clean(sent))?;
    }
    writeln!(out, "caller   {}", caller(request, config, explanation))?;
    match &explanation.destination {
        None => writeln!(out, "dialled  unknown: nothing is bound to it")?,
        Some(dialled) if Some(dialled) != explanation.host.as_ref() => {
            writeln!(out, "dialled  {dialled}")?
        }
        Some(_) => {}
    }
    let (style, verdict) = verdict(explanation);
    writeln!(out, "verdict  {}", painted(style, verdict))?;
    let mut page = Page::default();
    for policy in &explanation.policies {
        page.policy(policy, &explanation.verdict);
    }
    if explanation.verdict.answered {
        page.answer(&explanation.verdict);
    }
    if explanation.verdict.allowed {
        page.headers("request headers", &explanation.request_headers);
    }
    if let Some(lines) = &explanation.response_headers {
        page.headers("response headers", lines);
    }
    page.write(out)?;
    out_of_scope(out, explanation)?;
    match &explanation.audit {
        Some(line) => writeln!(out, "\naudit    {line}"),
        None => writeln!(out, "\naudit    not logged: `audit.log` leaves it out"),
    }
}

fn caller(request: &Request, config: &Config, explanation: &Explanation) -> String {
    let caller = &explanation.caller;
    match (&caller.spiffe_id, &caller.rejected) {
        (Some(id), _) if caller.namespace.is_none() => {
            format!("{id}, which names no namespace and service account")
        }
        (Some(id), _) if !config.identity.sources.contains(&IdentitySource::FilterState) => {
            format!(
                "{id}, but none in a waypoint, which has it in `filterState`: `identity.sources` \
                 does not list that"
            )
        }
        (Some(id), _) => id.clone(),
        (None, Some(id)) => {
            format!("none: {id} is of a trust domain that `identity.trustDomains` does not list")
        }
        (None, None) if request.principal.is_empty() => "none".to_owned(),
        (None, None) => format!("none: `{}` is no SPIFFE ID", clean(&request.principal)),
    }
}

/// The verdict in a sentence, with the audit record's word for it.
fn verdict(explanation: &Explanation) -> (Style, String) {
    let verdict = &explanation.verdict;
    let name = verdict.policy.as_deref().unwrap_or_default();
    let detail = verdict.detail.unwrap_or_default();
    let why = match verdict.reason {
        "allow-matched" => format!("`{name}` matches"),
        "no-allow-rule" => "nothing denies it, and no Allow is in scope".to_owned(),
        "deny-matched" => format!("`{name}` matches"),
        "deny-error" => format!("`{name}` errs, and a Deny that errs denies"),
        "require-not-matched" => format!("`{name}` does not match"),
        "no-allow-matched" => "no Allow in scope matches".to_owned(),
        DEFAULT_DENY => match &explanation.default_action.policy {
            Some(name) => {
                format!(
                    "no Allow is in scope, and `{name}` sets `defaultAction: Deny` for the host"
                )
            }
            None => {
                "no Allow is in scope, and the configuration sets `defaultAction: Deny`".to_owned()
            }
        },
        "method-unsafe" => format!("the method is unsafe: {detail}"),
        "header-unsafe" => format!("the headers are unsafe: {detail}"),
        "path-unsafe" => format!(
            "the path is unsafe under `pathSafety: {:?}`: {detail}",
            explanation.path_safety
        ),
        "host-mismatch" => {
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            format!(
                "`{}` is not the service that was dialled, `{}`",
                name(&explanation.host),
                name(&explanation.destination)
            )
        }
        "bad-host" => format!("there is no one host: {detail}"),
        "rewrite-error" if detail.is_empty() => {
            format!("`{name}` has no value for the request line")
        }
        "rewrite-error" => format!("`{name}` gives an unsafe request line: {detail}"),
        "condition-error" => format!("a condition of `{name}` errs"),
        "answer-error" => format!("the body of `{name}` errs"),
        "direct-response" => format!("`{name}` answers it"),
        "redirect" => format!("`{name}` redirects it"),
        "limit-exceeded" => "its rules cost more than one request gets".to_owned(),
        _ => detail.to_owned(),
    };
    match (verdict.status, &verdict.body) {
        (Some(status), _) if verdict.answered => {
            let location = verdict.headers.iter().find(|(name, _)| name == "location");
            let to = location.map(|(_, url)| format!(" to {}", clean(url))).unwrap_or_default();
            (ODD, format!("answered, {status}{to}: {why} ({})", verdict.reason))
        }
        (Some(status), Some(body)) => {
            let body = in_one_line(body);
            (BAD, format!("denied, {status} \"{body}\": {why} ({})", verdict.reason))
        }
        _ if !explanation.shadow.is_empty() => {
            let shadow = explanation
                .shadow
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            (
                ODD,
                format!(
                    "allowed: {why} ({}); were it enforced, {shadow} would deny it",
                    verdict.reason
                ),
            )
        }
        _ => (GOOD, format!("allowed: {why} ({})", verdict.reason)),
    }
}

fn out_of_scope(out: &mut impl io::Write, explanation: &Explanation) -> io::Result<()> {
    let (Some(host), [_, ..]) = (&explanation.host, explanation.out_of_scope.as_slice()) else {
        return Ok(());
    };
    writeln!(out, "\n{}", painted(STRONG, format_args!("not for {host}")))?;
    for policy in explanation.out_of_scope.iter().take(MAX_OUT_OF_SCOPE) {
        writeln!(out, "  {}: {}", policy.name, policy.hosts.join(", "))?;
    }
    match explanation.out_of_scope.len().checked_sub(MAX_OUT_OF_SCOPE) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more"),
        _ => Ok(()),
    }
}

impl Page {
    fn policy(&mut self, policy: &Policy, verdict: &Decided) {
        let mut about: Vec<String> = Vec::new();
        if let Some(rule) = &policy.rule {
            about.push(format!("{:?}", rule.action));
            if rule.expressions.len() > 1 {
                about.push(format!("match: {:?}", rule.combine));
            }
        }
        if let Some(action) = policy.default_action {
            about.push(format!("defaultAction: {action:?}"));
        }
        if policy.mode == Mode::Shadow {
            about.push("shadow".to_owned());
        }
        let about =
            if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
        let hosts = if policy.hosts.is_empty() {
            String::new()
        } else {
            format!(" for {}", policy.hosts.join(", "))
        };
        let (style, said) = said(policy, verdict);
        self.title(format!("policy {}{about}{hosts}", policy.name), said, style);
        if let Some(rule) = &policy.rule {
            for expression in &rule.expressions {
                self.expression(rule, expression);
            }
        }
        for (rules, of) in [(&policy.request, ""), (&policy.response, "response ")] {
            for rule in rules {
                self.header_rule(rule, of);
            }
        }
        for feature in &policy.features {
            self.feature(feature);
        }
    }

    fn expression(&mut self, rule: &Rule, expression: &Expression) {
        let (first, repeated) = match expression.choices.as_slice() {
            [] => return,
            [only] if only.lines.is_empty() => return self.step(1, &only.step),
            [first, ..] => (first, &expression.choices),
        };
        let (style, said) = match (expression.answer, rule.action) {
            (Some(RuleResult::Matches), Action::Deny) => {
                (Style::new(), "true: one line is enough".to_owned())
            }
            (Some(RuleResult::Matches), _) => (Style::new(), "true: for each line".to_owned()),
            (Some(RuleResult::DoesNotMatch), Action::Deny) => {
                (Style::new(), "false: for each line".to_owned())
            }
            (Some(RuleResult::DoesNotMatch), _) => {
                (Style::new(), "false: each line must match".to_owned())
            }
            (Some(RuleResult::Fails), _) => (ODD, "error".to_owned()),
            (Some(RuleResult::PassesLimit), _) => (ODD, "passes a limit".to_owned()),
            (None, _) => (FAINT, "not needed".to_owned()),
        };
        self.row(1, clean(&first.step.source), said, style);
        let last = repeated.len().saturating_sub(1);
        let left_out = last.saturating_sub(MAX_CHOICES);
        for (index, Choice { lines, step }) in repeated.iter().enumerate() {
            if index < MAX_CHOICES || index == last {
                self.value_row(2, format!("with {}", names(lines)), &step.value);
                self.parts(3, step);
            } else if index == MAX_CHOICES && left_out > 0 {
                self.row(2, format!("... {left_out} more"), "", FAINT);
            }
        }
    }

    fn step(&mut self, indent: usize, step: &Step) {
        let variables = if step.variables.is_empty() {
            String::new()
        } else {
            format!("[{}] ", names(&step.variables))
        };
        self.value_row(indent, format!("{variables}{}", clean(&step.source)), &step.value);
        self.parts(indent.saturating_add(1), step);
    }

    fn parts(&mut self, indent: usize, step: &Step) {
        let last = step.parts.len().saturating_sub(1);
        for (index, part) in step.parts.iter().enumerate() {
            if index == last && step.omitted > 0 {
                self.row(indent, format!("... {} more", step.omitted), "", FAINT);
            }
            self.step(indent, part);
        }
    }

    fn value_row(&mut self, indent: usize, left: String, value: &Value) {
        let (right, style) = match value {
            Value::Known(value) => (short(value), Style::new()),
            Value::Error(message) => (format!("error: {message}"), ODD),
            Value::NotNeeded => ("not needed".to_owned(), FAINT),
            Value::Varies => ("differs each time".to_owned(), FAINT),
        };
        self.row(indent, left, right, style);
    }

    fn header_rule(&mut self, rule: &HeaderRule, of: &str) {
        let operation = match rule.operation {
            Operation::Add => "add",
            Operation::Set => "set",
            Operation::Remove => "remove",
        };
        let left = format!("{operation} {of}{}", rule.name);
        let Some(value) = &rule.value else { return self.row(1, left, "", Style::new()) };
        let left = format!("{left} = {}", clean(&value.source));
        match &rule.error {
            Some(error) if rule.name.starts_with(':') => {
                self.row(1, left, format!("no value: {error}"), BAD)
            }
            Some(error) => self.row(1, left, format!("left out: {error}"), ODD),
            None => self.value_row(1, left, &value.value),
        }
        self.parts(2, value);
    }

    /// A feature: the conditions that were asked, and what they chose.
    fn feature(&mut self, feature: &Feature) {
        let left = match feature.entry {
            Some(entry) if !feature.conditions.is_empty() || entry > 0 => {
                format!("{}.conditional[{entry}]", feature.name)
            }
            _ => feature.name.to_owned(),
        };
        let (said, style) = match (feature.used, feature.entry) {
            (true, _) => ("applies", GOOD),
            (false, None) if !feature.conditions.is_empty() => ("no condition is true", FAINT),
            (false, _) => ("not for this path", FAINT),
        };
        self.row(1, left, said, style);
        for condition in &feature.conditions {
            self.step(2, condition);
        }
    }

    /// The answer in the origin's place.
    fn answer(&mut self, verdict: &Decided) {
        self.title("answer", "", Style::new());
        for (name, value) in &verdict.headers {
            self.row(1, format!("{name}: {}", clean(value)), "", Style::new());
        }
        if let Some(body) = verdict.body.as_ref().filter(|body| !body.is_empty()) {
            self.row(1, clean(body), "", Style::new());
        }
    }

    fn headers(&mut self, title: &str, lines: &[Header]) {
        self.title(title, "", Style::new());
        for line in lines {
            let (sign, style) = match line.fate {
                Fate::Kept => (' ', Style::new()),
                Fate::Removed | Fate::Replaced => ('-', BAD),
                Fate::Added | Fate::Replacement => ('+', GOOD),
            };
            let policy = line.policy.clone().unwrap_or_default();
            let left = format!("{sign} {}: {}", line.name, clean(&line.value));
            self.painted_row(1, (left, style), (policy, FAINT));
        }
    }
}

/// The result of a policy's rule, and its effect.
fn said(policy: &Policy, verdict: &Decided) -> (Style, String) {
    let answer = policy.rule.as_ref().and_then(|rule| rule.answer).map(|answer| match answer {
        RuleResult::Matches => "matches",
        RuleResult::DoesNotMatch => "does not match",
        RuleResult::Fails => "errs",
        RuleResult::PassesLimit => "passes a limit",
    });
    match (policy.effect, answer) {
        (Effect::Denies, _) if verdict.reason == DEFAULT_DENY => {
            (BAD, "closed by default: denies".to_owned())
        }
        (Effect::WouldDeny, _) if would_close(policy) => {
            (ODD, "closed by default: would deny".to_owned())
        }
        (Effect::Denies, _)
            if policy
                .request
                .iter()
                .any(|rule| rule.error.is_some() && rule.name.starts_with(':')) =>
        {
            (BAD, "no value for the request line: denies".to_owned())
        }
        (Effect::Denies, answer) => (BAD, format!("{}: denies", answer.unwrap_or_default())),
        (Effect::Allows, answer) => (GOOD, format!("{}: allows", answer.unwrap_or_default())),
        (Effect::Answers, _) => (ODD, "answers".to_owned()),
        (Effect::WouldDeny, answer) => (ODD, format!("{}: would deny", answer.unwrap_or_default())),
        (Effect::NotAsked, None) => (FAINT, "not asked".to_owned()),
        (Effect::NotAsked, Some(answer)) => (FAINT, format!("{answer} (not asked)")),
        (Effect::None, Some("errs"))
            if policy.rule.as_ref().is_some_and(|rule| rule.action == Action::Deny) =>
        {
            (ODD, "errs: ignored".to_owned())
        }
        (Effect::None, Some(answer)) => (Style::new(), answer.to_owned()),
        (Effect::None, None) if policy.mode == Mode::Shadow => {
            (FAINT, "shadow: changes nothing".to_owned())
        }
        (Effect::None, None) if verdict.is != Verdict::Allow => {
            let what = if verdict.is == Verdict::Deny { "denied" } else { "answered" };
            (FAINT, format!("changes nothing: the request is {what}"))
        }
        (Effect::None, None) => (Style::new(), String::new()),
    }
}

/// Whether a policy in shadow would deny because of its default action, and not by its rule.
fn would_close(policy: &Policy) -> bool {
    let by_rule = policy.rule.as_ref().is_some_and(|rule| {
        let matches = rule.answer == Some(RuleResult::Matches);
        match rule.action {
            Action::Deny => rule.answer != Some(RuleResult::DoesNotMatch),
            Action::Allow | Action::Require => !matches,
        }
    });
    policy.default_action == Some(DefaultAction::Deny) && !by_rule
}

/// The body of an answer in one line.
fn in_one_line(body: &str) -> String {
    let mut line = String::with_capacity(body.len());
    for character in body.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Variables and their values.
fn names(variables: &[Variable]) -> String {
    let one = |variable: &Variable| format!("{} = {}", variable.name, short(&variable.value));
    variables.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The start of a value, and whether there is more.
fn short(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}...", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

/// A source as it is written, with the lines behind its first one moved to the left almost as far
/// as they go, and without what a terminal would obey.
fn clean(source: &str) -> String {
    let mut lines = source.lines();
    let first = lines.next().unwrap_or_default().trim_end();
    let rest: Vec<&str> = lines.map(str::trim_end).collect();
    let blanks = |line: &&str| line.len().saturating_sub(line.trim_start().len());
    let margin = rest
        .iter()
        .filter(|line| !line.is_empty())
        .map(blanks)
        .min()
        .unwrap_or(0)
        .saturating_sub(2);
    let rest = rest.iter().map(|line| line.get(margin..).unwrap_or_default());
    let text = std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n");
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
