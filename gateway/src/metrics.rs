//! Every metric of the gateway, in one place. Labels come from closed or declared sets.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};
use toolgate_policy::Outcome;

use crate::identity::InvalidToken;

/// The label of every tool that no policy names and that the server was not seen to list.
pub const OTHER_TOOL: &str = "_other";
/// The most tools that become labels because the server lists them.
pub const SEEN_TOOLS_MAX: usize = 1000;
/// Upper bounds of the histograms, in seconds: from a call that the gateway answers itself to a slow report.
const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0];

/// Why a request was refused before it was known what it asks for. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No credential that a live grant knows.
    Unauthenticated,
    /// The origin may not call.
    Origin,
    /// Not the endpoint, or not a method of it.
    Endpoint,
    /// Not JSON, too large, too slow.
    Body,
    /// No JSON-RPC message, or headers that contradict it.
    Malformed,
    /// A method that is not in the table, or that policy does not open.
    Method,
    /// Another caller's session, or none that is known.
    Session,
    /// Nothing is in force yet, or too much is going on.
    Unavailable,
}

/// The gateway's metrics and the registry that holds them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    // Not known yet if there was nothing good to say it.
    server: ArcSwap<String>,
    calls: IntCounterVec,
    audits: IntCounterVec,
    requests: IntCounterVec,
    rejected: IntCounterVec,
    tokens_refused: IntCounterVec,
    upstream_errors: IntCounterVec,
    call_seconds: HistogramVec,
    upstream_seconds: HistogramVec,
    revision: IntGaugeVec,
    config_trouble: IntGaugeVec,
    seen_tools: Mutex<HashSet<String>>,
}

impl Metrics {
    /// Registers every metric for a server.
    ///
    /// # Errors
    /// When two have one name: never.
    pub fn new(server: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let gauges = |name: &str, help: &str| {
            let family = IntGaugeVec::new(Opts::new(name, help), &["server"])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            let family = HistogramVec::new(options, labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let metrics = Self {
            calls: counters("toolgate_tool_calls_total", CALLS, &["server", "tool", "grant", "verdict"])?,
            requests: counters(
                "toolgate_requests_total",
                REQUESTS,
                &["server", "method", "grant", "verdict"],
            )?,
            audits: counters(
                "toolgate_audit_verdicts_total",
                AUDITS,
                &["server", "policy", "tool", "grant", "verdict"],
            )?,
            rejected: counters("toolgate_requests_rejected_total", REJECTED, &["server", "reason"])?,
            tokens_refused: counters("toolgate_tokens_refused_total", TOKENS_REFUSED, &["server", "reason"])?,
            upstream_errors: counters(
                "toolgate_upstream_errors_total",
                UPSTREAM_ERRORS,
                &["server", "kind"],
            )?,
            call_seconds: histograms(
                "toolgate_tool_call_duration_seconds",
                CALL_SECONDS,
                &["server", "verdict"],
            )?,
            upstream_seconds: histograms(
                "toolgate_upstream_duration_seconds",
                UPSTREAM_SECONDS,
                &["server"],
            )?,
            revision: gauges("toolgate_config_revision", "Revision of the bundle that is enforced.")?,
            config_trouble: gauges("toolgate_config_refused", CONFIG_REFUSED)?,
            server: ArcSwap::from_pointee(server.to_owned()),
            seen_tools: Mutex::default(),
            registry: registry.clone(),
        };
        metrics.config_trouble.with_label_values(&[server]).set(0);
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Takes the server's name from what is in force, where it was not known at the start.
    pub fn name_server(&self, server: &str) {
        if self.server.load().as_str() != server {
            self.server.store(Arc::new(server.to_owned()));
            self.config_trouble.reset();
            self.revision.reset();
        }
    }

    /// The label of a tool: its name if it is declared or was seen in the server's list, else [`OTHER_TOOL`].
    pub fn tool_label<'a>(&self, tool: &'a str, declared: &HashSet<String>) -> &'a str {
        if declared.contains(tool) || self.has_seen(tool) { tool } else { OTHER_TOOL }
    }

    /// Counts a decision. `tool` is a label.
    pub fn decided(&self, tool: &str, grant: &str, outcome: Outcome) {
        self.calls.with_label_values(&[self.server.load().as_str(), tool, grant, outcome.as_str()]).inc();
    }

    /// Counts a decision on something that is no tool call. `method` is one of the protocol's.
    pub fn asked(&self, method: &str, grant: &str, outcome: Outcome) {
        self.requests
            .with_label_values(&[self.server.load().as_str(), method, grant, outcome.as_str()])
            .inc();
    }

    /// Counts what a policy in audit mode would have said. `tool` is a label.
    pub fn audited(&self, policy: &str, tool: &str, grant: &str, outcome: Outcome) {
        self.audits
            .with_label_values(&[self.server.load().as_str(), policy, tool, grant, outcome.as_str()])
            .inc();
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

    /// Notes which revision is enforced, and whether what came last could not be.
    pub fn configured(&self, revision: Option<i64>, refused: bool) {
        if let Some(revision) = revision {
            self.revision.with_label_values(&[self.server.load().as_str()]).set(revision);
        }
        self.config_trouble.with_label_values(&[self.server.load().as_str()]).set(i64::from(refused));
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
            requests,
            rejected,
            tokens_refused,
            upstream_errors,
            call_seconds,
            upstream_seconds,
            revision,
            config_trouble,
            seen_tools: _,
        } = self;
        let families: [&dyn Collector; 10] = [
            calls,
            audits,
            requests,
            rejected,
            tokens_refused,
            upstream_errors,
            call_seconds,
            upstream_seconds,
            revision,
            config_trouble,
        ];
        families.into_iter().flat_map(Collector::desc).collect()
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be written: never.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn has_seen(&self, tool: &str) -> bool {
        self.seen_tools.lock().unwrap_or_else(PoisonError::into_inner).contains(tool)
    }
}

const CALLS: &str = "Tool calls by what was decided of them. Every decision is counted once.";
const REQUESTS: &str = "Requests for resources, prompts and completions by what was decided of them.";
const AUDITS: &str = "What policies in audit mode would have said of tool calls.";
const REJECTED: &str = "Requests refused before a tool was known, by reason.";
const TOKENS_REFUSED: &str = "Tokens of the form that issuers sign which could not be verified, by reason.";
const UPSTREAM_ERRORS: &str = "Failures of the guarded server, by kind.";
const CALL_SECONDS: &str = "Time from a call's last byte to its answer's first, by what was decided.";
const UPSTREAM_SECONDS: &str = "Time the guarded server took to answer allowed calls.";
const CONFIG_REFUSED: &str = "1 while what came last cannot be enforced as written and something older is.";

impl Rejected {
    /// The reason's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Origin => "origin",
            Self::Endpoint => "endpoint",
            Self::Body => "body",
            Self::Malformed => "malformed",
            Self::Method => "method",
            Self::Session => "session",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_one_label() {
        let metrics = Metrics::new("crm").unwrap();
        let declared = HashSet::from(["move_lead".to_owned()]);
        for index in 0..10_000 {
            let label = metrics.tool_label(&format!("tool_{index}"), &declared).to_owned();
            metrics.decided(&label, "alice", Outcome::Unlisted);
        }
        metrics.decided(metrics.tool_label("move_lead", &declared), "alice", Outcome::Allowed);
        metrics.saw("get_leads");
        metrics.decided(metrics.tool_label("get_leads", &declared), "alice", Outcome::Allowed);
        let text = String::from_utf8(metrics.text().unwrap()).unwrap();
        let series: Vec<&str> =
            text.lines().filter(|line| line.starts_with("toolgate_tool_calls_total")).collect();
        assert_eq!(
            series,
            [
                r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="_other",verdict="unlisted"} 10000"#,
                r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="get_leads",verdict="allowed"} 1"#,
                r#"toolgate_tool_calls_total{grant="alice",server="crm",tool="move_lead",verdict="allowed"} 1"#,
            ]
        );
    }

    #[test]
    fn as_many_seen_tools_as_are_kept_and_one_more() {
        let metrics = Metrics::new("crm").unwrap();
        for index in 0..=SEEN_TOOLS_MAX {
            metrics.saw(&format!("tool_{index}"));
        }
        assert!(metrics.has_seen(&format!("tool_{}", SEEN_TOOLS_MAX - 1)));
        assert!(!metrics.has_seen(&format!("tool_{SEEN_TOOLS_MAX}")));
    }
}
