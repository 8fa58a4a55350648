//! The task that moves the frames of one HTTP/2 connection.

use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinHandle};

/// The task, which ends with the last handle of its connection.
#[derive(Debug)]
pub(super) struct Driver {
    task: AbortHandle,
    /// There until somebody asks how the connection has ended.
    ended: Mutex<Option<JoinHandle<Result<(), h2::Error>>>>,
    /// There until somebody asks for a sign of life.
    pub(super) ping_pong: Mutex<Option<h2::PingPong>>,
    /// Whether the other end has answered, and so has accepted the certificate.
    pub(super) is_accepted: AtomicBool,
}

impl Driver {
    pub(super) fn start<S>(mut connection: h2::client::Connection<S, Bytes>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ping_pong = connection.ping_pong();
        let task = tokio::spawn(connection);
        Self {
            task: task.abort_handle(),
            ended: Mutex::new(Some(task)),
            ping_pong: Mutex::new(ping_pong),
            is_accepted: AtomicBool::new(false),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end; tells the first who asks why, if not of its own accord.
    pub(super) async fn ended(&self) -> Option<h2::Error> {
        let task = self.ended.lock().await.take()?;
        task.await.ok().and_then(Result::err)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}
