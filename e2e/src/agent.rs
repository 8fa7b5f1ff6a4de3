//! An AI agent's MCP side: a client made with the official Rust SDK, driven by scripts instead of a model.
//!
//! It speaks as any client of that SDK does, over plain http. It never judges by the gateway's words: what a reply
//! means is read from the verdict under `_meta`, from `isError` and from error codes.

mod connection;
mod converse;
mod reply;
mod script;
mod until;

pub use connection::{
    Connection, Era, Listing, MAX_PAGES, OpenError, SessionVersion, Target, Token, TokenError,
};
pub use converse::{StepReport, converse};
pub use reply::{Outcome, Reply, ReplyError, VERDICT_KEY};
pub use script::{CallStep, Expectation, ListStep, MAX_EVERY_MS, MAX_TIMES, ScriptError, Step, parse};
pub use until::{Sighting, Wait, until};
