//! YAML as people like to read it and Kubernetes reads it right: comments, block scalars, and
//! quotes where YAML 1.1 would make something else of a text.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::yaml::{self, Node, Value};

/// The longest line of a comment.
const WIDTH: usize = 120;

/// A value of the resource that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
    List(Vec<Item>),
    Map(Vec<(String, Tree)>),
}

/// An item of a list, with the comment above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) comment: Vec<String>,
    pub(crate) tree: Tree,
}

impl Tree {
    pub(crate) fn text(text: impl Into<String>) -> Tree {
        Tree::Text(text.into())
    }

    /// An object with these fields.
    pub(crate) fn map<N: Into<String>>(fields: impl IntoIterator<Item = (N, Tree)>) -> Tree {
        Tree::Map(fields.into_iter().map(|(name, tree)| (name.into(), tree)).collect())
    }

    /// A value of the source as it is there, without the fields that are null: Kubernetes reads
    /// null as left out.
    pub(crate) fn of(node: &Node) -> Tree {
        match &node.value {
            Value::Null => Tree::Map(Vec::new()),
            Value::Bool(flag) => Tree::Bool(*flag),
            Value::Number(number) => Tree::Number(number.clone()),
            Value::String(text, _) => Tree::text(text),
            Value::List(items) => Tree::list(items.iter().map(Tree::of)),
            Value::Map(fields) => {
                let given = fields.iter().filter(|(_, node)| !matches!(node.value, Value::Null));
                Tree::map(given.map(|(key, node)| (key.name.as_str(), Tree::of(node))))
            }
        }
    }

    /// A field, where it is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Map(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, it)| it),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Tree>) -> Tree {
        Tree::List(items.into_iter().map(|tree| Item { comment: Vec::new(), tree }).collect())
    }

    pub(crate) fn texts(items: impl IntoIterator<Item = String>) -> Tree {
        Tree::list(items.into_iter().map(Tree::Text))
    }

    /// As YAML.
    pub(crate) fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    /// Writes it after a key or dash, or at the start of a line for a whole document.
    fn write(&self, out: &mut String, indent: usize) {
        match self {
            Tree::Text(text) => {
                out.push_str(&scalar(text, indent));
                out.push('\n');
            }
            Tree::Number(number) => out.push_str(&format!("{number}\n")),
            Tree::Bool(flag) => out.push_str(&format!("{flag}\n")),
            Tree::List(items) if items.is_empty() => out.push_str("[]\n"),
            Tree::Map(fields) if fields.is_empty() => out.push_str("{}\n"),
            Tree::List(items) => {
                for item in items {
                    for line in item.comment.iter().flat_map(|text| wrapped(text, indent)) {
                        out.push_str(&format!("{:indent$}# {line}\n", ""));
                    }
                    out.push_str(&format!("{:indent$}-", ""));
                    let is_list = matches!(&item.tree, Tree::List(items) if !items.is_empty());
                    out.push(if is_list { '\n' } else { ' ' });
                    item.tree.write_inline(out, indent.saturating_add(2));
                }
            }
            Tree::Map(fields) => {
                for (name, value) in fields {
                    out.push_str(&" ".repeat(indent));
                    write_field(out, name, value, indent);
                }
            }
        }
    }

    /// Writes it on the line that is begun, and on lines of their own what does not fit there.
    fn write_inline(&self, out: &mut String, indent: usize) {
        let fields = match self {
            Tree::Map(fields) if !fields.is_empty() => fields,
            // A block is indented from the dash.
            Tree::Text(_) => return self.write(out, indent.saturating_sub(2)),
            _ => return self.write(out, indent),
        };
        for (index, (name, value)) in fields.iter().enumerate() {
            if index > 0 {
                out.push_str(&" ".repeat(indent));
            }
            write_field(out, name, value, indent);
        }
    }
}

fn write_field(out: &mut String, name: &str, value: &Tree, indent: usize) {
    if is_plain(name) {
        out.push_str(name);
    } else {
        out.push_str(&quoted(name));
    }
    out.push(':');
    match value {
        Tree::Map(fields) if !fields.is_empty() => {
            out.push('\n');
            value.write(out, indent.saturating_add(2));
        }
        Tree::List(items) if !items.is_empty() => {
            out.push('\n');
            value.write(out, indent);
        }
        _ => {
            out.push(' ');
            value.write(out, indent);
        }
    }
}

/// A text as a scalar, at an indentation; without the line's end.
fn scalar(text: &str, indent: usize) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let printable = |c: char| matches!(c, ' '..='~') || c.is_alphanumeric();
    if text.chars().all(printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let lines = text.strip_suffix('\n').unwrap_or(text);
    let is_block = lines.chars().all(|c| c == '\n' || printable(c))
        && !lines.starts_with([' ', '\n'])
        && !lines.ends_with('\n')
        && lines.contains(|c: char| c != '\n' && c != ' ');
    if !is_block {
        return quoted(text);
    }
    let indent = indent.saturating_add(2);
    let mut block = if lines.len() == text.len() { "|-".to_owned() } else { "|".to_owned() };
    for line in lines.split('\n') {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&format!("{:indent$}{line}", ""));
        }
    }
    block
}

/// Whether a text needs no quotes: every reader of YAML takes it for a text.
fn is_plain(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(legal)
        && !text.ends_with(':')
        && yaml::parse(text).is_ok_and(|read| {
            let [node] = read.as_slice() else { return false };
            matches!(&node.value, Value::String(same, _) if same == text)
        })
}

/// In double quotes, with escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// A comment's text in lines; nothing in it can end the comment.
fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let width = WIDTH.saturating_sub(indent);
    let mut lines = vec![String::new()];
    for word in
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty())
    {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len().saturating_add(word.len()) < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Tree::Text(text) => serializer.serialize_str(text),
            Tree::Number(number) => number.serialize(serializer),
            Tree::Bool(flag) => serializer.serialize_bool(*flag),
            Tree::List(items) => serializer.collect_seq(items.iter().map(|item| &item.tree)),
            Tree::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_of(yaml: &str) -> String {
        let documents = yaml::parse(yaml).unwrap_or_else(|error| panic!("{yaml}: {error:?}"));
        documents.first().map(crate::yaml::Node::to_json).unwrap_or_default()
    }

    #[test]
    fn texts_stand_in_the_plainest_form_that_keeps_them() {
        for (text, expected) in [
            ("api.github.com", "api.github.com"),
            ("oci://registry.example.com/a:0.1.0", "oci://registry.example.com/a:0.1.0"),
            ("Off", "'Off'"),
            ("no", "'no'"),
            ("1.0", "'1.0'"),
            ("", "''"),
            ("a: b", "'a: b'"),
            ("*.github.com", "'*.github.com'"),
            ("it's", "'it''s'"),
            ("a\nb", "|-\n  a\n  b"),
            ("a\n\n b\n", "|\n  a\n\n   b"),
            (" a\nb", "\" a\\nb\""),
            ("a\tb", "\"a\\tb\""),
            ("a\n\n", "\"a\\n\\n\""),
            ("a\u{85}b", "\"a\\U00000085b\""),
        ] {
            assert_eq!(scalar(text, 0), expected, "{text:?}");
        }
    }

    #[test]
    fn a_comment_stays_one() {
        let item = Item {
            comment: vec!["a\nb: c\r- d ".to_owned() + &"long ".repeat(40)],
            tree: Tree::text("x"),
        };
        let yaml = Tree::map([("list", Tree::List(vec![item]))]).to_yaml();
        assert_eq!(json_of(&yaml), r#"{"list":["x"]}"#, "{yaml}");
        assert!(yaml.lines().all(|line| line.len() <= WIDTH + 8), "{yaml}");
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let texts =
            prop_oneof!["[ -~]{0,12}", "[a-z0-9:#'\"|>*&!%@`{}, \n\t-]{0,24}", any::<String>()];
        let scalars = prop_oneof![
            texts.prop_map(Tree::Text),
            any::<u64>().prop_map(|number| Tree::Number(number.into())),
            any::<bool>().prop_map(Tree::Bool),
        ];
        scalars.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Tree::list),
                proptest::collection::vec(inner, 0..4).prop_map(|values| Tree::map(
                    ["a", "on", "policies", "it's: #\n1"].into_iter().zip(values)
                )),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_written_is_read_as_it_was(value in trees()) {
            let tree = Tree::map([("root", value.clone()), ("list", Tree::list([value]))]);
            let yaml = tree.to_yaml();
            prop_assert_eq!(json_of(&yaml), serde_json::to_string(&tree).unwrap(), "{}", yaml);
        }
    }
}
