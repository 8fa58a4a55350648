//! The host in an authority.

/// The host without port and trailing dot, where the authority is a host with an optional port (RFC
/// 3986 section 3.2, without user information).
pub(crate) fn host(authority: &[u8]) -> Option<&[u8]> {
    if let [b'[', rest @ ..] = authority {
        let end = rest.iter().position(|byte| *byte == b']')?;
        let (literal, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
        let port = rest.is_empty() || is_port(rest.strip_prefix(b":")?);
        let address: Result<core::net::Ipv6Addr, _> = core::str::from_utf8(literal).ok()?.parse();
        return (port && address.is_ok()).then_some(literal);
    }
    let (mut label, mut end) = (0, authority.len());
    for (at, byte) in authority.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'.' if (1..=63).contains(&label) => label = 0,
            b':' if is_port(authority.get(at + 1..)?) => {
                end = at;
                break;
            }
            _ => return None,
        }
    }
    let name = authority.get(..end)?;
    let name = name.strip_suffix(b".").unwrap_or(name);
    (!name.is_empty() && name.len() <= 253 && label <= 63).then_some(name)
}

fn is_port(digits: &[u8]) -> bool {
    let value = digits.iter().try_fold(0_u32, |value, digit| {
        let next = value * 10 + u32::from(digit.wrapping_sub(b'0'));
        (digit.is_ascii_digit() && next <= 65_535).then_some(next)
    });
    !digits.is_empty() && value.is_some()
}
