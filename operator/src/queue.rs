//! A queue of objects to reconcile: each at most once at a time, a bounded number at the same time, and each with a
//! backoff of its own when it fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::controller::{Action, Error};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{Config, applier};
use tokio::sync::mpsc;

use crate::backoff::Waits;
use crate::metrics::{Metrics, Outcome};
use crate::pulse::{Beat, Pulse};
use crate::raw::Raw;
use crate::scope::Scope;

/// The most reconciles of one kind at the same time.
pub const CONCURRENT_MAX: u16 = 16;
/// The most requests that wait to be taken into a queue; whoever brings more has to wait.
pub const REQUESTS_MAX: usize = 1024;
/// How long requests wait, none of them taken, until the queue is taken for one that stands still.
const WEDGED_AFTER: Duration = Duration::from_mins(3);
/// The longest that one reconcile may take. Each of its requests has a limit of its own; this is for what nobody thought of.
pub const RECONCILE_MAX: Duration = Duration::from_mins(2);
/// The waits after failures in a row of one object.
const WAITS: Waits = Waits { first: Duration::from_secs(1), last: Duration::from_mins(5) };

/// Where requests for objects of the kind `K` are put.
#[derive(Debug)]
pub struct Queue<K: Resource<DynamicType = ()>> {
    requests: mpsc::Sender<ObjectRef<Raw<K>>>,
    beat: Beat,
}

/// Where requests come out again.
#[derive(Debug)]
pub struct Requests<K: Resource<DynamicType = ()>> {
    requests: mpsc::Receiver<ObjectRef<Raw<K>>>,
    beat: Beat,
}

/// Failures in a row, by object.
type Failures = Arc<Mutex<HashMap<String, u32>>>;

/// Why a reconcile came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed<E: std::error::Error + 'static> {
    #[error(transparent)]
    Itself(E),
    #[error("it took longer than {} seconds", RECONCILE_MAX.as_secs())]
    TooLong,
}

impl<K: Resource<DynamicType = ()>> Queue<K> {
    /// A queue and its other end.
    pub fn new(name: &str, pulse: &Pulse) -> (Self, Requests<K>) {
        let (requests_tx, requests_rx) = mpsc::channel(REQUESTS_MAX);
        let beat = pulse.part(name, WEDGED_AFTER);
        (Self { requests: requests_tx, beat: beat.clone() }, Requests { requests: requests_rx, beat })
    }

    /// Asks for an object to be reconciled. After the end of the queue nothing happens.
    pub async fn request(&self, namespace: &str, name: &str) {
        self.beat.has_work();
        let _ = self.requests.send(ObjectRef::new(name).within(namespace)).await;
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
            let result = tokio::time::timeout(RECONCILE_MAX, running).await;
            let result = result.map_or(Err(Failed::TooLong), |result| result.map_err(Failed::Itself));
            count(&metrics, kind, result.is_ok(), start.elapsed());
            if result.is_ok() {
                locked(&succeeded).remove(&key);
            }
            result
        }
        .boxed()
    };
    let backoff = move |object: Arc<Raw<K>>, _: &Failed<E>, _: Arc<Scope>| {
        Action::requeue(backoff(&failures, &key(&object)))
    };
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
    stream::poll_fn(move |context| requests.poll(context)).map(Ok).take_until(stop.boxed())
}

impl<K: Resource<DynamicType = ()>> Requests<K> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ObjectRef<Raw<K>>>> {
        let polled = self.requests.poll_recv(context);
        if self.requests.is_empty() {
            self.beat.rests();
        } else {
            self.beat.goes_on();
        }
        polled
    }
}

fn count(metrics: &Metrics, kind: &str, succeeded: bool, duration: Duration) {
    let outcome = if succeeded { Outcome::Ok } else { Outcome::Error };
    metrics.reconciled(kind, outcome, duration.as_secs_f64());
}

fn backoff(failures: &Failures, key: &str) -> Duration {
    let mut failures = locked(failures);
    let count = failures.entry(key.to_owned()).or_default();
    *count = count.saturating_add(1);
    WAITS.after(*count)
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
