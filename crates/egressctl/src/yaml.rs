//! YAML with the place of every value, read as Kubernetes reads it.
//!
//! `kubectl` and Helm turn YAML into JSON by the rules of YAML 1.1 (sigs.k8s.io/yaml, over go-yaml
//! 2): `Off` and `no` without quotes are booleans. A policy must be checked as the cluster would
//! get it, so the same is done here.

mod merge;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use merge::{has, merge, name_of};
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// The most values to which the aliases of one file may expand.
const MAX_NODES: usize = 2_000_000;

/// A value, and where it stands in the source.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The bytes of the source that it covers.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

/// A value after Kubernetes' conversion to JSON.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String, ScalarStyle),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The name of a field, and where it stands in the source.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) span: Range<usize>,
    pub(crate) name: String,
}

/// Why a text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The byte where it was noticed.
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid YAML: {}", self.message)
    }
}

/// Reads all documents of a text; those that are empty are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    bytes.push(text.len());
    let mut reader = Reader {
        text,
        events: Parser::new_from_str(text),
        bytes,
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        let (event, _) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(_) => {
                reader.anchors.clear();
                let first = reader.next()?;
                let node = reader.node(first, 0)?;
                if !matches!(node.value, Value::Null) {
                    documents.push(node);
                }
            }
            _ => {}
        }
    }
}

/// Whether YAML reads this as a text where it has no quotes.
pub(crate) fn is_text(text: &str) -> bool {
    matches!(scalar::resolve(text), Ok(Value::String(..)))
}

struct Reader<'t> {
    text: &'t str,
    events: Parser<'t, StrInput<'t>>,
    /// The byte at which each character begins.
    bytes: Vec<usize>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

type Spanned<'t> = (Event<'t>, Span);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Spanned<'t>, SyntaxError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                let rest = self.text.get(at..).unwrap_or_default();
                Err(SyntaxError { at, message: syntax::message(error.info(), rest) })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn byte(&self, character: usize) -> usize {
        self.bytes.get(character).or(self.bytes.last()).copied().unwrap_or(0)
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }

    fn node(&mut self, (event, span): Spanned<'t>, depth: usize) -> Result<Node, SyntaxError> {
        let mut range = self.range(span);
        let tag_at = range.start;
        range.start = self.start_of(&event, &range);
        let wrong = |message: String| Err(SyntaxError { at: range.start, message });
        self.nodes = self.nodes.saturating_add(1);
        if depth > MAX_DEPTH {
            return wrong(format!("nested more than {MAX_DEPTH} deep"));
        }
        let deeper = depth.saturating_add(1);
        let (value, anchor, end) = match event {
            Event::Scalar(text, style, anchor, tag) => (
                scalar(text, style, tag.as_deref())
                    .map_err(|message| SyntaxError { at: tag_at, message })?,
                anchor,
                range.end,
            ),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => break self.range(span).end,
                        item => items.push(self.node(item, deeper)?),
                    }
                };
                let last = items.last().map(|item| item.span.end);
                (Value::List(items), anchor, self.end_of(&range, last, end))
            }
            Event::MappingStart(anchor, _) => {
                let (fields, end) = self.fields(deeper)?;
                let last = fields.last().map(|(_, value)| value.span.end);
                (Value::Map(fields), anchor, self.end_of(&range, last, end))
            }
            Event::Alias(anchor) => {
                let Some(found) = self.anchors.get(&anchor).cloned() else {
                    return wrong("an alias of what is yet to come".to_owned());
                };
                self.nodes = self.nodes.saturating_add(found.count());
                if self.nodes > MAX_NODES {
                    return wrong("aliases make too much of this file".to_owned());
                }
                return Ok(found);
            }
            _ => return wrong("expected a value".to_owned()),
        };
        let end = self.closed(&value, range.start..end);
        let node = Node { span: range.start..end.max(range.start), value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Where a value begins, behind its tag and anchor.
    fn start_of(&self, event: &Event<'_>, range: &Range<usize>) -> usize {
        match event {
            // The span of a block begins with its text, unless a tag or an anchor precedes its `|`.
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, 0, None) => range.start,
            Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) => {
                let header = self.behind_properties(range.clone());
                let rest = self.text.get(header..range.end).unwrap_or_default();
                let below = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default();
                range.end.saturating_sub(below.trim_start().len())
            }
            _ => self.behind_properties(range.clone()),
        }
    }

    /// Where a scalar ends: one in quotes with its closing quote, since the parser goes on to a
    /// comment behind it.
    fn closed(&self, value: &Value, range: Range<usize>) -> usize {
        let end = range.end;
        match value {
            Value::String(
                value,
                style @ (ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted),
            ) => text::byte_of(self.text, range, value, *style, usize::MAX)
                .map_or(end, |quote| quote.saturating_add(1)),
            _ => end,
        }
    }

    /// The range without the tag and the anchor that it may begin with.
    fn behind_properties(&self, range: Range<usize>) -> usize {
        let mut start = range.start;
        while let Some(rest) =
            self.text.get(start..range.end).filter(|rest| rest.starts_with(['!', '&']))
        {
            let property = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
            let blank = rest
                .get(property..)
                .map_or(0, |rest| rest.len().saturating_sub(rest.trim_start().len()));
            start = start.saturating_add(property).saturating_add(blank);
        }
        start
    }

    /// The end of a list or an object whose last entry ends at this byte. It is the closing bracket
    /// or the last entry, since the parser reads on to the next token.
    fn end_of(&self, start: &Range<usize>, last: Option<usize>, end: usize) -> usize {
        // Without brackets, no character begins it, and a bracket may follow it.
        let bracket = match self.text.get(start.clone()) {
            Some("{") => '}',
            Some("[") => ']',
            _ => return end.min(last.unwrap_or(end).max(start.end)),
        };
        let mut comment = false;
        let from = last.unwrap_or(start.start);
        let rest = self.text.get(from..end).unwrap_or_default().char_indices();
        let closing = rest.into_iter().find(|(_, c)| {
            comment = *c != '\n' && (comment || *c == '#');
            *c == bracket && !comment
        });
        closing.map_or(end, |(at, _)| from.saturating_add(at).saturating_add(1))
    }

    /// The fields of a mapping, and where it ends.
    fn fields(&mut self, depth: usize) -> Result<(Vec<(Key, Node)>, usize), SyntaxError> {
        let (mut fields, mut merged) = (Vec::new(), Vec::new());
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, span) => {
                    let own = fields.len();
                    for (key, value) in merged {
                        if !has(fields.get(..own).unwrap_or_default(), &key) {
                            fields.push((key, value));
                        }
                    }
                    return Ok((fields, self.range(span).end));
                }
                key => self.node(key, depth)?,
            };
            let value = self.next()?;
            let value = self.node(value, depth)?;
            let at = key.span.start;
            let wrong = |message: String| SyntaxError { at, message };
            if matches!(&key.value, Value::String(name, ScalarStyle::Plain) if name == "<<") {
                let more = merge(value).map_err(wrong)?;
                if let Some((twice, _)) = more.iter().find(|(key, _)| has(&fields, key)) {
                    let name = &twice.name;
                    return Err(wrong(format!(
                        "`<<` stands behind `{name}` and wins over it in kubectl: put `<<` first, \
                         or leave one out"
                    )));
                }
                // Of two `<<` the later wins.
                merged.retain(|(key, _)| !has(&more, key));
                merged.extend(more);
                continue;
            }
            fields.push((Key { span: key.span, name: name_of(&key.value).map_err(wrong)? }, value));
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        None if style == ScalarStyle::Plain => scalar::resolve(&text),
        None => Ok(Value::String(text.into_owned(), style)),
        Some(tag) => {
            // `!!str`, or the same written out: `!<tag:yaml.org,2002:str>`.
            let name = format!("{}{}", tag.handle, tag.suffix);
            match name.strip_prefix("tag:yaml.org,2002:") {
                Some("str") => Ok(Value::String(text.into_owned(), style)),
                Some("bool" | "int" | "float" | "null") => scalar::resolve(&text),
                _ => Err(format!(
                    "unknown tag `{name}`: a value that begins with `!` needs quotes around it"
                )),
            }
        }
    }
}

impl Node {
    /// The kind of this value, for "expected ..., got ...".
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(..) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The fields, if it is an object.
    pub(crate) fn fields(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// A field with its name, if this is an object that has it.
    pub(crate) fn field(&self, name: &str) -> Option<(&Key, &Node)> {
        self.fields()?.iter().find(|(key, _)| key.name == name).map(|(key, value)| (key, value))
    }

    /// The value of a field, if this is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.field(name).map(|(_, value)| value)
    }

    /// The node at a path such as `policies[2].traffic.authorization`; this node itself for the
    /// empty path.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            node = match step.strip_suffix(']') {
                Some(index) => node.items()?.get(index.parse::<usize>().ok()?)?,
                None => node.get(step)?,
            };
        }
        Some(node)
    }

    /// The byte in the source of a character of this text, or the start of the node where that is
    /// unknown.
    pub(crate) fn byte_of(&self, source: &str, character: usize) -> usize {
        match &self.value {
            Value::String(value, style) => {
                text::byte_of(source, self.span.clone(), value, *style, character)
                    .unwrap_or(self.span.start)
            }
            _ => self.span.start,
        }
    }

    /// As JSON, with every field as often as it is given.
    pub(crate) fn to_json(&self) -> String {
        // Serializing into a string cannot fail where all names are strings.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn count(&self) -> usize {
        let below: usize = match &self.value {
            Value::List(items) => items.iter().map(Node::count).fold(0, usize::saturating_add),
            Value::Map(fields) => {
                fields.iter().map(|(_, value)| value.count()).fold(0, usize::saturating_add)
            }
            _ => 0,
        };
        below.saturating_add(1)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text, _) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (key, value) in fields {
                    map.serialize_entry(&key.name, value)?;
                }
                map.end()
            }
        }
    }
}
