//! Whether a body is of the one kind that is read, and which kinds the client reads.

use hyper::http::{HeaderMap, header};

/// The media type of one message.
pub const JSON: &str = "application/json";
/// The media type of a stream of messages.
pub const EVENT_STREAM: &str = "text/event-stream";

/// Why a body is not read. It is answered with HTTP 415.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// `Content-Type` is missing, repeated or another one.
    #[error("Content-Type must be application/json")]
    Type,
    /// `Content-Type` has another charset than UTF-8, or another parameter.
    #[error("Content-Type must be application/json in UTF-8, without other parameters")]
    Parameter,
    /// `Content-Encoding` is there.
    #[error("Content-Encoding is not supported")]
    Encoding,
}

/// Checks that the body is plain JSON in UTF-8: `application/json`, at most with `charset=utf-8`, and
/// no content coding, not even `identity`.
///
/// # Errors
/// It says anything else, so that a server might read other words from the same bytes.
pub fn check_request(headers: &HeaderMap) -> Result<(), ContentError> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ContentError::Encoding);
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(ContentError::Type) };
    let value = value.to_str().map_err(|_| ContentError::Type)?;
    let mut parts = value.split(';').map(|part| part.trim_matches([' ', '\t']));
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(JSON)) {
        return Err(ContentError::Type);
    }
    match (parts.next(), parts.next()) {
        (None, _) => Ok(()),
        (Some(charset), None) if is_utf8_charset(charset) => Ok(()),
        _ => Err(ContentError::Parameter),
    }
}

fn is_utf8_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8")
}

/// What an upstream's answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// One message.
    Json,
    /// A stream of messages.
    EventStream,
}

impl Media {
    /// Reads the `Content-Type` of an upstream's answer, parameters aside. `None`: neither of the two,
    /// repeated, or behind a content coding; its body cannot be inspected.
    pub fn of_answer(headers: &HeaderMap) -> Option<Self> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return None;
        }
        let mut values = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let media_type =
            value.to_str().ok()?.split(';').next()?.trim_matches([' ', '\t']).to_ascii_lowercase();
        match media_type.as_str() {
            JSON => Some(Self::Json),
            EVENT_STREAM => Some(Self::EventStream),
            _ => None,
        }
    }
}

/// Which answers the client says it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// `application/json`
    pub json: bool,
    /// `text/event-stream`
    pub event_stream: bool,
}

impl Accepted {
    /// Reads `Accept`. Wildcards count; a range with `q=0` does not; no header accepts everything.
    pub fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT) {
            return Self { json: true, event_stream: true };
        }
        let mut accepted = Self { json: false, event_stream: false };
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            accepted.add(range);
        }
        accepted
    }

    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(|part| part.trim_matches([' ', '\t']).to_ascii_lowercase());
        let media_type = parts.next().unwrap_or_default();
        if parts.any(|parameter| parameter.strip_prefix("q=").is_some_and(is_zero)) {
            return;
        }
        self.json |= matches!(media_type.as_str(), JSON | "application/*" | "*/*");
        self.event_stream |= matches!(media_type.as_str(), EVENT_STREAM | "text/*" | "*/*");
    }

    /// Whether the client reads both, as 2026-07-28 requires of every POST.
    pub fn both(self) -> bool {
        self.json && self.event_stream
    }
}

fn is_zero(quality: &str) -> bool {
    quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0)
}
