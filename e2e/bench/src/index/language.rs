//! The rows of the documents, each with a rule that uses what the row is about.

use egress_filter::attributes;
use proxy_wasm_host::Request;

use super::examples::{HEADERS, RULES};

/// Operators, macros and functions, each with an example. A test of the language holds the page to
/// what is declared.
const PAGE: &str = include_str!("../../../../docs/functions.md");

/// When the page's request comes, in nanoseconds since 1970.
const TIME: i64 = 1_795_858_200_250_000_000;

/// The filter state of the caller's own address.
const REMOTE_IP: &str = "envoy.filters.listener.original_dst.remote_ip";

/// Something that a policy author pays for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The heading under which the documents have it.
    pub group: &'static str,
    /// How it is written.
    pub name: String,
    /// A rule that uses it, and that is true of the request.
    pub rule: String,
}

impl Entry {
    pub(super) fn is_of_the_response(&self) -> bool {
        self.name.starts_with("response.")
    }

    pub(super) fn reads_a_body(&self) -> bool {
        self.name.ends_with(".body")
    }
}

/// Everything that has a row in the documents.
#[must_use]
pub fn entries() -> Vec<Entry> {
    let mut entries = of_attributes(&attributes::markdown());
    entries.extend(of_the_language());
    entries
}

/// A comparison that reads the attribute, by its type.
fn of_attributes(table: &str) -> Vec<Entry> {
    let row = |line: &str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (kind, _) = rest.split_once(" | ")?;
        let rule = match kind {
            "string" => format!(r#"{name} != "none""#),
            "int" => format!("{name} != 1"),
            "timestamp" => format!("{name} != timestamp(0)"),
            "headers" => format!(r#"{name}["x-team"] == "blue""#),
            "bytes" => format!("{name}.size() != 1"),
            // Absent as long as nobody has provided it.
            "map" => format!(r#"default({name}.sub, "-") == "-""#),
            _ => format!("has({name})"),
        };
        Some(Entry { group: "Attributes", name: name.to_owned(), rule })
    };
    table.lines().skip(2).filter_map(row).collect()
}

/// The rows of the page: with the rule of [`RULES`] where there is one, else with the page's own
/// example.
fn of_the_language() -> Vec<Entry> {
    let (mut group, mut entries) = ("", Vec::new());
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            group = heading;
        }
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        // Only Markdown's own bars have blanks on both sides and no backslash.
        let cells: Vec<&str> = line.split(" | ").collect();
        let &[first, gives, example, result] = cells.as_slice() else { continue };
        if (gives, example, result) == ("Returns", "Example", "Result") {
            continue;
        }
        let code = |cell: &str| cell.trim_matches('`').replace("\\|", "|");
        // The first of several signatures stands for all of them.
        let name =
            code(first.split("` `").next().unwrap_or(first).split("<br>").next().unwrap_or(first));
        // Two rows may be of one spelling.
        let before = entries.iter().filter(|entry: &&Entry| entry.name == name).count();
        let rule = match RULES.iter().filter(|(of, _)| *of == name).nth(before) {
            Some((_, rule)) => (*rule).to_owned(),
            None => format!("({}) == ({})", code(example), code(result)),
        };
        entries.push(Entry { group, name, rule });
    }
    entries
}

/// The request that the page shows, with some headers more.
pub(super) fn request() -> Request {
    let shown = PAGE.split("```http\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut lines = shown.unwrap_or_default().lines();
    let mut start = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
    let headers = || lines.clone().filter_map(|line| line.split_once(": "));
    let host = headers().find(|(name, _)| *name == "Host").map_or("", |(_, host)| host);
    let service = format!("inbound-vip|80|http|{host}");
    let request = Request::new(method, host, path)
        .property(&["request", "time"], TIME)
        .property(&["xds", "filter_chain_name"], service.as_str())
        .property(&["xds", "cluster_name"], service.as_str())
        .property(&["filter_state", REMOTE_IP, "ip"], "10.0.0.7")
        .property(&["filter_state", REMOTE_IP, "port"], 41_000_i64)
        .property(&["destination", "address"], "10.96.0.10:80")
        .peer_principal("spiffe://cluster.local/ns/team-a/sa/reader")
        .header("x-request-id", "4d2d6d3c-0b8e-4d8e-9d6c-0f6f3c3a1b2c");
    headers()
        .filter(|(name, _)| *name != "Host")
        .chain(HEADERS.iter().copied())
        .fold(request, |request, (name, value)| request.header(name, value))
}
