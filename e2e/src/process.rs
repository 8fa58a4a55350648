//! A server that a test runs: started by path, ended by its process's id.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::envoy::Guard;

/// How long a server may take to listen on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a wait sleeps before it looks again.
const MOMENT: Duration = Duration::from_millis(10);

/// A running server with a folder of its own, which it and its log are gone with.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Option<Guard>,
    log: PathBuf,
    folder: tempfile::TempDir,
}

impl Process {
    /// Starts a program in a new folder. `set_up` fills the folder and gives the arguments.
    ///
    /// # Errors
    /// When the folder cannot be filled or the program not be started.
    pub fn start(
        program: &Path,
        set_up: impl FnOnce(&Path, &mut Command) -> io::Result<()>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("egress-service-").tempdir()?;
        let log = folder.path().join("log");
        // Nothing of the environment: all of these servers can be told things by it.
        let mut command = Command::new(std::path::absolute(program)?);
        command.env_clear();
        set_up(folder.path(), &mut command)?;
        let output = File::create(&log)?;
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let guard = Guard::new(child.id(), Some(folder.path()));
        // From here on, dropping it ends the child.
        let mut process = Self { child, guard: None, log, folder };
        process.guard = Some(guard?);
        Ok(process)
    }

    /// Waits until something is so, which `look` returns then.
    ///
    /// # Errors
    /// When it is not so in time, or the program has ended; its log is in the message.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> io::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return Ok(found);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let how = ended.map_or_else(|| "runs".to_owned(), |status| status.to_string());
                let log = self.log();
                return Err(io::Error::other(format!("not seen: {what} (it {how})\n{log}")));
            }
            std::thread::sleep(MOMENT);
        }
    }

    /// Waits until a port of 127.0.0.1 takes connections.
    ///
    /// # Errors
    /// As [`Process::wait_for`].
    pub fn wait_for_port(&mut self, port: u16) -> io::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait_for("that it listens", |_| {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(drop)
        })
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it. Its log stays readable.
    pub fn stop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and waiting reaps it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
