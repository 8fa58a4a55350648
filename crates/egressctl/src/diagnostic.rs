//! Findings in a file, shown with their line and a caret, or as JSON.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use egress_filter::config::{ConfigError, Spot};
use egress_filter::policy::ConfigWarning;
use saphyr_parser::ScalarStyle;
use serde::Serialize;

use crate::manifest::Plugin;
use crate::source::Source;
use crate::yaml::{Node, Value};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It will not load, or not do what it is for.
    Error,
    /// It is legal and can hardly be meant.
    Warning,
    /// It is worth knowing.
    Note,
}

/// One finding about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    /// The name of a warning, by which it can be silenced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<&'static str>,
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// The column behind what it is about, on the same line.
    pub(crate) end_column: usize,
    #[serde(skip)]
    pub(crate) span: Range<usize>,
    /// The policy it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    /// The path in the document, such as `spec.pluginConfig.policies[0].name`; empty for the
    /// document as a whole.
    pub(crate) path: String,
    /// In lower case, without a full stop.
    pub(crate) message: String,
}

impl Diagnostic {
    pub(crate) fn new(
        severity: Severity,
        source: &Source,
        span: Range<usize>,
        message: String,
    ) -> Diagnostic {
        let span = source.first_line(span);
        let (line, column) = source.line_and_column(span.start);
        // On the same line.
        let width = source.text.get(span.clone()).unwrap_or_default().chars().count();
        let end_column = column.saturating_add(width);
        Diagnostic {
            severity,
            name: None,
            file: source.name.clone(),
            line,
            column,
            end_column,
            span,
            policy: None,
            path: String::new(),
            message,
        }
    }

    pub(crate) fn error(source: &Source, span: Range<usize>, message: String) -> Diagnostic {
        Diagnostic::new(Severity::Error, source, span, message)
    }

    /// A warning that can be silenced by this name.
    pub(crate) fn warning(
        name: &'static str,
        source: &Source,
        span: Range<usize>,
        message: String,
    ) -> Diagnostic {
        Diagnostic { name: Some(name), ..Diagnostic::new(Severity::Warning, source, span, message) }
    }

    pub(crate) fn at(mut self, path: impl Into<String>) -> Diagnostic {
        self.path = path.into();
        self
    }

    pub(crate) fn of_policy(mut self, policy: Option<String>) -> Diagnostic {
        self.policy = policy;
        self
    }

    /// An error of the engine, where it stands in the file.
    pub(crate) fn of_error(source: &Source, plugin: Plugin<'_>, error: &ConfigError) -> Diagnostic {
        let span = span_of(source, plugin, &error.place, &error.spot);
        let path = join(plugin.prefix(), &error.place);
        let mut message = error.message.clone();
        let written = source.text.get(span.clone()).unwrap_or_default();
        // YAML has made an object of it.
        if message == "expected a string, got an object" && written.contains(": ") {
            message.push_str(": a text with `: ` in it needs quotes around the whole");
        }
        Diagnostic::error(source, span, message).at(path).of_policy(error.policy.clone())
    }

    /// A warning of the engine, where it stands in the file.
    pub(crate) fn of_warning(
        source: &Source,
        plugin: Plugin<'_>,
        warning: &ConfigWarning,
    ) -> Diagnostic {
        let span = span_of(source, plugin, &warning.place, &warning.spot);
        let path = join(plugin.prefix(), &warning.place);
        Diagnostic::warning(warning.name, source, span, warning.message.clone())
            .at(path)
            .of_policy(warning.policy.clone())
    }
}

/// The path of a place in a configuration, from its document's root.
fn join(prefix: &str, place: &str) -> String {
    match (prefix, place) {
        ("", rest) | (rest, "") => rest.to_owned(),
        (prefix, place) if place.starts_with('[') => format!("{prefix}{place}"),
        (prefix, place) => format!("{prefix}.{place}"),
    }
}

/// The part of the file that an error or a warning of the engine is about.
fn span_of(source: &Source, plugin: Plugin<'_>, place: &str, spot: &Spot) -> Range<usize> {
    let node = nearest(plugin, place);
    let whole = || match &node.value {
        // Of an object or a list its name, rather than the first thing in it.
        Value::Map(_) | Value::List(_) => {
            name_of(plugin, place).unwrap_or_else(|| node.span.clone())
        }
        // The first line of a text in a block.
        Value::String(_, ScalarStyle::Literal | ScalarStyle::Folded) => {
            let start = node.byte_of(&source.text, 0);
            start..node.span.end.max(start)
        }
        _ => node.span.clone(),
    };
    match spot {
        Spot::Whole => whole(),
        Spot::Field(name) => field(node, name).unwrap_or_else(whole),
        Spot::Source { line, column } => {
            let character = node.as_str().map_or(0, |text| character_of(text, *line, *column));
            let start = node.byte_of(&source.text, character);
            start..word_end(&source.text, start)
        }
    }
}

/// Where the name of what is at a place is written, if it is a field.
fn name_of(plugin: Plugin<'_>, place: &str) -> Option<Range<usize>> {
    let path = join(plugin.prefix(), place);
    let (above, name) = path.rsplit_once('.').unwrap_or(("", &path));
    plugin.resource.at(above)?.field(name).map(|(key, _)| key.span.clone())
}

/// The node at a place of a plugin's configuration, or the nearest above it that there is.
fn nearest<'d>(plugin: Plugin<'d>, place: &str) -> &'d Node {
    let Some(config) = plugin.config else { return plugin.resource };
    let mut path = place;
    loop {
        if let Some(node) = config.at(path) {
            return node;
        }
        match path.rfind(['.', '[']) {
            Some(cut) => path = path.get(..cut).unwrap_or_default(),
            None => return config,
        }
    }
}

/// The last field of a name; where one is given twice, that is the superfluous one.
fn field(node: &Node, name: &str) -> Option<Range<usize>> {
    node.fields()?.iter().rev().find(|(key, _)| key.name == name).map(|(key, _)| key.span.clone())
}

/// The index of the character at line and column, both from 1.
fn character_of(text: &str, line: usize, column: usize) -> usize {
    let before = text
        .split('\n')
        .take(line.saturating_sub(1))
        .map(|line| line.chars().count().saturating_add(1));
    before.fold(0, usize::saturating_add).saturating_add(column.saturating_sub(1))
}

/// The end of the name, number, string or sign that begins at a byte.
fn word_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| line.starts_with(quote));
    let closing = quote.and_then(|quote| {
        Some(line.get(quote.len()..)?.find(quote)?.saturating_add(quote.len().saturating_mul(2)))
    });
    let word =
        rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    start.saturating_add(closing.unwrap_or(word).max(first))
}

/// For people: the message, the line and a caret. The colours are left out where the output is no
/// terminal.
pub(crate) fn render(source: &Source, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = match &diagnostic.policy {
        Some(policy) => format!("policy `{policy}`: {}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    // In a long file, only this line is read.
    let (number, start, line) = source.line(diagnostic.span.start);
    let span =
        diagnostic.span.start.saturating_sub(start)..diagnostic.span.end.saturating_sub(start);
    let (part, span) = cut(line, &span).unwrap_or((Cow::Borrowed(line), span));
    let column = part.get(..span.start).unwrap_or_default().chars().count().saturating_add(1);
    let mark = AnnotationKind::Primary.span(span);
    let snippet = Snippet::source(part).line_start(number).path(&diagnostic.file).annotation(mark);
    let mut report: Group<'_> = level.primary_title(&title).element(snippet);
    if !diagnostic.path.is_empty() {
        report = report.element(Level::NOTE.with_name("at").message(&diagnostic.path));
    }
    if let Some(name) = diagnostic.name {
        let silence = format!("# egressctl: allow({name})");
        report = report.element(Level::HELP.with_name("silence").message(silence));
    }
    let shown = Renderer::styled().decor_style(DecorStyle::Ascii).render(&[report]);
    // The renderer counts the columns of what it was given.
    let place = |column: usize| format!("{}:{number}:{column}", diagnostic.file);
    if column == diagnostic.column {
        shown
    } else {
        shown.replacen(&place(column), &place(diagnostic.column), 1)
    }
}

/// The longest line that is shown whole to the renderer, and how much of a longer one is shown
/// around what it is about: the renderer reads all of a line for each of its errors, and all of a
/// JSON file may be one line.
const LONG_LINE: usize = 500;
const AROUND: usize = 60;

/// The part of a long line around a span, and where the span lies in it.
fn cut(line: &str, span: &Range<usize>) -> Option<(Cow<'static, str>, Range<usize>)> {
    if line.len() <= LONG_LINE {
        return None;
    }
    let back = |at: usize| {
        (0..=at.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0)
    };
    let from = back(span.start.saturating_sub(AROUND));
    let end = back(span.end.min(span.start.saturating_add(AROUND)).max(span.start));
    let to = back(end.saturating_add(AROUND));
    let (before, after) =
        (if from > 0 { "..." } else { "" }, if to < line.len() { "..." } else { "" });
    let part = format!("{before}{}{after}", line.get(from..to).unwrap_or_default());
    let moved = |at: usize| at.saturating_sub(from).saturating_add(before.len());
    Some((Cow::Owned(part), moved(span.start)..moved(end)))
}

/// The most findings that are shown to people. JSON has all of them.
const MAX_SHOWN: usize = 1_000;

/// Writes findings for people, each with its line and a caret. If there are very many, it writes
/// how many more there are.
pub(crate) fn write_all<'d>(
    out: &mut impl Write,
    found: impl IntoIterator<Item = (&'d Source, &'d Diagnostic)>,
) -> io::Result<()> {
    let mut found = found.into_iter();
    for (source, diagnostic) in found.by_ref().take(MAX_SHOWN) {
        writeln!(out, "{}\n", render(source, diagnostic))?;
    }
    match found.count() {
        0 => Ok(()),
        more => writeln!(out, "... and {more} more: `--output json` has all of them\n"),
    }
}

/// In one line, without colours: `file:line:column: error: message`.
pub(crate) fn plain(source: &Source, diagnostic: &Diagnostic) -> String {
    format!("{}:{}:{}: {}", source.name, diagnostic.line, diagnostic.column, diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short line is as the renderer has it; of a long one, the part around the place, which
    /// keeps its column.
    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let shown = |text: &str| {
            let source = Source::new("a.json".to_owned(), text);
            let at = text.find("HERE").unwrap();
            let found = Diagnostic::error(&source, at..at + 4, "wrong".to_owned()).at("b[1]");
            anstream::adapter::strip_str(&render(&source, &found)).to_string()
        };
        assert_eq!(
            shown("ab HERE"),
            "error: wrong\n --> a.json:1:4\n  |\n1 | ab HERE\n  |    ^^^^\n  |\n  = at: b[1]"
        );
        let long = "ä".repeat(400);
        let lines = shown(&format!("\n{long}HERE{long}"));
        let around = "ä".repeat(30);
        let marks = " ".repeat(33) + "^^^^";
        assert_eq!(
            lines,
            format!(
                "error: wrong\n --> a.json:2:401\n  |\n2 | ...{around}HERE{around}...\n  | \
                 {marks}\n  |\n  = at: b[1]"
            )
        );
    }

    #[test]
    fn a_word_is_a_name_a_string_or_one_sign() {
        for (text, expected) in [
            ("request.path == 1", "request.path"),
            ("== 1", "="),
            (r#""a b" && c"#, r#""a b""#),
            ("'a' || b", "'a'"),
            (r#"\"a\" || b"#, r#"\"a\""#),
            ("'open\n'", "'"),
            ("ü1.x-y", "ü1.x"),
            ("", ""),
        ] {
            assert_eq!(text.get(..word_end(text, 0)), Some(expected), "{text}");
        }
    }
}
