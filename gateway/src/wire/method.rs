//! The closed table of MCP methods: all four revisions' schemas and the tasks extension.
//!
//! A method that is not in it is refused, so a new one must be given a handling before it can pass.

use Eras::{Both, Modern, Never, Session};
use Method as M;
use Shape::{Notification, Request};

use super::era::Era;

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The agent's side.
    Client,
    /// The guarded server.
    Server,
}

/// Whether a message waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It has an id and is answered.
    Request,
    /// It has none and is not.
    Notification,
}

/// Every method of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `initialize`
    Initialize,
    /// `notifications/initialized`
    Initialized,
    /// `server/discover`
    Discover,
    /// `ping`
    Ping,
    /// `notifications/cancelled`
    Cancelled,
    /// `notifications/progress`
    Progress,
    /// `logging/setLevel`
    SetLevel,
    /// `notifications/message`
    LogMessage,
    /// `tools/list`
    ToolsList,
    /// `tools/call`
    ToolsCall,
    /// `notifications/tools/list_changed`
    ToolsListChanged,
    /// `resources/list`
    ResourcesList,
    /// `resources/templates/list`
    ResourceTemplatesList,
    /// `resources/read`
    ResourcesRead,
    /// `resources/subscribe`
    ResourcesSubscribe,
    /// `resources/unsubscribe`
    ResourcesUnsubscribe,
    /// `notifications/resources/updated`
    ResourceUpdated,
    /// `notifications/resources/list_changed`
    ResourcesListChanged,
    /// `prompts/list`
    PromptsList,
    /// `prompts/get`
    PromptsGet,
    /// `notifications/prompts/list_changed`
    PromptsListChanged,
    /// `completion/complete`
    Complete,
    /// `subscriptions/listen`
    Listen,
    /// `notifications/subscriptions/acknowledged`
    ListenAcknowledged,
    /// `tasks/get`
    TasksGet,
    /// `tasks/result`
    TasksResult,
    /// `tasks/list`
    TasksList,
    /// `tasks/update`
    TasksUpdate,
    /// `tasks/cancel`
    TasksCancel,
    /// `notifications/tasks/status` (2025-11-25)
    TaskStatus,
    /// `notifications/tasks` (the extension)
    TaskChanged,
    /// `sampling/createMessage`
    CreateMessage,
    /// `elicitation/create`
    Elicit,
    /// `notifications/elicitation/complete`
    ElicitationComplete,
    /// `roots/list`
    RootsList,
    /// `notifications/roots/list_changed`
    RootsListChanged,
}

/// What kind of list a `*/list` method answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// `result.tools[].name`
    Tools,
    /// `result.resources[].uri`
    Resources,
    /// `result.resourceTemplates[].uriTemplate`
    ResourceTemplates,
    /// `result.prompts[].name`
    Prompts,
}

impl ListKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::ResourceTemplates, Self::Prompts];

    /// The member of `result` that holds the list.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// The member of an entry that policy decides by.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }
}

/// What a server may ask of a client, where policy lets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerRequest {
    /// `sampling/createMessage`
    Sampling,
    /// `elicitation/create`
    Elicitation,
    /// `roots/list`
    Roots,
}

impl ServerRequest {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sampling, Self::Elicitation, Self::Roots];

    /// What a policy calls it.
    pub fn in_policy(self) -> toolgate_crds::ServerRequest {
        match self {
            Self::Sampling => toolgate_crds::ServerRequest::Sampling,
            Self::Elicitation => toolgate_crds::ServerRequest::Elicitation,
            Self::Roots => toolgate_crds::ServerRequest::Roots,
        }
    }

    /// The request of this method name, in `inputRequests` (2026-07-28) as on a stream (before it).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sampling/createMessage" => Some(Self::Sampling),
            "elicitation/create" => Some(Self::Elicitation),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }
}

/// What the gateway does with a message of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The handshake, discovery and their notices: pass.
    Lifecycle,
    /// `ping`: may be answered by the gateway itself.
    Ping,
    /// Cancel, progress, log level, change notices: pass.
    Pass,
    /// A list: pass, and filter the answer.
    List(ListKind),
    /// `tools/call`: decide on `params.name` and `params.arguments`.
    ToolCall,
    /// Reading or watching one resource: decide on `params.uri`.
    Resource,
    /// `prompts/get`: decide on `params.name`.
    Prompt,
    /// `completion/complete`: decide as `params.ref` is decided.
    Completion,
    /// `subscriptions/listen`: pass, and filter what comes on the stream.
    Listen,
    /// A task by `params.taskId`: only its owner's.
    Task,
    /// A server's request of the client: only where policy names it.
    ServerRequest(ServerRequest),
}

/// In which eras a side may send a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eras {
    Never,
    Session,
    Modern,
    Both,
}

impl Eras {
    fn contains(self, era: Era) -> bool {
        match (self, era) {
            (Self::Both, _) | (Self::Session, Era::Session { .. }) | (Self::Modern, Era::Modern) => true,
            (Self::Never | Self::Session | Self::Modern, _) => false,
        }
    }
}

struct Row {
    method: Method,
    name: &'static str,
    shape: Shape,
    from_client: Eras,
    from_server: Eras,
    handling: Handling,
}

const fn row(
    method: Method,
    name: &'static str,
    shape: Shape,
    (from_client, from_server): (Eras, Eras),
    handling: Handling,
) -> Row {
    Row { method, name, shape, from_client, from_server, handling }
}

/// In the order of [`Method`], so that a method is its own index.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(M::Initialize, "initialize", Request, (Session, Never), Handling::Lifecycle),
    row(M::Initialized, "notifications/initialized", Notification, (Session, Never), Handling::Lifecycle),
    row(M::Discover, "server/discover", Request, (Modern, Never), Handling::Lifecycle),
    row(M::Ping, "ping", Request, (Session, Session), Handling::Ping),
    row(M::Cancelled, "notifications/cancelled", Notification, (Both, Both), Handling::Pass),
    row(M::Progress, "notifications/progress", Notification, (Session, Both), Handling::Pass),
    row(M::SetLevel, "logging/setLevel", Request, (Session, Never), Handling::Pass),
    row(M::LogMessage, "notifications/message", Notification, (Never, Both), Handling::Pass),
    row(M::ToolsList, "tools/list", Request, (Both, Never), Handling::List(ListKind::Tools)),
    row(M::ToolsCall, "tools/call", Request, (Both, Never), Handling::ToolCall),
    row(M::ToolsListChanged, "notifications/tools/list_changed", Notification, (Never, Both), Handling::Pass),
    row(M::ResourcesList, "resources/list", Request, (Both, Never), Handling::List(ListKind::Resources)),
    row(M::ResourceTemplatesList, "resources/templates/list", Request, (Both, Never), Handling::List(ListKind::ResourceTemplates)),
    row(M::ResourcesRead, "resources/read", Request, (Both, Never), Handling::Resource),
    row(M::ResourcesSubscribe, "resources/subscribe", Request, (Session, Never), Handling::Resource),
    row(M::ResourcesUnsubscribe, "resources/unsubscribe", Request, (Session, Never), Handling::Resource),
    row(M::ResourceUpdated, "notifications/resources/updated", Notification, (Never, Both), Handling::Resource),
    row(M::ResourcesListChanged, "notifications/resources/list_changed", Notification, (Never, Both), Handling::Pass),
    row(M::PromptsList, "prompts/list", Request, (Both, Never), Handling::List(ListKind::Prompts)),
    row(M::PromptsGet, "prompts/get", Request, (Both, Never), Handling::Prompt),
    row(M::PromptsListChanged, "notifications/prompts/list_changed", Notification, (Never, Both), Handling::Pass),
    row(M::Complete, "completion/complete", Request, (Both, Never), Handling::Completion),
    row(M::Listen, "subscriptions/listen", Request, (Modern, Never), Handling::Listen),
    row(M::ListenAcknowledged, "notifications/subscriptions/acknowledged", Notification, (Never, Modern), Handling::Pass),
    row(M::TasksGet, "tasks/get", Request, (Both, Session), Handling::Task),
    row(M::TasksResult, "tasks/result", Request, (Session, Session), Handling::Task),
    row(M::TasksList, "tasks/list", Request, (Session, Session), Handling::Task),
    row(M::TasksUpdate, "tasks/update", Request, (Modern, Never), Handling::Task),
    row(M::TasksCancel, "tasks/cancel", Request, (Both, Session), Handling::Task),
    row(M::TaskStatus, "notifications/tasks/status", Notification, (Session, Session), Handling::Task),
    row(M::TaskChanged, "notifications/tasks", Notification, (Never, Modern), Handling::Task),
    row(M::CreateMessage, "sampling/createMessage", Request, (Never, Session), Handling::ServerRequest(ServerRequest::Sampling)),
    row(M::Elicit, "elicitation/create", Request, (Never, Session), Handling::ServerRequest(ServerRequest::Elicitation)),
    row(M::ElicitationComplete, "notifications/elicitation/complete", Notification, (Never, Session), Handling::ServerRequest(ServerRequest::Elicitation)),
    row(M::RootsList, "roots/list", Request, (Never, Session), Handling::ServerRequest(ServerRequest::Roots)),
    row(M::RootsListChanged, "notifications/roots/list_changed", Notification, (Session, Never), Handling::ServerRequest(ServerRequest::Roots)),
];

impl Method {
    /// The method `name` as `sender` may send it in `era`, with or without an id. Names are compared
    /// exactly. `None`: unknown there, refuse it.
    pub fn parse(name: &str, shape: Shape, sender: Sender, era: Era) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.name == name && row.shape == shape)?;
        let eras = match sender {
            Sender::Client => row.from_client,
            Sender::Server => row.from_server,
        };
        eras.contains(era).then_some(row.method)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What the gateway does with it.
    pub fn handling(self) -> Handling {
        self.row().handling
    }

    /// Whether it is decided as a call is, by rules and limits; all else charges nothing.
    pub fn is_judged(self) -> bool {
        matches!(self.handling(), Handling::ToolCall | Handling::Resource | Handling::Prompt)
            && self != Self::ResourcesUnsubscribe
    }

    /// Whether a request of it names something that policy decides on.
    pub fn names_something(self) -> bool {
        let about = matches!(self.handling(), Handling::Completion | Handling::Task);
        about || self.is_judged() || self == Self::ResourcesUnsubscribe
    }

    /// Whether it only keeps a conversation going, and asks a server for nothing that it has.
    pub fn is_housekeeping(self) -> bool {
        matches!(self.handling(), Handling::Lifecycle | Handling::Ping | Handling::Pass)
    }

    /// Whether its result must carry `ttlMs` and `cacheScope` in 2026-07-28.
    pub fn is_cacheable(self) -> bool {
        matches!(self, Self::Discover | Self::ResourcesRead) || matches!(self.handling(), Handling::List(_))
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

/// The member of `params` that the `Mcp-Name` header mirrors for the method `name`.
pub fn mirrored_member(name: &str) -> Option<&'static str> {
    match name {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}
