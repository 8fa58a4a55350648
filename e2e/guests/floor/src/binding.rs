//! Whether a request's host is that of the service which the caller dialled, as Istio names filter
//! chains and clusters: `inbound-vip|80|http|api.github.com`.

use crate::bytes::same;
use crate::{HOST, host};

/// The service that this policy is mostly for.
const USUAL: &[u8; 34] = b"inbound-vip|80|http|api.github.com";

/// Whether the service that was dialled serves this host; where neither name is of Istio's form,
/// nothing is bound.
pub(crate) fn serves(host: &[u8]) -> Option<bool> {
    let chain = host::property(b"xds\0filter_chain_name")?;
    if same(chain, USUAL) && same(host, HOST) {
        return Some(true);
    }
    let mut service = hostname(chain);
    if service.is_none() {
        service = hostname(host::property(b"xds\0cluster_name")?);
    }
    let Some(service) = service else { return Some(true) };
    Some(match service {
        [b'*', suffix @ ..] => {
            suffix.first() == Some(&b'.')
                && host.len() > suffix.len()
                && host
                    .get(host.len() - suffix.len()..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        }
        _ => service.eq_ignore_ascii_case(host),
    })
}

fn hostname(name: &[u8]) -> Option<&[u8]> {
    let mut parts = name.splitn(4, |byte| *byte == b'|');
    let direction = parts.next()?;
    let host = parts.nth(2)?;
    let known = matches!(direction, b"inbound-vip" | b"inbound" | b"outbound");
    (known && !host.is_empty() && !host.contains(&b'|')).then_some(host)
}
