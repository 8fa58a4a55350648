//! One Envoy process, from its start to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::configuration::ConfigurationError;
use super::{admin, usage};

/// How long Envoy may take until it serves: compiling the filter takes a second or two, on a busy
/// machine more.
const DEADLINE: Duration = Duration::from_secs(60);

/// Why Envoy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration could not be made.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A file or a process could not be made.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no Envoy to start.
    #[error(
        "cannot run Envoy as `{program}`: {source}; set `ENVOY` to the path of an Envoy of 1.36 \
         or later"
    )]
    NoEnvoy {
        /// What was to be run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Envoy ended by itself, as it does when it refuses its configuration.
    #[error("envoy ended at its start ({status}); the end of its log:\n{}", tail(log))]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Its whole log.
        log: String,
    },
    /// Envoy runs but does not serve.
    #[error("envoy was not ready within {DEADLINE:?}; the end of its log:\n{}", tail(log))]
    NotReady {
        /// Its whole log.
        log: String,
    },
}

impl StartError {
    /// Envoy's log, empty when there was no Envoy.
    pub fn log(&self) -> &str {
        match self {
            Self::Exited { log, .. } | Self::NotReady { log } => log,
            Self::Configuration(_) | Self::Io(_) | Self::NoEnvoy { .. } => "",
        }
    }

    /// Whether somebody else had taken a port.
    pub fn is_taken_port(&self) -> bool {
        self.log().contains("Address already in use")
    }
}

/// The last lines with a warning, or the last lines of all where there is none.
fn tail(log: &str) -> String {
    let warns = |line: &&str| {
        !line.contains("[info]") && !line.contains("work-in-progress") && !line.trim().is_empty()
    };
    let mut lines: Vec<&str> = log.lines().filter(warns).collect();
    if lines.is_empty() {
        lines = log.lines().collect();
    }
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// What is needed to start Envoy.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The configuration, in a file that ends in `.yaml` or `.json`.
    pub configuration: PathBuf,
    /// Where relative paths of the configuration begin.
    pub working_directory: PathBuf,
    /// Where Envoy's log goes; what was there is replaced.
    pub log: PathBuf,
    /// The port of the admin interface that the configuration names.
    pub admin_port: u16,
    /// The number of worker threads.
    pub workers: u32,
    /// Variables that are added to Envoy's environment.
    pub environment: Vec<(String, String)>,
    /// Envoy's arguments for the levels of its log.
    pub log_levels: Vec<String>,
    /// A folder to remove when this process ends without dropping what it started.
    pub remove_if_orphaned: Option<PathBuf>,
}

/// A running Envoy, which is ended and reaped when it is dropped.
#[derive(Debug)]
pub struct EnvoyProcess {
    child: Child,
    guard: Option<Guard>,
    log: PathBuf,
    admin_port: u16,
}

impl EnvoyProcess {
    /// Starts `$ENVOY` (else `envoy` from the path) and waits until it serves.
    ///
    /// # Errors
    /// When there is no Envoy, when it ends by itself, or when it does not get ready in a minute.
    pub fn start(launch: &Launch) -> Result<Self, StartError> {
        let program = std::env::var("ENVOY")
            .ok()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| "envoy".to_owned());
        let log = File::create(&launch.log)?;
        let child = Command::new(&program)
            .arg("--config-path")
            .arg(&launch.configuration)
            .args(["--disable-hot-restart", "--file-flush-interval-msec", "20"])
            .args(&launch.log_levels)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .args(["--concurrency", &launch.workers.to_string()])
            .current_dir(&launch.working_directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // In a process group of its own: Ctrl-C on a terminal is meant for this program, which
            // then ends Envoy in order.
            .process_group(0)
            .spawn()
            .map_err(|source| StartError::NoEnvoy { program, source })?;
        let guard = Guard::new(child.id(), launch.remove_if_orphaned.as_deref());
        let mut process =
            Self { child, guard: None, log: launch.log.clone(), admin_port: launch.admin_port };
        process.guard = Some(guard?);
        process.await_ready()?;
        Ok(process)
    }

    fn await_ready(&mut self) -> Result<(), StartError> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(StartError::Exited { status, log: self.log_text() });
            }
            if matches!(admin::get(self.admin_port, "/ready"), Ok((200, _))) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(StartError::NotReady { log: self.log_text() });
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether Envoy still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// All lines of Envoy's log.
    pub fn log_lines(&self) -> Vec<String> {
        self.log_text().lines().map(str::to_owned).collect()
    }

    /// The last lines of Envoy's log with a warning, or the last lines of all where there is none.
    pub fn log_tail(&self) -> String {
        tail(&self.log_text())
    }

    /// The filter's audit records as they were logged: what is a JSON object in the log lines of
    /// wasm filters.
    pub fn audit_lines(&self) -> Vec<String> {
        self.log_text().lines().filter_map(audit_record).map(|(text, _)| text.to_owned()).collect()
    }

    /// The filter's audit records, parsed.
    pub fn audit_records(&self) -> Vec<Value> {
        self.log_text().lines().filter_map(audit_record).map(|(_, record)| record).collect()
    }

    /// All counters and gauges whose names begin with the prefix.
    ///
    /// # Errors
    /// When the admin interface does not answer.
    pub fn stats(&self, prefix: &str) -> io::Result<BTreeMap<String, u64>> {
        let text = self.admin("/stats")?;
        let counters = text.lines().filter_map(|line| line.split_once(": "));
        let counters = counters.filter(|(name, _)| name.starts_with(prefix));
        Ok(counters
            .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
            .collect())
    }

    /// What the admin interface answers to a GET.
    ///
    /// # Errors
    /// When it does not answer, or with another status than 200.
    pub fn admin(&self, path: &str) -> io::Result<String> {
        match admin::get(self.admin_port, path)? {
            (200, body) => Ok(body),
            (status, body) => Err(io::Error::other(format!(
                "the admin port answered {status} to `{path}`: {body}"
            ))),
        }
    }

    /// The processor time that Envoy has used, in user and kernel mode; only on Linux.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        usage::cpu_time(self.pid())
    }

    /// The resident memory of Envoy in bytes; only on Linux.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        usage::resident_bytes(self.pid())
    }
}

impl Drop for EnvoyProcess {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and waiting reaps it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

/// The audit record in a line of Envoy's log: its text, and what it says.
pub(crate) fn audit_record(line: &str) -> Option<(&str, Value)> {
    let (_, message) = line.split_once("wasm log")?;
    let text = message.get(message.find('{')?..)?.trim_end();
    let record: Value = serde_json::from_str(text).ok()?;
    // Loading a configuration is recorded as well, but concerns no request.
    (record.is_object() && record["event"] != "egress-configuration").then_some((text, record))
}

/// Ends Envoy, or another server, when this process ends without having done so: killed, aborted,
/// or with the waypoint in a `static`, which is never dropped. A shell waits on a pipe whose other
/// end only this process holds. When the pipe closes without a line, this process is gone.
#[derive(Debug)]
pub struct Guard {
    shell: Child,
    pipe: ChildStdin,
}

impl Guard {
    /// Guards a process; with it goes the folder, if one is named.
    ///
    /// # Errors
    /// When the shell does not start.
    pub fn new(pid: u32, remove: Option<&Path>) -> io::Result<Self> {
        let script = r#"read -r word || { kill -9 "$1"; [ -z "$2" ] || rm -rf "$2"; }"#;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", script, "guard", &pid.to_string()])
            .arg(remove.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take().ok_or_else(|| io::Error::other("the guard has no input"))?;
        Ok(Self { shell, pipe })
    }

    /// Lets the shell end without doing anything; the id may belong to another process by now.
    pub fn dismiss(mut self) {
        if io::Write::write_all(&mut self.pipe, b"dismissed\n").is_err() {
            let _ = self.shell.kill();
        }
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_record_is_a_json_object_behind_envoys_prefix() {
        let line = "[2026-11-23 01:00:00.000][7][info][wasm] [source/x.cc:1] wasm log plugin: \
                    {\"verdict\":\"deny\"}";
        assert_eq!(
            audit_record(line),
            Some((r#"{"verdict":"deny"}"#, serde_json::json!({ "verdict": "deny" })))
        );
    }

    #[test]
    fn the_end_of_a_log_is_what_warns() {
        let log = "[1][info] a\n[1][warning] marked as work-in-progress\n[1][error] b\n[1][info] \
                   exiting\nc\n";
        assert_eq!(tail(log), "[1][error] b\nc");
        assert_eq!(tail("[1][info] a\n[1][info] b"), "[1][info] a\n[1][info] b");
    }

    #[test]
    fn other_lines_are_no_audit_records() {
        let loaded = r#"wasm log plugin: {"event":"egress-configuration","verdict":"loaded"}"#;
        for line in [
            loaded,
            "",
            "[info] loaded {}",
            "wasm log plugin: the configuration is loaded",
            "wasm log plugin: {not json",
        ] {
            assert_eq!(audit_record(line), None, "{line}");
        }
    }
}
