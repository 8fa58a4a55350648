//! The services that are reached through the waypoint, and how each origin is spoken to.

use super::{
    Credential, DeriveError, Finding, NETWORKING, Port, Protocol, Service, UpstreamTls,
    client_certificates, finding, unknown,
};
use crate::istio::resources::{Object, ROOT_NAMESPACE, Resources};
use crate::istio::spec::{self, ClientTls};

/// The protocols whose chain only passes bytes on.
const TCP: [&str; 3] = ["TCP", "TLS", "HTTPS"];

pub(super) fn derive(
    resources: &Resources,
    gateway: &Object,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Service>, DeriveError> {
    let mut services: Vec<Service> = Vec::new();
    for entry in resources.of_kind(NETWORKING, "ServiceEntry") {
        if let Some(why) = not_attached(resources, gateway, entry)? {
            findings.push(finding(entry, format!("not reached through the waypoint: {why}")));
            continue;
        }
        let spec: spec::ServiceEntry = entry.spec()?;
        if (spec.location.as_str(), spec.resolution.as_str()) != ("MESH_EXTERNAL", "DNS") {
            return Err(unknown(
                entry,
                "only `location: MESH_EXTERNAL` with `resolution: DNS` is derived",
            ));
        }
        for host in spec.hosts {
            if host.contains('*') {
                return Err(unknown(entry, format!("the host `{host}`: no wildcard is derived")));
            }
            if services.iter().any(|service| service.host == host) {
                return Err(unknown(
                    entry,
                    format!("the host `{host}` is another ServiceEntry's already"),
                ));
            }
            let mut ports = Vec::new();
            for port in &spec.ports {
                ports.push(derive_port(resources, gateway, entry, &host, port, findings)?);
            }
            services.push(Service {
                host,
                namespace: entry.namespace.clone(),
                name: entry.name.clone(),
                ports,
            });
        }
    }
    Ok(services)
}

/// Why a ServiceEntry is not attached to the waypoint, if it is not.
fn not_attached(
    resources: &Resources,
    gateway: &Object,
    entry: &Object,
) -> Result<Option<String>, DeriveError> {
    let Some(name) = resources.label(entry, "istio.io/use-waypoint") else {
        return Ok(Some(
            "neither it nor its namespace is labelled `istio.io/use-waypoint`".to_owned(),
        ));
    };
    let namespace =
        resources.label(entry, "istio.io/use-waypoint-namespace").unwrap_or(&entry.namespace);
    if (namespace, name) != (&gateway.namespace, &gateway.name) {
        return Ok(Some(format!("`istio.io/use-waypoint` names `{namespace}/{name}`")));
    }
    let spec: spec::Gateway = gateway.spec()?;
    let all = spec
        .listeners
        .iter()
        .any(|listener| listener.allowed_routes.namespaces.from == spec::From::All);
    if entry.namespace != gateway.namespace && !all {
        return Ok(Some(
            "it is in another namespace, which the Gateway's `allowedRoutes` do not let in"
                .to_owned(),
        ));
    }
    match gateway.labels.get("istio.io/waypoint-for").map_or("service", String::as_str) {
        "service" | "all" => Ok(None),
        other => Ok(Some(format!(
            "the Gateway is a waypoint for `{other}`: label it `istio.io/waypoint-for: service`"
        ))),
    }
}

fn derive_port(
    resources: &Resources,
    gateway: &Object,
    entry: &Object,
    host: &str,
    port: &spec::ServicePort,
    findings: &mut Vec<Finding>,
) -> Result<Port, DeriveError> {
    let number = port.number;
    let named = port.protocol.to_ascii_uppercase();
    let protocol = match named.as_str() {
        "HTTP" | "HTTP2" => Protocol::Http,
        known if TCP.contains(&known) => {
            let message = format!(
                "port {number} is `{known}`: its chain only passes bytes on, no plugin runs; \
                 declare `protocol: HTTP`"
            );
            findings.push(finding(entry, message));
            Protocol::Tcp
        }
        "" => {
            let message = "has no protocol: Istio guesses from the first bytes and leads what is \
                           no HTTP past all plugins";
            return Err(unknown(
                entry,
                format!("port {number} {message}; declare `protocol: HTTP`"),
            ));
        }
        other => {
            return Err(unknown(
                entry,
                format!("port {number}: the protocol `{other}` is not derived"),
            ));
        }
    };
    let target = port.target_port.unwrap_or(number);
    let tls = upstream_tls(resources, gateway, entry, host, number)?;
    if let Some(Credential { name, served: None }) =
        tls.as_ref().and_then(|tls| tls.credential.as_ref())
    {
        findings.push(finding(
            entry,
            client_certificates::why_not_served(resources, gateway, host, name),
        ));
    }
    match &tls {
        None => findings.push(finding(
            entry,
            format!(
                "port {target} of `{host}` is spoken to in plain text: no DestinationRule for \
                     that host has `tls.mode: SIMPLE`"
            ),
        )),
        Some(tls) if !tls.verified || (!tls.auto_san && tls.subject_alt_names.is_empty()) => {
            findings.push(finding(
                entry,
                format!(
                    "the certificate of `{host}` need not be its own: leave \
                                          `sni` out or give `subjectAltNames`"
                ),
            ))
        }
        Some(_) => {}
    }
    Ok(Port { number, target, protocol, http2: named == "HTTP2", tls })
}

/// The TLS settings of the DestinationRule for the host, those of the port before those of all
/// ports.
fn upstream_tls(
    resources: &Resources,
    gateway: &Object,
    entry: &Object,
    host: &str,
    number: u16,
) -> Result<Option<UpstreamTls>, DeriveError> {
    // istiod looks in these namespaces one after the other: any rule for the host in an earlier one
    // hides those in the later ones.
    let namespaces = [gateway.namespace.as_str(), entry.namespace.as_str(), ROOT_NAMESPACE];
    let mut found = None;
    for namespace in namespaces {
        if found.is_none() {
            found = closest_rule(resources, namespace, host)?;
        }
    }
    let Some((object, rule)) = found else { return Ok(None) };
    let policy = rule.traffic_policy;
    let port =
        policy.port_level_settings.into_iter().find(|settings| settings.port.number == number);
    let Some(tls) = port.map_or(policy.tls, |settings| settings.tls) else { return Ok(None) };
    match tls.mode.as_str() {
        "SIMPLE" if tls.credential_name.is_empty() => Ok(Some(originated(tls, None))),
        "SIMPLE" => Err(unknown(
            object,
            "`credentialName` with `tls.mode: SIMPLE`, for authorities alone, is not derived",
        )),
        // A waypoint's cluster is made without the exception for sidecars, which need a
        // `workloadSelector` for this (cluster_waypoint.go, buildWaypointTLSContext).
        "MUTUAL" if !tls.credential_name.is_empty() => {
            let name = tls.credential_name.clone();
            let served = client_certificates::served(resources, gateway, &name);
            Ok(Some(originated(tls, Some(Credential { name, served }))))
        }
        "MUTUAL" => Err(unknown(
            object,
            "`tls.mode: MUTUAL` is derived with `credentialName` only, not with files of the pod",
        )),
        // A waypoint takes ISTIO_MUTUAL for no TLS at all.
        "DISABLE" | "ISTIO_MUTUAL" => Ok(None),
        other => Err(unknown(object, format!("`tls.mode: {other}` is not derived"))),
    }
}

/// A namespace's DestinationRule for the host: the one that names it, or else the one with the
/// longest wildcard that fits it.
fn closest_rule<'a>(
    resources: &'a Resources,
    namespace: &str,
    host: &str,
) -> Result<Option<(&'a Object, spec::DestinationRule)>, DeriveError> {
    let mut closest: Option<(&Object, spec::DestinationRule)> = None;
    for object in resources
        .of_kind(NETWORKING, "DestinationRule")
        .filter(|object| object.namespace == namespace)
    {
        let rule: spec::DestinationRule = object.spec()?;
        let matches = match rule.host.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix),
            None => rule.host == host,
        };
        let length = closest.as_ref().map(|(_, closest)| closest.host.len());
        if matches && length == Some(rule.host.len()) {
            return Err(unknown(
                object,
                format!(
                    "a second rule for `{}` in its namespace: istiod merges the two, which is not \
                     derived",
                    rule.host
                ),
            ));
        }
        // An exact host is longer than any wildcard that fits it.
        if matches && length.is_none_or(|length| length < rule.host.len()) {
            closest = Some((object, rule));
        }
    }
    Ok(closest)
}

fn originated(tls: ClientTls, credential: Option<Credential>) -> UpstreamTls {
    let auto = tls.sni.is_empty();
    UpstreamTls {
        auto_san: auto && tls.subject_alt_names.is_empty() && !tls.insecure_skip_verify,
        sni: (!auto).then_some(tls.sni),
        subject_alt_names: tls.subject_alt_names,
        verified: !tls.insecure_skip_verify,
        credential,
    }
}
