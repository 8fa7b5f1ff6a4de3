//! One message of a client: exactly one of request, notification and response.

use std::{borrow::Cow, fmt};

use toolgate_policy::json::{self, Json, JsonError, JsonErrorKind, Object};

/// JSON-RPC: the body is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: the body is JSON but not one JSON-RPC message.
pub const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC: the method is unknown, or not for this caller.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the method's parameters are malformed, or the tool is unknown.
pub const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: the gateway or its upstream failed.
pub const INTERNAL_ERROR: i64 = -32603;

/// How many bytes a string id may have. It is repeated in answers and kept while the call runs.
pub const ID_BYTES_MAX: usize = 1024;

/// How long most messages are, at the most.
const BYTES_EXPECTED: usize = 512;

const ENVELOPE_KEYS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Keys of `params` that mean something to the protocol. Another spelling of one is refused, because
/// some servers would read it as the real one.
const PARAMS_KEYS: [&str; 20] = [
    "name",
    "arguments",
    "uri",
    "_meta",
    "cursor",
    "task",
    "taskId",
    "requestState",
    "inputResponses",
    "ref",
    "argument",
    "context",
    "level",
    "requestId",
    "progressToken",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "notifications",
    "status",
];

/// Keys of `params._meta` that mean something to the protocol.
const META_KEYS: [&str; 8] = [
    PROTOCOL_VERSION_KEY,
    CLIENT_CAPABILITIES_KEY,
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/related-task",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/serverInfo",
    "progressToken",
];

/// The key of `params._meta` that says which revision a 2026-07-28 request is of.
pub const PROTOCOL_VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// The key of `params._meta` that says what the client of a 2026-07-28 request can do.
pub const CLIENT_CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The id of a request. Never null, never a fraction, and equal only if type and value are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A string, at most [`ID_BYTES_MAX`] bytes.
    String(String),
    /// An integer. Its decimal text is the one that came (`-0` and larger ones are refused).
    Integer(i64),
}

impl Id {
    /// The id that `value` is.
    pub fn from_json(value: &Json<'_>) -> Option<Self> {
        match value {
            Json::String(text) if text.len() <= ID_BYTES_MAX => Some(Self::String(text.to_string())),
            Json::Number(number) if number.text() != "-0" => number.text().parse().ok().map(Self::Integer),
            _ => None,
        }
    }

    /// Appends the id as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => json::write_string(text, out),
            Self::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        }
    }
}

/// The id as JSON text, so that `1` and `"1"` stay different.
impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its id.
    pub id: Id,
    /// The method as it came: look it up in [`super::method::Method::parse`].
    pub method: Cow<'a, str>,
    /// The parameters, if there are any.
    pub params: Option<Object<'a>>,
}

/// A notification of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The method as it came.
    pub method: Cow<'a, str>,
    /// The parameters, if there are any.
    pub params: Option<Object<'a>>,
}

/// A client's answer to a server's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'a> {
    /// The id of the server's request.
    pub id: Id,
    /// What the client answered.
    pub outcome: Outcome<'a>,
}

/// The one member that a response has beside its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// `result`
    Result(Object<'a>),
    /// `error`
    Error(Object<'a>),
}

/// One message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// It has a method and an id.
    Request(Request<'a>),
    /// It has a method and no id.
    Notification(Notification<'a>),
    /// It has a result or an error, and an id.
    Response(Response<'a>),
}

/// Why a body is not one message. It is answered with HTTP 400 and a JSON-RPC error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Malformed {
    /// [`PARSE_ERROR`] or [`INVALID_REQUEST`].
    pub code: i64,
    /// What is wrong, for people.
    pub text: String,
    /// The id of the request, if one could be read.
    pub id: Option<Id>,
}

impl Malformed {
    fn invalid(id: Option<Id>, text: impl Into<String>) -> Self {
        Self { code: INVALID_REQUEST, text: text.into(), id }
    }
}

impl From<JsonError> for Malformed {
    fn from(error: JsonError) -> Self {
        let code = match error.kind() {
            JsonErrorKind::DuplicateKey | JsonErrorKind::TwinKey => INVALID_REQUEST,
            _ => PARSE_ERROR,
        };
        Self { code, text: error.to_string(), id: None }
    }
}

impl<'a> Message<'a> {
    /// Reads the whole body of a POST.
    ///
    /// # Errors
    /// The body is not strict JSON, not one message, or has a key that a lax server could read as
    /// one of the protocol's. Batches are refused whatever the era.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let envelope = match json::parse(body)? {
            Json::Object(envelope) => envelope,
            Json::Array(_) => return Err(Malformed::invalid(None, "batches are not supported")),
            _ => return Err(Malformed::invalid(None, "the message is not an object")),
        };
        let id = envelope.get("id").and_then(Id::from_json);
        Self::from_envelope(envelope, id.as_ref()).map_err(|text| Malformed::invalid(id, text))
    }

    fn from_envelope(mut envelope: Object<'a>, id: Option<&Id>) -> Result<Self, String> {
        if let Some(key) = envelope.keys().find(|key| !ENVELOPE_KEYS.contains(key)) {
            return Err(format!("the message has a key that is not JSON-RPC's: {}", shown(key)));
        }
        if envelope.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
            return Err("jsonrpc is not \"2.0\"".to_owned());
        }
        if envelope.contains("id") && id.is_none() {
            return Err("id is not a string or an integer".to_owned());
        }
        let params = take_params(&mut envelope)?;
        let members = (envelope.remove("method"), envelope.remove("result"), envelope.remove("error"));
        match (members, id.cloned()) {
            ((Some(Json::String(method)), None, None), Some(id)) => {
                Ok(Self::Request(Request { id, method, params }))
            }
            ((Some(Json::String(method)), None, None), None) => {
                Ok(Self::Notification(Notification { method, params }))
            }
            ((Some(_), None, None), _) => Err("method is not a string".to_owned()),
            ((None, Some(Json::Object(result)), None), Some(id)) if params.is_none() => {
                Ok(Self::Response(Response { id, outcome: Outcome::Result(result) }))
            }
            ((None, None, Some(Json::Object(error))), Some(id)) if params.is_none() => {
                Ok(Self::Response(Response { id, outcome: Outcome::Error(error) }))
            }
            _ => Err("the message is not exactly one of request, notification and response".to_owned()),
        }
    }

    /// The id, if it is a request or a response.
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::Request(request) => Some(&request.id),
            Self::Notification(_) => None,
            Self::Response(response) => Some(&response.id),
        }
    }

    /// The method, if it is a request or a notification.
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request(request) => Some(&request.method),
            Self::Notification(notification) => Some(&notification.method),
            Self::Response(_) => None,
        }
    }

    /// The parameters, if it is a request or a notification that has any.
    pub fn params(&self) -> Option<&Object<'a>> {
        match self {
            Self::Request(request) => request.params.as_ref(),
            Self::Notification(notification) => notification.params.as_ref(),
            Self::Response(_) => None,
        }
    }

    /// The member `key` of `params._meta`.
    pub fn meta(&self, key: &str) -> Option<&Json<'a>> {
        self.params()?.get("_meta")?.get(key)
    }

    /// The text that goes on: always written anew from what was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BYTES_EXPECTED);
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
        if let Some(id) = self.id() {
            out.extend_from_slice(b",\"id\":");
            id.write(&mut out);
        }
        if let Some(method) = self.method() {
            out.extend_from_slice(b",\"method\":");
            json::write_string(method, &mut out);
        }
        let (key, object): (&[u8], _) = match self {
            Self::Response(Response { outcome: Outcome::Result(result), .. }) => {
                (b",\"result\":", Some(result))
            }
            Self::Response(Response { outcome: Outcome::Error(error), .. }) => (b",\"error\":", Some(error)),
            Self::Request(_) | Self::Notification(_) => (b",\"params\":", self.params()),
        };
        if let Some(object) = object {
            out.extend_from_slice(key);
            json::write_object(object, &mut out);
        }
        out.push(b'}');
        out
    }
}

/// Takes `params` out of the envelope: an object if it is there, without odd spellings.
fn take_params<'a>(envelope: &mut Object<'a>) -> Result<Option<Object<'a>>, String> {
    let Some(params) = envelope.remove("params") else { return Ok(None) };
    let Json::Object(params) = params else { return Err("params is not an object".to_owned()) };
    refuse_spellings(&params, &PARAMS_KEYS, "params")?;
    match params.get("_meta") {
        None => {}
        Some(Json::Object(meta)) => refuse_spellings(meta, &META_KEYS, "params._meta")?,
        Some(_) => return Err("params._meta is not an object".to_owned()),
    }
    Ok(Some(params))
}

/// Refuses a key that is not one of `reserved` but that a lax parser could take for one.
pub(super) fn refuse_spellings(object: &Object<'_>, reserved: &[&str], place: &str) -> Result<(), String> {
    match object.keys().find(|key| json::is_spelling(key, reserved)) {
        Some(key) => {
            Err(format!("{place} has another spelling of one of the protocol's keys: {}", shown(key)))
        }
        None => Ok(()),
    }
}

/// Somebody else's words, short and without control characters, for a text of ours.
pub(crate) fn shown(text: &str) -> String {
    const CHARACTERS_SHOWN_MAX: usize = 128;
    let mut shown: String = text.chars().take(CHARACTERS_SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARACTERS_SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
