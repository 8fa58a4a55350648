//! Updates of a running waypoint's policies, as istiod delivers them: what requests see of good
//! ones, of broken ones, and of a VM that dies.

#[path = "reload/broken.rs"]
mod broken;
#[path = "reload/callers.rs"]
mod callers;
#[path = "reload/load.rs"]
mod load;
#[path = "reload/memory.rs"]
mod memory;
#[path = "reload/modules.rs"]
mod modules;
#[path = "reload/setting.rs"]
mod setting;
#[path = "reload/trap.rs"]
mod trap;
#[path = "reload/updates.rs"]
mod updates;
#[path = "reload/versions.rs"]
mod versions;
