//! `filter-config/` on Kubernetes' own API server and Istio's own control plane, and what istiod
//! makes of it in a real Envoy.

mod admission;
mod documents;
mod image;
mod install;
mod recorded;
mod setting;
mod sizes;
mod workshop;
