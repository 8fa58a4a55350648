//! Errors in literal arguments, reported when the configuration loads.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue};

use super::check::{Mistake, string_literal};
use super::library::net::{Cidr, Ip};
use super::time::{Field, Span, Timestamp, zone_mistake};

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
    if let ("timestamp", None, Some(seconds)) = (name, &call.target, int_literal(argument)) {
        return Timestamp::of_seconds(seconds).is_none().then(|| Mistake {
            node: argument.id,
            message: format!(
                "`{seconds}` is out of range: a timestamp is from year 1 to year 9999, in seconds \
                 since 1970"
            ),
        });
    }
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
        ("timestamp", false) if Timestamp::parse(text).is_none() => format!(
            "`{}` is no timestamp: write it as `2026-01-31T12:00:00Z`, or with an offset as \
             `2026-01-31T13:00:00+01:00`",
            text.escape_debug()
        ),
        ("duration", false) if Span::parse(text).is_none() => format!(
            "`{}` is no duration: write numbers with the units `h`, `m`, `s`, `ms`, `us` or `ns`, \
             such as `1h30m`, up to 292 years",
            text.escape_debug()
        ),
        (_, true) if Field::of(name).is_some() => zone_mistake(text)?,
        _ => return None,
    };
    Some(Mistake { node: argument.id, message })
}

/// The number of an int literal.
pub(super) fn int_literal(node: &IdedExpr) -> Option<i64> {
    match &node.expr {
        Expr::Literal(LiteralValue::Int(number)) => Some(*number.inner()),
        _ => None,
    }
}
