//! What the documents say of these tests.

use e2e::envoy::workspace_root;
use istio_parts::TAKEN_OUT;

#[test]
fn what_is_taken_out_of_istiods_configuration_is_in_the_documents() {
    let text = std::fs::read_to_string(workspace_root().join("docs/architecture.md"));
    let text = text.expect("a document");
    let (_, section) = text.split_once("### What a stock Envoy lacks\n").expect("the section");
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = TAKEN_OUT
        .iter()
        .map(|out| format!("| `{}` | {} | {} |", out.name, out.done, out.purpose))
        .collect();
    assert_eq!(rows, expected);
}
