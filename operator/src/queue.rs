//! A queue of objects to reconcile: each at most once at a time, a bounded number at the same time, and each with a
//! backoff of its own when it fails.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::controller::{Action, Error};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Config, applier};
use tokio::sync::mpsc;

use crate::metrics::{Metrics, Outcome};
use crate::raw::Raw;
use crate::scope::Scope;

/// The most reconciles of one kind at the same time.
pub const CONCURRENT_MAX: u16 = 16;
/// The most requests that wait to be taken into a queue; whoever brings more has to wait.
pub const REQUESTS_MAX: usize = 1024;
/// The first wait after a failure.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after failures in a row.
const BACKOFF_LAST: Duration = Duration::from_mins(5);

/// Where requests for objects of the kind `K` are put.
#[derive(Debug)]
pub struct Queue<K: Resource<DynamicType = ()>>(mpsc::Sender<ObjectRef<Raw<K>>>);

/// Where requests come out again.
pub type Requests<K> = mpsc::Receiver<ObjectRef<Raw<K>>>;

/// Failures in a row, by object.
type Failures = Arc<Mutex<HashMap<String, u32>>>;

impl<K: Resource<DynamicType = ()>> Queue<K> {
    /// A queue and its other end.
    pub fn new() -> (Self, Requests<K>) {
        let (requests_tx, requests_rx) = mpsc::channel(REQUESTS_MAX);
        (Self(requests_tx), requests_rx)
    }

    /// Asks for an object to be reconciled. After the end of the queue nothing happens.
    pub async fn request(&self, namespace: &str, name: &str) {
        let _ = self.0.send(ObjectRef::new(name).within(namespace)).await;
    }
}

/// Reconciles what is requested, until `stop`. What is under way then is finished.
pub fn run<K, Reconcile, Running, E, Stop>(
    kind: &'static str,
    reconcile: Reconcile,
    store: &Store<Raw<K>>,
    requests: Requests<K>,
    scope: &Arc<Scope>,
    stop: Stop,
) -> impl Future<Output = ()> + Send + use<K, Reconcile, Running, E, Stop>
where
    Stop: Future<Output = ()> + Send + 'static,
    K: Resource<DynamicType = ()> + 'static,
    Reconcile: Fn(Arc<Raw<K>>, Arc<Scope>) -> Running + Send + 'static,
    Running: Future<Output = Result<Action, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let failures = Failures::default();
    let (succeeded, gone) = (failures.clone(), failures.clone());
    let measured = move |object: Arc<Raw<K>>, scope: Arc<Scope>| {
        let (metrics, succeeded, key) = (scope.metrics.clone(), succeeded.clone(), key(&object));
        let running = reconcile(object, scope);
        async move {
            let start = Instant::now();
            let result = running.await;
            count(&metrics, kind, result.is_ok(), start.elapsed());
            if result.is_ok() {
                locked(&succeeded).remove(&key);
            }
            result
        }
        .boxed()
    };
    let backoff =
        move |object: Arc<Raw<K>>, _: &E, _: Arc<Scope>| Action::requeue(backoff(&failures, &key(&object)));
    let config = Config::default().concurrency(CONCURRENT_MAX);
    applier(measured, backoff, scope.clone(), store.clone(), stopping(requests, stop), config).for_each(
        move |result| {
            match result {
                Ok(_) => {}
                Err(Error::ObjectNotFound(object)) => {
                    let namespace = object.namespace.as_deref().unwrap_or_default();
                    locked(&gone).remove(&path(namespace, &object.name));
                }
                Err(Error::ReconcilerFailed(error, object)) => {
                    tracing::warn!(kind, %object, error = %chain(&error), "tried again later");
                }
                Err(error) => tracing::error!(kind, error = %chain(&error), "queue"),
            }
            std::future::ready(())
        },
    )
}

fn stopping<K: Resource<DynamicType = ()>>(
    mut requests: Requests<K>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = Result<ObjectRef<Raw<K>>, std::convert::Infallible>> {
    stream::poll_fn(move |context| requests.poll_recv(context)).map(Ok).take_until(stop.boxed())
}

fn count(metrics: &Metrics, kind: &str, succeeded: bool, duration: Duration) {
    let outcome = if succeeded { Outcome::Ok } else { Outcome::Error };
    metrics.reconciled(kind, outcome, duration.as_secs_f64());
}

fn backoff(failures: &Failures, key: &str) -> Duration {
    let mut failures = locked(failures);
    let count = failures.entry(key.to_owned()).or_default();
    *count = count.saturating_add(1);
    wait_after(*count, key)
}

// Doubles, and is up to a quarter longer by chance, so that objects which failed together do not come back together.
fn wait_after(failures: u32, key: &str) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let wait = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_LAST);
    let mut hasher = DefaultHasher::new();
    (key, failures).hash(&mut hasher);
    let quarters = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    wait + wait / 4000 * quarters
}

fn key<K>(object: &Raw<K>) -> String {
    path(object.namespace(), object.name())
}

fn path(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

fn locked(failures: &Failures) -> std::sync::MutexGuard<'_, HashMap<String, u32>> {
    // A count that a panic left behind is still a count.
    failures.lock().unwrap_or_else(PoisonError::into_inner)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{BACKOFF_FIRST, BACKOFF_LAST, wait_after};

    #[test]
    fn waits_double_up_to_the_longest_and_differ_between_objects() {
        let most = |wait: std::time::Duration| wait + wait / 4;
        for (failures, base) in [(1, BACKOFF_FIRST), (2, BACKOFF_FIRST * 2), (9, BACKOFF_FIRST * 256)] {
            let wait = wait_after(failures, "sales/crm");
            assert!(wait >= base && wait <= most(base), "{failures}: {wait:?}");
        }
        for failures in [10, 11, u32::MAX] {
            let wait = wait_after(failures, "sales/crm");
            assert!(wait >= BACKOFF_LAST && wait <= most(BACKOFF_LAST), "{failures}: {wait:?}");
        }
        assert_ne!(wait_after(3, "sales/crm"), wait_after(3, "sales/desk"));
    }
}
