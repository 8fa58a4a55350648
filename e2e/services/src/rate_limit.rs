//! Envoy's rate limit service, and the Redis that it counts in.

use std::fs;
use std::io;

use e2e::envoy::workspace_root;
use e2e::process::Process;

use crate::program;

/// How many times other ports are tried when some were taken between their choice and their use.
const ATTEMPTS: usize = 5;

/// Redis, on a socket of its own in the file system: it has no port.
#[derive(Debug)]
pub struct Redis(Process);

impl Redis {
    /// Starts it, empty, and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn start() -> io::Result<Self> {
        let mut process = Process::start(&program("REDIS"), |folder, command| {
            let socket = folder.join("socket");
            command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]);
            command.arg(socket);
            Ok(())
        })?;
        process.wait_for("its socket", |process| {
            process.log().contains("ready to accept connections").then_some(())
        })?;
        Ok(Self(process))
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.0.stop();
    }
}

/// Envoy's rate limit service, with the limits of `e2e/services/ratelimit`.
#[derive(Debug)]
pub struct RateLimit {
    process: Process,
    port: u16,
}

impl RateLimit {
    /// Starts it, to count in this Redis, and waits until it serves.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(redis: &Redis) -> io::Result<Self> {
        for _ in 1..ATTEMPTS {
            match Self::attempt(redis) {
                Err(error) if error.to_string().contains("address already in use") => {}
                result => return result,
            }
        }
        Self::attempt(redis)
    }

    fn attempt(redis: &Redis) -> io::Result<Self> {
        let [port, http, debug] = e2e::ports::free(3)?[..] else {
            return Err(io::Error::other("three ports were asked for"));
        };
        let socket = redis.0.folder().join("socket");
        let mut process = Process::start(&program("RATELIMIT"), |folder, command| {
            fs::create_dir(folder.join("config"))?;
            let limits = workspace_root().join("e2e/services/ratelimit/egress.yaml");
            fs::copy(limits, folder.join("config/egress.yaml"))?;
            for host in ["HOST", "GRPC_HOST", "DEBUG_HOST"] {
                command.env(host, "127.0.0.1");
            }
            for (name, port) in [("GRPC_PORT", port), ("PORT", http), ("DEBUG_PORT", debug)] {
                command.env(name, port.to_string());
            }
            command.envs([
                ("LOG_LEVEL", "debug"),
                ("REDIS_SOCKET_TYPE", "unix"),
                ("RUNTIME_SUBDIRECTORY", ""),
                ("RUNTIME_WATCH_ROOT", "false"),
                ("USE_STATSD", "false"),
            ]);
            command.env("REDIS_URL", socket).env("RUNTIME_ROOT", folder);
            Ok(())
        })?;
        process.wait_for("its limits", |process| {
            process.log().contains("Successfully loaded new configuration").then_some(())
        })?;
        process.wait_for_port(port)?;
        Ok(Self { process, port })
    }

    /// Where it takes calls, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The descriptors of the calls that it got, as its log has them: `(caller=...),(path=...)`.
    #[must_use]
    pub fn descriptors(&self) -> Vec<String> {
        let log = self.process.log();
        let descriptors = log.lines().filter_map(|line| line.split_once("got descriptor: "));
        descriptors.map(|(_, text)| text.trim_end_matches('"').to_owned()).collect()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.process.stop();
    }
}
