//! Egress control by caller identity, for Istio ambient waypoints.
