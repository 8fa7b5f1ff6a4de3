//! Streams that are resumed: an event's id, sealed for the grant and the session, with all that is needed to judge what
//! comes after it as if the stream had never broken.

use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};

use super::bind::Subject;
use super::{Binding, Relay, Task};
use crate::session::Kind;
use crate::wire::era::Era;
use crate::wire::message::Id;
use crate::wire::method::{Method, Sender, Shape};

/// What is sealed of an event.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    /// The server's own id of the event.
    event: String,
    /// The request that the stream answers; None for a session's own stream.
    request: Option<Asked>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    id: String,
    method: String,
    /// What it asks for: the kind, and the name.
    subject: Option<[String; 2]>,
    task: Option<[String; 3]>,
}

/// Where a stream is resumed from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The server's own id of the last event that the client has.
    pub event: HeaderValue,
    /// The request that the stream answers, and what ids in its answer are bound to; None for a session's own stream.
    pub request: Option<(Id, Method, Binding)>,
}

/// The id of an event as the client gets it. None: it cannot be resumed from there.
pub(super) fn seal(relay: &Relay, event: &str) -> Option<String> {
    let session = relay.session.as_deref().filter(|_| !relay.era.is_modern())?;
    // It comes back in a header.
    HeaderValue::from_str(event).ok().filter(|_| !event.is_empty())?;
    let request = relay.id.as_ref().map(|id| {
        let task = match &relay.binding {
            Binding::Task(task) => Some([task.shown.clone(), task.known.clone(), task.tool.clone()]),
            _ => None,
        };
        let subject = match &relay.binding {
            Binding::Subject(subject, _) => Some(subject.to_parts()),
            _ => None,
        };
        Asked { id: id.to_string(), method: relay.method.name().to_owned(), subject, task }
    });
    let text = serde_json::to_string(&Sealed { event: event.to_owned(), request }).ok()?;
    relay.exchange.gateway.seal.seal(relay.exchange.owner(Kind::Event(session)), &text)
}

impl Origin {
    /// Reads what [`seal`] has sealed, when it was opened.
    pub(crate) fn read(text: &str, era: Era) -> Option<Self> {
        let sealed: Sealed = serde_json::from_str(text).ok()?;
        let event = HeaderValue::from_str(&sealed.event).ok()?;
        let request = match sealed.request {
            None => None,
            Some(asked) => Some(asked.read(era)?),
        };
        Some(Self { event, request })
    }
}

impl Asked {
    fn read(self, era: Era) -> Option<(Id, Method, Binding)> {
        let id = toolgate_policy::json::parse(self.id.as_bytes()).ok()?;
        let method = Method::parse(&self.method, Shape::Request, Sender::Client, era)?;
        let binding = match (self.task, self.subject) {
            (Some([shown, known, tool]), _) => Binding::Task(Task { shown, known, tool }),
            (None, Some(parts)) => Binding::Subject(Subject::from_parts(parts)?, None),
            // What cannot be decided on again is not resumed.
            (None, None) if method.names_something() => return None,
            (None, None) => Binding::None,
        };
        Some((Id::from_json(&id)?, method, binding))
    }
}
