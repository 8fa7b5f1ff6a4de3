//! What a client brings back of what it got: the ids of its tasks, and the state of a call in several rounds. Each opens
//! only for the grant that got it; what does not open is nobody's.

use hyper::Response;
use toolgate_policy::Target;
use toolgate_policy::json::{Json, Object};

use super::decide::mention;
use super::forward::{Exchange, Outgoing};
use super::{Body, Rejection, refusal, reject};
use crate::metrics::Rejected;
use crate::relay::{RELATED_TASK, Task, read_task_text};
use crate::session::Kind;
use crate::wire::answer;
use crate::wire::message::{Message, Outcome, Request, Response as Answered};
use crate::wire::method::{Method, ServerRequest};
use crate::wire::rounds;

/// A request about a task: only its owner's, and only while the tool that it runs could be called. (Whatever
/// becomes of the tool's definition: a task that began is answered to its end.)
///
/// # Errors
/// When it names no task of this caller's, or is not served.
pub(super) async fn task_request(
    exchange: Exchange,
    outgoing: Outgoing<'_>,
    request: &Request<'_>,
    method: Method,
) -> Result<Response<Body>, Rejection> {
    if method == Method::TasksList {
        // It would tell of the tasks of all callers, for to the server they are one.
        let reason = "tasks/list is not served: a list would be of all callers' tasks";
        return Err(reject(Rejected::Method, refusal::method(&request.id, reason, &exchange.correlation)));
    }
    let shown = request.params.as_ref().and_then(|params| params.get("taskId")?.as_str());
    let task = shown.and_then(|shown| task(&exchange, shown)).ok_or_else(|| unknown_task(request))?;
    let mut own = request.clone();
    if let Some(params) = &mut own.params {
        params.set("taskId", Json::String(task.known.clone().into()));
    }
    let (tool, message) = (task.tool.clone(), Message::Request(own));
    let outgoing = Outgoing { message: &message, task: Some(&task), ..outgoing };
    mention(exchange, outgoing, request, method, Target::Tool, &tool).await
}

fn task(exchange: &Exchange, shown: &str) -> Option<Task> {
    let text = exchange.gateway.seal.open(exchange.owner(Kind::Task), shown).ok()?;
    let (tool, known) = read_task_text(&text)?;
    Some(Task { shown: shown.to_owned(), known, tool })
}

fn unknown_task(request: &Request<'_>) -> Rejection {
    reject(Rejected::Session, answer::invalid_params(&request.id, "Unknown task"))
}

/// The message as the server has to read it; None: as it came.
///
/// # Errors
/// It is about a task, or goes on with a call, that is not this caller's.
pub(super) fn opened<'a>(
    exchange: &Exchange,
    message: &Message<'a>,
    is_modern: bool,
) -> Result<Option<Message<'a>>, Rejection> {
    match message {
        Message::Request(request) => {
            let params = request
                .params
                .as_ref()
                .map_or(Ok(None), |params| opened_params(exchange, request, params, is_modern))?;
            Ok(params.map(|params| Message::Request(Request { params: Some(params), ..request.clone() })))
        }
        // What a client says of its own tasks stays as it is; nothing can be fetched by it.
        Message::Response(Answered { id, outcome: Outcome::Result(result) }) => {
            let result = related(exchange, result).ok().flatten();
            let outcome = result.map(Outcome::Result);
            Ok(outcome.map(|outcome| Message::Response(Answered { id: id.clone(), outcome })))
        }
        Message::Response(_) | Message::Notification(_) => Ok(None),
    }
}

fn opened_params<'a>(
    exchange: &Exchange,
    request: &Request<'a>,
    params: &Object<'a>,
    is_modern: bool,
) -> Result<Option<Object<'a>>, Rejection> {
    let mut opened = related(exchange, params).map_err(|Foreign| unknown_task(request))?;
    if is_modern {
        check_answers(exchange, request, params)?;
        if let Some(state) = state(exchange, request, params)? {
            let params = opened.get_or_insert_with(|| params.clone());
            params.set(rounds::STATE, Json::String(state.into()));
        }
        // Notices of tasks do not pass, so none is asked for.
        if request.method == Method::Listen.name() {
            let params = opened.get_or_insert_with(|| params.clone());
            if let Some(Json::Object(notifications)) = params.get_mut("notifications") {
                notifications.remove("taskIds");
            }
        }
    }
    Ok(opened)
}

/// It is not this caller's.
struct Foreign;

// The same object with the server's own id of the task that `_meta` says it belongs to.
fn related<'a>(exchange: &Exchange, holder: &Object<'a>) -> Result<Option<Object<'a>>, Foreign> {
    let Some(related) = holder.get("_meta").and_then(|meta| meta.get(RELATED_TASK)) else { return Ok(None) };
    let shown = related.get("taskId").and_then(Json::as_str).ok_or(Foreign)?;
    let known = task(exchange, shown).ok_or(Foreign)?.known;
    let mut opened = holder.clone();
    let meta = opened.get_mut("_meta").and_then(Json::as_object_mut);
    let related = meta.and_then(|meta| meta.get_mut(RELATED_TASK)?.as_object_mut());
    if let Some(related) = related {
        related.set("taskId", Json::String(known.into()));
    }
    Ok(Some(opened))
}

// Nobody was asked where no policy lets the server ask.
fn check_answers(exchange: &Exchange, request: &Request<'_>, params: &Object<'_>) -> Result<(), Rejection> {
    let law = &exchange.in_force.law;
    let opens = |asked: ServerRequest| law.opens(&exchange.caller, asked.in_policy());
    if !params.contains(rounds::ANSWERS) || ServerRequest::ALL.into_iter().any(opens) {
        return Ok(());
    }
    let text = "there is no request that inputResponses would answer";
    Err(reject(Rejected::Malformed, answer::invalid_params(&request.id, text)))
}

fn state(
    exchange: &Exchange,
    request: &Request<'_>,
    params: &Object<'_>,
) -> Result<Option<String>, Rejection> {
    let Some(shown) = params.get(rounds::STATE) else { return Ok(None) };
    let digest = rounds::digest(&request.method, Some(params));
    let owner = exchange.owner(Kind::State(&digest));
    let opened = shown.as_str().and_then(|shown| exchange.gateway.seal.open(owner, shown).ok());
    let foreign = || answer::invalid_params(&request.id, "requestState is not of this call");
    opened.map(Some).ok_or_else(|| reject(Rejected::Session, foreign()))
}
