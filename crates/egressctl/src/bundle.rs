//! `egressctl bundle`: a file of policies for each team, put together into one plugin.

mod guard;
mod platform;
mod put;
mod team;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::Path;

use egress_filter::policy::Engine;

use crate::choice;
use crate::diagnostic::{Diagnostic, plain, write_all};
use crate::emit::{Item, Tree};
use crate::manifest::{Kind, Manifest};
use crate::source::Source;
use crate::terminal::{BAD, GOOD, Terminal, painted};
use crate::yaml::{self, Node};
use crate::{Exit, Failure, sizes};
use platform::Platform;
use put::replace_policies;

/// The file that makes a folder one of teams.
pub(crate) const PLATFORM: &str = "platform.yaml";

const HELP: &str = "\
A folder of teams has these files:

  platform.yaml       plugin: plugin.yaml
                      teams:
                      - name: payments
                        namespaces: [payments, payments-*]
                        hosts: [api.stripe.com]
  plugin.yaml         the plugin, with everything that is not a team's; its
                      default action is Deny
  teams/payments.yaml the team's `policies`, and nothing else

A team's policies need `hosts`, all of them the team's. Their rules count for callers from its
namespaces only, and their names get the team's before them. What else a team may write is in
docs/teams.md.

Without such a folder, the policies of all files are added to those of the first, which alone may be
a resource or have fields beside `policies`; nobody is held to anything then.

Examples:
  egressctl bundle egress/ | kubectl apply --server-side -f -
  egressctl bundle --platform platform.yaml teams/*.yaml > plugin.yaml
  egressctl bundle policy.yaml proposed.yaml

Exit codes: 0 it is written; 1 a file has errors, and nothing is written; 2 a file cannot be read.";

/// Puts files of policies together into one plugin, and holds each team's to what the team may
/// name.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// A folder of teams; or files of policies.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The file that says what each team may name; the files are the teams' then, each called after
    /// its team.
    #[arg(long, value_name = "FILE")]
    platform: Option<String>,
}

/// Errors, each with the file that it is in.
pub(crate) type Errors = Vec<(Source, Vec<Diagnostic>)>;

/// Files that were put together.
#[derive(Debug)]
pub(crate) struct Bundle {
    resource: Tree,
    files: usize,
    policies: usize,
}

impl Bundle {
    /// As YAML.
    pub(crate) fn to_yaml(&self) -> String {
        self.resource.to_yaml()
    }
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let bundle = match (&args.platform, args.files.as_slice()) {
        (Some(platform), files) => of_teams(platform, Some(files))?,
        (None, [folder]) if is_folder(folder) => of_folder(folder)?,
        (None, files) => of_files(files)?,
    };
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(errors) => {
            let count = errors.iter().map(|(_, found)| found.len()).fold(0, usize::saturating_add);
            let all = errors.iter().flat_map(|(source, found)| {
                found.iter().map(move |diagnostic| (source, diagnostic))
            });
            write_all(&mut terminal.err, all)?;
            let errors = if count == 1 { "1 error" } else { &format!("{count} errors") };
            writeln!(terminal.err, "{}: nothing is written", painted(BAD, errors))?;
            return Ok(Exit::Findings);
        }
    };
    terminal.write_data(&bundle.to_yaml())?;
    let bytes = serde_json::to_string(&bundle.resource).unwrap_or_default().len();
    let of = |count: usize, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    writeln!(
        terminal.err,
        "{}: {} from {}, {bytes} bytes of JSON",
        painted(GOOD, "ok"),
        of(bundle.policies, "policy", "policies"),
        of(bundle.files, "file", "files"),
    )?;
    if let Some((_, message)) = sizes::finding(bytes) {
        writeln!(terminal.err, "{message}")?;
    }
    Ok(Exit::Success)
}

/// Whether this is a folder of teams.
pub(crate) fn is_folder(name: &str) -> bool {
    Path::new(name).join(PLATFORM).is_file()
}

/// A folder of teams, put together.
pub(crate) fn of_folder(folder: &str) -> Result<Result<Bundle, Errors>, Failure> {
    of_teams(&Path::new(folder).join(PLATFORM).display().to_string(), None)
}

/// Reads a file of policies, or standard input for `-`; of a folder of teams, the plugin that is
/// made of it.
///
/// # Errors
/// In the inner result, what is wrong with its YAML. What is wrong with a folder's files is the
/// failure.
pub(crate) fn read(name: &str) -> Result<Result<Manifest, (Source, Diagnostic)>, Failure> {
    if !is_folder(name) {
        return Manifest::read(name);
    }
    match of_folder(name)? {
        Ok(bundle) => Manifest::of(Source::new(format!("{name} (bundled)"), &bundle.to_yaml())),
        Err(errors) => {
            let lines = errors.iter().flat_map(|(source, found)| {
                found.iter().map(move |diagnostic| plain(source, diagnostic))
            });
            Err(Failure::Usage(lines.collect::<Vec<_>>().join("\n")))
        }
    }
}

/// The same, where the file must be whole for the command to be done: what is wrong with it is the
/// failure.
pub(crate) fn read_whole(name: &str) -> Result<Manifest, Failure> {
    read(name)?.map_err(|(source, diagnostic)| Failure::Usage(plain(&source, &diagnostic)))
}

/// Reads a file; one that is no YAML is an error of its own.
fn manifest(name: &str) -> Result<Result<Manifest, Errors>, Failure> {
    let read = Manifest::read(name)?;
    Ok(read.map_err(|(source, error)| vec![(source, vec![error])]))
}

/// The files of teams, all or those that are named, under the platform's.
fn of_teams(name: &str, files: Option<&[String]>) -> Result<Result<Bundle, Errors>, Failure> {
    let manifest = match manifest(name)? {
        Ok(manifest) => manifest,
        Err(errors) => return Ok(Err(errors)),
    };
    let platform = match Platform::read(&manifest, files) {
        Ok(platform) => platform,
        Err(errors) => return Ok(Err(vec![(manifest.source, errors)])),
    };
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let base = match self::manifest(&folder.join(&platform.plugin).display().to_string())? {
        Ok(base) => base,
        Err(errors) => return Ok(Err(errors)),
    };
    let plugin = match plugin_of(&base) {
        Ok(plugin) => plugin,
        Err(errors) => return Ok(Err(vec![(base.source, errors)])),
    };
    let closed = platform.check_plugin(&manifest.source, &base.source, plugin);
    if let Err(errors) = closed {
        return Ok(Err(errors));
    }
    let (mut items, mut errors, mut count) = (platform_items(plugin.config), Vec::new(), 1_usize);
    for team in &platform.teams {
        let Some(file) = team.file(folder, files) else { continue };
        count = count.saturating_add(1);
        match self::manifest(&file)? {
            Err(found) => errors.extend(found),
            Ok(manifest) => match team::held(&platform, team, plugin, &manifest) {
                Ok(held) => items.extend(held),
                Err(found) => errors.push((manifest.source, found)),
            },
        }
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    Ok(whole(&base, plugin, items, count))
}

/// Files whose policies are added to those of the first.
fn of_files(files: &[String]) -> Result<Result<Bundle, Errors>, Failure> {
    let mut manifests = Vec::with_capacity(files.len());
    for name in files {
        match manifest(name)? {
            Ok(manifest) => manifests.push(manifest),
            Err(errors) => return Ok(Err(errors)),
        }
    }
    let Some((base, others)) = manifests.split_first() else { return Ok(Err(Vec::new())) };
    let plugin = match plugin_of(base) {
        Ok(plugin) => plugin,
        Err(errors) => return Ok(Err(vec![(base.source.clone(), errors)])),
    };
    let (mut items, mut errors) = (platform_items(plugin.config), Vec::new());
    for other in others {
        match team::policies_alone(other) {
            Ok(policies) => {
                let trees = policies.iter().map(Tree::of).collect();
                items.extend(commented(&other.source.name, trees));
            }
            Err(found) => errors.push((other.source.clone(), found)),
        }
    }
    if !errors.is_empty() {
        return Ok(Err(errors));
    }
    Ok(whole(base, plugin, items, files.len()))
}

/// The one plugin of a file, which loads.
fn plugin_of(manifest: &Manifest) -> Result<crate::manifest::Plugin<'_>, Vec<Diagnostic>> {
    let (source, plugins) = (&manifest.source, manifest.plugins());
    let [plugin] = plugins.as_slice() else {
        let message = "expected one pluginConfig, WasmPlugin or TrafficExtension in this file";
        return Err(vec![Diagnostic::error(source, 0..0, message.to_owned())]);
    };
    let config = choice::configuration(source, *plugin)?;
    match Engine::load(config.to_json().as_bytes()) {
        Ok(_) => Ok(*plugin),
        Err(errors) => Err(choice::load_errors(source, *plugin, &errors)),
    }
}

/// The policies of the plugin itself.
fn platform_items(config: Option<&Node>) -> Vec<Item> {
    let policies = config.and_then(|config| config.get("policies")).and_then(Node::items);
    let items = policies.unwrap_or_default().iter();
    items.map(|node| Item { comment: Vec::new(), tree: Tree::of(node) }).collect()
}

/// Policies with the name of their file above the first.
fn commented(file: &str, policies: Vec<Tree>) -> Vec<Item> {
    let name = Path::new(file).file_name().map_or(file.into(), |name| name.to_string_lossy());
    let items = policies.into_iter().enumerate().map(|(index, tree)| {
        let comment = if index == 0 { vec![name.to_string()] } else { Vec::new() };
        Item { comment, tree }
    });
    items.collect()
}

/// The plugin with these policies, if the engine loads it.
fn whole(
    base: &Manifest,
    plugin: crate::manifest::Plugin<'_>,
    items: Vec<Item>,
    files: usize,
) -> Result<Bundle, Errors> {
    let policies = items.len();
    let resource = replace_policies(plugin, items);
    let text = resource.to_yaml();
    // What is wrong with the whole only: two policies of one name, or too much of something.
    let source = Source::new(format!("{} (bundled)", base.source.name), &text);
    let wrong =
        |message: String| vec![(source.clone(), vec![Diagnostic::error(&source, 0..0, message)])];
    let documents =
        yaml::parse(&source.text).map_err(|error| wrong(format!("no YAML: {}", error.message)))?;
    let manifest = Manifest { source: source.clone(), documents };
    match plugin_of(&manifest) {
        Ok(read) if read.kind == plugin.kind => Ok(Bundle { resource, files, policies }),
        Ok(_) => Err(wrong("it is another kind of resource".to_owned())),
        Err(errors) => Err(vec![(source, errors)]),
    }
}

/// Whether a configuration stands alone in its file.
fn is_alone(kind: Kind) -> bool {
    kind == Kind::PluginConfig
}
