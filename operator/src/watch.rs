//! One watch: fills a cache and says what happened.
//!
//! Each watch backs off by itself. A failure of one never reaches the others, and none ends.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::backoff::{Waits, WatchBackoff};
use crate::metrics::Metrics;
use crate::raw::prune;

/// How long the API server keeps one watch open. A connection that died silently is noticed soon after.
pub const WATCH_SECONDS: u32 = 30;
/// How long a watch asks nothing of the API server until it is taken for one that stands still. Far longer than an open
/// watch, the wait for an answer and the longest wait after failures together.
pub const WEDGED_AFTER: Duration = Duration::from_mins(3);
/// How long until everything is listed anew, though no watch says that anything was missed.
const RELIST: Duration = Duration::from_mins(30);

/// The waits after failures in a row of one watch. Short, for until it works again nothing is noticed.
const WAITS: Waits = Waits { first: Duration::from_millis(500), last: Duration::from_secs(5) };

/// What a watch has seen. The cache knows already.
#[derive(Debug)]
pub enum Seen<'a, K> {
    /// An object was made or changed.
    Applied(&'a K),
    /// An object is gone.
    Deleted(&'a K),
    /// Everything was listed anew; anything may have happened in between.
    Relisted,
}

/// Watches until the process ends, or the future is dropped.
pub async fn watch<K, Handle, Handling>(
    api: Api<K>,
    labels: Option<String>,
    mut writer: Writer<K>,
    metrics: &Metrics,
    handle: Handle,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    Handle: Fn(Seen<'_, K>) -> Handling,
    Handling: Future<Output = ()>,
{
    let kind = K::kind(&());
    let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
    config.label_selector = labels;
    loop {
        let events = watcher(api.clone(), config.clone()).backoff(WatchBackoff::new(WAITS));
        let events = events.take_until(tokio::time::sleep(RELIST));
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let event = pruned(event);
                    writer.apply_watcher_event(&event);
                    match &event {
                        Event::Apply(object) => handle(Seen::Applied(object)).await,
                        Event::Delete(object) => handle(Seen::Deleted(object)).await,
                        Event::InitDone => handle(Seen::Relisted).await,
                        Event::Init | Event::InitApply(_) => {}
                    }
                }
                Err(error) => {
                    metrics.watch_failed(&kind);
                    tracing::warn!(%kind, %error, "a watch broke; it begins anew");
                }
            }
        }
    }
}

// It is half of what many objects weigh.
fn pruned<K: Resource>(event: Event<K>) -> Event<K> {
    event.modify(|object| prune(object.meta_mut()))
}
