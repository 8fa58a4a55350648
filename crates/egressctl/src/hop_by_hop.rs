//! What Envoy makes of the headers of a request over HTTP/1.1 before any filter sees them: those
//! that are about the connection end there.
//!
//! Tests hold this to a real Envoy.

/// Header lines in order.
type Lines = Vec<(String, String)>;

/// The most headers that `Connection` may name.
const MAX_NAMED: usize = 9;
/// Headers of the connection, which the origin's proxy gets anew.
const OWN: [&str; 4] = ["keep-alive", "proxy-connection", "transfer-encoding", "connection"];

/// The headers that the filters see of those that were sent. `Connection` and `Upgrade` go on with
/// a WebSocket upgrade alone; without one, what `Connection` names is gone as well.
///
/// # Errors
/// Why Envoy refuses the request.
pub fn seen(sent: &[(String, String)], version: &str) -> Result<Lines, String> {
    if version != "HTTP/1.1" {
        return Ok(sent.to_vec());
    }
    let mut lines = sent.to_vec();
    let mut named = options(&lines, "connection");
    let mut upgrade = joined(&lines, "upgrade").filter(|_| named.iter().any(|it| it == "upgrade"));
    if upgrade.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("h2c")) {
        named.retain(|it| it != "upgrade" && it != "http2-settings");
        lines.retain(|(name, _)| !is(name, "http2-settings"));
        upgrade = None;
    }
    if let Some(upgrade) = upgrade {
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(format!(
                "an upgrade to `{}`: Envoy refuses the request with 403 before the filter sees \
                 it, since a waypoint has `websocket` alone",
                upgrade.escape_debug()
            ));
        }
        let own = OWN.iter().filter(|name| **name != "connection");
        lines.retain(|(name, _)| !own.clone().any(|own| is(name, own)));
        return Ok(lines);
    }
    if named.len() > MAX_NAMED {
        return Err(refused(&format!("more than {MAX_NAMED} headers")));
    }
    for name in &named {
        match name.as_str() {
            "close" | "keep-alive" | "upgrade" | "connection" | "te" => {}
            name if name.starts_with("x-forwarded-") && is_forwarded(name) => {
                return Err(refused(&format!("`{name}`")));
            }
            name => lines.retain(|(other, _)| !is(other, name)),
        }
    }
    lines.retain(|(name, _)| !is(name, "upgrade") && !OWN.iter().any(|own| is(name, own)));
    let trailers = options(&lines, "te").iter().any(|option| option == "trailers");
    lines.retain(|(name, _)| !is(name, "te"));
    if trailers {
        lines.push(("te".to_owned(), "trailers".to_owned()));
    }
    Ok(lines)
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

fn is_forwarded(name: &str) -> bool {
    matches!(name, "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto")
}

fn refused(what: &str) -> String {
    format!(
        "`Connection` names {what}: Envoy refuses the request with 400 before the filter sees it"
    )
}

/// A header's value, of all its lines.
fn joined(lines: &Lines, wanted: &str) -> Option<String> {
    let values: Vec<&str> = lines
        .iter()
        .filter(|(name, _)| is(name, wanted))
        .map(|(_, value)| value.as_str())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The parts between commas, in lower case.
fn options(lines: &Lines, wanted: &str) -> Vec<String> {
    let value = joined(lines, wanted).unwrap_or_default();
    let parts = value.split(',').map(|part| part.trim().to_ascii_lowercase());
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: &[(&str, &str)]) -> Lines {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Each as a real Envoy 1.40 was seen to have it.
    #[test]
    fn headers_of_the_connection_end_there() {
        const TEAM: (&str, &str) = ("X-Team", "red");
        for (sent, expected) in [
            (&[TEAM, ("Connection", "close")][..], &[TEAM][..]),
            (&[TEAM, ("Connection", "keep-alive, x-team")], &[]),
            (&[TEAM, ("Connection", "close"), ("connection", "X-TEAM")], &[]),
            (&[TEAM, ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close")], &[TEAM]),
            (&[TEAM, ("Upgrade", "websocket")], &[TEAM]),
            (&[TEAM, ("Upgrade", "websocket"), ("Connection", "keep-alive")], &[TEAM]),
            (
                &[("Connection", "Upgrade"), ("Upgrade", "WebSocket")],
                &[("Connection", "Upgrade"), ("Upgrade", "WebSocket")],
            ),
            // What the filter refuses, as it reaches the origin otherwise.
            (
                &[TEAM, ("Connection", "upgrade, x-team"), ("Upgrade", "websocket")],
                &[TEAM, ("Connection", "upgrade, x-team"), ("Upgrade", "websocket")],
            ),
            (&[TEAM, ("Connection", "upgrade, http2-settings"), ("Upgrade", "h2c")], &[TEAM]),
            (&[TEAM, ("TE", "gzip"), ("Connection", "te")], &[TEAM]),
            (&[("TE", "gzip, trailers")], &[("te", "trailers")]),
        ] {
            assert_eq!(seen(&lines(sent), "HTTP/1.1"), Ok(lines(expected)), "{sent:?}");
        }
        let sent = lines(&[TEAM, ("connection", "x-team")]);
        assert_eq!(seen(&sent, "HTTP/2"), Ok(sent.clone()));
    }

    #[test]
    fn what_envoy_refuses_is_said() {
        for (sent, why) in [
            (&[("Connection", "upgrade"), ("Upgrade", "tcp/1")][..], "`websocket` alone"),
            (&[("Connection", "upgrade"), ("Upgrade", "websocket, h2c")], "with 403"),
            (&[("Connection", "x-forwarded-for")], "`x-forwarded-for`"),
            (&[("Connection", "a,b,c,d,e,f,g,h,i,j,k")], "more than 9"),
        ] {
            let found = seen(&lines(sent), "HTTP/1.1");
            assert!(found.as_ref().is_err_and(|found| found.contains(why)), "{sent:?}: {found:?}");
        }
    }
}
