//! Warnings are silenced by name, in the file that they are about.

use crate::run::check_stdin;

fn policy(above: &str, beside: &str) -> String {
    format!(
        "policies:\n{above}- name: a\n  hosts: [a.example]\n  traffic:\n    authorization:\n      \
         policy:\n        matchExpressions:\n        - request.method == \"get\"{beside}\n"
    )
}

#[test]
fn a_comment_silences_the_warning_that_it_names() {
    for (above, beside) in [
        ("# egressctl: allow(odd-comparison)\n", ""),
        ("", " # egressctl: allow(odd-comparison)"),
        ("", " # said: get. egressctl: allow(x) # egressctl: allow(no-digest, odd-comparison)"),
    ] {
        let found = check_stdin(&["--deny-warnings", "-"], policy(above, beside).as_bytes());
        assert_eq!(found.code, 0, "{above}{beside}\n{}", found.stdout);
    }
    let found = check_stdin(&["--deny-warnings", "-"], policy("", "").as_bytes());
    let silence = "= silence: # egressctl: allow(odd-comparison)\n";
    assert!(found.code == 1 && found.stdout.contains(silence), "{}", found.stdout);
}

#[test]
fn a_comment_for_another_warning_or_for_none_is_told() {
    let other = policy("# egressctl: allow(no-digest)\n", "");
    let found = check_stdin(&["--deny-warnings", "-"], other.as_bytes());
    assert!(found.code == 1 && found.stdout.contains("nothing here that this"), "{}", found.stdout);
    let misspelt = policy("# egressctl: allow(odd-comparisons)\n", "");
    let found = check_stdin(&["-"], misspelt.as_bytes());
    let hint = "there is no warning `odd-comparisons` (did you mean `odd-comparison`?)";
    assert!(found.stdout.contains(hint), "{}", found.stdout);
}

/// What is wrong cannot be silenced.
#[test]
fn an_error_stays() {
    let text = policy("# egressctl: allow(odd-comparison)\n", "").replace("hosts:", "host:");
    assert_eq!(check_stdin(&["-"], text.as_bytes()).code, 1);
}
