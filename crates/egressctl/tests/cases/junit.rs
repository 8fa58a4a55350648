//! The report as JUnit XML.

use super::*;

#[test]
fn junit_has_a_suite_for_each_file_and_what_failed() {
    let path = temporary("report.xml");
    let (code, ..) = egressctl(
        &[
            "--junit",
            path.to_str().unwrap(),
            "--require-coverage",
            &file("passing.yaml"),
            &file("failing.yaml"),
        ],
        "",
    );
    assert_eq!(code, 1);
    let text = std::fs::read_to_string(&path).unwrap();
    let report = Report::deserialize_from_str(&text).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (18, 5, 0));
    let suites: Vec<_> = report
        .test_suites
        .iter()
        .map(|suite| (suite.name.as_str(), suite.tests, suite.failures))
        .collect();
    assert_eq!(
        suites,
        [(&*file("passing.yaml"), 7, 0), (&*file("failing.yaml"), 5, 4), ("policies", 6, 1)]
    );
    let case = &report.test_suites[1].test_cases[0];
    assert_eq!(
        (case.name.as_str(), case.classname.as_ref().unwrap().as_str()),
        ("a wrong verdict", "what fails")
    );
    assert_eq!(
        (case.extra["file"].as_str(), case.extra["line"].as_str()),
        (&*file("failing.yaml"), "7")
    );
    let (message, description) = failure(case).unwrap();
    assert_eq!(message, "denied with 403: no-allow-matched");
    assert!(
        description.contains("failing.yaml:7\n") && description.contains("\n  - policy: teem-a\n"),
        "{description}"
    );
    assert!(failure(&report.test_suites[1].test_cases[4]).is_none());
    let uncovered: Vec<_> = report.test_suites[2]
        .test_cases
        .iter()
        .filter_map(|case| Some((case.name.as_str(), failure(case)?.0)))
        .collect();
    assert_eq!(uncovered, [("mirror is exercised", "never in scope".to_owned())]);
}

fn failure(case: &TestCase) -> Option<(String, String)> {
    let TestCaseStatus::NonSuccess { message, description, .. } = &case.status else { return None };
    let text = |text: &Option<quick_junit::XmlString>| {
        text.as_ref().map_or(String::new(), |text| text.as_str().to_owned())
    };
    Some((text(message), text(description)))
}

#[test]
fn junit_has_policies_that_do_not_load_as_an_error() {
    let path = temporary("errors.xml");
    let cases = format!(
        "policies: {}\ncases:\n- {{name: a, caller: none, request: 'http://a', expect: deny}}\n",
        file("unloadable.yaml")
    );
    assert_eq!(egressctl(&["--junit", path.to_str().unwrap(), "-"], &cases).0, 1);
    let report = Report::deserialize_from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (1, 0, 1));
    let (message, description) = failure(&report.test_suites[1].test_cases[0]).unwrap();
    assert_eq!(message, "the policies do not load");
    assert!(
        description.starts_with(
            "crates/egressctl/tests/cases/unloadable.yaml:4:65: unknown attribute `source.identty`"
        ),
        "{description}"
    );
}
