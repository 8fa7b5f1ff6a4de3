//! The campaign for the Lease. Client required.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::{ANSWER, HELD, LEASE, LOOK, RENEWAL, Tenure};
use crate::labels::MANAGER;
use crate::metrics::Metrics;

/// Which Lease, and for whom.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// Who campaigns. No two that run at the same time may have the same.
    pub identity: String,
}

/// One operator's campaign for the Lease.
pub struct Election {
    api: Api<Lease>,
    campaign: Campaign,
    tenure: Tenure,
    leading: watch::Sender<bool>,
    metrics: Arc<Metrics>,
    // The Lease as it was seen last, and since when it has been seen so.
    seen: Option<(Lease, Instant)>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Leads,
    Follows,
}

impl Election {
    /// A campaign that has not begun.
    pub fn new(client: Client, campaign: Campaign, metrics: Arc<Metrics>) -> Self {
        let api = Api::namespaced(client, &campaign.namespace);
        Self { api, campaign, tenure: Tenure::none(), leading: watch::channel(false).0, metrics, seen: None }
    }

    /// Until when this operator leads.
    pub fn tenure(&self) -> Tenure {
        self.tenure.clone()
    }

    /// Whether this operator leads, and every change of it.
    pub fn leading(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Campaigns for ever: takes the Lease when it is free, and renews it.
    pub async fn run(&mut self) {
        loop {
            let wait = self.step().await;
            sleep(wait).await;
        }
    }

    /// Gives the Lease back, so that another operator can take it at once.
    pub async fn release(&mut self) {
        self.tenure.end();
        self.tell(false);
        let Some((lease, _)) = self.seen.take() else { return };
        if !self.is_mine(&lease) {
            return;
        }
        let spec = LeaseSpec { holder_identity: None, renew_time: None, ..lease.spec.unwrap_or_default() };
        let free = Lease { metadata: lease.metadata, spec: Some(spec) };
        match timeout(ANSWER, self.replace(&free)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.campaign.lease, "released"),
            Ok(Err(error)) => tracing::warn!(%error, "the Lease is not released, it has to run out"),
            Err(_) => tracing::warn!("the API server does not answer, the Lease has to run out"),
        }
    }

    async fn step(&mut self) -> Duration {
        let start = Instant::now();
        let outcome = timeout(ANSWER, self.attempt(start)).await;
        match outcome {
            Ok(Ok(Outcome::Leads)) => {
                self.tenure.extend(start + HELD);
                self.tell(true);
                RENEWAL
            }
            Ok(Ok(Outcome::Follows)) => {
                self.tenure.end();
                self.tell(false);
                LOOK
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("no answer"),
        }
    }

    fn failed(&mut self, error: &str) -> Duration {
        tracing::warn!(error, lease = self.campaign.lease, "the Lease could not be had");
        // Another one may have written it, or this one's own write was done and not answered.
        self.seen = self.seen.take().filter(|(lease, _)| !self.is_mine(lease));
        if !self.tenure.holds() {
            self.tell(false);
        }
        LOOK
    }

    fn tell(&self, leads: bool) {
        if self.leading.send_if_modified(|leading| std::mem::replace(leading, leads) != leads) {
            tracing::info!(leads, identity = self.campaign.identity, "leadership");
        }
        self.metrics.leads(leads);
    }

    async fn attempt(&mut self, now: Instant) -> Result<Outcome, kube::Error> {
        // A leader knows the Lease: if anybody has changed it, the write is refused.
        let known = self.seen.as_ref().map(|(lease, _)| lease).filter(|lease| self.is_mine(lease)).cloned();
        let found = match known {
            Some(lease) => Some(lease),
            None => self.api.get_opt(&self.campaign.lease).await?,
        };
        let Some(lease) = found else {
            let created = self.api.create(&parameters(), &self.taken(Lease::default())).await;
            return self.written(created, now);
        };
        if self.is_mine(&lease) || self.is_free(&lease, now) {
            let taken = self.taken(lease);
            let replaced = self.replace(&taken).await;
            return self.written(replaced, now);
        }
        Ok(Outcome::Follows)
    }

    fn written(&mut self, result: Result<Lease, kube::Error>, now: Instant) -> Result<Outcome, kube::Error> {
        match result {
            Ok(lease) => {
                self.seen = Some((lease, now));
                Ok(Outcome::Leads)
            }
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.seen = None;
                Ok(Outcome::Follows)
            }
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        self.api.replace(&self.campaign.lease, &parameters(), lease).await
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        holder(lease) == Some(&self.campaign.identity)
    }

    // Takes note of what is seen, too.
    fn is_free(&mut self, lease: &Lease, now: Instant) -> bool {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let since = match &self.seen {
            Some((last, since)) if version(last) == version(lease) => *since,
            _ => {
                self.seen = Some((lease.clone(), now));
                now
            }
        };
        let duration = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration =
            duration.and_then(|seconds| u64::try_from(seconds).ok()).map_or(LEASE, Duration::from_secs);
        holder(lease).is_none() || now.duration_since(since) > duration
    }

    fn taken(&self, lease: Lease) -> Lease {
        let (now, last) = (MicroTime(Timestamp::now()), lease.spec.clone().unwrap_or_default());
        let mine = self.is_mine(&lease);
        let transitions = last.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(self.campaign.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: last.acquire_time.filter(|_| mine).or_else(|| Some(now.clone())),
            lease_transitions: Some(if mine { transitions } else { transitions.saturating_add(1) }),
            renew_time: Some(now),
            ..last
        };
        let named = ObjectMeta { name: Some(self.campaign.lease.clone()), ..lease.metadata };
        Lease { metadata: named, spec: Some(spec) }
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    lease.spec.as_ref()?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

impl fmt::Debug for Election {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Election").field("campaign", &self.campaign).finish_non_exhaustive()
    }
}
