//! What every request shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use toolgate_policy::Counters;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::identity::Verifier;
use crate::in_force::Holder;
use crate::metrics::Metrics;
use crate::session::Seal;
use crate::upstream::Client;

/// What every request shares.
#[derive(Debug)]
pub struct Gateway {
    /// The law that holds now.
    pub holder: Holder,
    /// The clocks.
    pub clock: Clock,
    /// Credentials for the server.
    pub credentials: Credentials,
    /// The seal of sessions.
    pub seal: Seal,
    /// The metrics.
    pub metrics: Metrics,
    /// The way to the server.
    pub client: Client,
    /// Verifies tokens that an issuer signed.
    pub verifier: Verifier,
    /// Origins that browsers may call from.
    pub allowed_origins: Vec<String>,
    counters: Mutex<Counters>,
    current: AtomicBool,
    served: AtomicBool,
    draining: watch::Sender<bool>,
}

impl Gateway {
    /// A gateway with nothing in force.
    pub fn new(
        metrics: Metrics,
        credentials: Credentials,
        seal: Seal,
        client: Client,
        allowed_origins: Vec<String>,
    ) -> Self {
        Self {
            holder: Holder::default(),
            clock: Clock::default(),
            counters: Mutex::new(Counters::new()),
            current: AtomicBool::new(false),
            served: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            metrics,
            credentials,
            seal,
            client,
            verifier: Verifier::default(),
            allowed_origins,
        }
    }

    /// The same gateway with another verifier.
    #[must_use]
    pub fn verifying(mut self, verifier: Verifier) -> Self {
        self.verifier = verifier;
        self
    }

    /// Becomes true when the gateway is about to stop.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// The counters, for one decision. A panic elsewhere does not lose them.
    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that what is in force is as new as can be known.
    pub fn set_current(&self) {
        self.current.store(true, Ordering::Release);
    }

    /// Whether the gateway is about to stop.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Notes that the gateway is about to stop.
    pub fn set_draining(&self) {
        self.draining.send_replace(true);
    }

    /// Whether calls should be sent here; else why not.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn readiness(&self) -> Result<(), &'static str> {
        if self.is_draining() {
            return Err("draining");
        }
        if !self.current.load(Ordering::Acquire) {
            return Err("not known yet whether the policy is current");
        }
        let Some(in_force) = self.holder.current() else { return Err("nothing was ever in force") };
        // Once it has enforced something good it stays: refusing politely is part of its work.
        if !in_force.law.refuses_everything() {
            self.served.store(true, Ordering::Release);
        }
        if self.served.load(Ordering::Acquire) { Ok(()) } else { Err("no valid policy was ever in force") }
    }
}
