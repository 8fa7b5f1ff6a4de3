//! One message of the server: what of it may pass.

use toolgate_policy::Target;

use super::{Relay, bind};
use crate::definitions::{self, Listed};
use crate::endpoint::Exchange;
use crate::wire::answer::{self, RpcError, error_body};
use crate::wire::message::{Id, METHOD_NOT_FOUND};
use crate::wire::method::{Handling, ListKind, Method, ServerRequest};
use crate::wire::upstream_message::{Kind, UpstreamError, UpstreamMessage};

/// Why a message cannot be the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UpstreamError),
    /// It answers something else, or nothing.
    #[error("it is not the answer to the request")]
    NotTheAnswer,
    /// It is about a task that the caller did not ask for.
    #[error("it is about a task that the request is not about")]
    Task,
    /// It has a state that belongs to no call in several rounds, or none that can be kept.
    #[error("it has a state that belongs to no call")]
    State,
    /// It asks the client for something that no policy opens.
    #[error("it asks the client for sampling, elicitation or roots")]
    Asks,
}

/// A message of a stream.
pub(super) enum Passing {
    /// The answer; nothing that matters comes after it.
    Answer(Vec<u8>),
    /// A notice on the way.
    Notice(Vec<u8>),
    /// A request of the server that the gateway answers itself, and its answer.
    AnsweredHere(Vec<u8>),
    /// It does not pass.
    Dropped,
}

impl Unfit {
    pub(super) fn for_the_caller(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "the server's answer cannot be read",
            Self::NotTheAnswer => "the server did not answer the request",
            Self::Task => "the server answered with a task that was not asked for",
            Self::State => "the server answered with a state that belongs to no call",
            Self::Asks => "the server asks for something that no policy opens",
        }
    }
}

/// The one message of a JSON answer. `success`: whether it came with 200, so that it may be a result.
pub(super) fn answer(relay: &Relay, bytes: &[u8], success: bool) -> Result<Vec<u8>, Unfit> {
    let message = UpstreamMessage::parse(bytes, relay.era)?;
    match message.kind() {
        // An error of the transport often has no id.
        Kind::Error(None) => Ok(message.to_bytes()),
        Kind::Error(Some(id)) if relay.id.as_ref() == Some(id) => Ok(message.to_bytes()),
        Kind::Result(id) if relay.id.as_ref() == Some(id) && success => result(relay, message),
        _ => Err(Unfit::NotTheAnswer),
    }
}

/// A message of a stream.
pub(super) fn event(relay: &Relay, data: &str) -> Result<Passing, Unfit> {
    let mut message = UpstreamMessage::parse(data.as_bytes(), relay.era)?;
    bind::params(relay, &mut message);
    if matches!(message.kind(), Kind::Notification(Some(Method::ToolsListChanged))) {
        relay.exchange.gateway.definitions.doubt();
    }
    match message.kind() {
        Kind::Error(Some(id)) if relay.id.as_ref() == Some(id) => Ok(Passing::Answer(message.to_bytes())),
        Kind::Error(None) if relay.id.is_some() => Ok(Passing::Answer(message.to_bytes())),
        Kind::Result(id) if relay.id.as_ref() == Some(id) => Ok(Passing::Answer(result(relay, message)?)),
        Kind::Notification(Some(method)) if passes(relay, *method, &message) => {
            Ok(Passing::Notice(message.to_bytes()))
        }
        Kind::Request(id, method) => Ok(request(relay, id, *method, &message)),
        _ => Ok(Passing::Dropped),
    }
}

// Of the server to the client.
fn request(relay: &Relay, id: &Id, method: Option<Method>, message: &UpstreamMessage<'_>) -> Passing {
    match method.map(Method::handling) {
        // Whether anybody is there, the gateway knows itself.
        Some(Handling::Ping) => Passing::AnsweredHere(answer::empty_result(relay.era, id).body),
        Some(Handling::ServerRequest(asked)) if opens(relay, asked) => Passing::Notice(message.to_bytes()),
        // Of tasks that the client made of what it was asked.
        Some(Handling::Task) if opens_tasks(relay) => Passing::Notice(message.to_bytes()),
        _ => {
            let error = RpcError { code: METHOD_NOT_FOUND, message: "not opened by any policy", data: None };
            Passing::AnsweredHere(error_body(Some(id), &error))
        }
    }
}

fn opens(relay: &Relay, asked: ServerRequest) -> bool {
    relay.exchange.in_force.law.opens(&relay.exchange.caller, asked.in_policy())
}

fn opens_tasks(relay: &Relay) -> bool {
    opens(relay, ServerRequest::Sampling) || opens(relay, ServerRequest::Elicitation)
}

// Of a resource that a caller may not know of, no news either. Of tasks there is no news at all: a notice does not say
// of which tool its task is, and clients may not rely on it.
fn passes(relay: &Relay, method: Method, message: &UpstreamMessage<'_>) -> bool {
    let Exchange { in_force, caller, .. } = &relay.exchange;
    match method.handling() {
        Handling::Pass => true,
        Handling::Resource => {
            let uri = message.params().and_then(|params| params.get("uri")?.as_str());
            uri.is_some_and(|uri| in_force.law.lists(caller, Target::Resource, uri, None))
        }
        Handling::ServerRequest(asked) => opens(relay, asked),
        _ => false,
    }
}

fn result(relay: &Relay, mut message: UpstreamMessage<'_>) -> Result<Vec<u8>, Unfit> {
    if !message.input_requests().all(|asked| asked.is_some_and(|asked| opens(relay, asked))) {
        return Err(Unfit::Asks);
    }
    if relay.method == Method::ToolsCall
        && let Some(busy) = &relay.exchange.in_force.bundle.server.spec.upstream.busy
        && message.error_text() == Some(busy.text.as_str())
    {
        relay.exchange.gateway.metrics.upstream_failed("busy");
        super::pause(relay, busy.pause.length());
    }
    let (law, caller) = (&relay.exchange.in_force.law, &relay.exchange.caller);
    for list in message.lists().collect::<Vec<_>>() {
        let mut listed = Listed::new();
        if list == ListKind::Tools {
            definitions::read(law, message.entries(list), &mut listed);
            relay.exchange.gateway.definitions.pass(law, relay.era.version(), &listed);
            if relay.method == Method::ToolsList {
                count(relay, &message);
            }
            message.listed(list).for_each(|name| relay.exchange.gateway.metrics.saw(name));
            // Only 2026-07-28 repeats arguments in headers.
            if relay.era.is_modern() {
                let tools = message.entries(list).iter();
                tools.for_each(|tool| relay.exchange.gateway.declarations.learn(tool));
            }
        }
        message.filter(list, |name| match list {
            ListKind::Tools => {
                law.lists(caller, Target::Tool, name, listed.get(name).and_then(|seen| seen.definition()))
            }
            ListKind::Resources => law.lists(caller, Target::Resource, name, None),
            ListKind::ResourceTemplates => law.lists_template(caller, name),
            ListKind::Prompts => law.lists(caller, Target::Prompt, name, None),
        });
        // It may be shown to models and people, and nobody agreed to it.
        for tool in listed.keys() {
            message.strip_meta(list, tool);
        }
    }
    bind::result(relay, &mut message)?;
    if relay.method == Method::Initialize {
        hide_task_list(&mut message);
    }
    message.limit_caching(Some(relay.method));
    Ok(message.to_bytes())
}

fn count(relay: &Relay, message: &UpstreamMessage<'_>) {
    let Exchange { gateway, .. } = &relay.exchange;
    let next = message.result().and_then(|result| result.get("nextCursor")?.as_str());
    let (entries, now) = (message.entries(ListKind::Tools).len(), gateway.clock.now().wall);
    gateway.tools_seen.page(&relay.page, entries, next, now);
}

// A list of tasks would be of all callers: what is not served is not promised.
fn hide_task_list(message: &mut UpstreamMessage<'_>) {
    let capabilities =
        message.result_mut().and_then(|result| result.get_mut("capabilities")?.as_object_mut());
    if let Some(tasks) = capabilities.and_then(|capabilities| capabilities.get_mut("tasks")?.as_object_mut())
    {
        tasks.remove("list");
    }
}
