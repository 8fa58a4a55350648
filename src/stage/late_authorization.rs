//! Evaluates the rules that read what services have said about the request, on its headers as the
//! stages so far have left them.

use super::authorization::in_passes;
use super::{Flow, Turn};
use crate::policy::rule::Pass;

/// Evaluates the rules of the late pass that can matter to the request.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    in_passes(turn, Pass::Late)
}
