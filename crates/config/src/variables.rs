//! Reads `variables`.

use super::decode::{Errors, Node};
use super::json::Json;
use super::read::read_expression;
use super::shape::{self, Text};
use super::{Expr, VariableConfig};

/// Reads the variables. One whose expression cannot be read keeps its name, so that it is not
/// unknown where it is read.
pub(super) fn read(node: &Node<'_>, errors: &mut Errors) -> Vec<VariableConfig> {
    let mut variables: Vec<VariableConfig> = Vec::new();
    for item in node.list(shape::VARIABLES, errors) {
        let Some(fields) = item.object(shape::VARIABLE, errors) else { continue };
        let expression = fields.get("expression").and_then(|node| read_expression(&node, errors));
        let Some(name_at) = fields.get("name") else { continue };
        // An illegal name has been reported, and is not unknown where it is read.
        let _ = name_at.text(Text::Variable, errors);
        let Json::String(name) = name_at.json else { continue };
        if let Some(earlier) = variables.iter().find(|earlier| earlier.name == **name) {
            let message =
                format!("the name is taken by {}: give each variable its own", earlier.place);
            errors.add(&name_at.place, message);
            continue;
        }
        let place = item.place.clone();
        // An expression that is missing has been reported.
        let expression = expression.unwrap_or_else(|| Expr {
            place: format!("{place}.expression"),
            source: "dyn(true)".to_owned(),
        });
        variables.push(VariableConfig { name: name.clone().into_owned(), place, expression });
    }
    variables
}
