//! The headers that reach the origin: a transformation of the Gateway, its header modifiers, and
//! the transformation of the backend, in this order.

use egress_filter::trial::Trial;
use proptest::sample::select;

use super::*;

const NAMES: &[&str] = &["x-a", "x-b", "x-c"];

/// What a header is set to.
#[derive(Debug, Clone, Copy)]
enum Text {
    Literal(&'static str),
    /// What another header is at that moment.
    Of(&'static str),
}

/// `add`, `set` and `remove`.
#[derive(Debug, Clone, Default)]
struct Changes {
    add: Vec<(&'static str, Text)>,
    set: Vec<(&'static str, Text)>,
    remove: Vec<&'static str>,
}

type Lines = Vec<(String, String)>;

impl Changes {
    fn json(&self, is_cel: bool) -> Value {
        let value = |text: &Text| match text {
            Text::Literal(text) if is_cel => format!("{text:?}"),
            Text::Literal(text) => (*text).to_owned(),
            Text::Of(name) => format!("default(request.headers[{name:?}], \"none\")"),
        };
        let list = |headers: &[(&str, Text)]| {
            let item = |(name, text): &(&str, Text)| json!({"name": name, "value": value(text)});
            headers.iter().map(item).collect::<Vec<_>>()
        };
        json!({"add": list(&self.add), "set": list(&self.set), "remove": self.remove})
    }

    fn apply(&self, lines: &mut Lines) {
        let value = |text: &Text, lines: &Lines| match text {
            Text::Literal(text) => (*text).to_owned(),
            Text::Of(name) => lines
                .iter()
                .find(|(its, _)| its == name)
                .map_or_else(|| "none".to_owned(), |(_, value)| value.clone()),
        };
        for (name, text) in &self.add {
            let value = value(text, lines);
            lines.push(((*name).to_owned(), value));
        }
        for (name, text) in &self.set {
            let value = value(text, lines);
            lines.retain(|(its, _)| its != name);
            lines.push(((*name).to_owned(), value));
        }
        for name in &self.remove {
            lines.retain(|(its, _)| its != name);
        }
    }
}

fn changes(reads: bool) -> impl Strategy<Value = Changes> {
    let text = move |which: usize, name| match which {
        0 if reads => Text::Of(name),
        1 => Text::Literal("one"),
        _ => Text::Literal("two"),
    };
    let text = (0_usize..3, select(NAMES)).prop_map(move |(which, name)| text(which, name));
    let headers = || proptest::collection::btree_map(select(NAMES), text.clone(), 0..3);
    let removed = proptest::collection::btree_set(select(NAMES), 0..2);
    (headers(), headers(), removed).prop_map(|(add, set, remove)| Changes {
        add: add.into_iter().collect(),
        set: set.into_iter().collect(),
        remove: remove.into_iter().collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_origin_gets_the_headers_that_it_gets_from_agentgateway(
        gateway in changes(true),
        modifiers in changes(false),
        backend in changes(true),
        sent in proptest::collection::btree_map(select(NAMES), select(vec!["v", "w"]), 0..3),
    ) {
        let target = |kind: &str, name: &str, group: &str| {
            json!([{"group": group, "kind": kind, "name": name}])
        };
        let policy = |name: &str, target: Value, section: &str, of: Value| {
            json!({"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayPolicy",
                "metadata": {"name": name, "namespace": "egress"},
                "spec": {"targetRefs": target, section: of}})
        };
        let of_gateway = json!({
            "transformation": {"request": gateway.json(true)},
            "headerModifiers": {"request": modifiers.json(false)},
        });
        let of_backend = json!({"transformation": {"request": backend.json(true)}});
        // First in the files, last in the order.
        let documents = [
            policy("b", target("AgentgatewayBackend", "b", "agentgateway.dev"), "backend",
                of_backend),
            policy("p", target("Gateway", "egress", "gateway.networking.k8s.io"), "traffic",
                of_gateway),
        ];
        let documents: Vec<String> =
            documents.iter().chain(&resources()).map(Value::to_string).collect();
        let text = documents.join("\n---\n");
        let told = losses(&text);
        prop_assert!(told.iter().all(|it| it.contains("a transformation of a backend is behind")),
            "{told:?}");
        let sent: Lines =
            sent.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut there = sent.clone();
        for changes in [&gateway, &modifiers, &backend] {
            changes.apply(&mut there);
        }
        let request = Trial {
            principal: "spiffe://cluster.local/ns/a/sa/b".to_owned(),
            authority: "b.example".to_owned(),
            path: "/".to_owned(),
            method: "GET".to_owned(),
            headers: sent,
            ..Trial::default()
        };
        let upstream = request.run(&engine(&text)).upstream.unwrap();
        let mut here: Lines = upstream
            .iter()
            .filter(|(name, _)| NAMES.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        here.sort();
        there.sort();
        if told.is_empty() {
            prop_assert_eq!(here, there, "{}", text);
        }
    }
}
