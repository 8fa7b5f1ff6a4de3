//! Calling a tool again and again until a certain outcome is seen: how soon does an edit bite?

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::connection::{Connection, Target, words};
use super::reply::{Outcome, Reply};

/// The pause between two calls: long enough not to starve what is observed on a small machine.
const PAUSE: Duration = Duration::from_millis(1);

/// The pause after a connection could not be opened.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// What is waited for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The tool to call.
    pub tool: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// The outcome that ends the wait.
    pub outcome: Outcome,
    /// How long to wait at most. A call that is under way then is still awaited.
    pub timeout: Duration,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Whether the outcome was seen.
    pub seen: bool,
    /// How many calls were made, that of the outcome included.
    pub calls: u64,
    /// How often each outcome came.
    pub counts: BTreeMap<Outcome, u64>,
    /// How many connections were opened, or tried to be.
    pub connections: u64,
    /// Milliseconds from the start of the wait to the reply with the outcome, or to the end of the wait.
    pub elapsed_ms: u64,
    /// When the call with the outcome was sent, in Unix milliseconds.
    pub sent_unix_ms: u64,
    /// When its reply was there, in Unix milliseconds.
    pub unix_ms: u64,
    /// The last reply.
    pub last: Reply,
}

/// Calls until the outcome is seen or time is up, over one connection for as long as it holds. A connection that
/// cannot be opened counts as a reply, so that a credential can be waited for as well.
pub async fn until(target: &Target, wait: &Wait) -> Sighting {
    let started = Instant::now();
    let mut connection = None;
    let mut counts = BTreeMap::<Outcome, u64>::new();
    let (mut calls, mut connections) = (0, 0);
    loop {
        let sent_unix_ms = unix_ms();
        if connection.as_ref().is_none_or(Connection::is_closed) {
            connections += 1;
        }
        let reply = attempt(target, wait, &mut connection).await;
        calls += 1;
        *counts.entry(reply.outcome).or_default() += 1;
        let seen = reply.outcome == wait.outcome;
        if seen || started.elapsed() >= wait.timeout {
            // The times are taken before the connection is closed, which takes its own.
            let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let sighting = Sighting {
                seen,
                calls,
                counts,
                connections,
                elapsed_ms,
                sent_unix_ms,
                unix_ms: unix_ms(),
                last: reply,
            };
            if let Some(connection) = connection {
                connection.close().await;
            }
            return sighting;
        }
        tokio::time::sleep(if connection.is_some() { PAUSE } else { OPEN_PAUSE }).await;
    }
}

async fn attempt(target: &Target, wait: &Wait, connection: &mut Option<Connection>) -> Reply {
    if connection.as_ref().is_some_and(Connection::is_closed) {
        *connection = None;
    }
    let open = match connection {
        Some(open) => open,
        None => match Connection::open(target).await {
            Ok(opened) => connection.insert(opened),
            Err(error) => return Reply::no_answer(&wait.tool, error.outcome(), words(&error)),
        },
    };
    open.call(&wait.tool, &wait.arguments).await
}

fn unix_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
