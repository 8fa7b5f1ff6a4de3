//! What every request shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::correlation::Ids;
use crate::counting::Counting;
use crate::credentials::Credentials;
use crate::definitions::Definitions;
use crate::identity::Verifier;
use crate::in_force::Holder;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::session::Seal;
use crate::slots::Slots;
use crate::tls::{Peer, Tls};
use crate::tools_seen::ToolsSeen;
use crate::traces::Traces;
use crate::upstream::Client;
use crate::wire::parameters::Declarations;

/// What every request shares.
#[derive(Debug)]
pub struct Gateway {
    /// The law that holds now.
    pub holder: Holder,
    /// The clocks.
    pub clock: Clock,
    /// Credentials for the server.
    pub credentials: Arc<Credentials>,
    /// Where calls are counted.
    pub counters: Counting,
    /// The seal of sessions.
    pub seal: Arc<Seal>,
    /// The metrics.
    pub metrics: Metrics,
    /// Which arguments the server's tools want repeated in headers.
    pub declarations: Declarations,
    /// How the server defines tools of which a policy agrees to some definitions only.
    pub definitions: Definitions,
    /// How many tools the server lists.
    pub tools_seen: ToolsSeen,
    /// The way to the server.
    pub client: Client,
    /// The audit trail.
    pub audit: Audit,
    /// The log of the process. None: somebody else's.
    pub log: Option<Log>,
    /// The traces.
    pub traces: Traces,
    /// Makes the ids of requests.
    pub ids: Ids,
    /// Verifies tokens that an issuer signed.
    pub verifier: Verifier,
    /// TLS of the listener. None: it serves without.
    pub tls: Option<Arc<Tls>>,
    /// What goes on at a time.
    pub slots: Arc<Slots>,
    /// Origins that browsers may call from.
    pub allowed_origins: Vec<String>,
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
            declarations: Declarations::default(),
            definitions: Definitions::default(),
            tools_seen: ToolsSeen::default(),
            clock: Clock::default(),
            counters: Counting::default(),
            current: AtomicBool::new(false),
            served: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            metrics,
            credentials: Arc::new(credentials),
            seal: Arc::new(seal),
            client,
            audit: Audit::off(),
            log: None,
            traces: Traces::default(),
            ids: Ids::default(),
            verifier: Verifier::default(),
            tls: None,
            slots: Arc::default(),
            allowed_origins,
        }
    }

    /// The same gateway with another verifier.
    #[must_use]
    pub fn verifying(mut self, verifier: Verifier) -> Self {
        self.verifier = verifier;
        self
    }

    /// The same gateway with other counters.
    #[must_use]
    pub fn counting(mut self, counters: Counting) -> Self {
        self.counters = counters;
        self
    }

    /// The same gateway with traces.
    #[must_use]
    pub fn traced(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// The same gateway with an audit trail.
    #[must_use]
    pub fn audited(mut self, audit: Audit) -> Self {
        self.audit = audit;
        self
    }

    /// The same gateway with the log that it tells the lost lines of.
    #[must_use]
    pub fn logging(mut self, log: Log) -> Self {
        self.log = Some(log);
        self
    }

    /// The same gateway with TLS on its listener.
    #[must_use]
    pub fn encrypted(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls.map(Arc::new);
        self
    }

    /// Whether who showed a certificate when the connection began would still be let in with it.
    pub fn trusts(&self, peer: &Peer) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.trusts(peer))
    }

    /// Becomes true when the gateway is about to stop.
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
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
        if self.tls.as_ref().is_some_and(|tls| !tls.is_usable()) {
            return Err("there is no usable certificate yet");
        }
        let Some(in_force) = self.holder.current() else { return Err("nothing was ever in force") };
        if !self.served.load(Ordering::Acquire) && !self.counters.is_settled(&in_force) {
            return Err("not known yet whether the shared store of counters answers");
        }
        // Once it has enforced something good it stays: refusing politely is part of its work.
        if !in_force.law.refuses_everything() {
            self.served.store(true, Ordering::Release);
        }
        if self.served.load(Ordering::Acquire) { Ok(()) } else { Err("no valid policy was ever in force") }
    }
}
