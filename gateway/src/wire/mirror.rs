//! The headers that repeat a part of the body, for those on the way who do not read it.
//!
//! They are never trusted, only compared: a request of which header and body differ is two requests,
//! one for whoever routes by headers and one for the server.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::http::{HeaderMap, HeaderName, HeaderValue};

/// `MCP-Protocol-Version`
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// What the name of a header that repeats a tool's argument begins with.
pub const PARAMETER_PREFIX: &str = "mcp-param-";
/// How many arguments may be repeated in headers.
pub const PARAMETERS_MAX: usize = 64;

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// An argument that the client repeats in a header. Whether it must be there, and of which argument,
/// only the tool's schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The header's name after [`PARAMETER_PREFIX`], in lower case.
    pub name: String,
    /// Its value, decoded.
    pub value: String,
}

/// What is wrong with a header by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// It is there more than once.
    #[error("the {0} header is repeated")]
    Repeated(String),
    /// It has bytes that such a header cannot have.
    #[error("the {0} header has invalid characters")]
    Characters(String),
    /// It says that it is base64 and is not, or not of UTF-8.
    #[error("the {0} header is not valid base64")]
    Base64(String),
    /// More than [`PARAMETERS_MAX`] arguments are repeated.
    #[error("more than {PARAMETERS_MAX} Mcp-Param headers")]
    TooMany,
}

/// The one value of `name` as it came, without white space round it.
///
/// # Errors
/// It is repeated, even with the same value, or not visible ASCII.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, MirrorError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(MirrorError::Repeated(name.to_string()));
    }
    text(name, value).map(Some)
}

fn text<'h>(name: &HeaderName, value: &'h HeaderValue) -> Result<&'h str, MirrorError> {
    let text = value.to_str().map_err(|_| MirrorError::Characters(name.to_string()))?;
    Ok(text.trim_matches([' ', '\t']))
}

/// The value of a header that may be base64 between markers.
///
/// # Errors
/// The markers are there and what they hold is not base64 of UTF-8.
pub fn decode(name: &HeaderName, value: &str) -> Result<String, MirrorError> {
    let marked = value.strip_prefix(SENTINEL_START).and_then(|rest| rest.strip_suffix(SENTINEL_END));
    let Some(encoded) = marked else { return Ok(value.to_owned()) };
    let bytes = STANDARD.decode(encoded).map_err(|_| MirrorError::Base64(name.to_string()))?;
    String::from_utf8(bytes).map_err(|_| MirrorError::Base64(name.to_string()))
}

/// All `Mcp-Param-*` headers, decoded, in no particular order.
///
/// # Errors
/// One is repeated, malformed, or there are more than [`PARAMETERS_MAX`].
pub fn parameters(headers: &HeaderMap) -> Result<Vec<Parameter>, MirrorError> {
    let mut parameters = Vec::new();
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(PARAMETER_PREFIX) else { continue };
        if parameters.len() == PARAMETERS_MAX {
            return Err(MirrorError::TooMany);
        }
        if let Some(value) = single(headers, name)? {
            parameters.push(Parameter { name: short.to_owned(), value: decode(name, value)? });
        }
    }
    Ok(parameters)
}
