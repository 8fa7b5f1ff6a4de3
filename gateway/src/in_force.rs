//! The law that holds now.
//!
//! A bundle is read and compiled as a whole, and only then swapped in; a request sees one law from its first byte to
//! its verdict. A bundle that cannot be read leaves the last one in force and is remembered as the trouble it is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use hyper::Uri;
use serde_json::{Value, json};
use tokio::sync::watch;
use toolgate_crds::{FieldError, RedisCounters, Upstream};
use toolgate_policy::{Bundle, Law, compile};

use crate::audit::line::Place;

/// One bundle, compiled.
#[derive(Debug)]
pub struct InForce {
    /// What decides.
    pub law: Law,
    /// The bundle it came from.
    pub bundle: Bundle,
    /// The bundle's digest.
    pub hash: String,
    /// The server's endpoint.
    pub upstream: Uri,
    /// The tools that a policy names, for the metrics' labels.
    pub declared_tools: HashSet<String>,
    /// How the audit trail names it.
    pub place: Arc<Place>,
}

/// Where the law that holds now is kept.
#[derive(Debug, Default)]
pub struct Holder {
    current: ArcSwapOption<InForce>,
    trouble: Mutex<Vec<String>>,
    changed: watch::Sender<()>,
}

/// What became of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// It is in force.
    Done,
    /// It already was, or a newer one is.
    Unneeded,
    /// It cannot be enforced; what was in force still is.
    Refused,
}

impl Holder {
    /// The law that holds now; None before there ever was one.
    pub fn current(&self) -> Option<Arc<InForce>> {
        self.current.load_full()
    }

    /// Hears of every law that comes into force from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Puts a bundle in force, unless a newer one of the same server is already.
    pub fn swap(&self, bundle: Bundle) -> Swap {
        if self.current().is_some_and(|current| !is_newer(&bundle, &current)) {
            self.set_trouble(Vec::new());
            return Swap::Unneeded;
        }
        match InForce::new(bundle) {
            Ok(in_force) => {
                self.current.store(Some(Arc::new(in_force)));
                self.changed.send_replace(());
                self.set_trouble(Vec::new());
                Swap::Done
            }
            Err(errors) => {
                self.set_trouble(errors.iter().map(ToString::to_string).collect());
                Swap::Refused
            }
        }
    }

    /// Remembers why what came last is not in force as it was written; nothing, when it is.
    pub fn set_trouble(&self, trouble: Vec<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Why what came last is not in force as it was written.
    pub fn trouble(&self) -> Vec<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// A server that was created anew starts to count its revisions anew.
fn is_newer(bundle: &Bundle, current: &InForce) -> bool {
    bundle.server.uid != current.bundle.server.uid || bundle.revision > current.bundle.revision
}

impl InForce {
    /// Compiles a bundle.
    ///
    /// # Errors
    /// Everything in it that cannot be enforced.
    pub fn new(bundle: Bundle) -> Result<Self, Vec<FieldError>> {
        let law = compile(&bundle)?;
        let upstream = endpoint(&bundle.server.spec.upstream, &bundle.server.namespace)
            .map_err(|message| vec![FieldError::new("spec.upstream", message)])?;
        let declared_tools = law.declared_tools().map(str::to_owned).collect();
        let place = Arc::new(Place {
            namespace: bundle.server.namespace.clone(),
            server: bundle.server.name.clone(),
            revision: bundle.revision,
        });
        Ok(Self { hash: bundle.hash(), law, upstream, declared_tools, place, bundle })
    }

    /// The store that all gateways of the server count in, if there is one.
    pub fn shared_counters(&self) -> Option<&RedisCounters> {
        self.bundle.server.spec.counters.as_ref()?.redis.as_ref()
    }

    /// What the operator asks: which bundle is enforced, and which version of every object.
    pub fn revision(&self) -> Value {
        let policies = self.bundle.policies.iter();
        let grants = self.bundle.grants.iter();
        json!({
            "server": {"name": self.bundle.server.name, "uid": self.bundle.server.uid},
            "revision": self.bundle.revision,
            "hash": self.hash,
            "policies": policies.map(|p| json!({"name": p.name, "uid": p.uid, "generation": p.generation})).collect::<Value>(),
            "grants": grants.map(|g| json!({"name": g.name, "uid": g.uid, "generation": g.generation})).collect::<Value>(),
        })
    }
}

fn endpoint(upstream: &Upstream, namespace: &str) -> Result<Uri, String> {
    let text = match (&upstream.url, &upstream.service) {
        (Some(url), None) => url.clone(),
        (None, Some(service)) => {
            format!("http://{}.{namespace}.svc:{}{}", service.name, service.port, service.path)
        }
        _ => return Err("must have exactly one of url and service".to_owned()),
    };
    text.parse().map_err(|error| format!("{text:?} is no URL: {error}"))
}
