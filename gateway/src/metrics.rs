//! Every metric of the gateway, in one place. Labels come from closed or declared sets.

mod families;
mod family;
mod limits;
mod rejected;
mod store_asked;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use toolgate_policy::{Outcome, Refusal, Rule};

use crate::counting::LimitUsage;
use crate::identity::InvalidToken;
use crate::in_force::InForce;
use crate::slots::Kind;

use families::families;
use family::{Family, Room};
use limits::Limits;

pub use family::{FAREWELLS, SERIES_MAX};
pub use limits::LIMITS_TOLD_MAX;
pub use rejected::Rejected;
pub use store_asked::StoreAsked;

/// The label of every tool that no policy names and that the server was not seen to list, and of everything that has no series
/// of its own because there are [`SERIES_MAX`].
pub const OTHER: &str = "_other";
/// The most tools that become labels because the server lists them.
pub const SEEN_TOOLS_MAX: usize = 1000;
/// Upper bounds of the histograms, in seconds: from a call that the gateway answers itself to a slow report.
const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// The gateway's metrics and the registry that holds them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    // Not known yet if there was nothing good to say it.
    server: ArcSwap<String>,
    calls: Family<4>,
    audits: Family<5>,
    refusals: Family<4>,
    audit_lines_dropped: IntCounterVec,
    log_lines_dropped: IntCounterVec,
    spans_dropped: IntCounterVec,
    requests: Family<4>,
    folded: IntCounterVec,
    rejected: IntCounterVec,
    tokens_refused: IntCounterVec,
    upstream_errors: IntCounterVec,
    call_seconds: HistogramVec,
    upstream_seconds: HistogramVec,
    store_asked: IntCounterVec,
    store_up: IntGaugeVec,
    revision: IntGaugeVec,
    config_trouble: IntGaugeVec,
    in_flight: IntGaugeVec,
    disputed: IntGaugeVec,
    tls_trouble: IntGaugeVec,
    limits: Limits,
    seen_tools: Mutex<HashSet<String>>,
}

impl Metrics {
    /// Registers every metric for a server.
    ///
    /// # Errors
    /// When two have one name: never.
    pub fn new(server: &str) -> Result<Self, prometheus::Error> {
        Self::with_series(server, SERIES_MAX)
    }

    fn with_series(server: &str, series_max: usize) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            let family = HistogramVec::new(options, labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let (calls, requests, audits, refusals) = families(counters, &Room::of(series_max))?;
        let metrics = Self {
            calls,
            requests,
            audits,
            refusals,
            folded: counters("toolgate_metric_series_folded_total", FOLDED, &["server"])?,
            limits: Limits::new()?,
            audit_lines_dropped: counters("toolgate_audit_lines_dropped_total", DROPPED, &["server"])?,
            log_lines_dropped: counters("toolgate_log_lines_dropped_total", LOG_DROPPED, &["server"])?,
            spans_dropped: counters("toolgate_spans_dropped_total", SPANS_DROPPED, &["server"])?,
            rejected: counters("toolgate_requests_rejected_total", REJECTED, &["server", "reason"])?,
            tokens_refused: counters("toolgate_tokens_refused_total", TOKENS_REFUSED, &["server", "reason"])?,
            upstream_errors: counters(
                "toolgate_upstream_errors_total",
                UPSTREAM_ERRORS,
                &["server", "kind"],
            )?,
            call_seconds: histograms(CALL_SECONDS_NAME, CALL_SECONDS, &["server", "verdict"])?,
            upstream_seconds: histograms(UPSTREAM_SECONDS_NAME, UPSTREAM_SECONDS, &["server"])?,
            store_asked: counters(
                "toolgate_counter_store_requests_total",
                STORE_ASKED,
                &["server", "result"],
            )?,
            store_up: gauges("toolgate_counter_store_up", STORE_UP, &["server"])?,
            revision: gauges("toolgate_config_revision", REVISION, &["server"])?,
            config_trouble: gauges("toolgate_config_refused", CONFIG_REFUSED, &["server"])?,
            in_flight: gauges("toolgate_in_flight", IN_FLIGHT, &["server", "kind"])?,
            disputed: gauges("toolgate_tool_definitions_disputed", DISPUTED, &["server"])?,
            tls_trouble: gauges("toolgate_tls_refused", TLS_REFUSED, &["server"])?,
            server: ArcSwap::from_pointee(server.to_owned()),
            seen_tools: Mutex::default(),
            registry: registry.clone(),
        };
        metrics.config_trouble.with_label_values(&[server]).set(0);
        metrics.tls_refused(false);
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Takes the server's name from what is in force, where it was not known at the start.
    pub fn name_server(&self, server: &str) {
        if self.server.load().as_str() != server {
            let was = self.server.swap(Arc::new(server.to_owned()));
            self.config_trouble.reset();
            self.revision.reset();
            self.in_flight.reset();
            self.disputed.reset();
            let refused = self.tls_trouble.with_label_values(&[was.as_str()]).get();
            self.tls_trouble.reset();
            self.tls_refused(refused != 0);
        }
    }

    /// The label of a tool: its name if it is declared or was seen in the server's list, else [`OTHER`].
    pub fn tool_label<'a>(&self, tool: &'a str, declared: &HashSet<String>) -> &'a str {
        if declared.contains(tool) || self.has_seen(tool) { tool } else { OTHER }
    }

    /// Counts a decision. `tool` is a label.
    pub fn decided(&self, tool: &str, grant: &str, outcome: Outcome) {
        self.calls.at([self.server.load().as_str(), tool, grant, outcome.as_str()]).inc();
    }

    /// Counts a decision on something that is no tool call. `method` is one of the protocol's.
    pub fn asked(&self, method: &str, grant: &str, outcome: Outcome) {
        self.requests.at([self.server.load().as_str(), method, grant, outcome.as_str()]).inc();
    }

    /// Counts what a policy in audit mode would have said. `tool` is a label.
    pub fn audited(&self, policy: &str, tool: &str, grant: &str, outcome: Outcome) {
        self.audits.at([self.server.load().as_str(), policy, tool, grant, outcome.as_str()]).inc();
    }

    /// Counts a refusal by the rule that refused.
    pub fn refused(&self, refusal: &Refusal) {
        let Rule { policy, pointer } = &refusal.rule;
        self.refusals.at([self.server.load().as_str(), policy, pointer, refusal.outcome.as_str()]).inc();
    }

    /// Counts spans that were dropped.
    pub fn spans_dropped(&self, spans: u64) {
        self.spans_dropped.with_label_values(&[self.server.load().as_str()]).inc_by(spans);
    }

    /// Counts lines of the audit trail that were dropped.
    pub fn audit_dropped(&self, lines: u64) {
        self.audit_lines_dropped.with_label_values(&[self.server.load().as_str()]).inc_by(lines);
    }

    /// Counts lines of the log that were dropped.
    pub fn log_dropped(&self, lines: u64) {
        self.log_lines_dropped.with_label_values(&[self.server.load().as_str()]).inc_by(lines);
    }

    /// Measures a call, from its last byte to its answer's first.
    pub fn answered(&self, outcome: Outcome, took: Duration) {
        self.call_seconds
            .with_label_values(&[self.server.load().as_str(), outcome.as_str()])
            .observe(took.as_secs_f64());
    }

    /// Measures how long the server took of an allowed call.
    pub fn upstream_answered(&self, took: Duration) {
        self.upstream_seconds.with_label_values(&[self.server.load().as_str()]).observe(took.as_secs_f64());
    }

    /// Counts a request that was refused before it was known what it asks for.
    pub fn rejected(&self, reason: Rejected) {
        self.rejected.with_label_values(&[self.server.load().as_str(), reason.as_str()]).inc();
    }

    /// Counts a signed token that is nobody's.
    pub fn token_refused(&self, reason: InvalidToken) {
        self.tokens_refused.with_label_values(&[self.server.load().as_str(), reason.as_str()]).inc();
    }

    /// Counts a failure of the server, by kind.
    pub fn upstream_failed(&self, kind: &'static str) {
        self.upstream_errors.with_label_values(&[self.server.load().as_str(), kind]).inc();
    }

    /// Counts a question to the shared store of counters.
    pub fn store_asked(&self, result: StoreAsked) {
        self.store_asked.with_label_values(&[self.server.load().as_str(), result.as_str()]).inc();
    }

    /// Notes whether the shared store of counters is used; None: there is none.
    pub fn store_is(&self, up: Option<bool>) {
        match up {
            Some(up) => self.store_up.with_label_values(&[self.server.load().as_str()]).set(i64::from(up)),
            None => self.store_up.reset(),
        }
    }

    /// Notes which revision is enforced, and whether what came last could not be.
    pub fn configured(&self, revision: Option<i64>, refused: bool) {
        if let Some(revision) = revision {
            self.revision.with_label_values(&[self.server.load().as_str()]).set(revision);
        }
        self.config_trouble.with_label_values(&[self.server.load().as_str()]).set(i64::from(refused));
    }

    /// Notes whether the files of the listener's TLS cannot be used as they are now.
    pub fn tls_refused(&self, refused: bool) {
        self.tls_trouble.with_label_values(&[self.server.load().as_str()]).set(i64::from(refused));
    }

    /// Notes how much goes on.
    pub fn in_flight(&self, kind: Kind, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.in_flight.with_label_values(&[self.server.load().as_str(), kind.as_str()]).set(count);
    }

    /// Notes how many tools the server defines in a way that some policy did not agree to.
    pub fn disputed(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.disputed.with_label_values(&[self.server.load().as_str()]).set(count);
    }

    /// Notes a tool that the server lists: from now on it may be a label.
    pub fn saw(&self, tool: &str) {
        let mut seen = self.seen_tools.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < SEEN_TOOLS_MAX && toolgate_policy::is_tool_name(tool) && !seen.contains(tool) {
            seen.insert(tool.to_owned());
        }
    }

    /// The tools that the server was seen to list.
    pub fn seen_tools(&self) -> HashSet<String> {
        self.seen_tools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What each of the gateway's own metrics is called, says and is labelled with, also of those that have no series yet.
    pub fn described(&self) -> Vec<&Desc> {
        let Self {
            registry: _,
            server: _,
            calls,
            audits,
            refusals,
            audit_lines_dropped,
            log_lines_dropped,
            spans_dropped,
            requests,
            folded,
            rejected,
            tokens_refused,
            upstream_errors,
            call_seconds,
            upstream_seconds,
            store_asked,
            store_up,
            revision,
            config_trouble,
            in_flight,
            disputed,
            tls_trouble,
            limits,
            seen_tools: _,
        } = self;
        let families: [&dyn Collector; 20] = [
            calls.counters(),
            audits.counters(),
            refusals.counters(),
            audit_lines_dropped,
            log_lines_dropped,
            spans_dropped,
            requests.counters(),
            folded,
            rejected,
            tokens_refused,
            upstream_errors,
            call_seconds,
            upstream_seconds,
            store_asked,
            store_up,
            revision,
            config_trouble,
            in_flight,
            disputed,
            tls_trouble,
        ];
        families.into_iter().flat_map(Collector::desc).chain(limits.described()).collect()
    }

    /// All metrics in Prometheus' text format, with how full limits are.
    ///
    /// # Errors
    /// When a metric cannot be written: never.
    pub fn text(&self, limits: Vec<LimitUsage>) -> Result<Vec<u8>, prometheus::Error> {
        self.count_folded();
        let mut families = self.registry.gather();
        families.extend(limits::families(self.server.load().as_str(), limits)?);
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    /// To be called after each scrape: drops series of tools, grants and policies that are not in force, once they were told
    /// [`FAREWELLS`] times more.
    pub fn retire(&self, in_force: &InForce) {
        let seen = self.seen_tools();
        let grants: HashSet<&str> = in_force.law.grant_names().collect();
        let policies: HashSet<&str> = in_force.bundle.policies.iter().map(|one| one.name.as_str()).collect();
        let tool =
            |tool: &str| tool == OTHER || in_force.declared_tools.contains(tool) || seen.contains(tool);
        self.calls.retire(|[_, name, grant, _]| tool(name) && grants.contains(grant));
        self.requests.retire(|[_, _, grant, _]| grants.contains(grant));
        self.refusals.retire(|[_, policy, rule, _]| in_force.law.has_rule(policy, rule));
        self.audits.retire(|[_, policy, name, grant, _]| {
            policies.contains(policy) && tool(name) && grants.contains(grant)
        });
    }

    // Told by the counters that others are folded into, so that no call pays for it.
    fn count_folded(&self) {
        let folded =
            self.calls.folded() + self.requests.folded() + self.audits.folded() + self.refusals.folded();
        let counter = self.folded.with_label_values(&[self.server.load().as_str()]);
        counter.inc_by(folded.saturating_sub(counter.get()));
    }

    fn has_seen(&self, tool: &str) -> bool {
        self.seen_tools.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }
}

const FOLDED: &str = "Decisions counted under _other because there are as many series as there may be.";
const DROPPED: &str = "Lines of the audit trail that could not be written in time.";
const LOG_DROPPED: &str = "Lines of the log that could not be written in time.";
const SPANS_DROPPED: &str = "Spans that the collector of traces did not take in time.";
const REJECTED: &str = "Requests refused before a tool was known, by reason.";
const TOKENS_REFUSED: &str = "Tokens of the form that issuers sign which could not be verified, by reason.";
const UPSTREAM_ERRORS: &str = "Failures of the guarded server, by kind.";
const CALL_SECONDS_NAME: &str = "toolgate_tool_call_duration_seconds";
const UPSTREAM_SECONDS_NAME: &str = "toolgate_upstream_duration_seconds";
const CALL_SECONDS: &str = "Time from a call's last byte to its answer's first, by what was decided.";
const UPSTREAM_SECONDS: &str = "Time the guarded server took to answer allowed calls.";
const STORE_ASKED: &str = "Questions to the shared store of counters, by how they went.";
const STORE_UP: &str =
    "1 while the shared store of counters is used, 0 while calls with a limit are refused for want of it.";
const IN_FLIGHT: &str = "Requests not answered yet, and streams that tell of changes.";
const DISPUTED: &str =
    "Tools that the server listed last with a definition that some policy does not agree to.";
const TLS_REFUSED: &str =
    "1 while the certificate or key that came last cannot be used and an older one is, or none.";
const REVISION: &str = "Revision of the bundle that is enforced.";
const CONFIG_REFUSED: &str = "1 while what came last cannot be enforced as written and something older is.";

#[cfg(test)]
mod tests;
