//! Names of hosts and of trust domains.

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
pub const MAX_HOST: usize = 253;
/// The longest trust domain, in bytes (SPIFFE-ID section 2.1).
pub const MAX_TRUST_DOMAIN: usize = 255;

/// Whether this is a host name: labels of letters, digits, `-` and `_`, with single dots between
/// them.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    name.len() <= MAX_HOST
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(legal))
}

/// Whether this is the name of a trust domain (SPIFFE-ID section 2.1).
#[must_use]
pub fn is_trust_domain(name: &str) -> bool {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    !name.is_empty() && name.len() <= MAX_TRUST_DOMAIN && name.bytes().all(legal)
}
