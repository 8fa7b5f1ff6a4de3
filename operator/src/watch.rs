//! One watch: fills a cache and says what happened.
//!
//! Each watch backs off by itself. A failure of one never reaches the others, and none ends.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::backoff::{Waits, WatchBackoff};
use crate::metrics::Metrics;

/// How long the API server keeps one watch open. A connection that died silently is noticed soon after.
pub const WATCH_SECONDS: u32 = 60;

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
    let events = watcher(api, config).backoff(WatchBackoff::new(WAITS));
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let event = without_managed_fields(event);
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

// Nobody reads them, and they are half of what many objects weigh.
fn without_managed_fields<K: Resource>(event: Event<K>) -> Event<K> {
    event.modify(|object| object.managed_fields_mut().clear())
}
