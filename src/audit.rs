//! The audit record: one line of JSON per decision, in printable ASCII.

mod line;
pub(crate) mod load;

pub(crate) use line::Line;
pub use load::load_record;

/// The most shadow policies, and the most errors, that one record names.
pub(crate) const MAX_LIST: usize = 64;
