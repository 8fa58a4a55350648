//! Writes the resource and the notes about it.

use egress_filter::policy::Engine;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity, render};
use crate::manifest::Kind;
use crate::terminal::{BAD, FAINT, GOOD, ODD, STRONG, painted};

use super::emit::Tree;
use super::note::{At, Effect, Note, Notes};
use super::policy::Configuration;
use super::scope::Target;
use super::{Args, Converted};

/// A placeholder for the image.
const IMAGE: &str = "registry.example.com/platform/egress-filter:0.1.0";

/// Reads `--sha256`.
pub(super) fn digest(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let legal = digits.len() == 64
        && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if legal {
        Ok(digits.to_owned())
    } else {
        Err("expected 64 lower-case hexadecimal digits".to_owned())
    }
}

/// The resource around the configuration.
#[derive(Debug)]
pub(super) struct Plugin {
    kind: Kind,
    name: String,
    namespace: Option<String>,
    target: Target,
    image: String,
    sha256: String,
}

impl Plugin {
    pub(super) fn new<'d>(
        args: &Args,
        sources: &[At<'d>],
        attached: &[(At<'d>, Target)],
        notes: &mut Notes<'d>,
    ) -> Plugin {
        let mut plugin = Plugin {
            kind: args.kind.kind(),
            name: args.name.clone(),
            namespace: args.namespace.clone(),
            target: Target {
                kind: "Gateway".to_owned(),
                name: args.gateway.clone().unwrap_or_default(),
                namespace: None,
            },
            image: args
                .image
                .as_deref()
                .map_or(IMAGE, |image| image.strip_prefix("oci://").unwrap_or(image))
                .to_owned(),
            sha256: args.sha256.clone().unwrap_or_else(|| "0".repeat(64)),
        };
        let first = attached.first();
        if let Some((document, other)) =
            attached.iter().find(|(_, target)| first.is_some_and(|(_, first)| !first.is(target)))
        {
            let (named, first) =
                (title(other), first.map(|(_, first)| title(first)).unwrap_or_default());
            let message = format!(
                "is attached to {named}, an earlier policy to {first}; a plugin is for one: \
                 convert them apart"
            );
            notes.add(document, Effect::Looser, message);
        }
        match (first, &args.gateway) {
            (Some((_, first)), None) => plugin.target = first.clone(),
            (Some((document, first)), Some(gateway)) if *gateway != first.name => {
                let message = format!(
                    "is attached to {}, the result to Gateway `{gateway}`, as `--gateway` says",
                    title(first)
                );
                notes.add(document, Effect::Hint, message);
            }
            _ => {}
        }
        if plugin.namespace.is_none() {
            let of_source = || {
                sources
                    .iter()
                    .find_map(|source| source.text_at("metadata.namespace"))
                    .map(str::to_owned)
            };
            plugin.namespace =
                first.and_then(|(_, first)| first.namespace.clone()).or_else(of_source);
        }
        if plugin.kind != Kind::PluginConfig {
            plugin.tell(args, sources, notes);
        }
        plugin
    }

    fn tell<'d>(&self, args: &Args, sources: &[At<'d>], notes: &mut Notes<'d>) {
        let Some(source) = sources.first() else { return };
        if self.target.name.is_empty() {
            let message = "no policy says which Gateway it is for, and without one a plugin is \
                attached nowhere: give `--gateway`";
            notes.add(source, Effect::Looser, message);
        }
        match (&args.image, &args.sha256) {
            (None, _) => {
                let message = "the image in the result is a placeholder: give `--image` and \
                    `--sha256` (`make image` prints both)";
                notes.once("image", source, message);
            }
            (Some(_), None) => notes.once(
                "image",
                source,
                "without `--sha256` the tag decides which image runs: pin it",
            ),
            (Some(_), Some(_)) => {}
        }
    }

    /// The resource with this configuration.
    pub(super) fn resource(&self, configuration: &Configuration) -> Tree {
        let config = configuration.tree();
        if self.kind == Kind::PluginConfig {
            return config;
        }
        let mut metadata = vec![("name", Tree::text(&self.name))];
        metadata
            .extend(self.namespace.as_ref().map(|namespace| ("namespace", Tree::text(namespace))));
        let target = [
            ("group", "gateway.networking.k8s.io"),
            ("kind", &self.target.kind),
            ("name", &self.target.name),
        ];
        let mut spec = vec![(
            "targetRefs",
            Tree::list([Tree::map(target.map(|(name, text)| (name, Tree::text(text))).to_vec())]),
        )];
        let mut module = vec![("url", Tree::text(format!("oci://{}", self.image)))];
        if !self.sha256.is_empty() {
            module.push(("sha256", Tree::text(&self.sha256)));
        }
        if !configuration.environment.is_empty() {
            let variables = configuration.environment.iter().map(|name| {
                Tree::map([("name", Tree::text(name)), ("valueFrom", Tree::text("HOST"))])
            });
            module.push(("vmConfig", Tree::map([("env", Tree::list(variables))])));
        }
        let fail = ("failStrategy", Tree::text("FAIL_RELOAD"));
        let phase = ("phase", Tree::text("AUTHZ"));
        if self.kind == Kind::TrafficExtension {
            module.extend([fail, ("pluginConfig", config)]);
            spec.extend([phase, ("wasm", Tree::map(module))]);
        } else {
            spec.extend(module);
            spec.extend([phase, fail, ("pluginConfig", config)]);
        }
        Tree::map(vec![
            ("apiVersion", Tree::text("extensions.istio.io/v1alpha1")),
            ("kind", Tree::text(self.kind.to_string())),
            ("metadata", Tree::map(metadata)),
            ("spec", Tree::map(spec)),
        ])
    }
}

fn title(target: &Target) -> String {
    match &target.namespace {
        Some(namespace) => {
            format!("{} `{}/{}`", target.kind, namespace.escape_debug(), target.name.escape_debug())
        }
        None => format!("{} `{}`", target.kind, target.name.escape_debug()),
    }
}

/// Loads the result in the engine, which may find errors in the whole that the parts did not show.
pub(super) fn check_engine<'d>(
    configuration: &Configuration,
    sources: &[At<'d>],
    notes: &mut Notes<'d>,
) {
    let Some(source) = sources.first() else { return };
    let json = serde_json::to_string(&configuration.tree()).unwrap_or_default();
    if let Err(errors) = Engine::load(json.as_bytes()) {
        for error in errors {
            notes.add(source, Effect::Looser, format!("the result would not load: {error}"));
        }
    }
}

/// A note for people: with its line if something changes, and in short if it is only worth knowing.
pub(super) fn shown(note: &Note<'_>) -> String {
    let Diagnostic { file, line, column, policy, path, message, .. } = &note.diagnostic;
    if note.effect != Effect::Hint {
        return render(note.source, &note.diagnostic);
    }
    let policy = policy.as_ref().map(|policy| format!("policy `{policy}`: ")).unwrap_or_default();
    let at = format!("  at {file}:{line}:{column} {path}");
    format!("{} {policy}{message}\n{}", painted(STRONG, "note:"), painted(FAINT, at.trim_end()))
}

/// The JSON document of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a, 'd> {
    /// None where it is looser than the source.
    resource: Option<&'a Tree>,
    written: bool,
    policies_read: usize,
    policies_written: usize,
    errors: usize,
    warnings: usize,
    notes: &'a [Note<'d>],
    passed_over: Vec<PassedOver<'a>>,
}

/// A resource that is not a policy.
#[derive(Debug, Serialize)]
struct PassedOver<'a> {
    file: &'a str,
    line: usize,
    kind: &'a str,
    name: &'a str,
}

impl<'a, 'd> Report<'a, 'd> {
    pub(super) fn new(converted: &'a Converted<'d>, written: bool) -> Report<'a, 'd> {
        let passed_over = converted.passed_over.iter().map(|document| PassedOver {
            file: &document.source.name,
            line: document.source.line_and_column(document.node.span.start).0,
            kind: document.text_at("kind").unwrap_or_default(),
            name: document.text_at("metadata.name").unwrap_or_default(),
        });
        Report {
            resource: written.then_some(&converted.resource),
            written,
            policies_read: converted.read,
            policies_written: converted.policies.len(),
            errors: count(converted, Severity::Error),
            warnings: count(converted, Severity::Warning),
            notes: &converted.notes,
            passed_over: passed_over.collect(),
        }
    }
}

fn count(converted: &Converted<'_>, severity: Severity) -> usize {
    let is = |diagnostic: &Diagnostic| diagnostic.severity == severity;
    converted.notes.iter().filter(|note| is(&note.diagnostic)).count()
}

/// The last line for people.
pub(super) fn summary(converted: &Converted<'_>, written: bool) -> String {
    let of = |count: usize, what: &str| match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    };
    let (errors, warnings) =
        (count(converted, Severity::Error), count(converted, Severity::Warning));
    let (style, verdict) = match (errors, warnings) {
        (0, 0) => (GOOD, "ok".to_owned()),
        (0, _) => (ODD, of(warnings, "warning")),
        (_, 0) => (BAD, of(errors, "error")),
        (_, _) => (BAD, format!("{}, {}", of(errors, "error"), of(warnings, "warning"))),
    };
    let consequence = match (written, errors) {
        (true, 0) => String::new(),
        (true, _) => "; the result is looser than the source".to_owned(),
        (false, _) => "; nothing is written, as it would be looser than the source \
            (`--allow-lossy` writes it all the same)"
            .to_owned(),
    };
    let others = match converted.passed_over.len() {
        0 => String::new(),
        count => format!(", {} passed over", of(count, "other resource")),
    };
    let (read, made) = (of(converted.read, "policy"), of(converted.policies.len(), "policy"));
    let closed = match converted.policies.iter().filter(|policy| policy.is_closed()).count() {
        0 => String::new(),
        1 => " (1 of them lets nothing through)".to_owned(),
        many => format!(" ({many} of them let nothing through)"),
    };
    let verdict = painted(style, verdict);
    format!("{verdict}: {read} read, {made} converted{closed}{others}{consequence}")
}
