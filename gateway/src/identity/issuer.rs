//! One issuer: its keys, how old they may be, and when it may be asked again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OnceCell};

use super::fetch;
use super::key::Keys;
use crate::destinations::Destinations;

/// How old keys may be without asking for them again.
pub const KEYS_FRESH: Duration = Duration::from_mins(5);
/// How old keys may be while their issuer cannot be asked.
pub const KEYS_AGE_MAX: Duration = Duration::from_hours(1);
/// The shortest time between two questions to one issuer, whatever tokens come.
pub const REFRESH_MIN: Duration = Duration::from_secs(10);
/// How long an issuer may take to answer.
pub const FETCH_DEADLINE: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Debug)]
enum Source {
    Published(String, Destinations),
    ApiServer,
}

#[derive(Debug)]
struct Fetched {
    keys: Arc<Keys>,
    at: Duration,
}

pub(super) struct Issuer {
    source: Source,
    cluster: OnceCell<kube::Client>,
    fetched: ArcSwapOption<Fetched>,
    // When it was asked last.
    asked: Mutex<Option<Duration>>,
}

impl Issuer {
    /// An issuer that publishes its keys at its own URL.
    pub(super) fn published(issuer: String, destinations: Destinations) -> Self {
        Self::new(Source::Published(issuer, destinations))
    }

    /// The issuer of the cluster that this pod runs in.
    pub(super) fn api_server() -> Self {
        Self::new(Source::ApiServer)
    }

    fn new(source: Source) -> Self {
        Self { source, cluster: OnceCell::new(), fetched: ArcSwapOption::empty(), asked: Mutex::default() }
    }

    /// What the issuer calls itself. None: it cannot be asked.
    pub(super) async fn name(self: &Arc<Self>, now: Duration) -> Option<String> {
        let known = || {
            let fetched = self.fetched.load_full()?;
            (now.saturating_sub(fetched.at) <= KEYS_AGE_MAX).then(|| fetched.keys.issuer.clone())
        };
        if known().is_none() {
            self.refresh(now).await;
        }
        known()
    }

    /// The keys, as new as needed for a key's id. None: they cannot be had.
    pub(super) async fn keys(self: &Arc<Self>, key_id: &str, now: Duration) -> Option<Arc<Keys>> {
        let known = |age_max: Duration| {
            let fetched = self.fetched.load_full()?;
            (now.saturating_sub(fetched.at) <= age_max).then(|| fetched.keys.clone())
        };
        if let Some(keys) = known(KEYS_FRESH)
            && keys.has(key_id)
        {
            return Some(keys);
        }
        // While somebody else is asking already, what is known has to do.
        if let Some(keys) = known(KEYS_AGE_MAX)
            && keys.has(key_id)
            && self.asked.try_lock().is_err()
        {
            return Some(keys);
        }
        // A task of its own: a caller that goes away must not end what others wait for.
        let issuer = self.clone();
        let _ended = tokio::spawn(async move { issuer.refresh(now).await }).await;
        known(KEYS_AGE_MAX)
    }

    async fn refresh(&self, now: Duration) {
        let mut asked = self.asked.lock().await;
        // Waiting callers find here what the first of them brought.
        if asked.is_some_and(|asked| now.saturating_sub(asked) < REFRESH_MIN) {
            return;
        }
        *asked = Some(now);
        let fetched = tokio::time::timeout(FETCH_DEADLINE, self.fetch()).await;
        match fetched.unwrap_or_else(|_| Err(format!("no answer in {FETCH_DEADLINE:?}"))) {
            Ok(keys) => self.fetched.store(Some(Arc::new(Fetched { keys: Arc::new(keys), at: now }))),
            Err(reason) => tracing::warn!(issuer = ?self.source, reason, "no keys of an issuer"),
        }
    }

    async fn fetch(&self) -> Result<Keys, String> {
        match &self.source {
            Source::Published(issuer, destinations) => fetch::published(issuer, *destinations).await,
            Source::ApiServer => {
                let client = self.cluster.get_or_try_init(kube::Client::try_default).await;
                fetch::of_api_server(client.map_err(|error| error.to_string())?).await
            }
        }
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(formatter)
    }
}
