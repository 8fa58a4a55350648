//! Files of cases: what is asked under which policies, and what is to come of it.

pub(crate) mod compare;
pub(crate) mod draft;
mod fields;
pub(crate) mod load;
pub(crate) mod model;
pub(crate) mod read;
mod relative;
