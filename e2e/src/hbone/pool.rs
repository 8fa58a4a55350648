//! The connections of one identity, as ztunnel pools them: tunnels share one, to whatever address
//! they lead, until it carries as many as it may.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{HboneClient, HboneConnection, HboneError};

/// How many streams ztunnel opens on one connection before it opens another.
const STREAMS: usize = 100;

/// The open connections of one identity.
#[derive(Debug, Default, Clone)]
pub(super) struct Pool(Arc<Mutex<Vec<HboneConnection>>>);

impl Pool {
    /// A connection that carries less than it may, and whether it was there before. Whoever comes
    /// while one is opened waits for it.
    pub(super) async fn connection(
        &self,
        client: &HboneClient,
    ) -> Result<(HboneConnection, bool), HboneError> {
        let mut connections = self.0.lock().await;
        connections.retain(|connection| !connection.has_ended());
        if let Some(open) = connections.iter().find(|connection| connection.tunnels() < STREAMS) {
            return Ok((open.clone(), true));
        }
        let connection = client.connect().await?;
        connections.push(connection.clone());
        Ok((connection, false))
    }
}
