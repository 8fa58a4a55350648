//! What becomes of a request whose call to a service fails, in a real Envoy: the table of
//! `docs/callouts.md`, row by row.

#[path = "callouts/columns.rs"]
mod columns;
#[path = "callouts/document.rs"]
mod document;
#[path = "callouts/fault.rs"]
mod fault;
#[path = "callouts/grpc.rs"]
mod grpc;
#[path = "callouts/held.rs"]
mod held;
#[path = "callouts/rows.rs"]
mod rows;
#[path = "callouts/setting.rs"]
mod setting;
#[path = "callouts/table.rs"]
mod table;
