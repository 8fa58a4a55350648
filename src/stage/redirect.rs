//! Answers a request with a redirect. What stands in its `location` comes from the policy, and from
//! the request as the stages so far have changed it.

use super::choose::first;
use super::{Ending, Flow, Turn};
use crate::attributes::view::View;
use crate::config::{RedirectConfig, Scheme};
use crate::decision::{Reason, Reply};
use crate::request::headers::Headers;
use crate::request::host;
use crate::trace::Feature;

/// Answers with the first redirect in scope that is for the request.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let path = turn.current().first(b":path").unwrap_or_default().to_vec();
    let found = first(
        turn,
        Feature::RequestRedirect,
        |policy| policy.redirect.as_deref(),
        |redirect| redirect.path.as_ref().is_none_or(|change| change.apply(&path).is_some()),
    );
    let (index, redirect) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Flow::Next,
        Err(ending) => return Flow::End(ending),
    };
    let policy = Some(index);
    let is_tls = View::new(turn.facts, &turn.engine.callers).scheme() == "https";
    let own = if is_tls { Scheme::Https } else { Scheme::Http };
    let Some(location) = location(redirect, own, turn.current(), &path) else {
        let detail = Some("no host to redirect to");
        return Flow::End(Ending { detail, policy, ..Ending::because(Reason::RewriteError) });
    };
    let reply = Reply {
        headers: vec![("location".to_owned(), location)],
        ..Reply::in_place(Reason::Redirect, redirect.status)
    };
    Flow::End(Ending { policy, reply: Some(Box::new(reply)), ..Ending::because(Reason::Redirect) })
}

/// The URL of a redirect, which is always absolute: a caller who chooses the path cannot choose the
/// host with it. None if there is no host.
fn location(
    redirect: &RedirectConfig,
    own_scheme: Scheme,
    request: &Headers<'_>,
    path: &[u8],
) -> Option<Vec<u8>> {
    let authority = request.first(b":authority").unwrap_or_default();
    let scheme = redirect.scheme.unwrap_or(own_scheme);
    let (name, usual_port) = match scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    let own_port = || if redirect.scheme.is_some() { None } else { host::port(authority) };
    let port = redirect.port.or_else(own_port).filter(|port| *port != usual_port);
    let mut url = format!("{name}://");
    match &redirect.hostname {
        Some(hostname) => url.push_str(hostname),
        None => url.push_str(&host::canonical(authority).ok()?),
    }
    if let Some(port) = port {
        url.push_str(&format!(":{port}"));
    }
    let changed = redirect.path.as_ref().and_then(|change| change.apply(path));
    let path = changed.as_deref().unwrap_or(path);
    let path = if path.starts_with(b"/") { path } else { b"/" };
    Some([url.as_bytes(), &escaped(path)].concat())
}

/// Path and query with what may not stand in a URL (RFC 3986 sections 3.3 and 3.4) as percent
/// escapes. Those that are there stay.
fn escaped(path: &[u8]) -> Vec<u8> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    let mut url = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            byte if legal(*byte) => url.push(*byte),
            byte => url.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn located(redirect: RedirectConfig, own: Scheme, authority: &str, path: &str) -> String {
        let request: Headers<'_> =
            [(&b":authority"[..], authority.as_bytes())].into_iter().collect();
        let location = location(&redirect, own, &request, path.as_bytes());
        location.map_or("none".to_owned(), |url| String::from_utf8(url).unwrap())
    }

    const NOWHERE: RedirectConfig =
        RedirectConfig { scheme: None, hostname: None, port: None, path: None, status: 302 };

    /// Gateway API, `HTTPRequestRedirectFilter.port`.
    #[test]
    fn a_location_has_the_port_of_its_scheme_or_of_the_request() {
        use Scheme::{Http, Https};
        for (scheme, port, own, authority, expected) in [
            (None, None, Http, "a.example", "http://a.example/x?y"),
            (None, None, Http, "a.example:80", "http://a.example/x?y"),
            (None, None, Http, "a.example:8080", "http://a.example:8080/x?y"),
            (None, None, Https, "a.example:443", "https://a.example/x?y"),
            (Some(Https), None, Http, "a.example:80", "https://a.example/x?y"),
            (Some(Https), None, Http, "a.example:8080", "https://a.example/x?y"),
            (Some(Https), Some(443), Http, "a.example", "https://a.example/x?y"),
            (Some(Https), Some(80), Http, "a.example", "https://a.example:80/x?y"),
            (None, Some(8443), Http, "a.example", "http://a.example:8443/x?y"),
            (None, Some(80), Http, "a.example:8080", "http://a.example/x?y"),
            (None, None, Http, "[::1]:8080", "http://[::1]:8080/x?y"),
            (None, None, Http, "A.example.", "http://a.example/x?y"),
            (None, None, Http, "a b", "none"),
        ] {
            let redirect = RedirectConfig { scheme, port, ..NOWHERE };
            let found = located(redirect, own, authority, "/x?y");
            assert_eq!(found, expected, "{scheme:?} {port:?} {own:?} {authority}");
        }
    }

    #[test]
    fn what_a_caller_writes_cannot_leave_the_path() {
        for (path, expected) in [
            ("//evil.example/", "http://a.example//evil.example/"),
            ("/a\r\nx-b: 1", "http://a.example/a%0D%0Ax-b:%201"),
            ("/a#b\\c\"<>", "http://a.example/a%23b%5Cc%22%3C%3E"),
            ("/ä%20%zz?q=[1]", "http://a.example/%C3%A4%20%zz?q=%5B1%5D"),
            ("*", "http://a.example/"),
            ("@evil.example", "http://a.example/"),
            ("", "http://a.example/"),
        ] {
            assert_eq!(located(NOWHERE, Scheme::Http, "a.example", path), expected, "{path}");
        }
    }
}
