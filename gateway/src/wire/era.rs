//! Which of the protocol's two eras a request is of: decided once, from headers and body together.
//!
//! The body decides and the header must say the same. A request that looks like one era to the gateway
//! and like the other to the server would be judged by rules that are not its own, so every mixture
//! is refused.

use std::fmt;

use hyper::http::HeaderMap;
use toolgate_policy::json::Json;

use super::{
    message::{
        CLIENT_CAPABILITIES_KEY, INVALID_PARAMS, INVALID_REQUEST, Message, PROTOCOL_VERSION_KEY, shown,
    },
    method::mirrored_member,
    mirror::{self, MirrorError, Parameter},
    parameters::ParameterError,
};

/// 2026-07-28: header and body differ, or a header is missing or malformed.
pub const HEADER_MISMATCH: i64 = -32020;
/// 2026-07-28: the revision is not one of [`Version::ALL`].
pub const UNSUPPORTED_VERSION: i64 = -32022;

/// Keys of `params._meta`, beside the version, that only requests of 2026-07-28 have.
const MODERN_META_KEYS: [&str; 3] =
    [CLIENT_CAPABILITIES_KEY, "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/logLevel"];

/// A released revision of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// The first with streamable HTTP.
    V2025_03_26,
    /// Batches are gone, the version header is there.
    V2025_06_18,
    /// The last with sessions.
    V2025_11_25,
    /// The first without.
    V2026_07_28,
}

impl Version {
    /// All that the gateway speaks, the newest first.
    pub const ALL: [Self; 4] = [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// The revision of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The two ways the protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2026-07-28: each request stands alone.
    Modern,
    /// Before it: `initialize`, then requests of a session.
    Session {
        /// What the version header says. `None`: there is none, as before 2025-06-18 and in
        /// `initialize`, whose body names the version instead.
        version: Option<Version>,
    },
}

impl Era {
    /// The revision whose rules apply. Without a header it is the last one that had none.
    pub fn version(self) -> Version {
        match self {
            Self::Modern => Version::V2026_07_28,
            Self::Session { version } => version.unwrap_or(Version::V2025_03_26),
        }
    }

    /// Whether it is [`Era::Modern`].
    pub fn is_modern(self) -> bool {
        self == Self::Modern
    }
}

/// What headers and body agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The era of the request.
    pub era: Era,
    /// The arguments repeated in headers, to be compared by whoever knows the tool's schema.
    pub parameters: Vec<Parameter>,
}

/// Why headers and body are not one request. All are answered with HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraError {
    /// Header and body say different things, or a header is missing.
    #[error("Header mismatch: {0}")]
    Mismatch(&'static str),
    /// A header is malformed by itself.
    #[error("Header mismatch: {0}")]
    Header(#[from] MirrorError),
    /// A header and the argument that it repeats differ.
    #[error("Header mismatch: {0}")]
    Parameter(#[from] ParameterError),
    /// Header and body agree on a revision that the gateway does not speak.
    #[error("Unsupported protocol version")]
    Unsupported {
        /// The revision, cut to a length that can be shown.
        requested: String,
    },
    /// A member of `params` that 2026-07-28 requires is missing or of another type.
    #[error("Invalid params: {0}")]
    Params(&'static str),
    /// A response was posted in 2026-07-28, which has none.
    #[error("Invalid request: clients send no responses in this version")]
    Response,
}

impl EraError {
    /// The JSON-RPC code to answer with.
    pub fn code(&self) -> i64 {
        match self {
            Self::Mismatch(_) | Self::Header(_) | Self::Parameter(_) => HEADER_MISMATCH,
            Self::Unsupported { .. } => UNSUPPORTED_VERSION,
            Self::Params(_) => INVALID_PARAMS,
            Self::Response => INVALID_REQUEST,
        }
    }

    /// The `data` to answer with.
    pub fn data(&self) -> Option<serde_json::Value> {
        let Self::Unsupported { requested } = self else { return None };
        Some(serde_json::json!({ "supported": Version::ALL.map(Version::name), "requested": requested }))
    }
}

/// Decides the era of a POST and compares every header that repeats the body.
///
/// # Errors
/// Headers and body are not of one era, or say different things.
pub fn agree(headers: &HeaderMap, message: &Message<'_>) -> Result<Agreed, EraError> {
    let header = mirror::single(headers, &mirror::PROTOCOL_VERSION)?;
    let era = match message.meta(PROTOCOL_VERSION_KEY) {
        Some(Json::String(body)) => modern_by_body(header, body)?,
        Some(_) => return Err(EraError::Params("_meta protocolVersion is not a string")),
        None => by_header(header)?,
    };
    match era {
        Era::Modern => check_modern(headers, message)?,
        Era::Session { .. } if MODERN_META_KEYS.iter().any(|key| message.meta(key).is_some()) => {
            return Err(EraError::Mismatch(
                "_meta is of another version than the MCP-Protocol-Version header",
            ));
        }
        Era::Session { .. } => compare(headers, message)?,
    }
    Ok(Agreed { era, parameters: mirror::parameters(headers)? })
}

/// Decides the era of a request without a body (GET and DELETE) by its version header.
///
/// # Errors
/// The header is repeated, malformed, or names a revision that the gateway does not speak.
pub fn of_headers(headers: &HeaderMap) -> Result<Era, EraError> {
    by_header(mirror::single(headers, &mirror::PROTOCOL_VERSION)?)
}

fn by_header(header: Option<&str>) -> Result<Era, EraError> {
    let Some(name) = header else { return Ok(Era::Session { version: None }) };
    match Version::parse(name) {
        Some(Version::V2026_07_28) => Ok(Era::Modern),
        Some(version) => Ok(Era::Session { version: Some(version) }),
        None => Err(EraError::Unsupported { requested: shown(name) }),
    }
}

/// The body names a version in `_meta`, which only 2026-07-28 does.
fn modern_by_body(header: Option<&str>, body: &str) -> Result<Era, EraError> {
    match header {
        None => Err(EraError::Mismatch("the MCP-Protocol-Version header is missing")),
        Some(header) if header != body => {
            Err(EraError::Mismatch("the MCP-Protocol-Version header does not match _meta protocolVersion"))
        }
        Some(_) if body == Version::V2026_07_28.name() => Ok(Era::Modern),
        Some(_) => match Version::parse(body) {
            Some(_) => Err(EraError::Mismatch("a session's version cannot stand in _meta")),
            None => Err(EraError::Unsupported { requested: shown(body) }),
        },
    }
}

/// What 2026-07-28 requires beyond agreement.
fn check_modern(headers: &HeaderMap, message: &Message<'_>) -> Result<(), EraError> {
    match message {
        Message::Response(_) => return Err(EraError::Response),
        // The revision asks nothing of the headers of notifications beyond the version.
        Message::Notification(_) => return compare(headers, message),
        Message::Request(_) => {}
    }
    if message.meta(PROTOCOL_VERSION_KEY).is_none() {
        return Err(EraError::Params("_meta protocolVersion is missing"));
    }
    match message.meta(CLIENT_CAPABILITIES_KEY) {
        Some(Json::Object(_)) => {}
        Some(_) => return Err(EraError::Params("_meta clientCapabilities is not an object")),
        None => return Err(EraError::Params("_meta clientCapabilities is missing")),
    }
    if !headers.contains_key(&mirror::METHOD) {
        return Err(EraError::Mismatch("the Mcp-Method header is missing"));
    }
    if mirrored_name(message)?.is_some() && !headers.contains_key(&mirror::NAME) {
        return Err(EraError::Mismatch("the Mcp-Name header is missing"));
    }
    compare(headers, message)
}

/// What `Mcp-Name` must say, if the method has a name to repeat.
fn mirrored_name<'m>(message: &'m Message<'_>) -> Result<Option<&'m str>, EraError> {
    let Some(member) = message.method().and_then(mirrored_member) else { return Ok(None) };
    match message.params().and_then(|params| params.get(member)) {
        Some(Json::String(name)) => Ok(Some(name)),
        Some(_) | None => {
            Err(EraError::Params("the member that the Mcp-Name header repeats is not a string"))
        }
    }
}

/// Compares the headers that are there with the body. One that repeats nothing of it is a lie too.
fn compare(headers: &HeaderMap, message: &Message<'_>) -> Result<(), EraError> {
    if let Some(header) = mirror::single(headers, &mirror::METHOD)?
        && Some(header) != message.method()
    {
        return Err(EraError::Mismatch("the Mcp-Method header does not match the body"));
    }
    if let Some(header) = mirror::single(headers, &mirror::NAME)? {
        let name = mirror::decode(&mirror::NAME, header)?;
        if mirrored_name(message)? != Some(name.as_str()) {
            return Err(EraError::Mismatch("the Mcp-Name header does not match the body"));
        }
    }
    Ok(())
}
