//! The report for programs.

use serde_json::{Value, json};

use super::Args;
use super::coverage::{Coverage, Seen};
use super::run::{self, Ran, Results};
use crate::cases::load::Configurations;
use crate::cases::{self, Fact, Step};
use crate::diagnostic::Diagnostic;

/// The report as one document.
pub(crate) fn report(args: &Args, configurations: &Configurations, results: &Results<'_>) -> Value {
    let diagnostics: Vec<&Diagnostic> = configurations
        .all
        .iter()
        .flat_map(|loaded| loaded.errors.iter().map(|(_, error)| error))
        .collect();
    let policies: Vec<Value> = results
        .coverage
        .iter()
        .flat_map(|of| of.policies.iter().map(|seen| policy(of, seen)))
        .collect();
    let defaults: Vec<Value> = results.coverage.iter().filter_map(default_deny).collect();
    json!({
        "ok": super::is_well(args, results),
        "passed": results.passed(),
        "failed": results.failed().count(),
        "notRun": results.not_run.iter().map(|(_, _, count)| *count).fold(0, usize::saturating_add),
        "leftOut": results.left_out,
        "behindProxy": results.behind_proxy,
        "seconds": results.took.as_secs_f64(),
        "cases": results.cases.iter().map(case).collect::<Vec<_>>(),
        "policies": policies,
        "defaultDeny": defaults,
        "diagnostics": diagnostics,
    })
}

fn case(ran: &Ran<'_>) -> Value {
    let tried = &ran.tried;
    let errors: Vec<Value> = tried
        .errors
        .iter()
        .map(|(policy, message)| json!({"policy": policy, "message": message}))
        .collect();
    json!({
        "file": ran.file.source.name,
        "line": ran.line,
        "suite": ran.suite.name,
        "name": ran.name,
        "policies": ran.policies,
        "passed": ran.passed(),
        "seconds": ran.took.as_secs_f64(),
        "request": request(ran.step),
        "expected": cases::object(&ran.facts, |fact| &fact.expected),
        "got": cases::object(&ran.facts, |fact| &fact.got),
        "differs": ran.facts.iter().filter(|fact| !fact.holds).map(Fact::path).collect::<Vec<_>>(),
        "decision": {
            "verdict": run::verdict(tried).as_str(),
            "policy": tried.policy,
            "reason": tried.reason.as_str(),
            "detail": tried.detail,
            "status": ran.status,
            "shadow": tried.shadow,
            "errors": errors,
        },
        "notes": ran.notes,
    })
}

fn request(step: &Step) -> Value {
    let request = &step.request;
    json!({
        "caller": step.caller.to_string(),
        "destination": step.destination,
        "method": request.method,
        "host": request.host.as_deref().unwrap_or_default(),
        "path": request.path,
        "version": request.version,
        "headers": request.headers,
    })
}

/// The default action of a whole configuration, if that is Deny.
fn default_deny(coverage: &Coverage) -> Option<Value> {
    let default = coverage.default_deny.as_ref()?;
    Some(json!({
        "policies": coverage.label,
        "denied": default.denied,
        "missed": default.missed,
        "exercised": default.gap().is_none(),
    }))
}

fn policy(coverage: &Coverage, seen: &Seen) -> Value {
    json!({
        "policies": coverage.label,
        "name": seen.name,
        "mode": format!("{:?}", seen.mode),
        "action": seen.action.map(|action| format!("{action:?}")),
        "cases": coverage.cases,
        "inScope": seen.in_scope,
        "matched": seen.matched,
        "notMatched": seen.not_matched,
        "erred": seen.erred,
        "decided": seen.decided,
        "defaulted": seen.defaulted,
        "changedRequest": seen.changed_request,
        "changedResponse": seen.changed_response,
        "used": seen
            .forms
            .iter()
            .map(|(form, count)| (form.to_string(), (*count).into()))
            .collect::<serde_json::Map<_, _>>(),
        "missed": seen.missed,
        "exercised": seen.gaps().is_empty(),
        "gaps": seen.gaps(),
        "oneWay": seen.one_way(),
    })
}
