//! The replacement text of `regexReplace`.

/// A part of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// Literal text.
    Text(&'t str),
    /// What the group of this number matched.
    Group(usize),
    /// What the group of this name matched.
    Named(&'t str),
}

/// The parts of a replacement. `$1`, `$name` (with as many letters, digits and underscores as
/// follow) and `${name}` are groups. `$$` is a dollar, and so is a dollar before anything else.
pub(crate) fn parts(replacement: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = replacement;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, after) = next(rest);
        rest = after;
        Some(part)
    })
}

fn next(rest: &str) -> (Part<'_>, &str) {
    let Some(after) = rest.strip_prefix('$') else {
        let (text, rest) =
            rest.split_at_checked(rest.find('$').unwrap_or(rest.len())).unwrap_or((rest, ""));
        return (Part::Text(text), rest);
    };
    if let Some(after) = after.strip_prefix('$') {
        return (Part::Text("$"), after);
    }
    let named = match after.strip_prefix('{') {
        Some(inside) => inside.split_once('}'),
        None => {
            let end =
                after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at_checked(end).filter(|(name, _)| !name.is_empty())
        }
    };
    match named {
        Some((name, after)) => (name.parse().map_or(Part::Named(name), Part::Group), after),
        None => (Part::Text("$"), after),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn groups_are_found_as_the_regex_crate_finds_them() {
        let regex = ::regex::Regex::new("(a)(?P<b>b)(?P<c_1>c)").unwrap();
        let groups = regex.captures("abc").unwrap();
        for replacement in [
            "", "x", "$1", "${1}x", "$1x", "$b$c_1", "${b}", "$", "$$", "$$1", "a$ b", "${", "${b",
            "${}", "$9", "$none|", "$1$2$3$0", "{id}", "$\u{e9}", "${ b}",
        ] {
            let mut expected = String::new();
            groups.expand(replacement, &mut expected);
            let made: String = parts(replacement)
                .map(|part| match part {
                    Part::Text(text) => text,
                    Part::Group(index) => groups.get(index).map_or("", |group| group.as_str()),
                    Part::Named(name) => groups.name(name).map_or("", |group| group.as_str()),
                })
                .collect();
            assert_eq!(made, expected, "{replacement}");
        }
    }
}
