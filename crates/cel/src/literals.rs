//! Errors in literal arguments, reported when the configuration loads.

use cel::common::ast::CallExpr;

use super::check::{Mistake, string_literal};
use super::library::net::{Cidr, Ip};

/// The most clauses (`%s`, `%d`) of a format: each may repeat an argument that is as long as the
/// caller likes.
const MAX_CLAUSES: usize = 16;

/// The error in the literals of a call, if there is one.
pub(super) fn mistake(call: &CallExpr) -> Option<Mistake> {
    let name = call.func_name.as_str();
    if let ("format", Some(target)) = (name, &call.target) {
        let message = match string_literal(target) {
            None => {
                "`format` takes a literal: what is put together at a request could be as large \
                as the caller likes"
                    .to_owned()
            }
            Some(text) if text.matches('%').count() > MAX_CLAUSES => {
                format!("the format has more than {MAX_CLAUSES} `%`")
            }
            Some(_) => return None,
        };
        return Some(Mistake { node: target.id, message });
    }
    let [argument] = call.args.as_slice() else { return None };
    let text = string_literal(argument)?;
    let message = match (name, call.target.is_some()) {
        ("ip", false) | ("containsIP", true) if Ip::parse(text).is_none() => {
            format!("`{}` is no IP address", text.escape_debug())
        }
        ("cidr", false) | ("containsCIDR", true) if Cidr::parse(text).is_none() => {
            format!(
                "`{}` is no range of IP addresses: write it as `10.0.0.0/8`",
                text.escape_debug()
            )
        }
        _ => return None,
    };
    Some(Mistake { node: argument.id, message })
}
