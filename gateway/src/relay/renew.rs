//! What a new law means for a stream that is open.

use std::sync::Arc;

use toolgate_policy::Target;

use super::Relay;

/// How an open stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    /// As before.
    Same,
    /// The caller's list of tools is another one.
    ListChanged,
    /// Not at all: the caller is nobody any more, or somebody else.
    Revoked,
}

/// Looks at the caller again under the law that holds now, and goes on under it.
pub(super) async fn renew(relay: &mut Relay) -> Renewed {
    let exchange = &mut relay.exchange;
    let Some(in_force) = exchange.gateway.holder.current() else { return Renewed::Same };
    let now = exchange.gateway.clock.now();
    let same_server = in_force.bundle.server.uid == exchange.in_force.bundle.server.uid;
    let caller = match in_force.law.authenticate(&exchange.credential, now.wall) {
        Ok(caller) if same_server && caller.grant() == exchange.caller.grant() => caller,
        _ => return Renewed::Revoked,
    };
    if exchange.peer.as_ref().is_some_and(|peer| !exchange.gateway.trusts(peer)) {
        return Renewed::Revoked;
    }
    if let (Some(identity), Some(bearer)) = (exchange.credential.identity(), &exchange.bearer) {
        let verifier = &exchange.gateway.verifier;
        if let Err(reason) = verifier.review(&in_force.law, bearer, identity, now).await {
            exchange.gateway.metrics.token_refused(reason);
            return Renewed::Revoked;
        }
    }
    if Arc::ptr_eq(&in_force, &exchange.in_force) {
        return Renewed::Same;
    }
    let seen = exchange.gateway.metrics.seen_tools();
    let lists = |tool: &String| {
        let definition = exchange.gateway.definitions.last(relay.era.version(), tool);
        let before = exchange.in_force.law.lists(&exchange.caller, Target::Tool, tool, definition);
        before != in_force.law.lists(&caller, Target::Tool, tool, definition)
    };
    let changed = seen.iter().any(lists);
    exchange.in_force = in_force;
    exchange.caller = caller;
    if changed { Renewed::ListChanged } else { Renewed::Same }
}
