//! One CONNECT stream as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::Driver;

/// The bytes of one tunnel: what is written goes out in DATA frames, what is read came in them.
#[derive(Debug)]
pub struct TunnelStream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What came and was not read yet.
    pending: Bytes,
    // Held so that the connection lives as long as its tunnel. The order matters: the driver goes
    // last.
    _sender: SendRequest<Bytes>,
    _driver: Arc<Driver>,
}

impl TunnelStream {
    pub(super) fn new(
        send: SendStream<Bytes>,
        receive: RecvStream,
        sender: SendRequest<Bytes>,
        driver: Arc<Driver>,
    ) -> Self {
        Self { send, receive, pending: Bytes::new(), _sender: sender, _driver: driver }
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.pending.is_empty() {
            match self.receive.poll_data(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(to_io(error))),
                Poll::Ready(Some(Ok(data))) => {
                    self.receive.flow_control().release_capacity(data.len()).map_err(to_io)?;
                    self.pending = data;
                }
            }
        }
        let length = self.pending.len().min(buffer.remaining());
        buffer.put_slice(&self.pending.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // A reservation is a total, so asking again for what is already reserved changes nothing.
        self.send.reserve_capacity(bytes.len());
        loop {
            let capacity = self.send.capacity();
            if capacity > 0 {
                let length = capacity.min(bytes.len());
                self.send
                    .send_data(Bytes::copy_from_slice(&bytes[..length]), false)
                    .map_err(to_io)?;
                return Poll::Ready(Ok(length));
            }
            match self.send.poll_capacity(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(to_io(error))),
                Poll::Ready(Some(Ok(_))) => {}
            }
        }
    }

    /// HTTP/2 flushes by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(to_io))
    }
}

fn to_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into())
    } else {
        io::Error::other(error)
    }
}
