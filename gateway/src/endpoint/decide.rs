//! What a message asks for, and what becomes of it.

use std::time::Instant;

use hyper::Response;
use hyper::header::HeaderMap;
use toolgate_policy::{Call, Decision, Examined, Passage, Permit, Refusal, Target, Verdict};

use super::forward::{self, Exchange};
use super::record::{self, Decided};
use super::{Body, Rejection, bound, busy, definitions, refusal, reject, respond};
use crate::metrics::Rejected;
use crate::wire::answer;
use crate::wire::call::{Asked, NothingAsked, Reference, ToolCall};
use crate::wire::era::{Agreed, Era};
use crate::wire::message::{INVALID_REQUEST, Malformed, Message, Notification, Request};
use crate::wire::method::{Handling, Method, Sender, ServerRequest, Shape};
use crate::wire::mirror::Parameter;
use crate::wire::parameters::{self, ParameterError};

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
    let opened = bound::opened(&exchange, message, agreed.era.is_modern())?;
    let message = opened.as_ref().unwrap_or(message);
    let outgoing = forward::Outgoing { headers, message, agreed, task: None };
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
    exchange.note.asked(exchange.correlation, method, era);
    // Calls hear of it when they are judged.
    if !method.is_judged() && !method.is_housekeeping() {
        busy::left_alone(&exchange, &request.id)?;
    }
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
        Handling::Resource if !method.is_judged() => {
            let asked = asked(request, "uri")?;
            mention(exchange, outgoing, request, method, Target::Resource, asked.name).await
        }
        Handling::Resource => ask(exchange, outgoing, request, method, Target::Resource, "uri").await,
        Handling::Prompt => ask(exchange, outgoing, request, method, Target::Prompt, "name").await,
        Handling::Completion => completion(exchange, outgoing, request, method).await,
        Handling::Listen => listen(exchange, outgoing, request).await,
        Handling::Task => bound::task_request(exchange, outgoing, request, method).await,
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
    // A session that is not the caller's must not cost him anything, so it is looked at before the decision.
    let session = forward::session(&exchange, outgoing.headers, era, Some(id))?;
    let definition = definitions::of(&exchange, outgoing, session.as_deref(), (id, call.name)).await?;
    let asked = Call { target: Target::Tool, name: call.name, arguments: call.arguments, definition };
    let examined = examine(&exchange, &asked);
    // Of a tool that he may not call, a caller must not hear what its schema says, nor that it has one; and what is
    // refused for its headers is charged nothing.
    if !examined.is_refused() && era.is_modern() {
        compare_parameters(&exchange, &call, &outgoing.agreed.parameters)
            .map_err(|error| reject(Rejected::Malformed, answer::disagreement(Some(id), &error.into())))?;
    }
    let verdict = judge(&exchange, era, &asked, Method::ToolsCall, examined).await;
    let outcome = verdict.outcome();
    let (gateway, correlation) = (exchange.gateway.clone(), exchange.correlation);
    let response = match verdict {
        // Who asked for a task cannot read a result.
        Verdict::Refused(refusal) if call.task => {
            respond(refusal::of_task(id, call.name, &refusal, &correlation))
        }
        Verdict::Refused(refusal) => respond(refusal::answer(era, id, call.name, &refusal, &correlation)),
        Verdict::Allowed(permit) => {
            forward::with_session(exchange, outgoing, id.clone(), Method::ToolsCall, permit, session).await?
        }
    };
    gateway.metrics.answered(outcome, started.elapsed());
    Ok(response)
}

fn compare_parameters(
    exchange: &Exchange,
    call: &ToolCall<'_, '_>,
    said: &[Parameter],
) -> Result<(), ParameterError> {
    let declared = exchange.gateway.declarations.of(call.name);
    declared.map_or(Ok(()), |declared| parameters::check(&declared, call.arguments, said))
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
    let call = Call { target, name: asked.name, arguments: asked.arguments, definition: None };
    match judge(&exchange, outgoing.agreed.era, &call, method, examine(&exchange, &call)).await {
        Verdict::Refused(refusal) => Ok(respond(refusal::of_request(id, &refusal, &exchange.correlation))),
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

pub(super) async fn mention(
    exchange: Exchange,
    outgoing: forward::Outgoing<'_>,
    request: &Request<'_>,
    method: Method,
    target: Target,
    name: &str,
) -> Result<Response<Body>, Rejection> {
    let said = speak(&exchange, outgoing.agreed.era, method, target, name);
    match said {
        Ok(permit) => forward::request(exchange, outgoing, request.id.clone(), method, permit).await,
        Err(refusal) => Ok(respond(refusal::of_request(&request.id, &refusal, &exchange.correlation))),
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
        if let Err(refusal) = speak(&exchange, outgoing.agreed.era, Method::Listen, Target::Resource, uri) {
            return Ok(respond(refusal::of_request(&request.id, &refusal, &exchange.correlation)));
        }
    }
    let exchange = busy::streaming(exchange, Some(&request.id))?;
    let permit = exchange.in_force.law.pass(&exchange.caller, Passage::Lifecycle);
    forward::request(exchange, outgoing, request.id.clone(), Method::Listen, permit).await
}

// What is known of a call before anything is counted.
fn examine<'a>(exchange: &'a Exchange, call: &Call<'a>) -> Examined<'a> {
    let Exchange { gateway, in_force, caller, .. } = exchange;
    in_force.law.examine(caller, call, gateway.counters.paused(&gateway.clock))
}

// The one place where a call is decided.
async fn judge(
    exchange: &Exchange,
    era: Era,
    call: &Call<'_>,
    method: Method,
    examined: Examined<'_>,
) -> Verdict {
    let Exchange { gateway, in_force, .. } = exchange;
    let Decision { verdict, audits } = match examined {
        Examined::Decided(decision) => decision,
        Examined::Pending(pending) => {
            let demand = pending.demand();
            let reply = gateway.counters.ask(in_force, demand, &gateway.clock, &gateway.metrics).await;
            pending.conclude(reply)
        }
    };
    let refusal = match &verdict {
        Verdict::Allowed(_) => None,
        Verdict::Refused(refusal) => Some(refusal),
    };
    record::decision(exchange, Decided { era, method, call, refusal }, audits);
    verdict
}

// The one place where it is decided whether a caller may speak of something.
pub(super) fn speak(
    exchange: &Exchange,
    era: Era,
    method: Method,
    target: Target,
    name: &str,
) -> Result<Permit, Refusal> {
    let said = exchange.in_force.law.mention(&exchange.caller, target, name);
    let call = Call { target, name, arguments: None, definition: None };
    record::decision(
        exchange,
        Decided { era, method, call: &call, refusal: said.as_ref().err() },
        Vec::new(),
    );
    said
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
        // Of a task that the client made of what the server asked.
        Some(Handling::Task) => {
            let made_of = [ServerRequest::Sampling, ServerRequest::Elicitation];
            made_of.iter().any(|asked| exchange.in_force.law.opens(&exchange.caller, asked.in_policy()))
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
