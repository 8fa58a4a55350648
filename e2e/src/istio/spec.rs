//! The `spec` of each resource, as far as it bears on a waypoint.
//!
//! A field that is not here is an error: what istiod would make of it is not known, and passing it
//! over would show an Envoy that no cluster has.

use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct Gateway {
    pub(in crate::istio) gateway_class_name: String,
    pub(in crate::istio) listeners: Vec<GatewayListener>,
    #[serde(default)]
    pub(in crate::istio) infrastructure: Infrastructure,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct Infrastructure {
    pub(in crate::istio) parameters_ref: Option<TargetRef>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct GatewayListener {
    #[serde(rename = "name")]
    _name: String,
    pub(in crate::istio) port: u16,
    pub(in crate::istio) protocol: String,
    #[serde(default)]
    pub(in crate::istio) allowed_routes: AllowedRoutes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct AllowedRoutes {
    #[serde(default)]
    pub(in crate::istio) namespaces: RouteNamespaces,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct RouteNamespaces {
    #[serde(default)]
    pub(in crate::istio) from: From,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in crate::istio) enum From {
    #[default]
    Same,
    All,
}

/// Of a pod only its identity and its network matter here; the rest of its `spec` is for the
/// kubelet.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::istio) struct Pod {
    #[serde(default = "default_account")]
    pub(in crate::istio) service_account_name: String,
    #[serde(default)]
    pub(in crate::istio) host_network: bool,
}

fn default_account() -> String {
    "default".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct ServiceEntry {
    pub(in crate::istio) hosts: Vec<String>,
    pub(in crate::istio) location: String,
    pub(in crate::istio) resolution: String,
    pub(in crate::istio) ports: Vec<ServicePort>,
    /// Who may see the service; the waypoint's own namespace always does.
    #[serde(rename = "exportTo", default)]
    _export_to: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct ServicePort {
    pub(in crate::istio) number: u16,
    #[serde(rename = "name")]
    _name: String,
    #[serde(default)]
    pub(in crate::istio) protocol: String,
    pub(in crate::istio) target_port: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct DestinationRule {
    pub(in crate::istio) host: String,
    #[serde(default)]
    pub(in crate::istio) traffic_policy: TrafficPolicy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct TrafficPolicy {
    pub(in crate::istio) tls: Option<ClientTls>,
    #[serde(default)]
    pub(in crate::istio) port_level_settings: Vec<PortPolicy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct PortPolicy {
    pub(in crate::istio) port: PortNumber,
    pub(in crate::istio) tls: Option<ClientTls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct PortNumber {
    pub(in crate::istio) number: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct ClientTls {
    pub(in crate::istio) mode: String,
    #[serde(default)]
    pub(in crate::istio) sni: String,
    #[serde(default)]
    pub(in crate::istio) subject_alt_names: Vec<String>,
    #[serde(default)]
    pub(in crate::istio) insecure_skip_verify: bool,
    #[serde(default)]
    pub(in crate::istio) credential_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct Attachment {
    pub(in crate::istio) selector: Option<Value>,
    #[serde(default)]
    pub(in crate::istio) target_refs: Vec<TargetRef>,
    #[serde(default)]
    pub(in crate::istio) phase: Option<String>,
    #[serde(default)]
    pub(in crate::istio) priority: Option<i64>,
    #[serde(rename = "match", default)]
    pub(in crate::istio) traffic: Vec<TrafficSelector>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct TargetRef {
    #[serde(default)]
    pub(in crate::istio) group: String,
    pub(in crate::istio) kind: String,
    pub(in crate::istio) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct TrafficSelector {
    pub(in crate::istio) mode: Option<String>,
    #[serde(default)]
    pub(in crate::istio) ports: Vec<PortNumber>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct Wasm {
    pub(in crate::istio) url: String,
    /// For the agent, which compares it with what it fetched.
    #[serde(rename = "sha256", default)]
    _sha256: String,
    #[serde(rename = "imagePullPolicy", default)]
    _image_pull_policy: Option<String>,
    #[serde(rename = "imagePullSecret", default)]
    _image_pull_secret: Option<String>,
    #[serde(default)]
    pub(in crate::istio) plugin_config: Map<String, Value>,
    #[serde(default)]
    pub(in crate::istio) plugin_name: String,
    #[serde(default)]
    pub(in crate::istio) fail_strategy: Option<String>,
    #[serde(rename = "type", default)]
    pub(in crate::istio) kind: Option<String>,
    #[serde(default)]
    pub(in crate::istio) vm_config: VmConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct VmConfig {
    #[serde(default)]
    pub(in crate::istio) env: Vec<EnvVar>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct EnvVar {
    pub(in crate::istio) name: String,
    #[serde(default)]
    pub(in crate::istio) value: String,
    #[serde(default)]
    pub(in crate::istio) value_from: EnvValueSource,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::istio) enum EnvValueSource {
    #[default]
    Inline,
    Host,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::istio) struct AuthorizationPolicy {
    pub(in crate::istio) selector: Option<Value>,
    #[serde(default)]
    pub(in crate::istio) target_refs: Vec<TargetRef>,
    #[serde(default = "allow")]
    pub(in crate::istio) action: String,
    pub(in crate::istio) rules: Vec<Rule>,
}

fn allow() -> String {
    "ALLOW".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct Rule {
    pub(in crate::istio) from: Vec<RuleSource>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct RuleSource {
    pub(in crate::istio) source: Source,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::istio) struct Source {
    pub(in crate::istio) namespaces: Vec<String>,
}
