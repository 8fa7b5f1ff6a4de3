//! The official Rust SDK, both sides of it, in this process.

#[path = "rust/client.rs"]
pub(crate) mod client;
#[path = "rust/server.rs"]
pub(crate) mod server;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value of the SDK's from the JSON that the protocol has for it.
fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as the SDK reads it")
}
