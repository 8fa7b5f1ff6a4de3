//! How the server defines the tools of which a policy agrees to some definitions only: as it listed them last, to clients
//! of the same revision of the protocol.
//!
//! Lists teach it as they pass. Where none did yet, or the last one was not what was agreed to, the server is asked when
//! such a tool is called, see `endpoint::definitions`.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use toolgate_policy::json::Json;
use toolgate_policy::{Definition, Law};

use crate::wire::era::Version;

/// Of how many tools, each in each revision, the definitions are kept.
pub const DEFINITIONS_MAX: usize = 4096;
/// How soon the server is asked again for a definition that was not agreed to, or that it did not tell.
pub const AGAIN: Duration = Duration::from_secs(10);

type Key = (Version, String);

/// The definitions in one list, of tools that are pinned. None: it has several entries of that name.
pub type Listed = HashMap<String, Option<Definition>>;

/// What is known of the server's definitions.
#[derive(Debug, Default)]
pub struct Definitions {
    known: Mutex<HashMap<Key, Option<Definition>>>,
    // Held by whoever asks the server, so that others who want to know wait for the answer.
    asked: tokio::sync::Mutex<HashMap<Key, Instant>>,
}

impl Definitions {
    /// Learns from a list of tools.
    pub fn learn(&self, law: &Law, version: Version, tools: &[Json<'_>]) -> Listed {
        let mut listed = Listed::new();
        for tool in tools {
            let Some(name) = tool.get("name").and_then(Json::as_str) else { continue };
            if law.pins(name) {
                let definition = Some(Definition::of(tool));
                listed.entry(name.to_owned()).and_modify(|several| *several = None).or_insert(definition);
            }
        }
        if listed.is_empty() {
            return listed;
        }
        let mut known = self.known();
        for (name, definition) in &listed {
            let key = (version, name.clone());
            if known.len() < DEFINITIONS_MAX || known.contains_key(&key) {
                known.insert(key, *definition);
            }
        }
        listed
    }

    /// How the server defined a tool last.
    pub fn of(&self, version: Version, tool: &str) -> Option<Definition> {
        self.known().get(&(version, tool.to_owned())).copied().flatten()
    }

    /// How many tools were last defined in a way that some policy did not agree to.
    pub fn disputed(&self, law: &Law) -> usize {
        let known = self.known();
        let disputed = known.iter().filter(|((_, tool), definition)| {
            law.pins(tool) && !definition.is_some_and(|definition| law.agrees(tool, definition))
        });
        disputed.map(|((_, tool), _)| tool).collect::<HashSet<_>>().len()
    }

    /// Asks the server, if nobody did so for this tool lately. One asks at a time; who had to wait looks first whether it
    /// is known now.
    pub async fn ask(
        &self,
        version: Version,
        tool: &str,
        needed: impl Fn() -> bool,
        ask: impl Future<Output = ()>,
    ) {
        let mut asked = self.asked.lock().await;
        let now = Instant::now();
        let key = (version, tool.to_owned());
        let lately = asked.get(&key).is_some_and(|at| now.duration_since(*at) < AGAIN);
        if lately || !needed() {
            return;
        }
        asked.retain(|_, at| now.duration_since(*at) < AGAIN);
        asked.insert(key, now);
        ask.await;
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Option<Definition>>> {
        // Every change of it is one insertion.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
