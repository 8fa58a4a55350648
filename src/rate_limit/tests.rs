//! Local limits: what may be admitted, whatever order things happen in.

mod generated;
mod limiter;
mod world;
