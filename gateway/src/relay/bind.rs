//! Ids of the server in what it answers: tasks, and the state of calls in several rounds. A client gets them sealed for
//! its grant and for what they belong to, or not at all.

use bytes::Bytes;
use toolgate_policy::Target;
use toolgate_policy::json::{self, Json, Object};

use super::Relay;
use super::inspect::Unfit;
use crate::session::Kind;
use crate::wire::call::Reference;
use crate::wire::message::Message;
use crate::wire::method::{Handling, Method};
use crate::wire::rounds;
use crate::wire::upstream_message::UpstreamMessage;

/// The key of `_meta` that says which task a message belongs to.
pub(crate) const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// A task of the server, as both sides call it, and the tool that it runs.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The sealed id, which the client knows.
    pub shown: String,
    /// The server's own id.
    pub known: String,
    /// The tool that was called.
    pub tool: String,
}

/// What a request asks for, by name: what a policy decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// What kind of thing it is.
    pub target: Target,
    /// Its name or URI.
    pub name: String,
}

/// What ids of the server in an answer are bound to.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    /// Nothing: there should be none.
    None,
    /// What was asked for. A call in several rounds is bound to its whole text, which is only read again if it gets a state;
    /// None: it can have no further rounds, or is of a stream that was resumed.
    Subject(Subject, Option<Bytes>),
    /// The task that was asked for.
    Task(Task),
}

impl Subject {
    /// The kind, and the name.
    pub(super) fn to_parts(&self) -> [String; 2] {
        [self.target.as_str().to_owned(), self.name.clone()]
    }

    /// What [`Self::to_parts`] was made of.
    pub(super) fn from_parts([target, name]: [String; 2]) -> Option<Self> {
        let all = [Target::Tool, Target::Resource, Target::Prompt];
        let target = all.into_iter().find(|known| known.as_str() == target)?;
        Some(Self { target, name })
    }

    /// What a request asks for. None: nothing that a policy names.
    fn of(method: Method, params: Option<&Object<'_>>) -> Option<Self> {
        let named = |target, member| {
            let name = params?.get(member)?.as_str()?.to_owned();
            Some(Self { target, name })
        };
        match method.handling() {
            Handling::ToolCall => named(Target::Tool, "name"),
            Handling::Prompt => named(Target::Prompt, "name"),
            Handling::Resource => named(Target::Resource, "uri"),
            Handling::Completion => Some(match Reference::from_params(params).ok()? {
                Reference::Prompt(name) => Self { target: Target::Prompt, name: name.to_owned() },
                Reference::Resource(uri) => Self { target: Target::Resource, name: uri.to_owned() },
            }),
            _ => None,
        }
    }
}

impl Binding {
    /// What the ids in the answer to a request belong to; `sent` is its text.
    pub(crate) fn of(method: Method, task: Option<&Task>, message: &Message<'_>, sent: Bytes) -> Self {
        let has_rounds = matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead);
        match (task, Subject::of(method, message.params())) {
            (Some(task), _) => Self::Task(task.clone()),
            (None, Some(subject)) => Self::Subject(subject, has_rounds.then_some(sent)),
            (None, None) => Self::None,
        }
    }

    /// What the answer is about, to be decided on again when it is asked for again.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self {
            Self::None => None,
            Self::Subject(subject, _) => Some(subject.clone()),
            Self::Task(task) => Some(Subject { target: Target::Tool, name: task.tool.clone() }),
        }
    }

    fn digest(&self) -> Option<[u8; 32]> {
        let Self::Subject(_, Some(sent)) = self else { return None };
        let message = Message::parse(sent).ok()?;
        Some(rounds::digest(message.method()?, message.params()))
    }
}

/// The text that is sealed for a task: its tool and the server's id.
pub(crate) fn task_text(tool: &str, known: &str) -> String {
    let both = Json::Array(vec![Json::String(tool.into()), Json::String(known.into())]);
    String::from_utf8(json::to_bytes(&both)).expect("JSON is written as UTF-8")
}

/// The tool and the server's id that [`task_text`] was made of.
pub(crate) fn read_task_text(text: &str) -> Option<(String, String)> {
    let both = json::parse(text.as_bytes()).ok()?;
    let [tool, known] = both.as_array()? else { return None };
    Some((tool.as_str()?.to_owned(), known.as_str()?.to_owned()))
}

/// Seals the ids of a result.
///
/// # Errors
/// It has an id that belongs to nothing the caller asked for.
pub(super) fn result(relay: &Relay, message: &mut UpstreamMessage<'_>) -> Result<(), Unfit> {
    let is_task = message.result_type() == Some("task");
    let Some(result) = message.result_mut() else { return Ok(()) };
    let mut task = match &relay.binding {
        Binding::Task(task) => Some(task.clone()),
        _ => None,
    };
    if let Some(followed) = &task {
        follow(followed, result)?;
    } else if relay.method == Method::ToolsCall && is_task {
        task = Some(made(relay, result)?);
    } else if relay.method == Method::ToolsCall {
        if let Some(Json::Object(made_here)) = result.get_mut("task") {
            task = Some(made(relay, made_here)?);
        }
    } else if is_task {
        return Err(Unfit::Task);
    }
    relate(task.as_ref(), result);
    if relay.era.is_modern() { state(relay, result) } else { Ok(()) }
}

/// Seals what the parameters of a notice or a request of the server say of the task they belong to.
pub(super) fn params(relay: &Relay, message: &mut UpstreamMessage<'_>) {
    let task = match &relay.binding {
        Binding::Task(task) => Some(task),
        _ => None,
    };
    if let Some(params) = message.params_mut() {
        relate(task, params);
    }
}

/// Only the task that was asked for may be told of.
fn follow(task: &Task, result: &mut Object<'_>) -> Result<(), Unfit> {
    match result.get_mut("taskId") {
        None => Ok(()),
        Some(id) if id.as_str() == Some(&task.known) => {
            *id = Json::String(task.shown.clone().into());
            Ok(())
        }
        Some(_) => Err(Unfit::Task),
    }
}

fn made(relay: &Relay, made: &mut Object<'_>) -> Result<Task, Unfit> {
    let id = made.get_mut("taskId").ok_or(Unfit::Task)?;
    let known = id.as_str().ok_or(Unfit::Task)?.to_owned();
    let Binding::Subject(Subject { target: Target::Tool, name: tool }, _) = &relay.binding else {
        return Err(Unfit::Task);
    };
    let owner = relay.exchange.owner(Kind::Task);
    let shown = relay.exchange.gateway.seal.seal(owner, &task_text(tool, &known)).ok_or(Unfit::Task)?;
    *id = Json::String(shown.clone().into());
    Ok(Task { shown, known, tool: tool.clone() })
}

/// What is said of another task, or of one that is not known here, is left out.
fn relate(task: Option<&Task>, holder: &mut Object<'_>) {
    let Some(Json::Object(meta)) = holder.get_mut("_meta") else { return };
    let Some(related) = meta.get_mut(RELATED_TASK) else { return };
    let id = related.as_object_mut().and_then(|related| related.get_mut("taskId"));
    match (task, id) {
        (Some(task), Some(id)) if id.as_str() == Some(&task.known) => {
            *id = Json::String(task.shown.clone().into());
        }
        _ => drop(meta.remove(RELATED_TASK)),
    }
}

/// The state goes to the caller for this very call alone.
fn state(relay: &Relay, result: &mut Object<'_>) -> Result<(), Unfit> {
    let Some(state) = result.get_mut(rounds::STATE) else { return Ok(()) };
    let digest = relay.binding.digest().ok_or(Unfit::State)?;
    let owner = relay.exchange.owner(Kind::State(&digest));
    let text = state.as_str().ok_or(Unfit::State)?;
    let sealed = relay.exchange.gateway.seal.seal(owner, text).ok_or(Unfit::State)?;
    *state = Json::String(sealed.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_was_written() {
        for (tool, known) in [("a", "b"), ("", ""), ("with \"quotes\"", "\u{1F600}\n"), ("a\",\"b", "c")] {
            assert_eq!(read_task_text(&task_text(tool, known)), Some((tool.to_owned(), known.to_owned())));
        }
        for bad in ["", "[]", "[\"a\"]", "[\"a\",1]", "[\"a\",\"b\",\"c\"]", "{}"] {
            assert_eq!(read_task_text(bad), None, "{bad}");
        }
    }
}
