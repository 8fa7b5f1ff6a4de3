//! Where calls are counted: in memory, or in a store that all gateways of a server share.
//!
//! Which of the two is part of what is in force, so one call is counted, and given back, where its law says. Where a law
//! names a store, nothing is ever counted in memory in its place: a call with a limit that the store cannot be asked of is
//! refused.

mod connection;
mod inspection;
mod key;
mod link;
mod pause;
mod question;
mod remembered;
mod script;
mod shared;
#[cfg(test)]
mod tests;
mod usage;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use toolgate_policy::{Counters, Demand, PAUSE_MAX, Permit, Reply};

use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::in_force::InForce;
use crate::metrics::{Metrics, StoreAsked};
use pause::Pause;
use shared::Shared;

pub use inspection::{Trouble, VERSION_MIN};
pub use link::{CONNECT_DEADLINE, FAILURES_MAX, INSPECTION, INSPECTION_DEADLINE};
pub use remembered::{REMEMBERED_COUNT_MAX, REMEMBERED_MAX};
pub use shared::DECISION_DEADLINE_MILLISECONDS;
pub use usage::{COUNTERS_ASKED_MAX, LimitUsage};

/// How many counters in memory are looked at before calls get their turn.
const LOOKED_AT_ONCE: usize = 256;

/// Every counter of this gateway.
#[derive(Debug)]
pub struct Counting {
    memory: Mutex<Counters>,
    shared: ArcSwapOption<Shared>,
    pause: Arc<Pause>,
    deadline: Duration,
}

impl Default for Counting {
    /// Nothing has been counted, and a store has [`DECISION_DEADLINE_MILLISECONDS`] for an answer.
    fn default() -> Self {
        Self {
            memory: Mutex::default(),
            shared: ArcSwapOption::empty(),
            pause: Arc::default(),
            deadline: Duration::from_millis(DECISION_DEADLINE_MILLISECONDS),
        }
    }
}

/// What is known of the store that is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It answers.
    Up,
    /// It was not reached yet.
    Connecting,
    /// It is not used.
    Down(Trouble),
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => formatter.write_str("the shared store answers"),
            Self::Connecting => formatter.write_str("the shared store was not reached yet"),
            Self::Down(trouble) => write!(formatter, "the shared store is not used: {trouble}"),
        }
    }
}

impl Counting {
    /// The same with another deadline for the store.
    #[must_use]
    pub fn waiting(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Asks what the law wants to know of a call. A shared store that cannot be asked says so.
    pub async fn ask(&self, in_force: &InForce, demand: &Demand, clock: &Clock, metrics: &Metrics) -> Reply {
        if in_force.shared_counters().is_none() {
            return self.memory().ask(demand, clock.now().monotonic);
        }
        if let Some(shared) = self.shared_of(in_force) {
            return shared.ask(demand, clock, metrics).await;
        }
        metrics.store_asked(StoreAsked::Away);
        Reply::away(demand)
    }

    /// How full the limits in force are that have counted anything of late, over all gateways that share the store.
    pub async fn usage(&self, in_force: &InForce, clock: &Clock) -> Vec<LimitUsage> {
        let limits = in_force.law.limits();
        if in_force.shared_counters().is_some() {
            let Some(shared) = self.shared_of(in_force) else { return Vec::new() };
            return shared.usage(limits).await;
        }
        let (now, mut told) = (clock.now().monotonic, Vec::new());
        for (index, limit) in limits.enumerate() {
            // There may be as many as grants times counters, and calls wait for this thread.
            if index % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            // One by one: calls wait for this lock, too.
            let usage = self.memory().usage(&limit.key, limit.bounds, now);
            told.extend(usage.into_iter().flat_map(|usage| usage::told(&limit, &usage)));
        }
        told
    }

    /// Gives back what a call was charged of which no byte was written to the server.
    pub fn give_back(&self, in_force: &InForce, permit: Permit) {
        if in_force.shared_counters().is_none() {
            return self.memory().give_back(permit.give_up());
        }
        if let Some(shared) = self.shared_of(in_force) {
            shared.give_back(permit.give_up());
        }
    }

    /// Leaves the server alone for so long, at every gateway that shares the store. A shorter pause shortens none.
    pub fn pause(&self, in_force: &InForce, clock: &Clock, length: Duration) {
        let length = length.min(PAUSE_MAX);
        self.pause.extend(clock.now().monotonic, length);
        if let Some(shared) = self.shared_of(in_force) {
            shared.pause(length);
        }
    }

    /// For how long the server is still left alone.
    pub fn paused(&self, clock: &Clock) -> Option<Duration> {
        self.pause.left(clock.now().monotonic)
    }

    /// How the store stands that is shared; None if there is none.
    pub fn standing(&self) -> Option<Standing> {
        let shared = self.shared.load_full()?;
        Some(match shared.trouble() {
            _ if shared.is_up() => Standing::Up,
            Some(trouble) => Standing::Down(trouble),
            None => Standing::Connecting,
        })
    }

    /// Whether it is known if calls can be counted. A gateway that takes calls before would refuse those that have a limit,
    /// though the next one could count them.
    pub fn is_settled(&self, in_force: &InForce) -> bool {
        in_force.shared_counters().is_none()
            || self.shared_of(in_force).is_some_and(|shared| shared.is_up() || shared.trouble().is_some())
    }

    /// Drops the counters in memory whose windows have run out.
    pub fn sweep(&self, clock: &Clock) {
        self.memory().sweep(clock.now().monotonic);
    }

    // Another store than the one that the law names is as good as none.
    fn shared_of(&self, in_force: &InForce) -> Option<Arc<Shared>> {
        let settings = in_force.shared_counters()?;
        self.shared.load_full().filter(|shared| shared.is_of(settings, in_force))
    }

    fn follow_once(&self, gateway: &Gateway) {
        let Some(in_force) = gateway.holder.current() else { return };
        match in_force.shared_counters() {
            None => self.shared.store(None),
            Some(_) if self.shared_of(&in_force).is_some() => {}
            Some(settings) => {
                let shared = Shared::start(settings, &in_force, gateway, self.pause.clone(), self.deadline);
                self.shared.store(Some(Arc::new(shared)));
            }
        }
    }

    // A panic elsewhere does not lose them.
    fn memory(&self) -> MutexGuard<'_, Counters> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the store that the law in force names, whenever it names another one.
pub async fn follow(gateway: Arc<Gateway>) {
    let mut changes = gateway.holder.changes();
    loop {
        gateway.counters.follow_once(&gateway);
        if changes.changed().await.is_err() {
            return;
        }
    }
}
