//! HTTP/1.1 as bytes: requests written exactly as asked, malformed ones too, and messages read with
//! every header line kept, in order and as it came.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One header line: its name and its value.
pub type HeaderLine = (Vec<u8>, Vec<u8>);

/// The most that a message's head may measure, in bytes.
const MAX_HEAD: usize = 1 << 20;

/// The most that a message's body may measure, in bytes.
const MAX_BODY: usize = 64 << 20;

/// Header lines of a message, with the look-ups that tests need.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(
    /// The lines in the order in which they came.
    pub Vec<HeaderLine>,
);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self
            .0
            .iter()
            .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()));
        f.debug_list().entries(lines).finish()
    }
}

impl Headers {
    /// The first value under a name, whatever the case of its letters.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// All values under a name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| &value[..])
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// A request to send: nothing is added to it but a `content-length` where it has a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target as it goes on the wire: a path with its query, or an absolute URI.
    pub target: Vec<u8>,
    /// The header lines in order, repeats allowed.
    pub headers: Vec<HeaderLine>,
    /// The body; empty means none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A GET request for a path at a host.
    pub fn get(host: &str, target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target).header("Host", host)
    }

    /// Appends a header line.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body, which is sent with its `content-length`.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The bytes of this request on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A response as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// Whether the connection serves no further request.
    pub closes: bool,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.text())
            .field("closes", &self.closes)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// The first value of a header as text, bytes that are no UTF-8 replaced.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The body as text, bytes that are no UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header lines.
    pub headers: Headers,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// Whether the client closes the connection after this request.
    pub closes: bool,
}

/// One connection on which HTTP/1.1 messages are exchanged.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    /// What was read and is not yet consumed.
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Wraps a stream on which nothing was exchanged yet.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The stream underneath; what was read and not consumed is lost.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Sends a request and reads its response.
    ///
    /// # Errors
    /// When the connection fails or the response is no HTTP/1.1.
    pub async fn request(&mut self, request: &Request) -> io::Result<Response> {
        self.send_raw(&request.to_bytes(), request.method == "HEAD").await
    }

    /// Sends bytes as they are and reads one response; `head` says that it has no body whatever its
    /// headers say.
    ///
    /// # Errors
    /// When the connection fails or the response is no HTTP/1.1.
    pub async fn send_raw(&mut self, bytes: &[u8], head: bool) -> io::Result<Response> {
        // A server may refuse and close while we still write: its answer counts, not our failure to
        // write on.
        let written = self.write(bytes).await;
        match (self.read_response(head).await, written) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Reads one response, interim ones (1xx) skipped.
    ///
    /// # Errors
    /// When the connection fails or what came is no HTTP/1.1 response.
    pub async fn read_response(&mut self, head: bool) -> io::Result<Response> {
        loop {
            let block = self.head_block().await?.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection was closed without a response",
                )
            })?;
            let mut lines = vec![httparse::EMPTY_HEADER; line_count(&block)];
            let mut parsed = httparse::Response::new(&mut lines);
            parsed.parse(&block).map_err(|error| bad_message("response", error, &block))?;
            let status = parsed.code.unwrap_or_default();
            let version = parsed.version.unwrap_or_default();
            let reason = parsed.reason.unwrap_or_default().to_owned();
            let headers = header_lines(parsed.headers);
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let empty = head || status == 204 || status == 304;
            let until_close = !empty
                && !headers.has_token("transfer-encoding", "chunked")
                && headers.get("content-length").is_none();
            let body = match (empty, until_close) {
                (true, _) => Vec::new(),
                (_, true) => self.rest().await?,
                _ => self.body(&headers).await?,
            };
            let closes = until_close || version == 0 || headers.has_token("connection", "close");
            return Ok(Response { status, reason, headers, body, closes });
        }
    }

    /// Reads one request, or nothing when the client closed the connection between two.
    ///
    /// # Errors
    /// When the connection fails or what came is no HTTP/1.1 request.
    pub async fn read_request(&mut self) -> io::Result<Option<ReceivedRequest>> {
        let Some(block) = self.head_block().await? else { return Ok(None) };
        let mut lines = vec![httparse::EMPTY_HEADER; line_count(&block)];
        let mut parsed = httparse::Request::new(&mut lines);
        parsed.parse(&block).map_err(|error| bad_message("request", error, &block))?;
        let method = parsed.method.unwrap_or_default().to_owned();
        let target = parsed.path.unwrap_or_default().to_owned();
        let headers = header_lines(parsed.headers);
        let body = self.body(&headers).await?;
        let closes = headers.has_token("connection", "close");
        Ok(Some(ReceivedRequest { method, target, headers, body, closes }))
    }

    /// Takes the bytes up to and including the empty line that ends a head; nothing at a clean end.
    async fn head_block(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            if let Some(at) = find(&self.buffer[seen..], b"\r\n\r\n") {
                return Ok(Some(self.buffer.drain(..seen + at + 4).collect()));
            }
            seen = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > MAX_HEAD {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a head of more than {MAX_HEAD} bytes"),
                ));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(cut_off("a head")) };
            }
        }
    }

    async fn body(&mut self, headers: &Headers) -> io::Result<Vec<u8>> {
        if headers.has_token("transfer-encoding", "chunked") {
            return self.chunked_body().await;
        }
        let Some(length) = headers.get("content-length") else { return Ok(Vec::new()) };
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|&length| length <= MAX_BODY)
            .ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "an illegal content-length")
            })?;
        self.take(length).await
    }

    async fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(size)
                .ok()
                .and_then(|text| usize::from_str_radix(text, 16).ok())
                .filter(|size| body.len().saturating_add(*size) <= MAX_BODY)
                .ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "an illegal chunk size")
                })?;
            if size == 0 {
                while !self.line().await?.is_empty() {} // trailers
                return Ok(body);
            }
            body.extend(self.take(size).await?);
            self.take(2).await?;
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let mut line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                line.truncate(at);
                return Ok(line);
            }
            if self.fill().await? == 0 {
                return Err(cut_off("a chunk"));
            }
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(cut_off("a body"));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill().await? != 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn header_lines(headers: &[httparse::Header<'_>]) -> Headers {
    Headers(
        headers
            .iter()
            .map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec()))
            .collect(),
    )
}

fn line_count(block: &[u8]) -> usize {
    block.iter().filter(|&&byte| byte == b'\n').count()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn bad_message(what: &str, error: httparse::Error, block: &[u8]) -> io::Error {
    let start = String::from_utf8_lossy(&block[..block.len().min(120)]).into_owned();
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP/1.1 {what}: {error}: {start:?}"))
}

fn cut_off(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection was closed within {what}"))
}

#[cfg(test)]
mod tests;
