//! A stream that tells why the other end closed it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A TLS stream on which a failed write looks for the alert that came before it.
///
/// In TLS 1.3 a server that refuses the client's certificate does so when the client is already
/// writing: the write fails with a broken pipe while the alert lies unread.
#[derive(Debug)]
pub(super) struct AlertFirst<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AlertFirst<S> {
    /// Waits for the alert or the end, one of which must come, since a write fails only on a closed
    /// connection.
    fn reason<T>(&mut self, context: &mut Context<'_>, failure: io::Error) -> Poll<io::Result<T>> {
        let mut scratch = [0; 512];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.0).poll_read(context, &mut buffer) {
                Poll::Ready(Err(alert)) => return Poll::Ready(Err(alert)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Poll::Ready(Err(failure));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AlertFirst<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for AlertFirst<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.0).poll_write(context, bytes) {
            Poll::Ready(Err(failure)) => self.reason(context, failure),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_flush(context) {
            Poll::Ready(Err(failure)) => self.reason(context, failure),
            flushed => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
