//! Where new laws come from: files, or a bundle of the operator.

pub mod bundle;
pub mod files;
mod news;
pub mod watch;

use toolgate_policy::Bundle;

use crate::gateway::Gateway;
use crate::in_force::Swap;

/// Puts a bundle in force and says what became of it.
pub(crate) fn swap(gateway: &Gateway, bundle: Bundle) -> Swap {
    let revision = bundle.revision;
    let swap = gateway.holder.swap(bundle);
    match swap {
        Swap::Done => tracing::info!(revision, "in force"),
        Swap::Unneeded => {}
        Swap::Refused => log_trouble(gateway),
    }
    note(gateway, swap == Swap::Refused);
    swap
}

/// Keeps what is in force and remembers why nothing newer is.
pub(crate) fn refuse(gateway: &Gateway, trouble: Vec<String>) {
    gateway.holder.set_trouble(trouble);
    log_trouble(gateway);
    note(gateway, true);
}

fn note(gateway: &Gateway, refused: bool) {
    let in_force = gateway.holder.current();
    if let Some(in_force) = &in_force {
        gateway.metrics.name_server(&in_force.bundle.server.name);
    }
    gateway.metrics.configured(in_force.map(|in_force| in_force.bundle.revision), refused);
}

fn log_trouble(gateway: &Gateway) {
    for trouble in gateway.holder.trouble() {
        tracing::error!("refused: {trouble}");
    }
}
