//! Traces: what the gateway did for a request, as spans that go to a collector by OTLP over HTTP, in JSON.
//!
//! - [`span`]: what a span says, by MCP's conventions.
//! - `export`: the queue and the task that empties it.
//!
//! Without a collector nothing is noted and nothing allocated. With one, no request waits for it: what finds no place, or
//! what the collector does not take, is dropped and counted.

mod export;
pub mod span;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::Uri;
use toolgate_policy::{Outcome, Refusal, Target};

use crate::correlation::Correlation;
use crate::in_force::InForce;
use crate::otlp::Base;
use crate::wire::era::Era;
use crate::wire::method::Method;
use export::Exporter;

pub use export::{FLUSH_DEADLINE, QUEUE_MAX};

/// The traces of one gateway.
#[derive(Debug, Default)]
pub struct Traces {
    exporter: Option<Exporter>,
}

/// What is noted of one request while it is served. Clones note the same; without a collector it notes nothing.
#[derive(Clone, Debug, Default)]
pub struct Note(Option<Arc<Mutex<Noted>>>);

/// What was noted.
#[derive(Debug)]
struct Noted {
    correlation: Correlation,
    began: SystemTime,
    place: Option<Arc<InForce>>,
    asked: Option<Asked>,
    grant: Option<String>,
    decided: Option<Decided>,
    upstream: Option<Upstream>,
    error: Option<&'static str>,
}

#[derive(Debug)]
struct Asked {
    method: Method,
    era: Era,
}

#[derive(Debug)]
struct Decided {
    target: Target,
    label: String,
    outcome: Outcome,
    rule: Option<String>,
}

#[derive(Debug)]
struct Upstream {
    began: SystemTime,
    ended: SystemTime,
    address: Option<(String, u16)>,
    error: Option<&'static str>,
}

impl Traces {
    /// Sends spans to the collector at a URL. To be called within a runtime.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn to(collector: &Base) -> std::io::Result<Self> {
        Ok(Self { exporter: Some(Exporter::start(collector)?) })
    }

    /// Whether there is a collector.
    pub fn are_on(&self) -> bool {
        self.exporter.is_some()
    }

    /// Begins to note a request.
    pub fn begin(&self, correlation: Correlation) -> Note {
        let noted = || Noted {
            correlation,
            began: SystemTime::now(),
            place: None,
            asked: None,
            grant: None,
            decided: None,
            upstream: None,
            error: None,
        };
        Note(self.exporter.as_ref().map(|_| Arc::new(Mutex::new(noted()))))
    }

    /// Sends what was noted of a request, unless the client wants no trace of it.
    pub fn end(&self, note: &Note) {
        let Some(exporter) = &self.exporter else { return };
        note.with(|noted| {
            if noted.correlation.is_sampled(true) {
                for span in span::of(noted, SystemTime::now()) {
                    exporter.send(span);
                }
            }
        });
    }

    /// How many spans were dropped since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.exporter.as_ref().map_or(0, Exporter::take_dropped)
    }

    /// Waits until what was sent is with the collector, but not longer than [`FLUSH_DEADLINE`]. Answers whether it is.
    pub async fn finish(&self) -> bool {
        match &self.exporter {
            Some(exporter) => exporter.flush().await,
            None => true,
        }
    }
}

impl Note {
    fn with(&self, note: impl FnOnce(&mut Noted)) {
        if let Some(noted) = &self.0 {
            note(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Notes who asks, and under which law.
    pub fn known(&self, in_force: &Arc<InForce>, grant: &str) {
        self.with(|noted| {
            (noted.place, noted.grant) = (Some(in_force.clone()), Some(grant.to_owned()));
        });
    }

    /// Notes what a message asks for, and where it says that it belongs.
    pub fn asked(&self, correlation: Correlation, method: Method, era: Era) {
        self.with(|noted| {
            (noted.correlation, noted.asked) = (correlation, Some(Asked { method, era }));
        });
    }

    /// Notes what was decided. `label` is of the metrics' closed set.
    pub fn decided(&self, target: Target, label: &str, refusal: Option<&Refusal>) {
        self.with(|noted| {
            let outcome = refusal.map_or(Outcome::Allowed, |refusal| refusal.outcome);
            let rule = refusal.map(|refusal| refusal.rule.to_string());
            noted.decided = Some(Decided { target, label: label.to_owned(), outcome, rule });
        });
    }

    /// Notes how long the server took, and why there is no answer of it.
    pub fn upstream(&self, address: &Uri, took: Duration, error: Option<&'static str>) {
        self.with(|noted| {
            let ended = SystemTime::now();
            let began = ended.checked_sub(took).unwrap_or(ended);
            let port =
                address.port_u16().unwrap_or(if address.scheme_str() == Some("https") { 443 } else { 80 });
            let address = address.host().map(|host| (host.to_owned(), port));
            noted.upstream = Some(Upstream { began, ended, address, error });
        });
    }

    /// Notes why the request was refused before there was anything to decide.
    pub fn rejected(&self, reason: &'static str) {
        self.with(|noted| noted.error = Some(reason));
    }
}
