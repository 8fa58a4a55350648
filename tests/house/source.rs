//! Rust source as tokens, without comments, literals and test code: enough to see which modules a
//! file declares and which paths it names.

use std::iter::Peekable;
use std::str::Chars;

/// A word (an identifier, keyword or number) or a punctuation character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Mark(char),
}

impl Token {
    pub(crate) fn is(&self, mark: char) -> bool {
        *self == Token::Mark(mark)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Token::Word(word) => Some(word),
            Token::Mark(_) => None,
        }
    }
}

/// The tokens of a file, without those of items that only tests or a feature for tests compile.
pub(crate) fn shipped(text: &str) -> Vec<Token> {
    let tokens = tokens(text);
    let mut kept = Vec::new();
    let mut rest = tokens.as_slice();
    while let [first, behind @ ..] = rest {
        match attribute(rest) {
            Some((attribute, item)) if is_for_tests(attribute) => rest = behind_item(item),
            _ => {
                kept.push(first.clone());
                rest = behind;
            }
        }
    }
    kept
}

/// An attribute at the start of these tokens, and what follows it.
fn attribute(tokens: &[Token]) -> Option<(&[Token], &[Token])> {
    let [hash, open, ..] = tokens else { return None };
    if !hash.is('#') || !open.is('[') {
        return None;
    }
    let mut depth = 0_usize;
    let end = tokens.iter().position(|token| {
        match token {
            Token::Mark('[') => depth = depth.saturating_add(1),
            Token::Mark(']') => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    })?;
    tokens.split_at_checked(end.saturating_add(1))
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let mut words = attribute.iter().filter_map(Token::word);
    if words.next() != Some("cfg") {
        return false;
    }
    let words: Vec<&str> = words.collect();
    let is_named = words.iter().any(|word| ["test", "feature"].contains(word));
    is_named && words.first() != Some(&"not")
}

/// What follows an item: a declaration, or an entry of a list.
fn behind_item(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        let Token::Mark(mark) = token else { continue };
        match mark {
            '(' | '[' | '{' => depth = depth.saturating_add(1),
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(mark, '}' | ';' | ',') {
            return tokens.get(index.saturating_add(1)..).unwrap_or_default();
        }
    }
    &[]
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = rest.next() {
        match letter {
            '/' if rest.next_if_eq(&'/').is_some() => {
                while rest.next_if(|letter| *letter != '\n').is_some() {}
            }
            '/' if rest.next_if_eq(&'*').is_some() => skip_comment(&mut rest),
            '"' => skip_text(&mut rest),
            '\'' => skip_character(&mut rest),
            'r' if matches!(rest.peek(), Some('"' | '#')) => skip_raw(&mut rest),
            _ if letter.is_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                    word.push(next);
                }
                if word == "br" && matches!(rest.peek(), Some('"' | '#')) {
                    skip_raw(&mut rest);
                } else {
                    found.push(Token::Word(word));
                }
            }
            _ if letter.is_whitespace() => {}
            _ => found.push(Token::Mark(letter)),
        }
    }
    found
}

/// Skips to the end of a block comment, which may hold others.
fn skip_comment(rest: &mut Peekable<Chars<'_>>) {
    let mut depth = 1_usize;
    while depth > 0
        && let Some(letter) = rest.next()
    {
        if letter == '/' && rest.next_if_eq(&'*').is_some() {
            depth = depth.saturating_add(1);
        } else if letter == '*' && rest.next_if_eq(&'/').is_some() {
            depth = depth.saturating_sub(1);
        }
    }
}

fn skip_text(rest: &mut Peekable<Chars<'_>>) {
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => drop(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Skips a character; of a lifetime, only the quote.
fn skip_character(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    let first = ahead.next();
    if first == Some('\\') {
        let _ = (rest.next(), rest.next());
        while rest.next_if(|letter| *letter != '\'').is_some() {}
        rest.next();
    } else if ahead.next() == Some('\'') {
        let _ = (rest.next(), rest.next());
    }
}

/// Skips a raw string, behind its `r`.
fn skip_raw(rest: &mut Peekable<Chars<'_>>) {
    let mut hashes = 0_usize;
    while rest.next_if_eq(&'#').is_some() {
        hashes = hashes.saturating_add(1);
    }
    if rest.next_if_eq(&'"').is_none() {
        return;
    }
    while let Some(letter) = rest.next() {
        let mut ahead = rest.clone();
        if letter == '"' && (0..hashes).all(|_| ahead.next() == Some('#')) {
            *rest = ahead;
            return;
        }
    }
}

#[test]
fn comments_literals_and_test_code_are_left_out() {
    let text = r##"
        //! crate::a
        /* crate::b /* x */ crate::c */
        #[cfg(test)]
        mod tests;
        #[cfg(any(test, feature = "x"))]
        #[derive(Debug)]
        fn f(a: A, b: B) -> C { crate::d::e() }
        fn g<'a>(c: char) -> &'a str {
            match c { '"' | '\'' => r#"" crate::f"#, _ => "\" crate::g" }
        }
        #[cfg(not(feature = "x"))]
        use crate::h;
    "##;
    let words: Vec<String> =
        shipped(text).iter().filter_map(|token| token.word().map(str::to_owned)).collect();
    for gone in ["tests", "a", "b", "d", "e", "f"] {
        let is_lifetime = gone == "a";
        assert!(is_lifetime || !words.iter().any(|word| word == gone), "{gone}: {words:?}");
    }
    assert!(words.ends_with(&["use", "crate", "h"].map(str::to_owned)), "{words:?}");
}
