//! A stand-in for the Kommo CRM MCP server: its 23 tools, its wire contract, a CRM whose state really changes,
//! and a record of every request that reached it.
//!
//! It is the referee of the scenarios: what the record does not hold never reached the server. So the record is
//! written before anything is decided about a request, and it is never silently shortened.
//!
//! Two eras are spoken on one path, as configured: the stateless revision 2026-07-28 and the session based
//! revisions 2025-06-18 and 2025-11-25.
//!
//! | path | what |
//! |---|---|
//! | `POST /mcp` | MCP |
//! | `GET /record` | every request but those of this row and the three below, a JSON array of [`Entry`] |
//! | `GET /record/counts` | [`Counts`] |
//! | `DELETE /record` | empties the record |
//! | `GET /health` | always 200 |

mod answer;
mod catalog;
mod config;
mod crm;
mod http;
mod methods;
mod modern;
mod prompts;
mod record;
mod resources;
mod rpc;
mod schema;
mod server;
mod session;
mod tools;

pub use config::{Answers, Config, ConfigError, Eras};
pub use crm::seeded;
pub use record::{Counts, Entry, MAX_ENTRIES};
pub use server::{StandIn, StartError, start};

/// The stateless protocol revision.
pub const MODERN_VERSION: &str = "2026-07-28";

/// The session based protocol revisions, newest first.
pub const SESSION_VERSIONS: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// The greatest request body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The names of the 23 tools, in the order in which they are listed.
pub fn tool_names() -> impl Iterator<Item = &'static str> {
    catalog::TOOLS.iter().map(|tool| tool.name)
}

/// What the server answers to `tools/list`: all tools with their schemas.
pub fn listed_tools() -> serde_json::Value {
    catalog::list()
}
