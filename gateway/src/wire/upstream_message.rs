//! One message of the upstream, from a JSON body or from the data of an event: what it is, what may not
//! pass, and its text afterwards.
//!
//! A list is recognised by its shape and not by the request it answers, because answers also come on
//! resumed and shared streams. What cannot be read strictly is an error: it must not pass.

use toolgate_policy::json::{self, Json, JsonError, Number, Object, Twins};

use super::{
    era::Era,
    message::{Id, refuse_spellings},
    method::{ListKind, Method, Sender, ServerRequest, Shape},
};

/// The longest that a client may keep a list or a read, in milliseconds: how stale its view of the
/// policy may be.
pub const TTL_MS_MAX: u64 = 5000;

/// Keys of `_meta` that only the gateway may write begin with this.
pub const OWN_META_PREFIX: &str = "toolgate.dev/";

const ENVELOPE_KEYS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Members of `result` that the gateway acts on. Another spelling of one could reach a lax client past it.
const RESULT_KEYS: [&str; 15] = [
    "tools",
    "resources",
    "resourceTemplates",
    "prompts",
    "nextCursor",
    "_meta",
    "resultType",
    "ttlMs",
    "cacheScope",
    "inputRequests",
    "requestState",
    "content",
    "structuredContent",
    "isError",
    "task",
];

/// Why a message of the upstream cannot pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// It is not strict JSON.
    #[error("the server's message is not JSON: {0}")]
    Json(#[from] JsonError),
    /// It is not exactly one JSON-RPC message, or one that clients may read differently.
    #[error("the server's message is not one JSON-RPC message: {0}")]
    Shape(String),
}

/// What a message of the upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a request with this id.
    Result(Id),
    /// The error that answers a request. Without an id it answers what could not be read.
    Error(Option<Id>),
    /// A request of the server. `None`: a method that is not in the table.
    Request(Id, Option<Method>),
    /// A notice. `None`: a method that is not in the table.
    Notification(Option<Method>),
}

/// One message of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamMessage<'a> {
    envelope: Object<'a>,
    kind: Kind,
    era: Era,
    // Of the text that it was read from, which is how long the text that goes on mostly is.
    length: usize,
}

impl<'a> UpstreamMessage<'a> {
    /// Reads one message. Members of the envelope that are not JSON-RPC's are dropped, as are members
    /// of any `_meta` (and of an error's `data`) that only the gateway may write.
    ///
    /// # Errors
    /// It is not strict JSON, an array, not exactly one of result, error, request and notification, or
    /// has a key that a lax client could read as another.
    pub fn parse(bytes: &'a [u8], era: Era) -> Result<Self, UpstreamError> {
        let Json::Object(mut envelope) = json::parse_with(bytes, Twins::Allowed)? else {
            return Err(UpstreamError::Shape("it is not an object".to_owned()));
        };
        refuse_spellings(&envelope, &ENVELOPE_KEYS, "the message").map_err(UpstreamError::Shape)?;
        envelope.retain(|key| ENVELOPE_KEYS.contains(&key));
        let kind = classify(&envelope, era).map_err(|text| UpstreamError::Shape(text.to_owned()))?;
        if let Some(Json::Object(result)) = envelope.get("result") {
            check_result(result)?;
        }
        strip_error_data(&mut envelope);
        envelope.iter_mut().for_each(|(_, value)| strip_own_meta(value));
        Ok(Self { envelope, kind, era, length: bytes.len() })
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The id of the client's request that it answers, if it answers one.
    pub fn answers(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Result(id) | Kind::Error(Some(id)) => Some(id),
            Kind::Error(None) | Kind::Request(..) | Kind::Notification(_) => None,
        }
    }

    /// The result, if it is one.
    pub fn result(&self) -> Option<&Object<'a>> {
        self.envelope.get("result")?.as_object()
    }

    /// The whole text of a tool's result that is an error and has nothing but one text.
    pub fn error_text(&self) -> Option<&str> {
        let result = self.result()?;
        let [only] = result.get("content")?.as_array()? else { return None };
        let only = only.as_object().filter(|only| only.get("type").and_then(Json::as_str) == Some("text"))?;
        let is_error = matches!(result.get("isError"), Some(Json::Bool(true)));
        only.get("text")?.as_str().filter(|_| is_error && result.get("structuredContent").is_none())
    }

    /// The error, if it is one.
    pub fn error(&self) -> Option<&Object<'a>> {
        self.envelope.get("error")?.as_object()
    }

    /// The parameters, if it is a request or a notification that has any.
    pub fn params(&self) -> Option<&Object<'a>> {
        self.envelope.get("params")?.as_object()
    }

    pub(crate) fn result_mut(&mut self) -> Option<&mut Object<'a>> {
        self.envelope.get_mut("result")?.as_object_mut()
    }

    pub(crate) fn params_mut(&mut self) -> Option<&mut Object<'a>> {
        self.envelope.get_mut("params")?.as_object_mut()
    }

    /// `resultType`: "complete" if it is absent. `None` if it is no result.
    pub fn result_type(&self) -> Option<&str> {
        Some(self.result()?.get("resultType").and_then(Json::as_str).unwrap_or("complete"))
    }

    /// What the server asks of the client in `inputRequests` (2026-07-28), by method; `None` for one
    /// that is not in the table, or malformed.
    pub fn input_requests(&self) -> impl Iterator<Item = Option<ServerRequest>> + '_ {
        let requests = self.result().and_then(|result| result.get("inputRequests"));
        let listed = requests.and_then(Json::as_object).into_iter().flat_map(Object::iter);
        let malformed = requests.filter(|requests| requests.as_object().is_none()).map(|_| None);
        listed
            .map(|(_, request)| request.get("method").and_then(Json::as_str).and_then(ServerRequest::parse))
            .chain(malformed)
    }

    /// Which lists the result has.
    pub fn lists(&self) -> impl Iterator<Item = ListKind> + '_ {
        ListKind::ALL
            .into_iter()
            .filter(|list| self.result().is_some_and(|result| result.contains(list.member())))
    }

    /// The names of a list's entries, in order; odd entries are left out.
    pub fn listed(&self, list: ListKind) -> impl Iterator<Item = &str> + '_ {
        let entries = self.result().and_then(|result| result.get(list.member())).and_then(Json::as_array);
        entries.unwrap_or_default().iter().filter_map(move |entry| name_of(entry, list))
    }

    /// The entries of a list as they are, in order.
    pub fn entries(&self, list: ListKind) -> &[Json<'a>] {
        self.result().and_then(|result| result.get(list.member())?.as_array()).unwrap_or_default()
    }

    /// Keeps the entries of a list that `listed` wants, by name, in their order and otherwise as they
    /// are; entries without exactly one readable name are dropped. The cursor stays. Returns how many
    /// entries went; 0 if it has no such list.
    pub fn filter(&mut self, list: ListKind, mut listed: impl FnMut(&str) -> bool) -> usize {
        let entries = self.result_mut().and_then(|result| result.get_mut(list.member()));
        let Some(entries) = entries.and_then(Json::as_array_mut) else { return 0 };
        let before = entries.len();
        entries.retain(|entry| name_of(entry, list).is_some_and(&mut listed));
        before - entries.len()
    }

    /// Takes `_meta` out of the entries of one name.
    pub fn strip_meta(&mut self, list: ListKind, name: &str) {
        let entries = self.result_mut().and_then(|result| result.get_mut(list.member())?.as_array_mut());
        for entry in entries.into_iter().flatten().filter_map(Json::as_object_mut) {
            if entry.get(list.key()).and_then(Json::as_str) == Some(name) {
                entry.remove("_meta");
            }
        }
    }

    /// Makes the result private and short-lived for caches, where caching is said: 2026-07-28 only, in
    /// results that say it, that have a list, or that answer `method`, which must say it.
    pub fn limit_caching(&mut self, method: Option<Method>) {
        if !self.era.is_modern() {
            return;
        }
        let has_list = self.lists().next().is_some();
        let is_complete = self.result_type() == Some("complete");
        let Some(result) = self.result_mut() else { return };
        let says_it = result.contains("ttlMs") || result.contains("cacheScope");
        let must_say_it = is_complete && (has_list || method.is_some_and(Method::is_cacheable));
        if says_it || must_say_it {
            let ttl = result.get("ttlMs").and_then(Json::as_number).map_or(0, bounded_ttl);
            result.set("ttlMs", Json::Number(ttl.into()));
            result.set("cacheScope", Json::String("private".into()));
        }
    }

    /// The text that goes on.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length);
        json::write_object(&self.envelope, &mut out);
        out
    }
}

/// Exactly one of the four kinds.
fn classify(envelope: &Object<'_>, era: Era) -> Result<Kind, &'static str> {
    if envelope.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
        return Err("jsonrpc is not \"2.0\"");
    }
    let id = match envelope.get("id") {
        None | Some(Json::Null) => None,
        Some(id) => Some(Id::from_json(id).ok_or("its id is not a string or an integer")?),
    };
    if envelope.get("params").is_some_and(|params| params.as_object().is_none()) {
        return Err("its params are not an object");
    }
    let method = |method: &str, shape| Method::parse(method, shape, Sender::Server, era);
    let members = ["method", "result", "error", "params"].map(|key| envelope.get(key));
    match (members, id) {
        ([Some(Json::String(name)), None, None, _], Some(id)) => {
            Ok(Kind::Request(id, method(name, Shape::Request)))
        }
        ([Some(Json::String(name)), None, None, _], None) if !envelope.contains("id") => {
            Ok(Kind::Notification(method(name, Shape::Notification)))
        }
        ([None, Some(Json::Object(_)), None, None], Some(id)) => Ok(Kind::Result(id)),
        ([None, None, Some(Json::Object(_)), None], id) => Ok(Kind::Error(id)),
        _ => Err("it is not exactly one of result, error, request and notification"),
    }
}

fn check_result(result: &Object<'_>) -> Result<(), UpstreamError> {
    refuse_spellings(result, &RESULT_KEYS, "the result").map_err(UpstreamError::Shape)?;
    for list in ListKind::ALL {
        if result.get(list.member()).is_some_and(|entries| entries.as_array().is_none()) {
            return Err(UpstreamError::Shape(format!("result.{} is not an array", list.member())));
        }
    }
    Ok(())
}

/// The name of a list's entry, if it has exactly one that every client reads.
fn name_of<'e>(entry: &'e Json<'_>, list: ListKind) -> Option<&'e str> {
    let entry = entry.as_object()?;
    refuse_spellings(entry, &[list.key()], "").ok()?;
    entry.get(list.key())?.as_str()
}

/// Whole milliseconds up to [`TTL_MS_MAX`]; 0 for what is no such number.
fn bounded_ttl(ttl: &Number<'_>) -> u64 {
    match ttl.text().parse::<u64>() {
        Ok(milliseconds) => milliseconds.min(TTL_MS_MAX),
        Err(_) => 0,
    }
}

/// Takes what only the gateway may say out of every `_meta` below `value`.
fn strip_own_meta(value: &mut Json<'_>) {
    match value {
        Json::Array(items) => items.iter_mut().for_each(strip_own_meta),
        Json::Object(object) => {
            for (key, value) in object.iter_mut() {
                if let Json::Object(meta) = value
                    && json::folds_to(key, "_meta")
                {
                    strip_own(meta);
                }
                if matches!(value, Json::Array(_) | Json::Object(_)) {
                    strip_own_meta(value);
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// The gateway's own errors carry a verdict in `data`; the upstream's must not.
fn strip_error_data(envelope: &mut Object<'_>) {
    let error = envelope.get_mut("error").and_then(Json::as_object_mut);
    if let Some(Json::Object(data)) = error.and_then(|error| error.get_mut("data")) {
        strip_own(data);
    }
}

fn strip_own(object: &mut Object<'_>) {
    object.retain(|key| {
        let mut folded = json::fold(key);
        !OWN_META_PREFIX.chars().all(|expected| folded.next() == Some(expected))
    });
}
