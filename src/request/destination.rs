//! The destination that was dialled, and whether a request's host belongs to it.

use egress_reading::words;

/// The host name in Istio's name of a filter chain or cluster:
/// `inbound-vip|80|http|api.github.com`, `outbound|80||api.github.com`.
#[must_use]
pub fn hostname(service: &[u8]) -> Option<&str> {
    let direction = [&b"inbound-vip|"[..], b"outbound|", b"inbound|"]
        .into_iter()
        .find(|direction| service.starts_with(direction))?;
    let rest = service.get(direction.len()..)?;
    // Port and subset come first, then the host, which contains no bar.
    let (_port, rest) = split_once(rest)?;
    let (_subset, host) = split_once(rest)?;
    if host.is_empty() || split_once(host).is_some() {
        return None;
    }
    std::str::from_utf8(host).ok()
}

/// Whether [`hostname`] finds this canonical host in such a name. Most requests have come to the
/// destination that they name, and are asked no more than this.
pub(crate) fn is_named(service: &[u8], host: &str) -> bool {
    let start = service.len().checked_sub(host.len());
    let Some((before, name)) = start.and_then(|start| service.split_at_checked(start)) else {
        return false;
    };
    let Some(rest) = before.strip_prefix(b"inbound-vip|").filter(|_| !host.is_empty()) else {
        return false;
    };
    rest.ends_with(b"|")
        && words::count(rest, b'|') == 2
        && crate::hash::same(name, host.as_bytes())
}

/// The port in such a name: the one that was dialled, where it is that of a filter chain.
pub(crate) fn port(service: &[u8]) -> Option<u16> {
    hostname(service)?;
    let port = service.split(|byte| *byte == b'|').nth(1)?;
    std::str::from_utf8(port).ok()?.parse().ok()
}

fn split_once(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bar = bytes.iter().position(|byte| *byte == b'|')?;
    Some((bytes.get(..bar)?, bytes.get(bar.checked_add(1)?..)?))
}

/// Whether `host` belongs to the service `destination`: it is the same name, or one under a
/// wildcard. The short names of a Kubernetes service (`a` for `a.ns.svc.cluster.local`) do not
/// belong to it, because a policy's `hosts` and `request.host` would not recognise them.
#[must_use]
pub fn serves(destination: &str, host: &str) -> bool {
    if crate::hash::same(destination.as_bytes(), host.as_bytes())
        || destination.eq_ignore_ascii_case(host)
    {
        return true;
    }
    destination.strip_prefix('*').is_some_and(|suffix| {
        suffix.starts_with('.')
            && host.len() > suffix.len()
            && host.ends_with(&suffix.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_port_is_the_first_part_of_istios_name() {
        assert_eq!(port(b"inbound-vip|8080|http|*.github.com"), Some(8080));
        for service in [&b"inbound-vip|x|http|a"[..], b"inbound-vip|80", b"main_internal|80||a"] {
            assert_eq!(port(service), None, "{service:?}");
        }
    }

    #[test]
    fn the_host_is_the_last_part_of_istios_name() {
        for (service, expected) in [
            ("inbound-vip|80|http|api.github.com", Some("api.github.com")),
            ("inbound-vip|80|http|*.github.com", Some("*.github.com")),
            ("outbound|443||api.github.com", Some("api.github.com")),
            ("inbound|80||", None),
            ("api.github.com", None),
            ("main_internal", None),
            ("inbound-vip|80|http|a|b", None),
            ("", None),
        ] {
            assert_eq!(hostname(service.as_bytes()), expected, "{service}");
        }
        assert_eq!(hostname(b"inbound-vip|80|http|\xff"), None);
    }

    #[test]
    fn a_canonical_host_is_named_where_it_is_found() {
        for host in ["api.github.com", "a", "github.com", "[::1]"] {
            for service in [
                "inbound-vip|80|http|api.github.com",
                "inbound-vip|80||a",
                "inbound-vip|80||[::1]",
                "inbound-vip|80|http|x|a",
                "inbound-vip|80|a",
                "inbound-vip||a",
                "inbound-vip|80|http|",
                "inbound-vip|80|http|api.github.com|",
                "inbound-vip|80|http|*.github.com",
                "inbound-vipx|80|http|a",
                "outbound|80||a",
                "a",
                "",
            ] {
                let is_found = hostname(service.as_bytes()) == Some(host);
                let is_inbound = service.starts_with("inbound-vip|");
                let is_named = is_named(service.as_bytes(), host);
                assert_eq!(is_named, is_found && is_inbound, "{service} {host}");
            }
        }
        assert!(!is_named(b"inbound-vip|80|http|", ""));
    }

    #[test]
    fn a_host_belongs_to_its_service_alone() {
        for (destination, host, expected) in [
            ("api.github.com", "api.github.com", true),
            ("API.github.com", "api.github.com", true),
            ("api.github.com", "github.com", false),
            ("api.github.com", "evil.example", false),
            ("*.github.com", "api.github.com", true),
            ("*.github.com", "a.b.github.com", true),
            ("*.github.com", "github.com", false),
            ("*.github.com", "evilgithub.com", false),
            ("*", "a", false),
            ("a.ns.svc.cluster.local", "a", false),
            ("a.ns.svc.cluster.local", "a.ns", false),
        ] {
            assert_eq!(serves(destination, host), expected, "{destination} {host}");
        }
    }
}
