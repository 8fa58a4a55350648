//! A header map that behaves as Envoy's, and the ABI's encoding of one.

use crate::inline;

/// Which of the two messages of an HTTP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// Envoy refuses to read a serialised map that is larger than this, and takes it for an empty one.
const MAX_PAIRS_BYTES: usize = 1024 * 1024;
const MAX_PAIRS: usize = 1024;

/// Header lines as bytes: names in lower case, pseudo headers first, otherwise in the order they
/// were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    lines: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whose headers they are: it decides which lines Envoy joins.
    kind: Message,
}

impl Default for Headers {
    fn default() -> Self {
        Headers { lines: Vec::new(), kind: Message::Request }
    }
}

impl Headers {
    /// An empty map of a request's headers.
    #[must_use]
    pub fn request() -> Self {
        Self::default()
    }

    /// An empty map of a response's headers.
    #[must_use]
    pub fn response() -> Self {
        Self { kind: Message::Response, ..Self::default() }
    }

    /// Adds a line, or joins the value to the existing one where Envoy keeps only one line of that
    /// name.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = self.canonical(name.as_ref());
        let value = value.as_ref();
        if inline::is_inline(self.kind, &name)
            && let Some((_, old)) = self.lines.iter_mut().find(|(key, _)| *key == name)
        {
            inline::join(old, value);
            return;
        }
        let at = if name.starts_with(b":") {
            self.lines.iter().take_while(|(key, _)| key.starts_with(b":")).count()
        } else {
            self.lines.len()
        };
        self.lines.insert(at, (name, value.to_vec()));
    }

    /// Removes every line.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// Envoy's request map has one entry for `host` and `:authority`.
    fn canonical(&self, name: &[u8]) -> Vec<u8> {
        let name = name.to_ascii_lowercase();
        if self.kind == Message::Request && name == b"host" { b":authority".to_vec() } else { name }
    }

    /// Removes every line of that name and adds this one.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.add(name, value);
    }

    /// Removes every line of that name.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        let name = self.canonical(name.as_ref());
        self.lines.retain(|(key, _)| *key != name);
    }

    /// The first line of that name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = self.canonical(name.as_ref());
        self.lines.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice())
    }

    /// The values of every line of that name, in order.
    #[must_use]
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> Vec<&[u8]> {
        let name = self.canonical(name.as_ref());
        self.lines
            .iter()
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.as_slice())
            .collect()
    }

    /// The first line of that name as text, with replacement characters for what is no UTF-8.
    #[must_use]
    pub fn text(&self, name: impl AsRef<[u8]>) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The values of every line of that name, joined with a comma as Envoy's attributes show them.
    #[must_use]
    pub fn joined(&self, name: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let all = self.get_all(name);
        (!all.is_empty()).then(|| all.join(b",".as_slice()))
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.lines
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The size of all names and values, as Envoy counts it.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        self.lines.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// A map as the ABI hands it over: count, then the sizes of each name and value, then each with a
/// NUL after it.
pub(crate) fn encode_pairs(lines: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let word =
        |out: &mut Vec<u8>, number: usize| out.extend_from_slice(&(number as u32).to_le_bytes());
    word(&mut out, lines.len());
    for (name, value) in lines {
        word(&mut out, name.len());
        word(&mut out, value.len());
    }
    for (name, value) in lines {
        for part in [name, value] {
            out.extend_from_slice(part);
            out.push(0);
        }
    }
    out
}

/// Reads a map as Envoy does: whatever is malformed or too large counts as an empty map.
pub(crate) fn decode_pairs(bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    if bytes.len() > MAX_PAIRS_BYTES {
        return Vec::new();
    }
    try_decode(bytes).unwrap_or_default()
}

fn try_decode(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let word = |at: usize| -> Option<usize> {
        let four = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let count = word(0)?;
    if count > MAX_PAIRS {
        return None;
    }
    let mut at = 4 + count * 8;
    let mut part = |size: usize| -> Option<Vec<u8>> {
        let end = at.checked_add(size)?;
        let value = bytes.get(at..end)?.to_vec();
        (*bytes.get(end)? == 0).then_some(())?;
        at = end + 1;
        Some(value)
    };
    (0..count)
        .map(|index| {
            let name = part(word(4 + index * 8)?)?;
            let value = part(word(8 + index * 8)?)?;
            Some((name, value))
        })
        .collect()
}
