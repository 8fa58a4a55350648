//! What a proxy knows of a request besides its headers, one row for each property; and what the
//! workers of a proxy share.

use std::time::Duration;

use super::SharedData;

/// Declares the properties: the variant, the field of [`Given`], and Envoy's path.
macro_rules! properties {
    ($($(#[$doc:meta])* $variant:ident, $field:ident = $path:literal;)*) => {
        /// Something that a proxy knows of a request besides its headers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Property {
            $($(#[$doc])* $variant,)*
        }

        impl Property {
            /// All properties, in the order of the rows.
            pub const ALL: &[Property] = &[$(Property::$variant,)*];

            /// The property's path (Envoy's documentation, "Attributes"); its segments have a NUL
            /// between them.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self {
                    $(Property::$variant => $path,)*
                }
            }
        }

        /// Properties as data, for tests and tools.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct Given<'a> {
            $(#[doc = concat!("[`Property::", stringify!($variant), "`]")] pub $field: &'a [u8],)*
            /// The time.
            pub now: Duration,
            /// What the workers share. Nothing can be shared where there is none.
            pub shared: Option<&'a SharedData>,
        }

        impl Source for Given<'_> {
            fn property(&self, property: Property) -> &[u8] {
                match property {
                    $(Property::$variant => self.$field,)*
                }
            }

            fn failed(&self) -> bool {
                false
            }

            fn now(&self) -> Duration {
                self.now
            }

            fn shared(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
                Ok(self.shared.ok_or(Unavailable)?.get(key))
            }

            fn shared_number(&self) -> u64 {
                self.shared.map_or(0, SharedData::number)
            }

            fn set_shared(
                &self,
                key: &[u8],
                value: &[u8],
                version: u32,
            ) -> Result<bool, Unavailable> {
                Ok(self.shared.ok_or(Unavailable)?.set(key, value, version))
            }
        }
    };
}

properties! {
    /// Filter state `io.istio.peer_principal`.
    PeerPrincipal, peer_principal = "filter_state\0io.istio.peer_principal";
    /// The URI SAN of the peer's certificate on this connection, not on the tunnel around it.
    PeerCertificate, peer_certificate = "connection\0uri_san_peer_certificate";
    /// Envoy's name of the filter chain that the request came through, such as
    /// `inbound-vip|80|http|api.github.com`.
    FilterChainName, filter_chain_name = "xds\0filter_chain_name";
    /// Envoy's name of the cluster that the request goes to.
    ClusterName, cluster_name = "xds\0cluster_name";
    /// When the request came: eight bytes, little-endian, nanoseconds since 1970.
    Time, time = "request\0time";
    /// `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
    Protocol, protocol = "request\0protocol";
    /// The IP address of the peer, as the connection has it. Not `source.address`, which is what
    /// `x-forwarded-for` says with the settings that Istio gives a waypoint.
    SourceAddress, source_address =
        "filter_state\0envoy.filters.listener.original_dst.remote_ip\0ip";
    /// The port of the peer: eight bytes, little-endian.
    SourcePort, source_port = "filter_state\0envoy.filters.listener.original_dst.remote_ip\0port";
    /// The version of TLS on this connection; empty if it has none.
    TlsVersion, tls_version = "connection\0tls_version";
    /// Filter state `io.istio.local_principal`: the waypoint's own SPIFFE ID.
    LocalPrincipal, local_principal = "filter_state\0io.istio.local_principal";
    /// The URI SAN of the proxy's own certificate on this connection.
    LocalCertificate, local_certificate = "connection\0uri_san_local_certificate";
    /// The address that the caller dialled, with its port.
    DestinationAddress, destination_address = "destination\0address";
    /// The dynamic metadata that the filters before this one have written for the request:
    /// `envoy.config.core.v3.Metadata`, in Protocol Buffers' wire format.
    Metadata, metadata = "metadata";
    /// The name of this plugin, the same in all workers and after an update.
    PluginName, plugin_name = "plugin_name";
}

/// Shared data could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// Where properties come from. A property is asked for when something reads it, possibly more than
/// once.
pub trait Source: std::fmt::Debug + Sync {
    /// The property's value, empty where there is none.
    fn property(&self, property: Property) -> &[u8];

    /// Whether a property could not be read. A decision that was made on its absence is then not
    /// valid.
    fn failed(&self) -> bool;

    /// The time since some point in the past, on a clock that only goes forward and is the same for
    /// all workers.
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    /// A value that all workers share, and its version, which is never 0.
    ///
    /// # Errors
    /// It could not be read.
    fn shared(&self, _key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        Err(Unavailable)
    }

    /// Which shared data it is. What is remembered of one is not true of another.
    fn shared_number(&self) -> u64 {
        0
    }

    /// Sets a value that all workers share, if it still has this version or is not there yet.
    /// Returns whether it was set.
    ///
    /// # Errors
    /// It could not be written.
    fn set_shared(&self, _key: &[u8], _value: &[u8], _version: u32) -> Result<bool, Unavailable> {
        Err(Unavailable)
    }
}
