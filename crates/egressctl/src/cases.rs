//! Files of cases: requests under some policies, and the expected outcome of each.
//!
//! The same files are run by `egressctl test` on the engine, and by this repository's own tests on
//! the engine, on the compiled filter in an emulated host, and in a real Envoy. [`load_dir`] reads
//! them, [`Step::trial`] is a request as the engine takes it, and [`compare`] finds what differs
//! from an [`Observed`] outcome, whichever layer observed it.

mod compare;
mod diff;
mod engine;
mod expect;
mod fields;
pub(crate) mod load;
mod model;
mod observed;
pub(crate) mod read;
mod relative;

pub use compare::{Fact, compare, compare_counters};
pub(crate) use diff::{diff, object};
pub use engine::{add_calls, observed};
pub use expect::{AuditExpectation, Expect, Values, Verdict};
pub use load::{LoadError, load_dir, parse};
pub(crate) use model::File;
pub use model::{
    Answer, Caller, Case, Certificate, Claims, Fault, Layer, Origin, Request, Service, Step, Suite,
    Update,
};
pub use observed::{Decision, HeaderLines, Observed, Reached, audit_records, short_counter};
