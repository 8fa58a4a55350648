//! Warnings that are silenced in the file that they are about, by name: `# egressctl: allow(name)`.
//!
//! The comment stands beside the line of the warning, above it, or beside or above anything that
//! the line is a part of, as its indentation tells: above a policy, it is for the whole policy.

use std::ops::Range;

use egress_filter::suggest::did_you_mean;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Source;

/// How the comment begins.
const BEGINNING: &str = "# egressctl: allow(";

/// The warnings that there are: their names, and what they are about.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("address-as-text", "an address that is compared as any text is"),
    ("and-before-or", "`&&` and `||` without the parentheses that say what belongs together"),
    ("any-of-unlike", "`match: Any` over tests of different things, of which one is enough"),
    ("attached-twice", "two plugins with the filter at one Gateway"),
    ("call-in-shadow", "an `extAuth` of a policy in shadow mode, which asks nobody"),
    ("closed-host", "a host with policies to which the default action lets nobody"),
    ("constant-condition", "a condition that is the same for every request"),
    ("constant-rule", "a rule that matches every request, or none"),
    ("dead-allow", "an Allow that can never matter"),
    ("deny-without-header", "a Deny that also denies requests without the header that it reads"),
    ("deny-without-token", "a Deny that lets a request without a token through"),
    ("empty-configuration", "a plugin without a configuration, which may be this filter's"),
    ("false-for-off", "a `false` that is read as `Off`"),
    ("folded-comment", "a `//` in an expression that takes the lines below it away"),
    ("forgeable-header", "a rule over a header that the caller writes about itself"),
    ("header-is-never-null", "a comparison of a header with `null`"),
    ("host-part", "a test of a part of the host that another host passes too"),
    ("idle-match", "an entry of `match` that means nothing on a waypoint"),
    ("late-phase", "a plugin that runs after Istio's AuthorizationPolicy"),
    ("limit-in-shadow", "a rate limit of a policy in shadow mode, which counts nothing"),
    ("long-timeout", "a timeout longer than all calls may take together"),
    ("moving-tag", "an image whose tag is another image tomorrow"),
    ("never-set", "a rule that reads what nothing sets"),
    ("no-bodies-image", "policies that read bodies, with the image that cannot"),
    ("no-digest", "an image without its digest"),
    ("no-fallback", "a `conditional` that is for nobody else"),
    ("no-filter-state", "identity sources that are empty in a waypoint"),
    ("no-policies", "a configuration without policies"),
    ("no-reload", "a plugin that does not come back after a failure"),
    ("odd-comparison", "a comparison that has the same result for every request"),
    ("only-guard", "a service whose failure lets everything through"),
    ("open-host", "a host that goes through the waypoint, and that no policy names"),
    ("open-to-forgery", "a rule that reads headers of a service that may fail open"),
    ("path-part", "a test of a part of the path that may stand elsewhere"),
    ("path-without-query", "a path that is set from one without the query"),
    ("pattern-not-anchored", "a pattern that also matches within longer texts"),
    ("placeholder-digest", "a digest of zeros"),
    ("plain-secret", "a credential in plain text"),
    ("prefix-within-segment", "a prefix of a path or SPIFFE ID that ends within a segment"),
    ("root-namespace", "a plugin for a GatewayClass outside of the root namespace"),
    ("same-metric-name", "policies whose metrics have one name"),
    ("set-elsewhere", "a rule for more hosts than the service that sets the header it reads"),
    ("shadow-allow-narrows-nothing", "an Allow in shadow mode, which takes nothing away"),
    ("shared-answer", "answers of a service that callers share"),
    ("star-is-literal", "a `*` where it is a letter like any other"),
    ("superseded-field", "a field that has a successor"),
    ("tunnel-scheme", "a rule over the scheme, which is `http` behind HBONE"),
    ("unknown-allow", "a comment that silences a warning which there is not"),
    ("unknown-host", "a host that no ServiceEntry has, spelt nearly as one that one has"),
    ("unused-variable", "a variable that no expression reads"),
    ("unverified-key", "a signature that Istio does not verify"),
    ("unverified-token", "a decision on a token whose signature nobody has verified"),
];

/// Warnings that depend on which files are checked together. A comment that silences one of them is
/// not told where there is none.
const DEPENDING: [&str; 3] = ["attached-twice", "open-host", "unknown-host"];

/// A comment that silences warnings.
#[derive(Debug)]
struct Allow {
    /// The line's number, from 1.
    line: usize,
    span: Range<usize>,
    names: Vec<String>,
    is_used: bool,
}

/// Leaves out the warnings that comments in their file silence, and reports comments that silence
/// nothing.
pub(crate) fn apply(source: &Source, found: &mut Vec<Diagnostic>) {
    let mut allows = allows(source);
    if allows.is_empty() {
        return;
    }
    let lines: Vec<&str> = source.text.split('\n').collect();
    found.retain(|diagnostic| {
        let Some(name) = diagnostic.name else { return true };
        let places = places(&lines, diagnostic.line);
        let allow = allows.iter_mut().find(|allow| {
            places.contains(&allow.line) && allow.names.iter().any(|allowed| allowed == name)
        });
        match allow {
            Some(allow) => {
                allow.is_used = true;
                false
            }
            None => true,
        }
    });
    for allow in allows {
        let known = |name: &&String| NAMES.iter().any(|(known, _)| known == name);
        let unknown: Vec<&String> = allow.names.iter().filter(|name| !known(name)).collect();
        for name in &unknown {
            let hint = did_you_mean(name, NAMES.iter().map(|(known, _)| *known));
            let message = format!("there is no warning `{}`{hint}", name.escape_debug());
            found.push(Diagnostic::warning("unknown-allow", source, allow.span.clone(), message));
        }
        let depends = allow.names.iter().any(|name| DEPENDING.contains(&name.as_str()));
        if !allow.is_used && unknown.is_empty() && !depends {
            let message = "there is nothing here that this comment silences: leave it out";
            found.push(Diagnostic::new(
                Severity::Note,
                source,
                allow.span.clone(),
                message.to_owned(),
            ));
        }
    }
    found.sort_by_key(|found| found.span.start);
}

/// The names in the comments of a text, for a file that is made of it.
pub(crate) fn names_in(text: &str) -> Vec<String> {
    text.split('\n').filter_map(names).flat_map(|(_, names)| names).collect()
}

/// The comments of a file.
fn allows(source: &Source) -> Vec<Allow> {
    let mut start = 0_usize;
    let mut allows = Vec::new();
    for (index, line) in source.text.split('\n').enumerate() {
        if let Some((range, names)) = names(line) {
            let span = start.saturating_add(range.start)..start.saturating_add(range.end);
            allows.push(Allow { line: index.saturating_add(1), span, names, is_used: false });
        }
        start = start.saturating_add(line.len()).saturating_add(1);
    }
    allows
}

/// The comment in a line: where it stands, and the names in it.
fn names(line: &str) -> Option<(Range<usize>, Vec<String>)> {
    let at = line.find(BEGINNING)?;
    let before = line.get(..at)?;
    if !before.is_empty() && !before.ends_with([' ', '\t']) {
        return None;
    }
    let behind = at.saturating_add(BEGINNING.len());
    let (names, _) = line.get(behind..)?.split_once(')')?;
    let end = behind.saturating_add(names.len()).saturating_add(1);
    Some((at..end, names.split(',').map(|name| name.trim().to_owned()).collect()))
}

/// The lines whose comments are about a line, all from 1: itself, those of what it is a part of,
/// and the comments above each.
fn places(lines: &[&str], line: usize) -> Vec<usize> {
    let text = |number: usize| lines.get(number.saturating_sub(1)).copied().unwrap_or_default();
    let indent = |text: &str| text.len().saturating_sub(text.trim_start().len());
    let is_comment = |text: &str| text.trim_start().starts_with('#');
    let mut places = Vec::new();
    let (mut here, mut depth) = (line, usize::MAX);
    while here > 0 {
        let own = text(here);
        if own.trim().is_empty() || is_comment(own) || indent(own) >= depth {
            here = here.saturating_sub(1);
            continue;
        }
        depth = indent(own);
        places.push(here);
        let mut above = here.saturating_sub(1);
        while above > 0 && is_comment(text(above)) {
            places.push(above);
            above = above.saturating_sub(1);
        }
        here = above;
        if depth == 0 {
            break;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: &str = "\
policies:
# egressctl: allow(whole)
- name: a # egressctl: allow(name)
  traffic:
    authorization:
      policy:
        # egressctl: allow(above, another)
        - |
          first
          second
        - third # egressctl: allow(beside)
- name: b
";

    fn silenced(line: usize) -> Vec<String> {
        let lines: Vec<&str> = POLICIES.split('\n').collect();
        let source = Source::new("a".to_owned(), POLICIES);
        let places = places(&lines, line);
        let here = allows(&source).into_iter().filter(|allow| places.contains(&allow.line));
        here.flat_map(|allow| allow.names).collect()
    }

    #[test]
    fn a_comment_counts_for_its_line_the_next_and_what_is_in_them() {
        for (line, expected) in [
            (1, &[][..]),
            (3, &["whole", "name"]),
            (5, &["whole", "name"]),
            (9, &["whole", "name", "above", "another"]),
            (10, &["whole", "name", "above", "another"]),
            (11, &["whole", "name", "beside"]),
            (12, &[]),
        ] {
            assert_eq!(silenced(line), expected, "line {line}");
        }
    }

    #[test]
    fn what_only_looks_like_the_comment_is_none() {
        for line in
            ["x# egressctl: allow(a)", "# egressctl: allow(a", "# egressctl allow(a)", "# allow(a)"]
        {
            assert_eq!(names(line), None, "{line}");
        }
    }

    /// Each name that the sources give a warning is in the table, and each in the table is given.
    #[test]
    fn the_table_has_every_name() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Where a warning is made, its name comes first.
        let name = r#"(?:warning|warn|add_about|of|Some|name:)[( ]\s*"([a-z]+(?:-[a-z]+)+)""#;
        let name = regex::Regex::new(name).unwrap();
        // A doubt's name stands before its message, or between two things that it is about.
        let of_doubt = regex::Regex::new(r#"[(,{] *\s*"([a-z]+(?:-[a-z]+)+)"[,)]?"#).unwrap();
        let mut given = std::collections::BTreeSet::new();
        let folders = [
            "src/policy/warnings.rs",
            "src/policy/warnings",
            "src/doubts.rs",
            "src/doubts",
            "crates/egressctl/src/check",
            "crates/egressctl/src/check.rs",
            "crates/egressctl/src/allow.rs",
        ];
        let mut left: Vec<_> = folders.iter().map(|name| root.join(name)).collect();
        while let Some(path) = left.pop() {
            if path.is_dir() {
                left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            if path
                .components()
                .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
            {
                continue;
            }
            let name = if path.to_string_lossy().contains("doubts") { &of_doubt } else { &name };
            let text = std::fs::read_to_string(path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod tests {\n").next().unwrap_or_default();
            given.extend(name.captures_iter(text).map(|found| found[1].to_owned()));
        }
        let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert!(known.is_sorted(), "{known:?}");
        let missing: Vec<&String> =
            given.iter().filter(|name| !known.contains(&name.as_str())).collect();
        assert_eq!(missing, Vec::<&String>::new(), "are not in the table");
        let unused: Vec<&&str> = known.iter().filter(|name| !given.contains(**name)).collect();
        assert_eq!(unused, Vec::<&&str>::new(), "are not given");
    }

    /// `BLESS=1` writes the table anew.
    #[test]
    fn the_documents_have_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/egressctl.md");
        let text = std::fs::read_to_string(page).unwrap();
        let (before, rest) = text.split_once("<!-- warnings -->\n").unwrap();
        let (table, after) = rest.split_once("<!-- end -->\n").unwrap();
        let rows = NAMES.iter().map(|(name, what)| format!("| `{name}` | {what} |\n"));
        let wanted =
            format!("| name | what it is about |\n|---|---|\n{}", rows.collect::<String>());
        if std::env::var_os("BLESS").is_some() {
            let text = format!("{before}<!-- warnings -->\n{wanted}<!-- end -->\n{after}");
            std::fs::write(page, text).unwrap();
            return;
        }
        assert_eq!(table, wanted, "{page}: run with BLESS=1");
    }
}
