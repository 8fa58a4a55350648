//! Credentials that the filter puts into requests: tokens that are fetched, and where no secret may
//! ever be seen. What comes from the environment alone has its cases in `e2e/cases`.

#[path = "credentials/emulated.rs"]
mod emulated;
#[path = "credentials/leaks.rs"]
mod leaks;
#[path = "credentials/policies.rs"]
mod policies;
#[path = "credentials/real.rs"]
mod real;
#[path = "credentials/step.rs"]
mod step;
