//! What a message asks for, and what becomes of it.

use std::time::Instant;

use hyper::Response;
use hyper::header::HeaderMap;
use toolgate_policy::{Call, Decision, Outcome, Passage, Target, Verdict};

use super::forward::{self, Exchange};
use super::{Body, Rejection, refusal, reject, respond};
use crate::metrics::{OTHER_TOOL, Rejected};
use crate::wire::answer;
use crate::wire::call::{Asked, NothingAsked, Reference, ToolCall};
use crate::wire::era::Agreed;
use crate::wire::message::{INVALID_REQUEST, Malformed, Message, Notification, Request};
use crate::wire::method::{Handling, Method, Sender, ServerRequest, Shape};

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
        Message::Response(response) => {
            let law = &exchange.in_force.law;
            let opened = |asked: &ServerRequest| law.opens(&exchange.caller, asked.in_policy());
            if !ServerRequest::ALL.iter().any(opened) {
                let text = "there is no request that this would answer".to_owned();
                let malformed = Malformed { code: INVALID_REQUEST, text, id: Some(response.id.clone()) };
                return Err(reject(Rejected::Malformed, answer::malformed(&malformed)));
            }
            let permit = law.pass(&exchange.caller, Passage::Lifecycle);
            forward::notification(exchange, outgoing, permit).await
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
        Handling::List(_) => {
            let permit = exchange.in_force.law.pass(&exchange.caller, Passage::List);
            forward::request(exchange, outgoing, request.id.clone(), method, permit).await
        }
        Handling::ToolCall => tool_call(exchange, outgoing, request).await,
        Handling::Resource if method == Method::ResourcesUnsubscribe => {
            let asked = asked(request, "uri")?;
            mention(exchange, outgoing, request, method, Target::Resource, asked.name).await
        }
        Handling::Resource => ask(exchange, outgoing, request, method, Target::Resource, "uri").await,
        Handling::Prompt => ask(exchange, outgoing, request, method, Target::Prompt, "name").await,
        Handling::Completion => completion(exchange, outgoing, request, method).await,
        Handling::Listen => listen(exchange, outgoing, request).await,
        Handling::Task => {
            let reason = format!("{} is not served here yet", method.name());
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
    let asked = Call { target: Target::Tool, name: call.name, arguments: call.arguments };
    let verdict = judge(&exchange, &asked, Method::ToolsCall);
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

// A resource or a prompt.
async fn ask(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
    method: Method,
    target: Target,
    member: &'static str,
) -> Result<Response<Body>, Rejection> {
    let asked = asked(request, member)?;
    let id = &request.id;
    let session = forward::session(&exchange, outgoing.headers, outgoing.agreed.era, Some(id))?;
    match judge(&exchange, &Call { target, name: asked.name, arguments: asked.arguments }, method) {
        Verdict::Refused(refusal) => Ok(respond(refusal::of_request(id, &refusal))),
        Verdict::Allowed(permit) => {
            forward::with_session(exchange, outgoing, id.clone(), method, permit, session).await
        }
    }
}

fn asked<'m, 'a>(request: &'m Request<'a>, member: &'static str) -> Result<Asked<'m, 'a>, Rejection> {
    Asked::from_params(request.params.as_ref(), member).map_err(|nothing| invalid(request, &nothing))
}

fn invalid(request: &Request<'_>, nothing: &NothingAsked) -> Rejection {
    reject(Rejected::Malformed, answer::invalid_params(&request.id, &nothing.to_string()))
}

// Decided as what it completes: the names of things that a caller may not ask for are not completed either.
async fn completion(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
    method: Method,
) -> Result<Response<Body>, Rejection> {
    let reference =
        Reference::from_params(request.params.as_ref()).map_err(|nothing| invalid(request, &nothing))?;
    match reference {
        Reference::Prompt(name) => mention(exchange, outgoing, request, method, Target::Prompt, name).await,
        Reference::Resource(uri) if exchange.in_force.law.lists_template(&exchange.caller, uri) => {
            let permit = exchange.in_force.law.pass(&exchange.caller, Passage::List);
            forward::request(exchange, outgoing, request.id.clone(), method, permit).await
        }
        Reference::Resource(uri) => mention(exchange, outgoing, request, method, Target::Resource, uri).await,
    }
}

async fn mention(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
    method: Method,
    target: Target,
    name: &str,
) -> Result<Response<Body>, Rejection> {
    let said = exchange.in_force.law.mention(&exchange.caller, target, name);
    let outcome = said.as_ref().err().map_or(Outcome::Allowed, |refusal| refusal.outcome);
    exchange.gateway.metrics.asked(method.name(), exchange.caller.grant(), outcome);
    match said {
        Ok(permit) => forward::request(exchange, outgoing, request.id.clone(), method, permit).await,
        Err(refusal) => Ok(respond(refusal::of_request(&request.id, &refusal))),
    }
}

// Of what a caller may not ask for he hears no news either.
async fn listen(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
) -> Result<Response<Body>, Rejection> {
    let wanted =
        request.params.as_ref().and_then(|params| params.get("notifications")?.get("resourceSubscriptions"));
    // Anything but a list of names could be a name to a lax server.
    let unreadable = || invalid(request, &NothingAsked::Name("resourceSubscriptions"));
    let wanted = wanted.map_or(Ok([].as_slice()), |wanted| wanted.as_array().ok_or_else(unreadable))?;
    for uri in wanted {
        let uri = uri.as_str().ok_or_else(unreadable)?;
        if let Err(refusal) = exchange.in_force.law.mention(&exchange.caller, Target::Resource, uri) {
            return Ok(respond(refusal::of_request(&request.id, &refusal)));
        }
    }
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    forward::request(exchange, outgoing, request.id.clone(), Method::Listen, permit).await
}

// The one place where a decision is made, and counted.
fn judge(exchange: &Exchange, call: &Call<'_>, method: Method) -> Verdict {
    let Exchange { gateway, in_force, caller, .. } = exchange;
    let (metrics, grant) = (&gateway.metrics, caller.grant());
    let now = gateway.clock.now();
    let Decision { verdict, audits } = in_force.law.decide(caller, call, &mut gateway.counters(), now);
    let label = match call.target {
        Target::Tool => metrics.tool_label(call.name, &in_force.declared_tools),
        Target::Resource | Target::Prompt => OTHER_TOOL,
    };
    match call.target {
        Target::Tool => metrics.decided(label, grant, verdict.outcome()),
        Target::Resource | Target::Prompt => metrics.asked(method.name(), grant, verdict.outcome()),
    }
    for audit in &audits {
        metrics.audited(&audit.policy, label, grant, audit.outcome());
    }
    tracing::debug!(method = method.name(), label, grant, outcome = verdict.outcome().as_str(), "decided");
    verdict
}

async fn notification(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    notification: &Notification<'_>,
) -> Result<Response<Body>, Rejection> {
    let era = outgoing.agreed.era;
    let method = Method::parse(&notification.method, Shape::Notification, Sender::Client, era);
    let passes = match method.map(Method::handling) {
        Some(Handling::Lifecycle | Handling::Pass) => true,
        Some(Handling::ServerRequest(asked)) => {
            exchange.in_force.law.opens(&exchange.caller, asked.in_policy())
        }
        _ => false,
    };
    if passes {
        let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
        return forward::notification(exchange, outgoing, permit).await;
    }
    let text = "this notification is not let through".to_owned();
    let malformed = Malformed { code: INVALID_REQUEST, text, id: None };
    Err(reject(Rejected::Method, answer::malformed(&malformed)))
}
