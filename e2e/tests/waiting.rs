//! Requests that wait for a service. The build for tests has a stage that asks a service about each
//! request with the header `x-probe`, whose value is the path that is called.

#[path = "waiting/answers.rs"]
mod answers;
#[path = "waiting/emulated.rs"]
mod emulated;
#[path = "waiting/held.rs"]
mod held;
#[path = "waiting/policies.rs"]
mod policies;
#[path = "waiting/replaced.rs"]
mod replaced;
#[path = "waiting/setting.rs"]
mod setting;
