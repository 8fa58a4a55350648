//! The egress workshop as something to watch: each step with its request, what is expected and what
//! came.

pub mod playground;
mod reach;
mod stage;
mod terminal;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::istio::MeshError;
use crate::workshop::{FEATURES, STEPS};

pub use reach::Unreachable;
use stage::Stage;
use terminal::Terminal;

/// How the demo is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Exit after the steps instead of leaving the waypoint running.
    pub once: bool,
    /// Call the real origins instead of the stand-ins.
    pub real: bool,
}

/// Why the demo could not be run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The fixed ports of the demo are in use.
    #[error(
        "taken on 127.0.0.1: {0}; the demo needs these ports, so end what listens there (another \
         demo?) and try again"
    )]
    PortsTaken(
        /// The ports, each with what it is for.
        String,
    ),
    /// The filter has not been built.
    #[error("there is no filter at `{0}`: build it with `make wasm`")]
    NoFilter(
        /// Where it was looked for.
        PathBuf,
    ),
    /// The real origins were asked for and there is nothing to check their certificates with.
    #[error("no file of trusted authorities found on this system: name one in `SSL_CERT_FILE`")]
    NoAuthorities,
    /// The real origins were asked for and one of them cannot be reached.
    #[error(
        "{0}; calling the real origins needs DNS and a direct way out to port 443: leave \
         `ORIGIN=real` out to play with local stand-ins"
    )]
    Unreachable(
        /// Which, and why.
        #[from]
        Unreachable,
    ),
    /// Envoy ended while the demo was on.
    #[error("envoy has ended; see `{0}`")]
    Ended(
        /// Its log.
        PathBuf,
    ),
    /// The files of `filter-config/` were not understood, or Envoy did not take what came of them.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// A file, a port or a signal handler could not be obtained.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the demo and returns whether every step went as expected.
///
/// # Errors
/// When the waypoint could not be set up, or ended meanwhile.
pub async fn run(options: Options) -> Result<bool, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let terminal = Terminal::new();
    if options.real {
        let mut asked: Vec<&str> = STEPS
            .iter()
            .chain(&FEATURES)
            .flat_map(|step| step.requests)
            .map(|request| request.host)
            .collect();
        asked.sort_unstable();
        asked.dedup();
        for host in asked {
            reach::origin(host).await?;
        }
    }
    let mut stage = Stage::set_up(options.real)?;
    let passed = tokio::select! {
        passed = play(&mut stage, &terminal) => passed?,
        _ = interrupt.recv() => return Ok(false),
        _ = terminate.recv() => return Ok(false),
    };
    if options.once {
        return Ok(passed);
    }
    stage.write_curl_files()?;
    terminal.what_now(options.real);
    let watched = tokio::select! {
        ended = watch(&mut stage) => Err(ended),
        _ = interrupt.recv() => Ok(passed),
        _ = terminate.recv() => Ok(passed),
    };
    drop(stage);
    terminal.line("\nThe waypoint has ended, its ports are free again.");
    watched
}

/// Waits until Envoy ends by itself, which it should not.
async fn watch(stage: &mut Stage) -> DemoError {
    while stage.is_running() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    DemoError::Ended(stage.log())
}

async fn play(stage: &mut Stage, terminal: &Terminal) -> Result<bool, DemoError> {
    let (mut passed, mut total) = (0, 0);
    for (index, step) in STEPS.iter().chain(&FEATURES).enumerate() {
        let folder = match STEPS.get(index) {
            Some(_) => {
                terminal.step(&format!("Step {}.", index + 1), step);
                stage.apply(step)?;
                "filter-config"
            }
            None => {
                terminal.step("Beyond the workshop:", step);
                stage.apply_feature(step)?;
                "e2e/demo"
            }
        };
        terminal.applied(folder, step, stage.derived());
        if index == 0 {
            for handshake in stage.handshakes().await {
                total += 1;
                passed += usize::from(terminal.handshake(&handshake));
            }
        }
        for request in step.requests {
            let result = stage.ask(step, request).await;
            total += 1;
            passed += usize::from(terminal.result(request, &result));
        }
    }
    // What runs on is the workshop's.
    if let Some(last) = STEPS.iter().rfind(|step| step.plugin) {
        stage.apply(last)?;
    }
    terminal.summary(passed, total);
    Ok(passed == total)
}
