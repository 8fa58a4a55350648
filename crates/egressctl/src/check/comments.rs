//! Comments in expressions that YAML has made longer than they look: in a folded or quoted text, a
//! line break is a blank, so that a `//` takes away all the lines behind it.

use saphyr_parser::ScalarStyle;

use crate::diagnostic::Diagnostic;
use crate::manifest::Plugin;
use crate::source::Source;
use crate::yaml::{Node, Value};

/// Warns of each text in a configuration of which a comment takes lines away.
pub(super) fn lint(
    source: &Source,
    plugin: Plugin<'_>,
    config: &Node,
    found: &mut Vec<Diagnostic>,
) {
    look(source, config, plugin.prefix(), found);
}

fn look(source: &Source, node: &Node, path: &str, found: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                look(source, item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Map(fields) => {
            for (key, value) in fields {
                let name = &key.name;
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                look(source, value, &path, found);
            }
        }
        // The breaks of a literal block are those of the text.
        Value::String(text, style) if *style != ScalarStyle::Literal && is_expression(path) => {
            if let Some(at) = comment(text).and_then(|at| lost(source, node, text, at)) {
                let message = "this comment goes on to the end of the text, since YAML joins the \
                    lines here: what stands below it is not part of the expression. Write the \
                    text as a block with `|`";
                let span = at..at.saturating_add(2);
                found.push(
                    Diagnostic::warning("folded-comment", source, span, message.to_owned())
                        .at(path.to_owned()),
                );
            }
        }
        _ => {}
    }
}

/// Whether a field has an expression. A comment in another text is none.
fn is_expression(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    let name = last.split('[').next().unwrap_or_default();
    matches!(
        name,
        "matchExpressions"
            | "condition"
            | "expression"
            | "value"
            | "body"
            | "bodyExpression"
            | "precondition"
            | "filter"
            | "key"
            | "cost"
            | "limitOverride"
            | "responseMetadata"
    ) || path.contains("requestMetadata.")
        || path.contains("addRequestHeaders.")
        || path.contains(".fields.add.")
}

/// The byte of a text at which its first comment begins.
fn comment(text: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (None, '/') if letters.peek().is_some_and(|(_, next)| *next == '/') => return Some(at),
            (Some(_), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

/// Where a comment is written, if a line with something on it follows in the same text, although
/// the text has no line break there.
fn lost(source: &Source, node: &Node, text: &str, comment: usize) -> Option<usize> {
    if text.get(comment..)?.trim_end().contains('\n') {
        return None;
    }
    let written = source.text.get(node.span.clone())?;
    let character = text.get(..comment)?.chars().count();
    let at = node.byte_of(&source.text, character);
    // In a quoted text, or where breaks were joined, the place is looked for.
    let start = match source.text.get(at..) {
        Some(rest) if rest.starts_with("//") => at,
        _ => node.span.start.saturating_add(written.find("//")?),
    };
    let rest = source.text.get(start..node.span.end)?;
    let below = rest.split_once('\n').map(|(_, below)| below)?;
    let is_more = below.chars().any(|c| !c.is_whitespace() && !"\"'".contains(c));
    is_more.then_some(start)
}
