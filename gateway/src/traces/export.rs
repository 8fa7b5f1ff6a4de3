//! The way of spans to a collector: a bounded queue, and a task that empties it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::destinations::{Connector, Destinations};

/// How many spans wait at most; more are dropped.
pub const QUEUE_MAX: usize = 4096;
/// How long the end of the process waits for the last spans.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(2);
/// The most spans of one request to the collector.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_millis(500);
/// How long the collector may take. What it does not take in time is not sent again.
const DEADLINE: Duration = Duration::from_secs(5);
/// How much of the collector's answer is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The queue.
pub(super) struct Exporter {
    sender: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
}

enum Order {
    Send(Value),
    Flush(oneshot::Sender<()>),
}

/// The task's side of it.
struct Collector {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    uri: Uri,
    dropped: Arc<AtomicU64>,
    // Said once, not for each batch.
    failing: bool,
}

impl Exporter {
    pub(super) fn start(uri: &Uri) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let client =
            Client::builder(TokioExecutor::new()).build(crate::upstream::connector(Destinations::ANY)?);
        let collector = Collector { client, uri: uri.clone(), dropped: dropped.clone(), failing: false };
        tokio::spawn(empty(receiver, collector));
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
async fn empty(mut receiver: mpsc::Receiver<Order>, mut collector: Collector) {
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
        collector.send(spans).await;
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

impl Collector {
    async fn send(&mut self, spans: Vec<Value>) {
        let count = spans.len() as u64;
        if count == 0 {
            return;
        }
        let failure = match tokio::time::timeout(DEADLINE, self.post(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some("the collector does not answer in time".to_owned()),
        };
        if let Some(failure) = &failure {
            self.dropped.fetch_add(count, Ordering::Relaxed);
            if !self.failing {
                tracing::warn!(failure, "spans are dropped");
            }
        }
        self.failing = failure.is_some();
    }

    async fn post(&self, spans: Vec<Value>) -> Result<(), String> {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let resource = json!({"attributes": [text("service.name", "toolgate-gateway"), text("service.version", VERSION)]});
        let scope = json!({"name": "toolgate-gateway", "version": VERSION});
        let body = json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]});
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.client.request(request).await.map_err(|error| crate::upstream::chain(&error))?;
        let status = response.status();
        // Read to the end, so that the connection can be used again.
        let read = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        match (status.is_success(), read) {
            (true, Ok(_)) => Ok(()),
            (true, Err(error)) => Err(error.to_string()),
            (false, _) => Err(format!("the collector answers {status}")),
        }
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exporter")
    }
}
