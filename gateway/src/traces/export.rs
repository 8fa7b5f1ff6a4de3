//! The way of spans to a collector: a bounded queue, and a task that empties it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::otlp::{Base, Collector, resource, scope};

/// How many spans wait at most; more are dropped.
pub const QUEUE_MAX: usize = 4096;
/// How long the end of the process waits for the last spans.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(2);
/// The most spans of one request to the collector.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_millis(500);

/// The queue.
pub(super) struct Exporter {
    sender: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
}

enum Order {
    Send(Value),
    Flush(oneshot::Sender<()>),
}

/// The task's side of it. What the collector does not take is not sent again.
struct Way {
    collector: Collector,
    dropped: Arc<AtomicU64>,
    // Said once, not for each batch.
    failing: bool,
}

impl Exporter {
    pub(super) fn start(base: &Base) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let collector = Collector::new(base, "/v1/traces")?;
        tokio::spawn(empty(receiver, Way { collector, dropped: dropped.clone(), failing: false }));
        Ok(Self { sender, dropped })
    }

    pub(super) fn send(&self, span: Value) {
        if self.sender.try_send(Order::Send(span)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    pub(super) async fn flush(&self) -> bool {
        let flushing = async {
            let (said, heard) = oneshot::channel();
            self.sender.send(Order::Flush(said)).await.ok()?;
            heard.await.ok()
        };
        matches!(tokio::time::timeout(FLUSH_DEADLINE, flushing).await, Ok(Some(())))
    }
}

// Until nobody is left who could send.
async fn empty(mut receiver: mpsc::Receiver<Order>, mut way: Way) {
    let mut orders = Vec::new();
    while receiver.recv_many(&mut orders, BATCH_MAX).await > 0 {
        if !orders.iter().any(|order| matches!(order, Order::Flush(_))) {
            gather(&mut receiver, &mut orders).await;
        }
        let (mut spans, mut flushed) = (Vec::new(), Vec::new());
        for order in orders.drain(..) {
            match order {
                Order::Send(span) => spans.push(span),
                Order::Flush(said) => flushed.push(said),
            }
        }
        way.send(spans).await;
        for said in flushed {
            // Whoever waited may have given up.
            let _gone = said.send(());
        }
    }
}

async fn gather(receiver: &mut mpsc::Receiver<Order>, orders: &mut Vec<Order>) {
    let gathering = async {
        while orders.len() < BATCH_MAX {
            match receiver.recv().await {
                Some(flush @ Order::Flush(_)) => return orders.push(flush),
                Some(order) => orders.push(order),
                None => return,
            }
        }
    };
    let _time_is_up = tokio::time::timeout(GATHER, gathering).await;
}

impl Way {
    async fn send(&mut self, spans: Vec<Value>) {
        let count = spans.len() as u64;
        if count == 0 {
            return;
        }
        let scoped = json!({"scope": scope(), "spans": spans});
        let body = json!({"resourceSpans": [{"resource": resource(), "scopeSpans": [scoped]}]});
        let posted = self.collector.post(&body).await;
        let lost = posted.as_ref().map_or(count, |rejected| (*rejected).min(count));
        self.dropped.fetch_add(lost, Ordering::Relaxed);
        let refused = posted.err();
        if let Some(refused) = refused.as_ref().filter(|_| !self.failing) {
            tracing::warn!(failure = %refused, "spans are dropped");
        }
        self.failing = refused.is_some();
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exporter")
    }
}
