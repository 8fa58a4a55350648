//! Reads the services that answer the filter's calls.

use super::{draft, headers, time};
use crate::cases::fields::Fields;
use crate::cases::model::{Answer, Fault, Origin, Service};
use crate::yaml::Node;

pub(crate) const ANSWER: [&str; 5] = ["late", "status", "headers", "body", "fault"];
pub(crate) const FAULTS: [&str; 2] = ["never", "cutOff"];

/// Services by the names of their clusters, each with one answer or a list of them.
pub(super) fn services(fields: &mut Fields<'_>, node: &Node) -> Vec<Service> {
    let Some(object) = fields.any_object(node, "`services`") else { return Vec::new() };
    let mut services = Vec::new();
    for (key, node) in object.iter() {
        let one = std::slice::from_ref(node);
        let items = node.items().unwrap_or(one);
        if items.is_empty() || key.name.is_empty() {
            fields.error(&key.span, "a service has a name, and at least one answer");
        }
        let answers = items.iter().filter_map(|item| answer(fields, item)).collect();
        services.push(Service { cluster: key.name.clone(), answers });
    }
    services
}

fn answer(fields: &mut Fields<'_>, node: &Node) -> Option<Answer> {
    let given = fields.object(node, "an answer", &ANSWER)?;
    let late = given.get("late").and_then(|node| time::duration(fields, node, "`late`"));
    let fault = given.key("fault").map(|(key, node)| (key, fields.word(node, "`fault`", &FAULTS)));
    if let Some((key, fault)) = &fault {
        let answers = ["status", "headers", "body"];
        if answers.iter().any(|name| given.get(name).is_some()) {
            fields.error(&key.span, "an answer that does not come has no status, headers or body");
        }
        if *fault == Some("never") && late.is_some() {
            fields.error(&key.span, "what never comes is not late");
        }
    }
    let outcome = match fault {
        Some((_, fault)) => Err(if fault? == "never" { Fault::Never } else { Fault::CutOff }),
        None => Ok(Origin {
            status: given.get("status").and_then(|node| draft::status(fields, node)).unwrap_or(200),
            headers: given
                .get("headers")
                .map(|node| headers::lines(headers::read(fields, node)))
                .unwrap_or_default(),
            body: given
                .get("body")
                .and_then(|node| fields.text(node, "`body`"))
                .unwrap_or_default(),
        }),
    };
    Some(Answer { late: late.unwrap_or_default(), outcome })
}

/// The services of a case: its own, and those of its suite that it does not give anew.
pub(super) fn over(own: Vec<Service>, suite: &[Service]) -> Vec<Service> {
    let mut services = own;
    for service in suite {
        if !services.iter().any(|own| own.cluster == service.cluster) {
            services.push(service.clone());
        }
    }
    services
}
