//! The report as JUnit XML, which CI systems show.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Args;
use super::run::{Ran, Results, decision};
use super::text;
use crate::cases::File;
use crate::cases::load::Configurations;
use crate::diagnostic::plain;

/// The report, with a suite for each file. Policies that do not load are cases too, as are policies
/// that no case exercises where coverage is required.
pub(crate) fn report(
    args: &Args,
    files: &[File],
    configurations: &Configurations,
    results: &Results<'_>,
) -> Result<String, String> {
    let mut report = Report::new("egressctl test");
    report.set_time(results.took);
    for file in files {
        let mut suite = TestSuite::new(file.source.name.as_str());
        let of_file = results.cases.iter().filter(|ran| std::ptr::eq(ran.file, file));
        suite.add_test_cases(of_file.map(case));
        suite.set_time(suite.test_cases.iter().filter_map(|case| case.time).sum());
        report.add_test_suite(suite);
    }
    let mut policies = TestSuite::new("policies");
    for loaded in &configurations.all {
        let of = |kind: NonSuccessKind, message: String, text: String| {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(message).set_description(text);
            status
        };
        if !loaded.errors.is_empty() {
            let errors: Vec<String> = loaded
                .errors
                .iter()
                .filter_map(|(source, error)| Some(plain(loaded.sources.get(*source)?, error)))
                .collect();
            let mut case = TestCase::new(
                "loads",
                of(NonSuccessKind::Error, "the policies do not load".to_owned(), errors.join("\n")),
            );
            case.set_classname(loaded.label.as_str());
            policies.add_test_case(case);
        }
    }
    for coverage in results.coverage.iter().filter(|_| args.require_coverage) {
        for seen in &coverage.policies {
            let mut gaps = seen.gaps();
            if gaps.is_empty() && !seen.is_covered() {
                gaps.push("no case would miss it".to_owned());
            }
            policies.add_test_case(exercised(&seen.name, &coverage.label, &gaps));
        }
        if let Some(default) = &coverage.default_deny {
            let mut gaps: Vec<String> = default.gap().into_iter().collect();
            if gaps.is_empty() && !default.is_covered() {
                gaps.push("no case would miss it".to_owned());
            }
            policies.add_test_case(exercised("defaultAction", &coverage.label, &gaps));
        }
    }
    if !policies.test_cases.is_empty() {
        report.add_test_suite(policies);
    }
    report.to_string().map_err(|error| error.to_string())
}

/// Whether something of a configuration is exercised, as a case.
fn exercised(name: &str, label: &str, gaps: &[String]) -> TestCase {
    let status = if gaps.is_empty() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(gaps.join("; ")).set_type("coverage");
        status
    };
    let mut case = TestCase::new(format!("{name} is exercised"), status);
    case.set_classname(label);
    case
}

fn case(ran: &Ran<'_>) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !ran.passed() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let lines: Vec<String> = text::details(ran).into_iter().map(|(_, line)| line).collect();
        let at = format!("{}:{}", ran.file.source.name, ran.line);
        status
            .set_message(decision(&ran.tried))
            .set_type("mismatch")
            .set_description(format!("{at}\n{}", lines.join("\n")));
    }
    let mut case = TestCase::new(ran.name.as_str(), status);
    case.set_classname(ran.suite.name.as_deref().unwrap_or(ran.policies)).set_time(ran.took);
    case.extra.insert("file".into(), ran.file.source.name.as_str().into());
    case.extra.insert("line".into(), ran.line.to_string().into());
    case
}
