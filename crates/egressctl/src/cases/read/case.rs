//! Reads cases and their steps.

use std::ops::Range;
use std::time::Duration;

use super::draft::Draft;
use super::{Defaults, draft, expect, flag, service, time};
use crate::cases::expect::Expect;
use crate::cases::fields::{Fields, Object};
use crate::cases::model::{Case, Layer, Step, Update};
use crate::yaml::Node;

pub(crate) const CASE: [&str; 6] = ["name", "for", "layers", "services", "steps", "expect"];
pub(crate) const STEP: [&str; 4] = ["after", "worker", "update", "expect"];
pub(crate) const UPDATE: [&str; 2] = ["config", "accepted"];
/// The most cases that one `for` makes.
const MAX_VARIANTS: usize = 10_000;

/// A step, without defaults.
#[derive(Debug)]
struct DraftStep {
    draft: Draft,
    after: Duration,
    worker: usize,
    update: Option<Update>,
    expect: Expect,
}

/// Reads a case, or the several that its `for` makes of it.
pub(super) fn read(
    fields: &mut Fields<'_>,
    node: &Node,
    defaults: &Defaults,
    cases: &mut Vec<Case>,
) {
    let known: Vec<&str> = CASE.into_iter().chain(draft::FIELDS).collect();
    let Some(object) = fields.object(node, "a case", &known) else { return };
    let Some((_, name_node)) = object.key("name") else {
        if !object.is_misspelt("name") {
            fields.error(&node.span, "a case needs a `name`: the rule that it shows");
        }
        return;
    };
    let name = fields.full_text(name_node, "`name`");
    let layers = object.get("layers").map(|node| layers(fields, node));
    fields.any_request = layers.is_some();
    let case = parts(fields, node, object, defaults);
    if let (Some(name), Some((own, steps, counters, variants))) = (name, case) {
        let services = object.get("services").map(|node| service::services(fields, node));
        let case = Case {
            name,
            span: name_node.span.clone(),
            layers: layers.unwrap_or_else(|| Layer::ALL.to_vec()),
            services: service::over(services.unwrap_or_default(), &defaults.services),
            steps: Vec::new(),
            fresh: object.get("steps").is_some(),
            counters: counters.counters,
        };
        if !object.is_misspelt("caller") && !object.is_misspelt("request") {
            vary(fields, &case, &own, &steps, variants, defaults, cases);
        }
    }
    fields.any_request = false;
}

/// The parts of a case: its request, its steps, what it expects of all steps together, and the ways
/// in which it varies.
type Parts = (Draft, Vec<DraftStep>, Expect, Vec<Variant>);

fn parts(
    fields: &mut Fields<'_>,
    node: &Node,
    object: Object<'_>,
    defaults: &Defaults,
) -> Option<Parts> {
    let own = Draft::read(fields, object);
    let (steps, together) = match object.key("steps") {
        None => {
            let expect = expect::read(fields, node, object);
            (expect.map(|expect| vec![DraftStep::alone(expect)]), Some(Expect::default()))
        }
        Some((key, items)) => {
            let items = items.items().filter(|items| !items.is_empty());
            if items.is_none() {
                fields.error(&key.span, "`steps` is a list of at least one");
            }
            let read = |node: &Node| DraftStep::read(fields, node, defaults.workers);
            let steps: Option<Vec<Option<DraftStep>>> = items.map(|i| i.iter().map(read).collect());
            (steps.and_then(|steps| steps.into_iter().collect()), together(fields, object))
        }
    };
    let variants =
        object.get("for").map_or_else(|| Some(vec![Vec::new()]), |node| variants(fields, node));
    Some((own, steps?, together?, variants?))
}

/// What a case expects of all its steps together, which is what they count.
fn together(fields: &mut Fields<'_>, object: Object<'_>) -> Option<Expect> {
    let Some(node) = object.get("expect") else { return Some(Expect::default()) };
    if node.fields().is_none() {
        fields.error(
            &node.span,
            "with `steps`, each step has its own `expect`: here are only `counters`, their sum",
        );
        return None;
    }
    let given = fields.object(node, "the `expect` of all steps together", &["counters"])?;
    let counters = given.get("counters").map(|node| expect::counters(fields, node));
    Some(Expect { counters: counters.unwrap_or_default(), ..Expect::default() })
}

impl DraftStep {
    /// The only step of a case, which says the rest.
    fn alone(expect: Expect) -> DraftStep {
        DraftStep {
            draft: Draft::default(),
            after: Duration::ZERO,
            worker: 0,
            update: None,
            expect,
        }
    }

    fn read(fields: &mut Fields<'_>, node: &Node, workers: usize) -> Option<DraftStep> {
        let known: Vec<&str> = draft::FIELDS.into_iter().chain(STEP).collect();
        let object = fields.object(node, "a step", &known)?;
        let draft = Draft::read(fields, object);
        let after = object.get("after").and_then(|node| time::duration(fields, node, "`after`"));
        let worker = object.get("worker").and_then(|node| worker(fields, node, workers));
        let update = object.get("update").and_then(|node| update(fields, node));
        let expect = expect::read(fields, node, object)?;
        Some(DraftStep {
            draft,
            after: after.unwrap_or_default(),
            worker: worker.unwrap_or_default(),
            update,
            expect,
        })
    }
}

/// The index of a worker, which is written from 1.
fn worker(fields: &mut Fields<'_>, node: &Node, workers: usize) -> Option<usize> {
    let text = fields.text(node, "`worker`")?;
    let number: Option<usize> = text.parse().ok().filter(|number| (1..=workers).contains(number));
    if number.is_none() {
        let message = match workers {
            1 => "the suite has one worker: give it more `workers`".to_owned(),
            _ => format!("`worker` is a number from 1 to {workers}"),
        };
        fields.error(&node.span, message);
    }
    number?.checked_sub(1)
}

fn update(fields: &mut Fields<'_>, node: &Node) -> Option<Update> {
    let given = fields.object(node, "an update", &UPDATE)?;
    let accepted = given.get("accepted").and_then(|node| flag(fields, node));
    let Some(config) = given.get("config") else {
        if !given.is_misspelt("config") {
            fields.error(&node.span, "an update has a `config`, in the form of pluginConfig");
        }
        return None;
    };
    let config = serde_json::from_str(&config.to_json()).unwrap_or_default();
    Some(Update { config, accepted: accepted.unwrap_or(true) })
}

/// Where a case is run.
fn layers(fields: &mut Fields<'_>, node: &Node) -> Vec<Layer> {
    let words = Layer::ALL.map(Layer::as_str);
    let one = std::slice::from_ref(node);
    let items = node.items().unwrap_or(one);
    if items.is_empty() {
        fields.error(&node.span, "`layers` is empty, so the case is run nowhere");
    }
    let mut layers = Vec::new();
    for item in items {
        let word = fields.word(item, "a layer", &words);
        layers.extend(Layer::ALL.into_iter().find(|layer| Some(layer.as_str()) == word));
    }
    layers
}

/// Makes a case for each way in which it varies.
fn vary(
    fields: &mut Fields<'_>,
    case: &Case,
    own: &Draft,
    steps: &[DraftStep],
    variants: Vec<Variant>,
    defaults: &Defaults,
    cases: &mut Vec<Case>,
) {
    for variant in variants {
        let mut draft = own.clone().over(&defaults.draft);
        for (field, value, span) in &variant {
            draft.vary(fields, field, value, span);
        }
        let errors = fields.found.len();
        let mut finished: Vec<Step> = Vec::with_capacity(steps.len());
        let mut clock = defaults.clock;
        for step in steps {
            clock = clock.and_then(|clock| clock.checked_add(step.after));
            let whole = step.draft.clone().over(&draft);
            let domain = defaults.trust_domain.as_deref();
            if let Some(finish) = whole.finish(fields, &case.span, domain) {
                finished.push(Step {
                    time: finish.time.or_else(|| i64::try_from(clock?.as_nanos()).ok()),
                    after: step.after,
                    worker: step.worker,
                    update: step.update.clone(),
                    expect: step.expect.clone(),
                    ..finish
                });
            }
        }
        let values: Vec<&str> = variant.iter().map(|(_, value, _)| value.as_str()).collect();
        let name = match values.as_slice() {
            [] => case.name.clone(),
            values => format!("{} [{}]", case.name, values.join(", ")),
        };
        // An error in one variant is mostly an error in all of them.
        if fields.found.len() > errors || finished.len() < steps.len() {
            return;
        }
        cases.push(Case { name, steps: finished, ..case.clone() });
    }
}

type Variant = Vec<(&'static str, String, Range<usize>)>;

/// Each way to choose one value for each field.
fn variants(fields: &mut Fields<'_>, node: &Node) -> Option<Vec<Variant>> {
    let object = fields.object(node, "`for`", &draft::VARIED)?;
    let mut variants: Vec<Variant> = vec![Vec::new()];
    for (key, value) in object.iter() {
        let Some(name) = draft::VARIED.into_iter().find(|name| *name == key.name) else { continue };
        let values = fields.texts(value, &format!("each value of `{name}`"))?;
        if values.is_empty() || values.len().saturating_mul(variants.len()) > MAX_VARIANTS {
            fields.error(&key.span, format!("`for` makes 1 to {MAX_VARIANTS} cases"));
            return None;
        }
        let longer = |variant: Variant| {
            let longer = |(text, span): &(String, Range<usize>)| {
                variant
                    .iter()
                    .cloned()
                    .chain([(name, text.clone(), span.clone())])
                    .collect::<Variant>()
            };
            values.iter().map(longer).collect::<Vec<_>>()
        };
        variants = variants.into_iter().flat_map(longer).collect();
    }
    Some(variants)
}
