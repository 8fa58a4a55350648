//! HTTP/2 as bytes (RFC 9113), written by hand so that a header can hold what no library would
//! send.

use tokio::io::{AsyncRead, AsyncReadExt};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
pub(super) const ACK: u8 = 0x1;

/// What any receiver takes in one frame.
const MAX_FRAME: usize = 16_384;

/// A header block that is cut in two where it is longer, so that CONTINUATION is tried too.
const CUT: usize = 300;

/// A frame as it came.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// The client's preface: no pushes, no table for header compression, and windows that no answer
/// here fills.
pub(super) fn preface() -> Vec<u8> {
    let settings = [(0x1u16, 0u32), (0x2, 0), (0x4, 1 << 20)];
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &payload));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &(1u32 << 29).to_be_bytes()));
    bytes
}

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block as HEADERS, and CONTINUATION where it is long.
pub(super) fn headers(stream: u32, block: &[u8], ends: bool) -> Vec<u8> {
    let cut = block.len().min(if block.len() > CUT { CUT / 2 } else { CUT });
    let (first, mut rest) = block.split_at(cut);
    let flags = if ends { END_STREAM } else { 0 } | if rest.is_empty() { END_HEADERS } else { 0 };
    let mut bytes = frame(HEADERS, flags, stream, first);
    while !rest.is_empty() {
        let (next, after) = rest.split_at(rest.len().min(MAX_FRAME));
        bytes.extend(frame(
            CONTINUATION,
            if after.is_empty() { END_HEADERS } else { 0 },
            stream,
            next,
        ));
        rest = after;
    }
    bytes
}

/// A literal field without indexing, its name new, neither of them Huffman coded (RFC 7541 section
/// 6.2.2).
pub(super) fn literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend_from_slice(text);
    }
}

/// An integer with a prefix of 7 bits (RFC 7541 section 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        block.push(length as u8);
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The status at the head of a response's header block, of which nothing else is decoded.
pub(super) fn status(block: &[u8]) -> Option<u16> {
    // Updates of the table's size come first.
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20)?;
    let block = &block[at..];
    let of_table = [200, 204, 206, 304, 400, 404, 500];
    match *block.first()? {
        indexed @ 0x88..=0x8e => of_table.get(usize::from(indexed - 0x88)).copied(),
        0x08 | 0x18 | 0x48 => match block.get(1)? {
            length if length & 0x80 == 0 => {
                std::str::from_utf8(block.get(2..5)?).ok()?.parse().ok()
            }
            length => digits(block.get(2..2 + usize::from(length & 0x7f))?),
        },
        _ => None,
    }
}

/// Three digits in the Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, the others six.
fn digits(coded: &[u8]) -> Option<u16> {
    let bits = coded.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    let mut left = coded.len() * 8;
    let mut number = 0;
    for _ in 0..3 {
        left = left.checked_sub(5)?;
        let mut code = bits >> left & 0x1f;
        if code > 2 {
            left = left.checked_sub(1)?;
            // 3 is 011001.
            code = (bits >> left & 0x3f).checked_sub(0x19)? + 3;
        }
        number = number * 10 + u16::try_from(code).ok()?;
    }
    Some(number)
}

/// Reads one frame.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    let id = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
    Ok(Frame { kind: head[3], flags: head[4], stream: id, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_have_lengths_of_several_bytes() {
        let mut block = Vec::new();
        literal(&mut block, b"a", &[b'v'; 300]);
        // 300 - 127 = 173 = 45 + 128.
        assert_eq!(block[..6], [0, 1, b'a', 127, 173, 1]);
    }

    #[test]
    fn a_status_is_found_in_either_form() {
        assert_eq!(status(&[0x20, 0x88]), Some(200));
        assert_eq!(status(b"\x48\x03403"), Some(403));
        // 3, 0 and 2 in Huffman's code, as 011001 00000 00010.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        // 5, 9 and 9, as 011011 011111 011111, filled with ones.
        assert_eq!(status(&[0x48, 0x83, 0x6d, 0xf7, 0xdf]), Some(599));
        assert_eq!(status(&[0xc0]), None);
    }
}
