//! What a tool call asks for, read from its parameters.

use toolgate_policy::json::{Json, Object};

/// How long a tool's name may be, by the protocol's advice on names.
pub const TOOL_NAME_BYTES_MAX: usize = 128;

/// The part of `tools/call` that policy decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolCall<'m, 'a> {
    /// The tool, exactly as the server will read it.
    pub name: &'m str,
    /// The arguments; absent is not the same as empty to a server, but it is to policy.
    pub arguments: Option<&'m Object<'a>>,
    /// Whether the client asks for a task (2025-11-25).
    pub task: bool,
}

/// Why the parameters are no tool call. It is answered with -32602.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToolCall {
    /// `params` is missing.
    #[error("tools/call needs params")]
    NoParams,
    /// `params.name` is missing or not a string.
    #[error("params.name is not a string")]
    Name,
    /// `params.arguments` is there and not an object.
    #[error("params.arguments is not an object")]
    Arguments,
    /// `params.task` is there and not an object.
    #[error("params.task is not an object")]
    Task,
}

impl<'m, 'a> ToolCall<'m, 'a> {
    /// Reads the parameters of a `tools/call`.
    ///
    /// # Errors
    /// A member that policy or the server needs has another type.
    pub fn from_params(params: Option<&'m Object<'a>>) -> Result<Self, NoToolCall> {
        let params = params.ok_or(NoToolCall::NoParams)?;
        let name = params.get("name").and_then(Json::as_str).ok_or(NoToolCall::Name)?;
        let arguments = match params.get("arguments") {
            None => None,
            Some(Json::Object(arguments)) => Some(arguments),
            Some(_) => return Err(NoToolCall::Arguments),
        };
        let task = match params.get("task") {
            None => false,
            Some(Json::Object(_)) => true,
            Some(_) => return Err(NoToolCall::Task),
        };
        Ok(Self { name, arguments, task })
    }
}

/// What `resources/read`, `resources/subscribe`, `prompts/get` or `completion/complete` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'m, 'a> {
    /// The URI or the name, exactly as the server will read it.
    pub name: &'m str,
    /// The arguments of a prompt.
    pub arguments: Option<&'m Object<'a>>,
}

/// Why the parameters ask for nothing that can be decided on. It is answered with -32602.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NothingAsked {
    /// `params` is missing.
    #[error("the method needs params")]
    NoParams,
    /// The member that names what is asked for is missing or not a string.
    #[error("params.{0} is not a string")]
    Name(&'static str),
    /// `params.arguments` is there and not an object.
    #[error("params.arguments is not an object")]
    Arguments,
    /// `params.ref` is no reference to a prompt or a resource.
    #[error("params.ref is no reference to a prompt or a resource")]
    Reference,
}

/// What a completion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'m> {
    /// A prompt, by name.
    Prompt(&'m str),
    /// A resource, by URI or URI template.
    Resource(&'m str),
}

impl<'m, 'a> Asked<'m, 'a> {
    /// Reads the parameters of a method that names what it asks for in `member`.
    ///
    /// # Errors
    /// A member that policy or the server needs is missing or of another type.
    pub fn from_params(params: Option<&'m Object<'a>>, member: &'static str) -> Result<Self, NothingAsked> {
        let params = params.ok_or(NothingAsked::NoParams)?;
        let name = params.get(member).and_then(Json::as_str).ok_or(NothingAsked::Name(member))?;
        let arguments = match params.get("arguments") {
            None => None,
            Some(Json::Object(arguments)) => Some(arguments),
            Some(_) => return Err(NothingAsked::Arguments),
        };
        Ok(Self { name, arguments })
    }
}

impl<'m> Reference<'m> {
    /// Reads the parameters of `completion/complete`.
    ///
    /// # Errors
    /// `ref` is missing, or of a type that is not known.
    pub fn from_params(params: Option<&'m Object<'_>>) -> Result<Self, NothingAsked> {
        let reference =
            params.and_then(|params| params.get("ref")?.as_object()).ok_or(NothingAsked::Reference)?;
        let text = |key: &str| reference.get(key).and_then(Json::as_str);
        match (text("type"), text("name"), text("uri")) {
            (Some("ref/prompt"), Some(name), None) => Ok(Self::Prompt(name)),
            (Some("ref/resource"), None, Some(uri)) => Ok(Self::Resource(uri)),
            _ => Err(NothingAsked::Reference),
        }
    }
}

/// Whether `name` is made of what the protocol advises: 1 to [`TOOL_NAME_BYTES_MAX`] of
/// `A-Z a-z 0-9 _ . -`. No look-alike of an ASCII name passes.
pub fn is_plain_tool_name(name: &str) -> bool {
    (1..=TOOL_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
