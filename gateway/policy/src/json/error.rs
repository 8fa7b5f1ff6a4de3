//! What is wrong with a document, and where.

use std::fmt;

/// How many characters of a key an error repeats. Keys are the sender's words, of any length.
const KEY_CHARS_SHOWN_MAX: usize = 64;

/// Why a document was refused.
///
/// Shown as the fault, then the byte offset and the path, for example
/// `duplicate key at byte 17 in /params/arguments/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    place: Box<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    kind: JsonErrorKind,
    offset: usize,
    /// Innermost segment first: each open container adds its own while the error passes through it.
    path_reversed: Vec<String>,
}

impl JsonError {
    pub(super) fn new(kind: JsonErrorKind, offset: usize) -> Self {
        Self { place: Box::new(Place { kind, offset, path_reversed: Vec::new() }) }
    }

    pub(super) fn inside_key(mut self, key: &str) -> Self {
        self.place.path_reversed.push(shown(key));
        self
    }

    pub(super) fn inside_index(mut self, index: usize) -> Self {
        self.place.path_reversed.push(index.to_string());
        self
    }

    /// The fault itself.
    pub fn kind(&self) -> JsonErrorKind {
        self.place.kind
    }

    /// Where the fault was noticed, in bytes from the start of the document.
    pub fn offset(&self) -> usize {
        self.place.offset
    }

    /// The way to the fault as a JSON pointer; empty for the document itself. Long keys are cut and
    /// control characters are escaped, so that it can be shown and logged.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.place.path_reversed.iter().rev() {
            path.push('/');
            path.push_str(segment);
        }
        path
    }
}

/// A key as one segment of a pointer, cut to a length that can be shown.
fn shown(key: &str) -> String {
    let mut segment = String::new();
    for character in key.chars().take(KEY_CHARS_SHOWN_MAX) {
        match character {
            '~' => segment.push_str("~0"),
            '/' => segment.push_str("~1"),
            other => segment.extend(other.escape_debug()),
        }
    }
    if key.chars().nth(KEY_CHARS_SHOWN_MAX).is_some() {
        segment.push('…');
    }
    segment
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.kind(), self.offset())?;
        if self.place.path_reversed.is_empty() {
            return Ok(());
        }
        write!(formatter, " in {}", self.path())
    }
}

impl std::error::Error for JsonError {}

/// The faults a document can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// A byte sequence that is not UTF-8.
    NotUtf8,
    /// A byte order mark before the value.
    ByteOrderMark,
    /// The document ends before its value does.
    UnexpectedEnd,
    /// A byte that cannot stand there: a comment, `NaN`, a trailing comma, a NUL.
    UnexpectedByte,
    /// Something else than white space after the value.
    TrailingData,
    /// More containers are open than [`super::DEPTH_MAX`].
    TooDeep,
    /// An escape that JSON does not have.
    BadEscape,
    /// Half of a surrogate pair as an escape: no Unicode character.
    LoneSurrogate,
    /// A raw control character in a string.
    ControlInString,
    /// A number that JSON does not have, such as `01`, `1.` or `+1`.
    BadNumber,
    /// A number longer than [`super::NUMBER_BYTES_MAX`].
    NumberTooLong,
    /// The same key twice in one object, after escapes are read.
    DuplicateKey,
    /// Two keys in one object that lax parsers read as one.
    TwinKey,
    /// More members in one object than [`super::MEMBERS_MAX`].
    TooManyMembers,
    /// More values in the document than [`super::VALUES_MAX`].
    TooManyValues,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::ByteOrderMark => "byte order mark",
            Self::UnexpectedEnd => "unexpected end",
            Self::UnexpectedByte => "unexpected byte",
            Self::TrailingData => "data after the value",
            Self::TooDeep => "nested too deep",
            Self::BadEscape => "unknown escape",
            Self::LoneSurrogate => "lone surrogate",
            Self::ControlInString => "control character in a string",
            Self::BadNumber => "malformed number",
            Self::NumberTooLong => "number too long",
            Self::DuplicateKey => "duplicate key",
            Self::TwinKey => "key that differs from a sibling only by case or invisible characters",
            Self::TooManyMembers => "too many members in one object",
            Self::TooManyValues => "too many values",
        })
    }
}
