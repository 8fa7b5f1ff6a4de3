//! The trail as OpenTelemetry's log records, for a collector.
//!
//! A record's body is the line that stdout would get. A collector that is away holds the trail up as a pipe does that
//! nobody reads: what waits finds no place sooner or later, is dropped, counted, and said once it is back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::line::Entry;
use crate::otlp::{Base, Collector, resource, scope};
use crate::outlet::Sink;

/// How soon what a collector did not take is sent again.
const AGAIN: Duration = Duration::from_secs(1);
/// OpenTelemetry's number for information.
const SEVERITY: u8 = 9;

/// Entries as records to a collector.
#[derive(Debug)]
pub struct Records {
    collector: Collector,
    // Of this thread alone, so that it outlives everybody who sends.
    runtime: Runtime,
    // Missing, and not told of yet.
    omitted: u64,
    lost: Arc<AtomicU64>,
}

impl Records {
    /// Records to a collector. What it will never take is counted as lost.
    ///
    /// # Errors
    /// When the system's certificates cannot be read, or there is no runtime to be had.
    pub fn new(base: &Base, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { collector: Collector::new(base, "/v1/logs")?, runtime, omitted: 0, lost })
    }

    // Until it is taken, or never will be: how much of it was not, and why.
    fn send(&self, body: &Value, lines: u64) -> (u64, String) {
        let mut failing = false;
        loop {
            match self.runtime.block_on(self.collector.post(body)) {
                Ok(rejected) => return (rejected.min(lines), "it takes only a part".to_owned()),
                Err(refused) if !refused.later => return (lines, refused.text),
                Err(refused) if !failing => tracing::error!(%refused, "the audit trail cannot be sent"),
                Err(_) => {}
            }
            failing = true;
            thread::sleep(AGAIN);
        }
    }
}

impl Sink<Entry> for Records {
    fn take(&mut self, entries: &mut Vec<Entry>, dropped: u64) {
        if dropped > 0 {
            tracing::warn!(dropped, "the audit trail is too slow, and decisions are missing from it");
        }
        self.omitted += dropped;
        let told = (self.omitted > 0).then(|| Entry::omitted(jiff::Timestamp::now(), self.omitted, "sink"));
        let records: Vec<Value> = told.iter().chain(entries.iter()).flat_map(records).collect();
        let lines = entries.iter().map(Entry::lines).sum::<u64>();
        let (lost, why) = self.send(&body(&records), lines);
        // What was told of before it is lost too, if all of it is.
        self.omitted = if lost == lines && told.is_some() { self.omitted + lost } else { lost };
        if lost > 0 {
            self.lost.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(lost, "the collector will not take decisions of the audit trail: {why}");
        }
    }
}

fn body(records: &[Value]) -> Value {
    json!({"resourceLogs": [{
        "resource": resource(),
        "scopeLogs": [{"scope": scope(), "logRecords": records}],
    }]})
}

fn records(entry: &Entry) -> Vec<Value> {
    let mut text = Vec::new();
    entry.write(&mut text);
    // Lines are plain ASCII.
    let text = String::from_utf8_lossy(&text);
    let record = |line: &str| {
        let mut record = json!({
            "timeUnixNano": entry.time.as_nanosecond().to_string(),
            "severityNumber": SEVERITY,
            "eventName": "toolgate.audit",
            "body": {"stringValue": line},
        });
        if let Some(correlation) = &entry.correlation {
            record["traceId"] = json!(correlation.trace().to_string());
            record["spanId"] = json!(correlation.span().to_string());
        }
        record
    };
    text.lines().map(record).collect()
}
