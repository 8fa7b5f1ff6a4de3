//! Counters in a store that all gateways of a server share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use toolgate_crds::RedisCounters;
use toolgate_policy::{Demand, Limit, NoRoom, Reply, Taken};

use super::inspection::Trouble;
use super::key::Keys;
use super::link::{self, Link, Plan};
use super::pause::Pause;
use super::question::{self, Answer, Question};
use super::remembered::Remembered;
use super::script::Scripts;
use super::usage::{self, COUNTERS_ASKED_MAX, COUNTERS_IN_A_STEP, LimitUsage};
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::in_force::InForce;
use crate::metrics::{Metrics, StoreAsked};

/// How long the store may take to answer one question, unless the command line says otherwise. A question that it answers
/// later may have been charged: that call was refused all the same, so the limit errs on the safe side.
pub const DECISION_DEADLINE_MILLISECONDS: u64 = 50;
/// How long what no caller waits for may take.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(1);

/// The store of one server, as its settings say.
#[derive(Debug)]
pub(super) struct Shared {
    settings: RedisCounters,
    namespace: String,
    name: String,
    keys: Keys,
    scripts: Arc<Scripts>,
    link: Arc<Link>,
    remembered: Arc<Mutex<Remembered>>,
    pause: Arc<Pause>,
    deadline: Duration,
    keeping: JoinHandle<()>,
}

impl Shared {
    /// Begins to connect to the store of a server.
    pub(super) fn start(
        settings: &RedisCounters,
        in_force: &InForce,
        gateway: &Gateway,
        pause: Arc<Pause>,
        deadline: Duration,
    ) -> Self {
        let server = &in_force.bundle.server;
        let keys = Keys::new(&server.namespace, &server.name);
        let (scripts, link) = (Arc::new(Scripts::default()), Arc::new(Link::default()));
        let plan = Plan {
            settings: settings.clone(),
            server_uid: server.uid.clone(),
            keys: keys.clone(),
            scripts: scripts.clone(),
            credentials: gateway.credentials.clone(),
            seal: gateway.seal.clone(),
            pause: pause.clone(),
            clock: gateway.clock,
        };
        let keeping = tokio::spawn(link::keep(link.clone(), plan));
        let remembered = Arc::default();
        Self {
            settings: settings.clone(),
            namespace: server.namespace.clone(),
            name: server.name.clone(),
            keys,
            scripts,
            link,
            remembered,
            pause,
            deadline,
            keeping,
        }
    }

    /// Whether it is the store that a law names, for the same server.
    pub(super) fn is_of(&self, settings: &RedisCounters, in_force: &InForce) -> bool {
        let server = &in_force.bundle.server;
        self.settings == *settings && self.namespace == server.namespace && self.name == server.name
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.connection().is_some()
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.link.trouble()
    }

    /// Asks what the law wants to know.
    pub(super) async fn ask(&self, demand: &Demand, clock: &Clock, metrics: &Metrics) -> Reply {
        let asked = clock.now().monotonic;
        // What policies that only watch would have said, only the store knows.
        let alone = demand.watching.iter().all(|group| group.charges.is_empty());
        if alone && let Some(no_room) = self.remembered().of(&demand.binding, asked) {
            metrics.store_asked(StoreAsked::Remembered);
            let watching = demand.watching.iter().map(|_| Ok(Vec::new())).collect();
            return Reply { binding: Err(no_room), watching };
        }
        let (answer, how) = self.put(&Question::new(demand)).await;
        metrics.store_asked(how);
        let Some(answer) = answer else { return Reply::away(demand) };
        if let Some(left) = answer.paused {
            // Another gateway heard that the server is called too often. Nothing was taken.
            self.pause.extend(clock.now().monotonic, left);
            return Reply { binding: Err(NoRoom::Paused(left)), ..answer.reply };
        }
        if let Err(no_room) = &answer.reply.binding {
            self.remembered().note(&demand.binding, *no_room, asked, clock.now().monotonic);
        }
        answer.reply
    }

    async fn put(&self, question: &Question<'_>) -> (Option<Answer>, StoreAsked) {
        let Some(connection) = self.link.connection() else { return (None, StoreAsked::Away) };
        let invocation = question.invocation(&self.scripts.ask, &self.keys);
        let answer = match timeout(self.deadline, connection.run(&invocation)).await {
            Err(_) => Err((StoreAsked::TimedOut, Trouble::Silent)),
            Ok(Err(trouble)) => Err((StoreAsked::Broken, trouble)),
            Ok(Ok(value)) => question.read(&value).ok_or((StoreAsked::Broken, Trouble::Unreadable)),
        };
        match answer {
            Ok(answer) => {
                self.link.succeeded();
                (Some(answer), StoreAsked::Answered)
            }
            Err((how, trouble)) => {
                tracing::debug!(%trouble, "the store of counters did not answer");
                self.link.failed(trouble);
                (None, how)
            }
        }
    }

    /// Gives back what was taken, in the background. What cannot be given back stays charged.
    pub(super) fn give_back(&self, taken: Vec<Taken>) {
        let Some(connection) = self.link.connection().filter(|_| !taken.is_empty()) else { return };
        let (scripts, keys, remembered) = (self.scripts.clone(), self.keys.clone(), self.remembered.clone());
        tokio::spawn(async move {
            let invocation = question::give_back(&scripts.give_back, &keys, &taken);
            let given = timeout(BACKGROUND_DEADLINE, connection.run(&invocation)).await;
            if !matches!(given, Ok(Ok(_))) {
                tracing::warn!("what a call was charged that was not sent could not be given back");
            }
            remembered.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
    }

    /// Tells every gateway that the server is left alone, in the background.
    pub(super) fn pause(&self, length: Duration) {
        let Some(connection) = self.link.connection() else { return };
        let (scripts, key) = (self.scripts.clone(), self.keys.pause());
        tokio::spawn(async move {
            let invocation = question::pause(&scripts.pause, key, length);
            let told = timeout(BACKGROUND_DEADLINE, connection.run(&invocation)).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::warn!("the other gateways could not be told that the server is left alone");
            }
        });
    }

    /// How full limits are. What the store does not tell in time is left out.
    pub(super) async fn usage(&self, limits: impl Iterator<Item = Limit<'_>>) -> Vec<LimitUsage> {
        let limits: Vec<Limit<'_>> = limits.take(COUNTERS_ASKED_MAX).collect();
        let mut told = Vec::new();
        let asking = async {
            for step in limits.chunks(COUNTERS_IN_A_STEP) {
                let Some(connection) = self.link.connection() else { return };
                let counters: Vec<_> = step.iter().map(|limit| (&limit.key, limit.bounds)).collect();
                let invocation = usage::invocation(&self.scripts.usage, &self.keys, &counters);
                let Ok(value) = connection.run(&invocation).await else { return };
                let Some(answers) = usage::read(&value, &counters) else { return };
                told.extend(step.iter().zip(answers).flat_map(|(limit, usage)| usage::told(limit, &usage)));
            }
        };
        // Whoever wants to know does not wait for long, and nothing is decided by it.
        let _in_time = timeout(BACKGROUND_DEADLINE, asking).await;
        told
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}
