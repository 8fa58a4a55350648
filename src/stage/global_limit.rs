//! Asks the services that count requests.

use super::{Flow, Turn};
use crate::call::Answer;

pub(super) fn enter(_turn: &mut Turn<'_, '_, '_>) -> Flow {
    Flow::Next
}

pub(super) fn answered(_turn: &mut Turn<'_, '_, '_>, _answer: &Answer<'_>) -> Flow {
    Flow::Next
}
