//! Where a decision is recorded: counted, written into the audit trail, the trace and the log, all at once and nowhere
//! else.

use toolgate_policy::{Audited, Call, Credential, Outcome, Refusal, Target};

use super::Rejection;
use super::forward::Exchange;
use crate::audit::line::{Asked, Entry, Event, Who};
use crate::correlation::Correlation;
use crate::gateway::Gateway;
use crate::metrics::OTHER;
use crate::wire::era::Era;
use crate::wire::method::Method;

/// What was decided of something.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    pub era: Era,
    pub method: Method,
    pub call: &'a Call<'a>,
    /// None: it was allowed.
    pub refusal: Option<&'a Refusal>,
}

/// Records a decision, and what policies that only watch would have said.
pub(super) fn decision(exchange: &Exchange, decided: Decided<'_>, watched: Vec<Audited>) {
    let Exchange { gateway, in_force, caller, .. } = exchange;
    let Decided { method, call, refusal, .. } = decided;
    let (metrics, grant) = (&gateway.metrics, caller.grant());
    let outcome = refusal.map_or(Outcome::Allowed, |refusal| refusal.outcome);
    let label = match call.target {
        Target::Tool => metrics.tool_label(call.name, &in_force.declared_tools),
        Target::Resource | Target::Prompt => OTHER,
    };
    // What is asked about a task is no call of its tool.
    if method == Method::ToolsCall {
        metrics.decided(label, grant, outcome);
    } else {
        metrics.asked(method.name(), grant, outcome);
    }
    if let Some(refusal) = refusal {
        metrics.refused(refusal);
    }
    for audited in &watched {
        metrics.audited(&audited.policy, label, grant, audited.outcome());
    }
    tracing::debug!(method = method.name(), label, grant, outcome = outcome.as_str(), "decided");
    exchange.note.decided(call.target, label, refusal);
    audit(exchange, decided, watched);
}

fn audit(exchange: &Exchange, decided: Decided<'_>, watched: Vec<Audited>) {
    let Exchange { gateway, in_force, .. } = exchange;
    let Some(key) = gateway.audit.key() else { return };
    let Decided { era, method, call, refusal } = decided;
    gateway.audit.record(Entry {
        time: gateway.clock.now().wall,
        correlation: Some(exchange.correlation),
        place: Some(in_force.place.clone()),
        who: Some(who(exchange)),
        event: Event::Decision {
            asked: Asked::new(method.name(), call.target, call.name, call.arguments, key),
            era: era.version().name(),
            refused: refusal.map(|refusal| (refusal.outcome, refusal.rule.clone())),
            watched,
        },
    });
}

/// Records a request that was refused before it was known what it asks for.
pub(super) fn rejection(gateway: &Gateway, correlation: Correlation, rejection: &Rejection) {
    gateway.metrics.rejected(rejection.reason);
    let place = gateway.holder.current().map(|in_force| in_force.place.clone());
    let said = (rejection.reason, rejection.detail);
    gateway.audit.rejected(gateway.clock.now(), correlation, place, rejection.who.clone(), said);
}

/// Who sends a request, without what shows it.
pub(super) fn who(exchange: &Exchange) -> Who {
    let subject = subject(&exchange.credential);
    Who { grant: exchange.caller.grant_name().clone(), subject }
}

fn subject(credential: &Credential) -> &'static str {
    match credential {
        Credential::None => "anonymous",
        Credential::Token(_) => "token",
        Credential::Verified(identity) if identity.service_account.is_some() => "serviceAccount",
        Credential::Verified(_) => "oidc",
        Credential::Certificate(_) => "certificate",
        // The certificate only carries the connection.
        Credential::Both(token, _) => subject(token),
    }
}
