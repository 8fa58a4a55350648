//! `egressctl convert`: other policies into this filter's configuration.

mod access_log;
mod agentgateway;
mod compile;
mod elsewhere;
mod environment;
mod istio;
mod names;
mod note;
mod output;
mod overlap;
mod policy;
mod routes;
mod scope;
#[cfg(test)]
mod tests;

use std::io::Write as _;

use clap::ValueEnum;

use crate::emit;
use crate::manifest::{Kind, Manifest};
use crate::terminal::Terminal;
use crate::yaml::Value;
use crate::{Exit, Failure};
use access_log::AccessLog;
use environment::Environment;
use istio::Mesh;
use names::Names;
use note::{At, Effect, Note, Notes};
use output::Plugin;
use policy::{Configuration, Policy};
use scope::{Library, Target};

/// Converts policies of AgentGateway and Istio into one WasmPlugin, with a note for each field that
/// has no counterpart.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// YAML with AgentgatewayPolicy, EnterpriseAgentgatewayPolicy and AuthorizationPolicy
    /// resources, in the order they are to apply, and with the ServiceEntry, HTTPRoute, Service and
    /// Gateway resources that they target; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// What to write.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = As::WasmPlugin)]
    kind: As,
    /// The name of the resource.
    #[arg(long, value_name = "NAME", default_value = "egress-filter")]
    name: String,
    /// The namespace of the resource, which is the Gateway's; that of the policies if left out.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The waypoint's Gateway; the one that the policies target if left out.
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// The image of the filter, with or without `oci://`.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The digest of the image's manifest, with or without `sha256:`.
    #[arg(long, value_name = "DIGEST", value_parser = output::digest)]
    sha256: Option<String>,
    /// The mesh's trust domain and its aliases: what `cluster.local` stands for in an
    /// AuthorizationPolicy's principals.
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',', default_value = "cluster.local")]
    trust_domain: Vec<String>,
    /// Write the result even where it is looser than the source.
    #[arg(long)]
    allow_lossy: bool,
    /// How to print it: the resource with the notes on standard error, or all in one JSON document.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Output::Yaml)]
    output: Output,
}

const HELP: &str = "\
Notes say what is not as it was, each with its place and what to do instead:
  error    the result would be looser than the source: something that refuses, authenticates or \
  protects requests is not
           in it, or may not be (an unknown field), or a policy's scope is not known. Nothing is \
           written, unless
           --allow-lossy; then what the note is about is left out, and a policy of unknown scope \
           is for every host
  warning  the result is stricter (a rule without counterpart is left out of an ALLOW; a DENY \
  goes without the condition,
           and denies more), or something is lost that lets nothing more through (a timeout, a \
           trace)
  note     it is converted; this is worth knowing

Exit codes: 0 all is converted (notes or none), 1 something is not (warnings, errors), 2 nothing \
    could be read.

Examples:
  egressctl convert policies.yaml | egressctl check -
  egressctl convert --kind TrafficExtension --image \
  registry.example.com/platform/egress-filter:0.1.0 policies/*.yaml
  kubectl get authorizationpolicies,serviceentries -A -o yaml | egressctl convert --gateway \
  egress --namespace egress-direct -";

/// `--kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// For Istio 1.27 and later.
    #[value(name = "WasmPlugin", alias = "wasmplugin")]
    WasmPlugin,
    /// Its successor, for Istio 1.30 and later.
    #[value(name = "TrafficExtension", alias = "trafficextension")]
    TrafficExtension,
    /// The configuration alone.
    #[value(name = "pluginConfig", alias = "pluginconfig")]
    PluginConfig,
}

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// The resource; notes go to standard error.
    Yaml,
    /// One document with resource and notes.
    Json,
}

impl As {
    fn kind(self) -> Kind {
        match self {
            As::WasmPlugin => Kind::WasmPlugin,
            As::TrafficExtension => Kind::TrafficExtension,
            As::PluginConfig => Kind::PluginConfig,
        }
    }
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut manifests = Vec::with_capacity(args.files.len());
    for name in &args.files {
        manifests.push(Manifest::read_whole(name)?);
    }
    let converted = convert(args, &manifests)?;
    let looser = converted.count(Effect::Looser);
    let written = looser == 0 || args.allow_lossy;
    let is_whole = |note: &Note<'_>| matches!(note.effect, Effect::Hint | Effect::Needs);
    let all_there = converted.notes.iter().all(is_whole);
    match args.output {
        Output::Json => {
            let report = output::Report::new(&converted, written);
            serde_json::to_writer_pretty(&mut terminal.out, &report)
                .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Output::Yaml => {
            for note in &converted.notes {
                writeln!(terminal.err, "{}\n", output::shown(note))?;
            }
            writeln!(terminal.err, "{}", output::summary(&converted, written))?;
            if written {
                terminal.write_data(&converted.resource.to_yaml())?;
            }
        }
    }
    Ok(if all_there { Exit::Success } else { Exit::Findings })
}

/// The result of a conversion.
#[derive(Debug)]
struct Converted<'d> {
    resource: emit::Tree,
    /// How many policies were read, and how many the result has.
    read: usize,
    policies: Vec<Policy>,
    notes: Vec<Note<'d>>,
    /// Resources that are no policies.
    passed_over: Vec<At<'d>>,
}

impl Converted<'_> {
    fn count(&self, effect: Effect) -> usize {
        self.notes.iter().filter(|note| note.effect == effect).count()
    }
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    AgentGateway,
    Istio,
}

fn source_of(document: &At<'_>) -> Option<Source> {
    let group = document
        .text_at("apiVersion")
        .and_then(|version| version.split_once('/'))
        .map(|(group, _)| group);
    match (group, document.text_at("kind")) {
        (Some("agentgateway.dev"), Some("AgentgatewayPolicy")) => Some(Source::AgentGateway),
        (Some("enterpriseagentgateway.solo.io"), Some("EnterpriseAgentgatewayPolicy")) => {
            Some(Source::AgentGateway)
        }
        (Some("security.istio.io"), Some("AuthorizationPolicy")) => Some(Source::Istio),
        _ => None,
    }
}

/// All documents; a list's items are documents of their own.
fn documents<'d>(manifests: &'d [Manifest], notes: &mut Notes<'d>) -> Vec<At<'d>> {
    let mut found = Vec::new();
    for (file, manifest) in manifests.iter().enumerate() {
        for document in &manifest.documents {
            gather(At::document(file, &manifest.source, document), &mut found, notes);
        }
    }
    found
}

/// A document, or the items of a list. A value that is not a resource may have been meant to
/// restrict something.
fn gather<'d>(at: At<'d>, found: &mut Vec<At<'d>>, notes: &mut Notes<'d>) {
    if matches!(at.node.value, Value::Null) {
        return;
    }
    let kind = at.text_at("kind");
    if kind.is_some_and(|kind| kind.ends_with("List")) && at.node.get("items").is_some() {
        notes.duplicate_fields(&at);
        for item in at.get("items").map(|items| notes.list(&items)).unwrap_or_default() {
            gather(item, found, notes);
        }
        return;
    }
    if at.node.fields().is_none() {
        notes.wrong(&at, "a resource");
    } else if kind.is_none() || at.text_at("apiVersion").is_none() {
        let message = "no resource without `apiVersion` and `kind`, in a list of one kind too: \
            what it says is not in the result";
        notes.add(&at, Effect::Looser, message);
    }
    found.push(at);
}

/// Whether a later policy would replace this one when both are applied to a cluster.
fn is_replaced(document: &At<'_>, later: &[At<'_>]) -> bool {
    let id = |at: &At<'_>| {
        ["kind", "metadata.namespace", "metadata.name"]
            .map(|path| at.text_at(path).map(str::to_owned))
    };
    let named = document.text_at("metadata.name").is_some();
    named && later.iter().any(|other| id(other) == id(document))
}

fn convert<'d>(args: &Args, manifests: &'d [Manifest]) -> Result<Converted<'d>, Failure> {
    let mut notes = Notes::default();
    let documents = documents(manifests, &mut notes);
    let (sources, others): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|document| source_of(document).is_some());
    let has_policies =
        |at: &&At<'d>| agentgateway::is_backend(at) && at.at("spec.policies").is_some();
    let backends = others.iter().filter(has_policies).count();
    if sources.is_empty() && backends == 0 {
        let message = "nothing to convert: no AgentgatewayPolicy, EnterpriseAgentgatewayPolicy or \
            AuthorizationPolicy in these files";
        return Err(Failure::Usage(message.to_owned()));
    }
    let library = Library { resources: others };
    library.check(&mut notes);
    let mut names = Names::default();
    let gathered = gather_policies(args, &sources, &library, &mut names, &mut notes);
    let Gathered { mut made, attached, mut configuration, allows, overlapping } = gathered;
    check_mixture(&allows, &mut notes);
    overlap::check(&overlapping, &library.parts(), &mut notes);
    let gateways: Vec<Target> = attached.iter().map(|(_, target)| target.clone()).collect();
    let routes = routes::convert(&library, &gateways, &mut names, &mut notes);
    let read = sources.len().saturating_add(routes.len()).saturating_add(backends);
    let is_route =
        |resource: &At<'d>| routes.iter().any(|(route, _)| std::ptr::eq(route.node, resource.node));
    let others: Vec<At<'d>> = library
        .resources
        .iter()
        .filter(|resource| {
            !is_route(resource) && !elsewhere::has_logging(resource) && !has_policies(resource)
        })
        .cloned()
        .collect();
    made.extend(routes);
    made.sort_by_key(|(_, policy)| policy.is_behind);
    agentgateway::check_behind(&mut made, &mut notes);
    made.retain(|(_, policy)| !policy.is_empty());
    agentgateway::guard(&mut made, &mut names, &mut notes);
    elsewhere::tell(&others, &mut notes);
    agentgateway::check_together(&sources, &made, &mut notes);
    configuration.policies = made.into_iter().map(|(_, policy)| policy).collect();
    let plugin = Plugin::new(args, &sources, &attached, &mut notes);
    let resource = plugin.resource(&configuration);
    output::check_engine(&configuration, &sources, &mut notes);
    Ok(Converted {
        resource,
        read,
        policies: configuration.policies,
        notes: notes.into_sorted(),
        passed_over: others,
    })
}

/// What is read of the policies, before they are looked at together.
struct Gathered<'s, 'd> {
    made: Vec<(At<'d>, Policy)>,
    /// What each policy is attached to.
    attached: Vec<(At<'d>, Target)>,
    /// All but the policies.
    configuration: Configuration,
    /// The policies with Allows, and whether they are Istio's.
    allows: Vec<(&'s At<'d>, bool)>,
    overlapping: Vec<overlap::Allows<'s, 'd>>,
}

fn gather_policies<'s, 'd>(
    args: &Args,
    sources: &'s [At<'d>],
    library: &Library<'d>,
    names: &mut Names,
    notes: &mut Notes<'d>,
) -> Gathered<'s, 'd> {
    let mesh = Mesh { trust_domains: args.trust_domain.clone() };
    let (mut environment, mut access_log) = (Environment::default(), AccessLog::default());
    let mut gathered = Gathered {
        made: Vec::new(),
        attached: Vec::new(),
        configuration: Configuration::default(),
        allows: Vec::new(),
        overlapping: Vec::new(),
    };
    for resource in library.resources.iter().filter(|resource| elsewhere::has_logging(resource)) {
        access_log.of_parameters(resource, notes);
    }
    for (index, document) in sources.iter().enumerate() {
        let start = notes.len();
        let name = names.name_of(document, notes);
        if is_replaced(document, sources.get(index.saturating_add(1)..).unwrap_or_default()) {
            let message = "a later resource has this kind, namespace and name, and takes its \
                place in a cluster: left out; leave one of them out of the files";
            notes.add(
                &document.at("metadata.name").unwrap_or_else(|| document.clone()),
                Effect::Looser,
                message,
            );
            notes.of_policy(None);
            continue;
        }
        let is_istio = source_of(document) == Some(Source::Istio);
        notes.duplicates(document);
        names::metadata(document, is_istio, notes);
        let (mut made, scope) = if is_istio {
            let read = istio::convert(document, &name, &mesh, library, notes);
            gathered.configuration.denies_by_default |= read.denies_by_default;
            (read.policies, read.scope)
        } else {
            let mut context = agentgateway::Context {
                library,
                environment: &mut environment,
                access_log: &mut access_log,
            };
            let read = agentgateway::convert(document, &name, &mut context, notes);
            (read.policies, read.scope)
        };
        if made.iter().any(|policy| {
            !policy.shadow
                && policy.authorization.as_ref().is_some_and(|rule| rule.action == "Allow")
        }) {
            gathered.allows.push((document, is_istio));
            gathered.overlapping.push((document, scope.parts.clone()));
        }
        let mut comment = vec![names::origin(document)];
        comment.extend(scope.because.iter().map(|target| format!("hosts: those of {target}")));
        comment.extend(notes.comments_since(start));
        for policy in &mut made {
            policy.comment = std::mem::take(&mut comment);
            policy.name = names.unique(&policy.name);
        }
        gathered.made.extend(made.into_iter().map(|policy| (document.clone(), policy)));
        let attached = scope.attached.into_iter().map(|target| (document.clone(), target));
        gathered.attached.extend(attached);
        notes.of_policy(None);
    }
    let mut context = agentgateway::Context {
        library,
        environment: &mut environment,
        access_log: &mut access_log,
    };
    agentgateway::convert_backends(&mut gathered.made, &mut context, names, notes);
    gathered.configuration.audit = access_log.into_tree();
    gathered.configuration.environment = environment.names();
    gathered
}

/// AgentGateway's Allows and Istio's are evaluated one after the other, and both must allow. In one
/// list, either would suffice.
fn check_mixture<'d>(allows: &[(&At<'d>, bool)], notes: &mut Notes<'d>) {
    let first_of = |istio: bool| {
        allows.iter().find(|(_, is_istio)| *is_istio == istio).map(|(document, _)| *document)
    };
    if let (Some(_), Some(istio)) = (first_of(false), first_of(true)) {
        let message = "Allows of AgentGateway's policies and of AuthorizationPolicies together: \
            there both must allow a request, here one would be enough. Convert one kind, and \
            leave the AuthorizationPolicies to the waypoint";
        notes.add(istio, Effect::Looser, message);
    }
}
