//! What a message asks for, and what becomes of it.

use std::time::Instant;

use hyper::Response;
use hyper::header::HeaderMap;
use toolgate_policy::{Call, Decision, Passage, Verdict};

use super::forward::{self, Exchange};
use super::{Body, Rejection, refusal, reject, respond};
use crate::metrics::Rejected;
use crate::wire::answer;
use crate::wire::call::ToolCall;
use crate::wire::era::Agreed;
use crate::wire::message::{INVALID_REQUEST, Malformed, Message, Notification, Request};
use crate::wire::method::{Handling, ListKind, Method, Sender, Shape};

/// Decides one message and carries the decision out.
///
/// # Errors
/// When it asks for something that is not known, or never let through.
pub(super) async fn message(
    exchange: Exchange,
    headers: &HeaderMap,
    message: &Message<'_>,
    agreed: &Agreed,
) -> Result<Response<Body>, Rejection> {
    let outgoing = forward::Outgoing { headers, message, agreed };
    match message {
        Message::Request(request) => self::request(exchange, outgoing, request).await,
        Message::Notification(notification) => self::notification(exchange, outgoing, notification).await,
        // No request of a server is let through, so there is none that a client could answer.
        Message::Response(response) => {
            let text = "there is no request that this would answer".to_owned();
            let malformed = Malformed { code: INVALID_REQUEST, text, id: Some(response.id.clone()) };
            Err(reject(Rejected::Malformed, answer::malformed(&malformed)))
        }
    }
}

async fn request(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
) -> Result<Response<Body>, Rejection> {
    let era = outgoing.agreed.era;
    let unknown = || reject(Rejected::Method, answer::unknown_method(era, &request.id));
    let method = Method::parse(&request.method, Shape::Request, Sender::Client, era).ok_or_else(unknown)?;
    match method.handling() {
        Handling::Lifecycle | Handling::Ping | Handling::Pass => {
            let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
            forward::request(exchange, outgoing, request.id.clone(), method, permit).await
        }
        Handling::List(ListKind::Tools) => {
            let permit = exchange.in_force.law.pass(&exchange.caller, Passage::ToolsList);
            forward::request(exchange, outgoing, request.id.clone(), method, permit).await
        }
        // Policies cannot open resources and prompts yet, so there are none to be listed and none to be read.
        Handling::List(list) => Ok(respond(answer::empty_list(era, &request.id, list))),
        Handling::ToolCall => tool_call(exchange, outgoing, request).await,
        Handling::Resource | Handling::Prompt | Handling::Completion | Handling::Listen | Handling::Task => {
            let reason = format!("{} is not opened by any policy", method.name());
            Err(reject(Rejected::Method, refusal::method(&request.id, &reason)))
        }
        Handling::ServerRequest(_) => Err(unknown()),
    }
}

async fn tool_call(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
) -> Result<Response<Body>, Rejection> {
    let started = Instant::now();
    let (era, id) = (outgoing.agreed.era, &request.id);
    let call = ToolCall::from_params(request.params.as_ref())
        .map_err(|error| reject(Rejected::Malformed, answer::invalid_params(id, &error.to_string())))?;
    if call.task {
        return Err(reject(Rejected::Method, refusal::method(id, "tasks are not opened by any policy")));
    }
    // A session that is not the caller's must not cost him anything, so it is looked at before the decision.
    let session = forward::session(&exchange, outgoing.headers, era, Some(id))?;
    let verdict = judge(&exchange, &call);
    let outcome = verdict.outcome();
    let gateway = exchange.gateway.clone();
    let response = match verdict {
        Verdict::Refused(refusal) => respond(refusal::answer(era, id, call.name, &refusal)),
        Verdict::Allowed(permit) => {
            forward::with_session(exchange, outgoing, id.clone(), Method::ToolsCall, permit, session).await?
        }
    };
    gateway.metrics.answered(outcome, started.elapsed());
    Ok(response)
}

// The one place where a decision is made, and counted.
fn judge(exchange: &Exchange, call: &ToolCall<'_, '_>) -> Verdict {
    let Exchange { gateway, in_force, caller } = exchange;
    let asked = Call { tool: call.name, arguments: call.arguments };
    let now = gateway.clock.now();
    let Decision { verdict, audits } = in_force.law.decide(caller, &asked, &mut gateway.counters(), now);
    let tool = gateway.metrics.tool_label(call.name, &in_force.declared_tools);
    gateway.metrics.decided(tool, caller.grant(), verdict.outcome());
    for audit in &audits {
        gateway.metrics.audited(&audit.policy, tool, caller.grant(), audit.outcome());
    }
    tracing::debug!(tool, grant = caller.grant(), outcome = verdict.outcome().as_str(), "decided");
    verdict
}

async fn notification(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    notification: &Notification<'_>,
) -> Result<Response<Body>, Rejection> {
    let era = outgoing.agreed.era;
    let method = Method::parse(&notification.method, Shape::Notification, Sender::Client, era);
    if let Some(Handling::Lifecycle | Handling::Pass) = method.map(Method::handling) {
        let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
        return forward::notification(exchange, outgoing, permit).await;
    }
    let text = "this notification is not let through".to_owned();
    let malformed = Malformed { code: INVALID_REQUEST, text, id: None };
    Err(reject(Rejected::Method, answer::malformed(&malformed)))
}
