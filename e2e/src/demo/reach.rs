//! Whether the real origins can be reached at all: without DNS or a way out, Envoy would answer 503
//! to every request, and nothing would say why.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

/// How long a name's look-up, and a connection, may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Why an origin cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// Its name is not known to DNS, or there is no DNS.
    #[error("`{host}` does not resolve ({error})")]
    Name {
        /// The origin.
        host: String,
        /// What the system said.
        error: io::Error,
    },
    /// Nothing listens there, or there is no way out.
    #[error("`{host}` resolves, but port 443 does not answer ({error})")]
    Port {
        /// The origin.
        host: String,
        /// What the system said.
        error: io::Error,
    },
}

/// Looks an origin up and connects to its port 443.
///
/// # Errors
/// When either fails or takes more than five seconds.
pub(super) async fn origin(host: &str) -> Result<(), Unreachable> {
    let at = (host, 443);
    let within = |result: Result<io::Result<()>, _>| {
        result.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long")))
    };
    let looked_up = async { lookup_host(at).await.map(|_| ()) };
    within(tokio::time::timeout(LIMIT, looked_up).await)
        .map_err(|error| Unreachable::Name { host: host.to_owned(), error })?;
    let connected = async { TcpStream::connect(at).await.map(|_| ()) };
    within(tokio::time::timeout(LIMIT, connected).await)
        .map_err(|error| Unreachable::Port { host: host.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6761: a name below `invalid` never resolves.
    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_told_from_a_port_that_does_not_answer() {
        let unknown = origin("origin.invalid").await.expect_err("no such name");
        assert!(unknown.to_string().starts_with("`origin.invalid` does not resolve"), "{unknown}");
        let stopped = crate::demo::DemoError::from(unknown).to_string();
        assert!(stopped.contains("leave `ORIGIN=real` out"), "{stopped}");
        // An address is its own look-up; on loopback nobody listens on 443 here.
        let silent = origin("127.255.255.254").await.expect_err("nobody listens");
        assert!(silent.to_string().contains("port 443 does not answer"), "{silent}");
    }
}
