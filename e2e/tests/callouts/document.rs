//! The document's table is the table that the other tests hold Envoy to.

use e2e::envoy::workspace_root;

use crate::columns::Column;
use crate::rows::ROWS;

#[test]
fn the_document_has_each_row_as_it_is_seen() {
    let path = workspace_root().join("docs/callouts.md");
    let text = std::fs::read_to_string(&path).expect("docs/callouts.md");
    let (_, after) = text.split_once("| what happens |").expect("the table");
    let told: Vec<&str> = after.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let rows = ROWS.iter().map(|row| {
        let outcomes = row.outcomes.map(|outcome| format!(" `{outcome}` |")).concat();
        format!("| {} |{outcomes}", row.what)
    });
    let seen: Vec<String> = rows.collect();
    assert_eq!(told, seen);
    for column in Column::ALL {
        let (status, body) = column.refusal();
        let refusal = format!("`{status}` `{body}`");
        assert!(text.contains(&refusal), "{column:?}: {refusal}");
    }
}
