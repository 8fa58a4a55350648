//! Which requests a policy is for, by its targets: as `hosts`, and as the Gateway that the plugin
//! attaches to.

mod route;

use crate::yaml::{Node, Value};

use super::agentgateway;
use super::note::{At, Effect, Notes};
use super::overlap::{Part, is_within};
use route::of_route;

const GATEWAY_API: &str = "gateway.networking.k8s.io";
const ISTIO_NETWORKING: &str = "networking.istio.io";
const AGENTGATEWAY: &str = "agentgateway.dev";

/// What a plugin may be attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

impl Target {
    /// Whether both are the same. A resource without a namespace goes where kubectl's settings say.
    pub(super) fn is(&self, other: &Target) -> bool {
        let same_namespace = self.namespace.is_none()
            || other.namespace.is_none()
            || self.namespace == other.namespace;
        self.kind == other.kind && self.name == other.name && same_namespace
    }
}

/// The requests that a policy is for.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Empty for all.
    pub(super) hosts: Vec<String>,
    /// What the policy, or what it targets, is attached to.
    pub(super) attached: Vec<Target>,
    /// The targets that appear in the result only as their hosts.
    pub(super) because: Vec<String>,
    /// The services and routes that it is for; none where it is for the whole Gateway.
    pub(super) parts: Vec<Part>,
}

/// The resources that were given beside the policies.
#[derive(Debug, Default)]
pub(super) struct Library<'d> {
    pub(super) resources: Vec<At<'d>>,
}

impl<'d> Library<'d> {
    /// A resource. Of several with its name the last counts, as in a cluster that they are applied
    /// to.
    fn find(
        &self,
        (group, kind): (&str, &str),
        namespace: Option<&str>,
        name: &str,
        target: &At<'d>,
        notes: &mut Notes<'d>,
    ) -> Option<&At<'d>> {
        let found = self.resources.iter().filter(|resource| {
            let version = resource.text_at("apiVersion").unwrap_or_default();
            let its_group = version.split_once('/').map_or("", |(group, _)| group);
            let its_namespace = resource.text_at("metadata.namespace");
            // A service without a namespace goes where kubectl's settings say, as its policy does.
            let same_namespace =
                namespace.is_none() || its_namespace.is_none() || namespace == its_namespace;
            its_group == group
                && resource.text_at("kind") == Some(kind)
                && resource.text_at("metadata.name") == Some(name)
                && same_namespace
        });
        let found: Vec<&At<'d>> = found.collect();
        let namespace_of = |resource: &&At<'d>| resource.text_at("metadata.namespace");
        if found
            .iter()
            .any(|resource| Some(namespace_of(resource)) != found.last().map(namespace_of))
        {
            let message = format!(
                "which `{}` `{}` is meant is not known: there are several, of different \
                 namespaces; give the policy its `metadata.namespace`, and them theirs",
                kind.escape_debug(),
                name.escape_debug()
            );
            notes.add(target, Effect::Looser, message);
        }
        found.last().copied()
    }

    /// Whether a DestinationRule has TLS for each of some hosts.
    pub(super) fn originates_tls(&self, hosts: &[String]) -> bool {
        let is_tls = |at: &At<'_>| matches!(at.text_at("tls.mode"), Some("SIMPLE" | "MUTUAL"));
        let is_for = |resource: &At<'d>, host: &str| {
            let policy = resource.at("spec.trafficPolicy");
            let ports = policy.as_ref().and_then(|policy| policy.get("portLevelSettings"));
            resource.text_at("kind") == Some("DestinationRule")
                && resource.text_at("spec.host").is_some_and(|rule| is_within(host, rule))
                && (policy.as_ref().is_some_and(is_tls)
                    || ports.is_some_and(|ports| ports.items().iter().any(is_tls)))
        };
        !hosts.is_empty()
            && hosts.iter().all(|host| self.resources.iter().any(|resource| is_for(resource, host)))
    }

    /// The services and routes among them that have hosts of their own.
    pub(super) fn parts(&self) -> Vec<Part> {
        let part = |resource: &At<'d>| {
            let text = |path: &str| resource.text_at(path).map(str::to_owned);
            let hosts = match resource.text_at("kind")? {
                "ServiceEntry" => resource.at("spec.hosts")?,
                "HTTPRoute" | "GRPCRoute" => resource.at("spec.hostnames")?,
                _ => return None,
            };
            let hosts: Vec<String> = hosts
                .items()
                .iter()
                .filter_map(|host| host.node.as_str())
                .map(str::to_owned)
                .collect();
            let (kind, name, namespace) =
                (text("kind")?, text("metadata.name")?, text("metadata.namespace"));
            (!hosts.is_empty()).then_some(Part { kind, name, namespace, hosts })
        };
        self.resources.iter().filter_map(part).collect()
    }

    /// Notes the resources that a cluster might read differently.
    pub(super) fn check(&self, notes: &mut Notes<'d>) {
        for resource in &self.resources {
            match resource.text_at("kind") {
                Some("Gateway" | "HTTPRoute" | "GRPCRoute" | "ServiceEntry" | "Service") => {
                    notes.duplicates(resource)
                }
                _ => notes.duplicate_fields(resource),
            }
        }
    }
}

/// What one target covers.
#[derive(Debug)]
enum Covers {
    /// All that passes the Gateway.
    All,
    /// All requests that belong to no other route.
    Rest,
    Hosts(Vec<String>),
    /// The scope cannot be determined, which has been noted.
    Unknown,
}

/// Finds out what a policy's targets cover.
pub(super) fn resolve<'d>(
    targets: &[At<'d>],
    namespace: Option<&str>,
    library: &Library<'d>,
    notes: &mut Notes<'d>,
) -> Scope {
    let mut scope = Scope::default();
    let (mut all, mut whole, mut hosts) = (false, false, Vec::new());
    for target in targets {
        let covers = resolve_one(target, namespace, library, &mut scope, notes);
        let text = |name: &str| target.text_at(name).unwrap_or_default().to_owned();
        let part = |hosts| Part {
            kind: text("kind"),
            name: text("name"),
            namespace: namespace.map(str::to_owned),
            hosts,
        };
        match covers {
            Covers::All | Covers::Unknown => {
                all = true;
                whole = true;
            }
            Covers::Rest => {
                all = true;
                scope.parts.push(part(Vec::new()));
            }
            Covers::Hosts(more) => {
                scope.parts.push(part(more.clone()));
                hosts.extend(more);
            }
        }
    }
    if whole {
        scope.parts.clear();
    }
    if !all {
        hosts.sort();
        hosts.dedup();
        scope.hosts = hosts;
    }
    scope
}

fn resolve_one<'d>(
    target: &At<'d>,
    namespace: Option<&str>,
    library: &Library<'d>,
    scope: &mut Scope,
    notes: &mut Notes<'d>,
) -> Covers {
    let known = ["group", "kind", "name", "namespace", "sectionName"];
    notes.object(target, &known);
    let text = |name: &str| target.text_at(name).unwrap_or_default();
    let (group, kind, name) = (text("group"), text("kind"), text("name"));
    if target.get("namespace").is_some_and(|other| other.node.as_str() != namespace) {
        notes.add(
            target,
            Effect::Looser,
            "a target in another namespace than the policy's: Istio attaches such a policy nowhere",
        );
        return Covers::Unknown;
    }
    let covers = match (group, kind) {
        (GATEWAY_API, "Gateway" | "GatewayClass") => {
            scope.attached.push(Target {
                kind: kind.to_owned(),
                name: name.to_owned(),
                namespace: namespace.map(str::to_owned),
            });
            if let Some(section) = target.get("sectionName") {
                return of_listener(&section, namespace, name, library, notes);
            }
            return Covers::All;
        }
        (GATEWAY_API, "HTTPRoute" | "GRPCRoute") => {
            match library.find((GATEWAY_API, kind), namespace, name, target, notes) {
                Some(route) => of_route(target, route, namespace, library, scope, notes),
                None => missing(target, kind, name, notes),
            }
        }
        (ISTIO_NETWORKING, "ServiceEntry") => {
            match library.find((ISTIO_NETWORKING, kind), namespace, name, target, notes) {
                Some(entry) => of_service_entry(entry, scope, notes),
                None => missing(target, kind, name, notes),
            }
        }
        (AGENTGATEWAY, "AgentgatewayBackend") => {
            match library.find((AGENTGATEWAY, kind), namespace, name, target, notes) {
                Some(backend) => Covers::Hosts(agentgateway::hosts_of_backend(backend)),
                None => missing(target, kind, name, notes),
            }
        }
        ("" | "core", "Service") => {
            if let Some(service) = library.find(("", kind), namespace, name, target, notes) {
                attach_to_waypoint(service, namespace, scope);
            }
            match namespace {
                Some(namespace) => Covers::Hosts(service_hosts(name, namespace)),
                None => {
                    let message = "the Service's host names need its namespace: give the policy a \
                        `metadata.namespace`";
                    notes.add(target, Effect::Looser, message);
                    Covers::Unknown
                }
            }
        }
        _ => {
            let message = format!(
                "what a `{}` covers has no counterpart: the policy would be for every host; \
                 target the Gateway, or give `hosts` by hand",
                kind.escape_debug()
            );
            notes.add(target, Effect::Looser, message);
            return Covers::Unknown;
        }
    };
    if matches!(&covers, Covers::Hosts(hosts) if hosts.is_empty()) {
        let message = format!(
            "`{kind}` `{}` names no host, so that the policy would be for every host: give it some",
            name.escape_debug()
        );
        notes.add(target, Effect::Looser, message);
        return Covers::Unknown;
    }
    scope.because.push(if group.is_empty() {
        format!("{kind} {name}")
    } else {
        format!("{group}/{kind} {name}")
    });
    if let (Some(section), Covers::Hosts(_)) = (target.get("sectionName"), &covers) {
        let message = "a section is less than the whole route or service, which is what the \
            `hosts` of the result cover";
        notes.add(&section, Effect::Looser, message);
    }
    covers
}

fn missing<'d>(target: &At<'d>, kind: &str, name: &str, notes: &mut Notes<'d>) -> Covers {
    let message = format!(
        "the hosts of `{}` `{}` are not known, so the policy would be for every host: give its \
         file too",
        kind.escape_debug(),
        name.escape_debug()
    );
    notes.add(target, Effect::Looser, message);
    Covers::Unknown
}

/// A listener of a Gateway: of a waypoint, which has one, all of it.
fn of_listener<'d>(
    section: &At<'d>,
    namespace: Option<&str>,
    gateway: &str,
    library: &Library<'d>,
    notes: &mut Notes<'d>,
) -> Covers {
    let listeners = library
        .find((GATEWAY_API, "Gateway"), namespace, gateway, section, notes)
        .and_then(|gateway| gateway.at("spec.listeners"));
    let only =
        listeners.map(|listeners| listeners.items()).filter(|listeners| listeners.len() == 1);
    if only.is_some_and(|only| {
        only.first().and_then(|listener| listener.text_at("name")) == section.node.as_str()
    }) {
        notes.add(
            section,
            Effect::Hint,
            "the Gateway's only listener: left out, as a plugin is for the whole Gateway",
        );
        return Covers::All;
    }
    let message = "a plugin is for all listeners of a Gateway: give the Gateway's file too if \
        this is its only one";
    notes.add(section, Effect::Looser, message);
    Covers::Unknown
}

fn of_service_entry<'d>(entry: &At<'d>, scope: &mut Scope, notes: &mut Notes<'d>) -> Covers {
    attach_to_waypoint(entry, entry.text_at("metadata.namespace"), scope);
    Covers::Hosts(texts(entry.at("spec.hosts").as_ref(), notes))
}

/// The names that a caller may use for a Service.
fn service_hosts(name: &str, namespace: &str) -> Vec<String> {
    ["svc.cluster.local", "svc"]
        .iter()
        .map(|suffix| format!("{name}.{namespace}.{suffix}"))
        .chain([format!("{name}.{namespace}"), name.to_owned()])
        .collect()
}

/// Notes the waypoint that a service's label names.
fn attach_to_waypoint(service: &At<'_>, namespace: Option<&str>, scope: &mut Scope) {
    let label = |name: &str| {
        service
            .at("metadata.labels")
            .and_then(|labels| labels.get(name))
            .and_then(|label| label.node.as_str())
    };
    if let Some(waypoint) = label("istio.io/use-waypoint").filter(|waypoint| *waypoint != "none") {
        let namespace = label("istio.io/use-waypoint-namespace").or(namespace).map(str::to_owned);
        scope.attached.push(Target {
            kind: "Gateway".to_owned(),
            name: waypoint.to_owned(),
            namespace,
        });
    }
}

/// The hosts of a list. A value that is not a list leaves open which requests it is about.
fn texts<'d>(list: Option<&At<'d>>, notes: &mut Notes<'d>) -> Vec<String> {
    let Some(list) = list else { return Vec::new() };
    let mut hosts = Vec::new();
    for item in notes.list(list) {
        match item.node.as_str() {
            Some(host) => hosts.push(host.to_owned()),
            None => notes.wrong(&item, "a host"),
        }
    }
    hosts
}
