//! Envoy's admin interface, by blocking calls, which work in tests with any asynchronous runtime or
//! none.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// Gets a path and returns its status and body.
pub(super) fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let illegal = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("no HTTP answer to `{path}` from the admin port"),
        )
    };
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(illegal)?;
    let (head, body) =
        (String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase(), &answer[at + 4..]);
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(illegal)?;
    let body = if head.contains("transfer-encoding: chunked") {
        unchunk(body).ok_or_else(illegal)?
    } else {
        body.to_vec()
    };
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        rest = &rest[at + 2..];
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
