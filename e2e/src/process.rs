//! The real gateway as a process, and everything round it that a scenario needs: its files, raw sockets that may send
//! what no client would, a server that answers what no server should, and the books.
//!
//! The gateway runs in file mode on free ports of the loopback interface. Whatever is started here ends with the value
//! that stands for it.

mod admin;
mod answer;
mod binary;
mod books;
mod configuration;
mod error;
mod folder;
mod gateway;
mod log;
mod metrics;
mod redis;
mod request;
mod socket;
mod upstream;
mod world;

pub use admin::Admin;
pub use answer::Answer;
pub use binary::{BUILD_COMMAND, gateway_binary};
pub use books::{Books, Line};
pub use configuration::{CREDENTIAL, Configuration, SAMPLE_TOKEN};
pub use error::ProcessError;
pub use folder::Folder;
pub use gateway::{Gateway, Start};
pub use log::Log;
pub use metrics::Metrics;
pub use redis::{Redis, shifted_clock};
pub use request::Request;
pub use socket::Socket;
pub use upstream::{Seen, Step, Upstream};
pub use world::{ALICE, BOB, World};

/// How long anything that must happen may take to happen, before a scenario gives up.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
