//! A policy of one's own in the demo's waypoint. It is taken up each time it is saved; every host
//! has a stand-in behind it, and every service account can call.

mod decisions;
mod examples;
mod file;
mod pods;
mod screen;
mod waypoint;

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::DemoError;
use super::terminal::Terminal;

use decisions::Decisions;
use file::PolicyFile;
use pods::Message;
use waypoint::Waypoint;

/// Where pods' requests are taken, unless another port is chosen. It is no port of `envoy.yaml`.
pub const PORT: u16 = 8085;

/// How often the file and Envoy's log are looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// How a policy of one's own is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// A file or a folder, as `egressctl check` takes it.
    pub policy: String,
    /// Call the real origins instead of stand-ins.
    pub real: bool,
    /// The port on 127.0.0.1 where pods' requests are taken; 0 for a free one.
    pub port: u16,
}

/// Plays a policy until the process is told to end.
///
/// # Errors
/// When the waypoint could not be set up, or ended meanwhile.
pub async fn run(options: &Options) -> Result<(), DemoError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let terminal = Terminal::new();
    tokio::select! {
        ended = play(options, &terminal) => return ended,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    terminal.line("\nThe waypoint has ended.");
    Ok(())
}

async fn play(options: &Options, terminal: &Terminal) -> Result<(), DemoError> {
    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .await
        .map_err(|_| DemoError::PortsTaken(format!("port {} (your requests)", options.port)))?;
    let port = listener.local_addr()?.port();
    let mut file = PolicyFile::new(&options.policy)?;
    let mut policy = file.check();
    if policy.is_none() {
        terminal.line(&format!(
            "Nothing is in force yet: waiting until `{}` is saved without an error.",
            options.policy
        ));
    }
    let policy = loop {
        match policy {
            Some(policy) => break policy,
            None => tokio::time::sleep(GLANCE).await,
        }
        policy = if file.has_changed() { file.check() } else { None };
    };
    let mut waypoint = Waypoint::start(&policy, options)?;
    let mut decisions = Decisions::new(waypoint.log());
    terminal.in_force(&options.policy, &policy, &waypoint.served());
    terminal.how_to_call(&policy, port);
    terminal.how_to_end(&options.policy, &waypoint.log());

    let (tell, mut told) = mpsc::channel(64);
    let serving = tokio::spawn(pods::serve(listener, port, tell));
    let mut glance = tokio::time::interval(GLANCE);
    let ended = loop {
        tokio::select! {
            Some(message) = told.recv() => match message {
                Message::Dials(dialled, answer) => {
                    let route = waypoint.route(&dialled).await;
                    if let Ok(route) = &route && route.is_new {
                        terminal.added(&dialled.host);
                    }
                    // The pod may have gone away.
                    drop(answer.send(route.map_err(|error| error.to_string())));
                }
                Message::Called(call) => decisions.await_record(call),
                Message::Refused(message) => terminal.refused(&message),
            },
            _ = glance.tick() => {
                decisions.glance(|call, record| terminal.called(call, record))?;
                if !waypoint.is_running() {
                    break DemoError::Ended(waypoint.log());
                }
                if file.has_changed() {
                    terminal.line(&format!("\n{} was saved", options.policy));
                    let Some(policy) = file.check() else {
                        terminal.stays();
                        continue;
                    };
                    match waypoint.apply(&policy) {
                        Ok(()) => terminal.in_force(&options.policy, &policy, &waypoint.served()),
                        Err(error) => {
                            terminal.line(&error.to_string());
                            terminal.stays();
                        }
                    }
                }
            }
        }
    };
    serving.abort();
    Err(ended)
}
