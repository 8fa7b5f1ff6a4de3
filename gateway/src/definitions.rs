//! How the server defines the tools of which a policy agrees to some definitions only.
//!
//! What calls are decided by is what the gateway asked the server for itself, see `endpoint::definitions`, and that only for
//! a while. Lists that pass on their way to callers cannot teach it agreement, for a caller has a say in when and how
//! they are asked for; they only make it doubt what it knows, and tell the metrics.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::Uri;
use toolgate_policy::json::Json;
use toolgate_policy::{Definition, Law};

use crate::wire::era::Version;

/// How long calls are decided by what the server said when it was asked.
pub const FRESH: Duration = Duration::from_secs(30);
/// The same where that was not agreed to, so that a server that is mended is soon used again.
pub const AGAIN: Duration = Duration::from_secs(10);

/// What a list says of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not in it.
    Absent,
    /// It is in it several times.
    Several,
    /// This is what it is.
    Defined(Definition),
}

/// What lists say of the tools that are pinned.
pub type Listed = HashMap<String, Seen>;

/// What is known of the server's definitions.
#[derive(Debug, Default)]
pub struct Definitions {
    state: Mutex<State>,
    /// Held by whoever asks the server, so that others who want to know wait for the answer.
    pub asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    // Of which server all of it is: its UID, and where it is.
    server: Option<(String, Uri)>,
    // By revision, for servers word tools for each. What is pinned no more goes with the next answer.
    asked: HashMap<Version, (Instant, Listed)>,
    // What was seen last, wherever.
    seen: HashMap<(Version, String), Seen>,
}

impl Seen {
    /// The definition, if there is exactly one.
    pub fn definition(self) -> Option<Definition> {
        match self {
            Self::Absent | Self::Several => None,
            Self::Defined(definition) => Some(definition),
        }
    }
}

/// Adds what a page of a list says of pinned tools.
pub fn read(law: &Law, tools: &[Json<'_>], listed: &mut Listed) {
    for tool in tools {
        let Some(name) = tool.get("name").and_then(Json::as_str) else { continue };
        if law.pins(name) {
            let seen = Seen::Defined(Definition::of(tool));
            listed.entry(name.to_owned()).and_modify(|several| *several = Seen::Several).or_insert(seen);
        }
    }
}

impl Definitions {
    /// Nothing is known of another server than before.
    pub fn about(&self, uid: &str, upstream: &Uri) {
        let mut state = self.state();
        if !state.server.as_ref().is_some_and(|(known, at)| known == uid && at == upstream) {
            *state = State { server: Some((uid.to_owned(), upstream.clone())), ..State::default() };
        }
    }

    /// How the server defines a tool, if it was asked lately enough.
    pub fn of(&self, law: &Law, version: Version, tool: &str) -> Option<Seen> {
        let state = self.state();
        let (at, listed) = state.asked.get(&version)?;
        let seen = *listed.get(tool)?;
        let agreed = seen.definition().is_some_and(|definition| law.agrees(tool, definition));
        (at.elapsed() < if agreed { FRESH } else { AGAIN }).then_some(seen)
    }

    /// The server was asked for its whole list.
    pub fn learn(&self, law: &Law, version: Version, mut listed: Listed) {
        for tool in law.pinned() {
            listed.entry(tool.to_owned()).or_insert(Seen::Absent);
        }
        let mut state = self.state();
        state.seen.retain(|(_, tool), _| law.pins(tool));
        state.seen.extend(listed.iter().map(|(tool, seen)| ((version, tool.clone()), *seen)));
        state.asked.insert(version, (Instant::now(), listed));
    }

    /// A list passes on its way to a caller. Where it says something else than the server did when it was asked, that is
    /// doubted, in every revision.
    pub fn pass(&self, law: &Law, version: Version, listed: &Listed) {
        if listed.is_empty() {
            return;
        }
        let mut state = self.state();
        for (tool, seen) in listed {
            let known = state.asked.get(&version).and_then(|(_, known)| known.get(tool));
            if known.is_some_and(|known| known != seen) {
                state.asked.values_mut().for_each(|(_, known)| known.retain(|name, _| name != tool));
            }
            state.seen.insert((version, tool.clone()), *seen);
        }
        state.seen.retain(|(_, tool), _| law.pins(tool));
    }

    /// The server says that its list is another one now.
    pub fn doubt(&self) {
        self.state().asked.clear();
    }

    /// What was seen last of a tool, wherever.
    pub fn last(&self, version: Version, tool: &str) -> Option<Definition> {
        self.state().seen.get(&(version, tool.to_owned())).and_then(|seen| seen.definition())
    }

    /// How many tools were last defined in a way that some policy did not agree to.
    pub fn disputed(&self, law: &Law) -> usize {
        let state = self.state();
        let disputed = state.seen.iter().filter(|((_, tool), seen)| match seen {
            Seen::Absent => false,
            Seen::Several => law.pins(tool),
            Seen::Defined(definition) => !law.agrees(tool, *definition),
        });
        disputed.map(|((_, tool), _)| tool).collect::<HashSet<_>>().len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done by whoever holds it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
