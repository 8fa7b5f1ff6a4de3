//! Strict JSON: one tree that is decided on and that is forwarded.
//!
//! Two parsers that read the same bytes differently are a way round any policy: the gateway would
//! judge one call and the server would run another. So a document that parsers are known to
//! disagree on (duplicate keys, keys that only differ by case, lone surrogates, a byte order mark,
//! trailing data) is refused here, and what goes on is [`write()`] of the tree that was judged, never
//! the bytes that came in.
//!
//! Invariant: nothing in here panics, recurses past [`DEPTH_MAX`] or takes more than linear time,
//! whatever the bytes are.

mod error;
mod fold;
mod parser;
mod tree;
mod twins;
mod words;
mod writer;

pub use error::{JsonError, JsonErrorKind};
pub use fold::{fold, folds_to, is_spelling};
pub use parser::{parse, parse_with};
pub use tree::{Json, Number, Object};
pub use twins::Twins;
pub use writer::{to_bytes, write, write_object, write_string};

/// How many arrays and objects may be open at once.
pub const DEPTH_MAX: usize = 64;

/// How many bytes one number may have. Digits are forwarded as they came, and some parsers read
/// long ones in quadratic time.
pub const NUMBER_BYTES_MAX: usize = 1024;

/// How many members one object may have.
pub const MEMBERS_MAX: usize = 65_536;

/// How many values (scalars, arrays and objects) one document may have. A tree takes up to 56 bytes
/// a value, so this bounds what a small body of brackets and commas can make of itself.
pub const VALUES_MAX: usize = 262_144;
