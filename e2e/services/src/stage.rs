//! A waypoint, with this filter or with Envoy's own, whose clusters lead to the servers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::envoy::{Waypoint, WaypointOptions};
use e2e::http1::{Request, Response};
use e2e::origin::{Mode, Origin, Received};
use e2e::pki::Pki;
use serde_json::{Value, json};

use crate::native::Native;

/// How long a request may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The header by which a request is found again at the origin.
const NUMBER: &str = "x-exchange";

/// A cluster of the waypoint whose one endpoint is a server on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    /// Its name.
    pub name: &'static str,
    /// The server's port.
    pub port: u16,
    /// Whether it is spoken to in HTTP/2, as gRPC is.
    pub http2: bool,
}

impl Cluster {
    fn to_envoy(self) -> Value {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": self.port}});
        let protocol = if self.http2 { "http2_protocol_options" } else { "http_protocol_options" };
        json!({
            "name": self.name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": self.name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/\
                              envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {protocol: {}},
                },
            },
        })
    }
}

/// A running waypoint and the origin behind all its hosts.
#[derive(Debug)]
pub struct Stage {
    waypoint: Waypoint,
    origin: Origin,
    sent: AtomicUsize,
}

/// What became of a request.
#[derive(Debug)]
pub struct Seen {
    /// What the caller got.
    pub response: Response,
    /// What the origin got, if anything.
    pub arrived: Option<Received>,
}

impl Seen {
    /// The values of a header at the origin; none where nothing arrived.
    #[must_use]
    pub fn arrived_with(&self, name: &str) -> Vec<String> {
        self.arrived.iter().flat_map(|request| request.values(name)).collect()
    }

    /// What two proxies must agree on: the status, the body, these headers of the response, and
    /// these of the request at the origin.
    #[must_use]
    pub fn outline(&self, response: &[&str], request: &[&str]) -> Value {
        let headers = response.iter().map(|name| json!([name, self.response.header(name)]));
        let arrived = request.iter().map(|name| json!([name, self.arrived_with(name)]));
        json!({
            "status": self.response.status,
            "body": self.response.text(),
            "headers": headers.collect::<Vec<_>>(),
            "arrived": self.arrived.is_some(),
            "with": arrived.collect::<Vec<_>>(),
        })
    }
}

impl Stage {
    /// A waypoint with this filter, under one configuration for all hosts.
    ///
    /// # Errors
    /// When it does not start; Envoy's log is in the message.
    pub fn ours(configuration: &Value, hosts: &[&str], clusters: &[Cluster]) -> io::Result<Self> {
        let configuration = configuration.to_string();
        Self::start(hosts, clusters, |options| options.plugin_configuration(configuration))
    }

    /// A waypoint with filters of Envoy's own, for each host some.
    ///
    /// # Errors
    /// As [`Stage::ours`].
    pub fn native(hosts: &[(&str, Native)], clusters: &[Cluster]) -> io::Result<Self> {
        let names: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        let filters: Vec<(String, Native)> =
            hosts.iter().map(|(host, native)| ((*host).to_owned(), native.clone())).collect();
        Self::start(&names, clusters, |options| {
            options.without_filter().edit(move |envoy| {
                for (host, native) in &filters {
                    native.insert(envoy, host);
                }
            })
        })
    }

    fn start(
        hosts: &[&str],
        clusters: &[Cluster],
        set: impl FnOnce(WaypointOptions) -> WaypointOptions,
    ) -> io::Result<Self> {
        let pki = Arc::new(Pki::new());
        let origin = Origin::start(&pki, Mode::Scripted, 0)?;
        let mut options = WaypointOptions::new(&pki, origin.port());
        for host in hosts {
            options = options.service(host);
        }
        let clusters: Vec<Value> = clusters.iter().map(|cluster| cluster.to_envoy()).collect();
        let options = set(options).edit(move |envoy| {
            if let Some(known) = envoy["static_resources"]["clusters"].as_array_mut() {
                known.extend(clusters);
            }
        });
        let waypoint =
            Waypoint::start(options).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { waypoint, origin, sent: AtomicUsize::new(0) })
    }

    /// Sends a request as this caller.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn send(&self, caller: &str, host: &str, request: Request) -> io::Result<Seen> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed).to_string();
        let request = request.header(NUMBER, &number);
        let client = self.waypoint.caller(caller).timeout(PATIENCE);
        let response = client.request(&self.waypoint.vip(host), &request).await;
        let response = response.map_err(io::Error::other)?;
        let is_it = |request: &Received| request.values(NUMBER) == [&number[..]];
        let arrived = self.origin.requests_where(is_it).into_iter().next();
        Ok(Seen { response, arrived })
    }

    /// The waypoint.
    #[must_use]
    pub fn waypoint(&self) -> &Waypoint {
        &self.waypoint
    }
}
