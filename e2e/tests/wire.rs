//! The filter's messages against those that prost makes of Envoy's own definitions: what the filter
//! writes, prost reads, and what prost writes, the filter reads.

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/data.rs"]
mod data;
#[path = "wire/questions.rs"]
mod questions;
