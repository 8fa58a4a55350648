//! What is said of a text that is not YAML: the parser's words, and the mend of what people get
//! wrong when they write expressions into YAML.

/// The message for the parser's one, noticed where `rest` begins.
pub(super) fn message(parsers: &str, rest: &str) -> String {
    // The parser has them in some of its messages.
    let parsers = parsers.trim_start_matches("invalid ");
    match mend(parsers, rest) {
        Some(mend) => format!("{parsers}: {mend}"),
        None => parsers.to_owned(),
    }
}

fn mend(parsers: &str, rest: &str) -> Option<String> {
    const MENDS: [(&str, &str); 6] = [
        ("tabs disallowed", "indent with spaces"),
        (
            "trailing content after",
            "a value that begins with a quote ends at the next one, so put the whole value into \
             the other kind of quotes, or on a line of its own behind `>-`",
        ),
        (
            "mapping values are not allowed",
            "indent the fields of an object alike, and put a text with `: ` in it into quotes",
        ),
        ("did not find expected key", "indent the fields of an object alike"),
        ("did not find expected '-' indicator", "indent the entries of a list alike"),
        ("while parsing a flow", "close what `[` or `{` opens"),
    ];
    if let Some(first @ ('*' | '@' | '%' | '`')) = rest.chars().next() {
        return Some(format!("a value that begins with `{first}` needs quotes around it"));
    }
    MENDS.iter().find(|(known, _)| parsers.contains(known)).map(|(_, mend)| (*mend).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    #[test]
    fn what_people_get_wrong_is_told_with_the_mend() {
        for (text, mend) in [
            ("a: *.foo", "a value that begins with `*` needs quotes around it"),
            ("a: @b", "a value that begins with `@` needs quotes around it"),
            ("a:\n\tb: 1", ": indent with spaces"),
            ("- \"GET\" == request.method", "put the whole value into the other kind of quotes"),
            ("a: b\n   c: d", ": indent the fields of an object alike"),
            ("a: [b", ": close what `[` or `{` opens"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with("not valid YAML: "), "{text}: {error}");
            assert!(error.contains(mend), "{text}: {error}");
            assert!(!error.contains("invalid"), "{text}: {error}");
        }
    }
}
