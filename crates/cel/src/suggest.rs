//! The nearest known name to one that is not known, for error messages.

/// The longest name for which a similar one is searched, in bytes. No known name is longer.
const MAX_NAME: usize = 256;

/// The candidate nearest to `name`, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_NAME {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean ...?)`, or nothing.
#[must_use]
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates)
        .map_or_else(String::new, |found| format!(" (did you mean `{found}`?)"))
}

/// The Levenshtein distance, with the case of ASCII letters counting as nothing: known names have
/// no others.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut above_left = i;
        let mut last = i.saturating_add(1);
        for (cell, right) in row.iter_mut().skip(1).zip(&b) {
            let replaced =
                above_left.saturating_add(usize::from(!left.eq_ignore_ascii_case(right)));
            above_left = *cell;
            last = replaced.min(last.saturating_add(1)).min(cell.saturating_add(1));
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        for (slip, meant) in
            [("identty", "identity"), ("Host", "host"), ("namespce", "namespace"), ("pth", "path")]
        {
            assert_eq!(
                nearest(slip, ["identity", "host", "namespace", "path"]),
                Some(meant),
                "{slip}"
            );
        }
    }

    #[test]
    fn a_far_name_finds_nothing() {
        assert_eq!(nearest("jwt", ["identity", "address", "port"]), None);
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, expected) in [
            ("", "", 0),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
