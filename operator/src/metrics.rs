//! The operator's own metrics.

pub mod standing;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use standing::Standings;

/// Counts how objects stand, whenever somebody asks.
type Count = Box<dyn Fn() -> Standings + Send + Sync>;

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as it should be.
    Ok,
    /// Something could not be done; it is tried again.
    Error,
}

/// Everything that the operator measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: HistogramVec,
    writes: IntCounterVec,
    watch_failures: IntCounterVec,
    ready: IntGauge,
    leading: IntGauge,
    conditions: IntGaugeVec,
    counts: Counts,
}

/// One for each scope.
#[derive(Default)]
struct Counts(Mutex<Vec<Count>>);

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Panics
    /// Never: the names are constants, and each is registered once.
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::new(),
            reconciles: counter(
                "toolgate_operator_reconciles_total",
                "Reconciles by kind and outcome.",
                &["kind", "outcome"],
            ),
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "toolgate_operator_reconcile_duration_seconds",
                    "How long reconciles take.",
                ),
                &["kind"],
            )
            .expect("a constant name is valid"),
            writes: counter(
                "toolgate_operator_writes_total",
                "Objects and statuses written to the API server, by kind.",
                &["kind"],
            ),
            watch_failures: counter(
                "toolgate_operator_watch_failures_total",
                "Watches that broke, by kind.",
                &["kind"],
            ),
            ready: gauge("toolgate_operator_ready", "Whether all caches have been filled."),
            leading: gauge(
                "toolgate_operator_leading",
                "Whether this operator is the one that writes, of those that run.",
            ),
            conditions: standing::empty(),
            counts: Counts::default(),
        };
        let collectors: [Box<dyn Collector>; 6] = [
            Box::new(metrics.reconciles.clone()),
            Box::new(metrics.durations.clone()),
            Box::new(metrics.writes.clone()),
            Box::new(metrics.watch_failures.clone()),
            Box::new(metrics.ready.clone()),
            Box::new(metrics.leading.clone()),
        ];
        for collector in collectors {
            metrics.registry.register(collector).expect("each metric is registered once");
        }
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("each metric is registered once");
        metrics
    }

    /// Counts a reconcile that took so many seconds.
    pub fn reconciled(&self, kind: &str, outcome: Outcome, seconds: f64) {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Error => "error",
        };
        self.reconciles.with_label_values(&[kind, outcome]).inc();
        self.durations.with_label_values(&[kind]).observe(seconds);
    }

    /// Counts a write.
    pub fn written(&self, kind: &str) {
        self.writes.with_label_values(&[kind]).inc();
    }

    /// How many writes there were of a kind.
    pub fn writes(&self, kind: &str) -> u64 {
        self.writes.with_label_values(&[kind]).get()
    }

    /// Counts a watch that broke.
    pub fn watch_failed(&self, kind: &str) {
        self.watch_failures.with_label_values(&[kind]).inc();
    }

    /// Says that all caches have been filled.
    pub fn set_ready(&self) {
        self.ready.set(1);
    }

    /// Whether all caches have been filled.
    pub fn is_ready(&self) -> bool {
        self.ready.get() == 1
    }

    /// Says whether this operator leads.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// Counts how the objects of one more scope stand, whenever somebody asks.
    pub fn count_by(&self, count: impl Fn() -> Standings + Send + Sync + 'static) {
        self.counts.lock().push(Box::new(count));
    }

    /// What each of the operator's own metrics is called, says and is labelled with, also of those that have no series
    /// yet.
    pub fn described(&self) -> Vec<&Desc> {
        let Self {
            registry: _,
            reconciles,
            durations,
            writes,
            watch_failures,
            ready,
            leading,
            conditions,
            counts: _,
        } = self;
        let families: [&dyn Collector; 7] =
            [reconciles, durations, writes, watch_failures, ready, leading, conditions];
        families.into_iter().flat_map(Collector::desc).collect()
    }

    /// All metrics as Prometheus reads them.
    pub fn text(&self) -> Vec<u8> {
        let standings: Vec<Standings> = self.counts.lock().iter().map(|count| count()).collect();
        let mut families = self.registry.gather();
        families.extend(standing::families(&standings));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

impl Counts {
    // Pushing is all that is ever done to them.
    fn lock(&self) -> MutexGuard<'_, Vec<Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Counts")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("a constant name is valid")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("a constant name is valid")
}
