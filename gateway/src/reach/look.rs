//! Looks whether the server can be reached.

use std::error::Error;
use std::io;
use std::sync::Arc;

use tokio::time::{Duration, sleep};

use crate::credentials::NoCredential;
use crate::destinations::AddressRefused;
use crate::gateway::Gateway;
use crate::in_force::InForce;
use crate::upstream::Untouched;

/// Why the server cannot be reached. The words stand still while the trouble does: no address, port or time is in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A credential or a certificate for the server cannot be had.
    #[error("{0}")]
    CredentialMissing(String),
    /// The server refuses the gateway's credential.
    #[error("the server does not accept the gateway's credential")]
    CredentialRefused,
    /// Its name has no address.
    #[error("the server's name has no address")]
    NameNotFound,
    /// Its address is none that gateways connect to.
    #[error("{0}")]
    AddressRefused(AddressRefused),
    /// Nobody listens there.
    #[error("the server refuses connections")]
    ConnectionRefused,
    /// No connection comes about in time.
    #[error("the server takes no connection in time")]
    TimedOut,
    /// Nobody who is trusted vouches for its certificate, or TLS fails otherwise.
    #[error("no TLS with the server: {0}")]
    TlsFailed(String),
    /// Something else.
    #[error("no connection to the server comes about")]
    Unreachable,
}

impl Trouble {
    /// The trouble as one word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CredentialMissing(_) => "CredentialMissing",
            Self::CredentialRefused => "CredentialRefused",
            Self::NameNotFound => "NameNotFound",
            Self::AddressRefused(_) => "AddressRefused",
            Self::ConnectionRefused => "ConnectionRefused",
            Self::TimedOut => "TimedOut",
            Self::TlsFailed(_) => "TlsFailed",
            Self::Unreachable => "Unreachable",
        }
    }

    /// What an error of a connection that did not come about means.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let sources = || std::iter::successors(Some(error), |error| (*error).source());
        if let Some(refused) = sources().find_map(|error| error.downcast_ref::<AddressRefused>()) {
            return Self::AddressRefused(*refused);
        }
        if let Some(tls) = sources().find_map(|error| in_io::<rustls::Error>(error)) {
            return Self::TlsFailed(tls.to_string());
        }
        // The resolver has no error type of its own.
        if sources().any(|error| error.to_string() == "dns error") {
            return Self::NameNotFound;
        }
        let kind = sources().find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::ConnectionRefused) => Self::ConnectionRefused,
            Some(io::ErrorKind::TimedOut) => Self::TimedOut,
            _ => Self::Unreachable,
        }
    }
}

// An error of TLS comes inside of one of the system, or of two.
fn in_io<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    in_io(error.downcast_ref::<io::Error>()?.get_ref()?)
}

/// Looks at the server that is in force, for ever: every `period` where no call says how it stands, and soon after one that
/// could not connect.
pub async fn follow(gateway: Arc<Gateway>, period: Duration) {
    let mut changes = gateway.holder.changes();
    loop {
        let again = match gateway.holder.current() {
            Some(in_force) => look(&gateway, &in_force, period).await.min(period),
            None => period,
        };
        tokio::select! {
            () = sleep(again) => {}
            () = gateway.client.reach().doubted.notified() => {}
            heard = changes.changed() => if heard.is_err() { return },
        }
    }
}

async fn look(gateway: &Gateway, in_force: &InForce, period: Duration) -> Duration {
    let reach = gateway.client.reach();
    reach.about(&in_force.upstream);
    let upstream = &in_force.bundle.server.spec.upstream;
    let headers = gateway.credentials.headers(&upstream.headers);
    if let Err(missing) = &*headers {
        return reach.found(Err(Trouble::CredentialMissing(words(missing))));
    }
    if reach.was_heard_within(period) {
        return reach.found(Ok(()));
    }
    let touched = gateway.client.touch(&in_force.upstream, upstream, &gateway.credentials).await;
    reach.found(touched.map_err(|untouched| match untouched {
        Untouched::NoTrust(missing) => Trouble::CredentialMissing(missing.to_string()),
        Untouched::TimedOut => Trouble::TimedOut,
        Untouched::Failed(error) => Trouble::of(&*error),
    }))
}

// What has to be made, in the words of Kubernetes.
fn words(missing: &NoCredential) -> String {
    match missing {
        NoCredential::Unreadable { secret, key, reason } => {
            format!("the key {key} of the Secret {secret} cannot be read: {reason}")
        }
        NoCredential::Invalid(_) => missing.to_string(),
    }
}
