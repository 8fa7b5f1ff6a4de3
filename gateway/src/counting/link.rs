//! Keeps a connection to the store that can be trusted, and says why there is none.
//!
//! A connection is used only after the store was inspected and a log was written in it. It is dropped as soon as the store
//! falls silent: then nobody waits, every question is answered at once by nobody knows, until a new one was tried.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use redis::Value;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use toolgate_crds::RedisCounters;
use toolgate_policy::PAUSE_MAX;

use super::connection::{Connection, Secrets};
use super::inspection::{Trouble, inspect};
use super::key::Keys;
use super::pause::Pause;
use super::question;
use super::script::Scripts;
use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::session::Seal;

/// How long a store may take to be connected to, to let the gateway in, and to be tried.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How often the store is inspected.
pub const INSPECTION: Duration = Duration::from_secs(1);
/// How long an inspection may take.
pub const INSPECTION_DEADLINE: Duration = Duration::from_millis(500);
/// So many questions in a row without an answer, and the connection is dropped.
pub const FAILURES_MAX: u32 = 3;
/// The shortest pause before the store is tried again, doubled each time.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// What is needed to connect.
#[derive(Debug)]
pub(super) struct Plan {
    pub settings: RedisCounters,
    pub server_uid: String,
    pub keys: Keys,
    pub scripts: Arc<Scripts>,
    pub credentials: Arc<Credentials>,
    pub seal: Arc<Seal>,
    pub pause: Arc<Pause>,
    pub clock: Clock,
}

/// The connection, while there is one.
#[derive(Debug, Default)]
pub(super) struct Link {
    connection: ArcSwapOption<Connection>,
    failures: AtomicU32,
    failing: Notify,
    trouble: Mutex<Option<Trouble>>,
    // What the log says already.
    told: Mutex<Option<Trouble>>,
}

impl Link {
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        self.connection.load_full()
    }

    /// Why there is no connection; None also before it was ever tried.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A question was answered in time.
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A question was not.
    pub(super) fn failed(&self, trouble: Trouble) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX {
            self.connection.store(None);
            self.note(Some(trouble));
            self.failing.notify_one();
        }
    }

    fn up(&self, connection: &Connection) {
        self.succeeded();
        // Of the last connection.
        let _stale = self.failing.notified().now_or_never();
        self.note(None);
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.connection.store(Some(Arc::new(connection.clone())));
        tracing::info!("the store of counters is there");
    }

    fn down(&self, trouble: Trouble) {
        self.connection.store(None);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&trouble) {
            tracing::error!("the store of counters is not used, calls with limits are refused: {trouble}");
        }
        *told = Some(trouble.clone());
        self.note(Some(trouble));
    }

    fn note(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Connects, watches, and connects again, for ever.
pub(super) async fn keep(link: Arc<Link>, plan: Plan) {
    let mut pause = RETRY_MIN;
    loop {
        let trouble = match within(CONNECT_DEADLINE, connect(&plan)).await {
            Ok(connected) => {
                link.up(&connected.connection);
                watch(&link, &plan, connected, &mut pause).await
            }
            Err(trouble) => trouble,
        };
        link.down(trouble);
        sleep(with_jitter(pause)).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// A connection, and what let the gateway in.
struct Connected {
    connection: Connection,
    secrets: Secrets,
}

async fn connect(plan: &Plan) -> Result<Connected, Trouble> {
    let secrets = Secrets::read(&plan.settings, &plan.credentials)?;
    let connection = Connection::open(&plan.settings, &secrets, CONNECT_DEADLINE).await?;
    look(plan, &connection).await?;
    try_out(plan, &connection).await?;
    let proposal = Seal::proposal().map_err(|_| Trouble::Unreadable)?;
    let agreed = connection.agree(&plan.keys.seal(), &proposal).await?;
    plan.seal.share(&plan.server_uid, secrets.password(), &agreed);
    Ok(Connected { connection, secrets })
}

// Until it falls silent or cannot be trusted any more.
async fn watch(link: &Link, plan: &Plan, mut connected: Connected, pause: &mut Duration) -> Trouble {
    loop {
        let silent = tokio::select! {
            () = sleep(INSPECTION) => false,
            () = link.failing.notified() => true,
        };
        if silent {
            return link.trouble().unwrap_or(Trouble::Silent);
        }
        if let Err(trouble) = within(INSPECTION_DEADLINE, look(plan, &connected.connection)).await {
            return trouble;
        }
        *pause = RETRY_MIN;
        if let Some(renewed) = renew(plan, &connected.secrets).await {
            link.up(&renewed.connection);
            connected = renewed;
        }
    }
}

// With a new password the gateways of a server derive a new key for sessions: all of them soon, not each when its connection
// happens to break. Until the store knows the new password, the connection that is there goes on.
async fn renew(plan: &Plan, secrets: &Secrets) -> Option<Connected> {
    let current = Secrets::read(&plan.settings, &plan.credentials).ok()?;
    if current == *secrets {
        return None;
    }
    within(CONNECT_DEADLINE, connect(plan)).await.ok()
}

async fn look(plan: &Plan, connection: &Connection) -> Result<(), Trouble> {
    let mut invocation = plan.scripts.inspect.prepare_invoke();
    invocation.key(plan.keys.pause());
    let value = connection.run(&invocation).await?;
    let (server, memory, replication, paused): (String, String, String, i64) =
        redis::from_redis_value(value).map_err(|_| Trouble::Unreadable)?;
    // So a gateway whose calls have no limits hears of a pause, too.
    if let Some(left) = u64::try_from(paused).ok().filter(|left| *left > 0) {
        plan.pause.extend(plan.clock.now().monotonic, Duration::from_millis(left).min(PAUSE_MAX));
    }
    inspect(&[server, memory, replication].concat())
}

// Charges a counter of nobody's and gives it back: with that every command that is needed was run.
async fn try_out(plan: &Plan, connection: &Connection) -> Result<(), Trouble> {
    let answer = connection.run(&question::probe(&plan.scripts.ask, &plan.keys)).await?;
    match answer {
        Value::Array(parts) if parts.len() == 3 => {}
        _ => return Err(Trouble::Unreadable),
    }
    connection.run(&question::probe_back(&plan.scripts.give_back, &plan.keys)).await?;
    connection
        .run(&question::pause(&plan.scripts.pause, plan.keys.probe_pause(), Duration::from_millis(1)))
        .await?;
    Ok(())
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(deadline, work).await.unwrap_or(Err(Trouble::Silent))
}

// Between half of it and all of it, so that gateways do not come back all at once.
fn with_jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness it is the whole.
    let part = SystemRandom::new().fill(&mut byte).map_or(255, |()| u32::from(byte[0]));
    pause / 2 + pause * part / 510
}
