//! The bundle: everything that is in force at one server's gateways, in the user's own spec types.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toolgate_crds::{McpServerSpec, ToolGrantSpec, ToolPolicySpec};

use crate::digest::digits;

/// The newest format of bundles that is read, and the one that is written.
///
/// It grows where a bundle comes to mean something else to who cannot know, or is shaped otherwise. A field that is absent
/// unless it is used needs no new format: who does not know it refuses the bundles that use it, and no other. Either way an
/// older gateway keeps what it has and says why, until the pod that replaces it takes over.
pub const FORMAT: u32 = 1;

/// What is in force at one server. The operator renders it, a gateway compiles it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// The version of its shape. Absent: 1.
    #[serde(default = "first_format", skip_serializing_if = "is_first_format")]
    pub format: u32,
    /// Grows with every change, for one server's UID; never goes back.
    pub revision: i64,
    /// The guarded server.
    pub server: BundledServer,
    /// The policies that target the server, by name.
    pub policies: Vec<BundledPolicy>,
    /// The grants that open the server, by name.
    pub grants: Vec<BundledGrant>,
}

/// The server, in its last good version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundledServer {
    /// The server's namespace.
    pub namespace: String,
    /// The server's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The generation of this version.
    pub generation: i64,
    /// The spec of this version.
    pub spec: McpServerSpec,
}

/// A policy, in its last good version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundledPolicy {
    /// The policy's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The generation of this version.
    pub generation: i64,
    /// The revision of the first bundle with this version.
    pub revision: i64,
    /// The spec of this version. None: the policy never was good, so every call it would bind is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ToolPolicySpec>,
}

/// A grant, in its present version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundledGrant {
    /// The grant's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The generation of this version.
    pub generation: i64,
    /// The revision of the first bundle with this version.
    pub revision: i64,
    /// The spec of this version.
    pub spec: ToolGrantSpec,
}

/// What cannot be read as a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBundle(pub(crate) String);

/// The one thing that every format says alike.
#[derive(Deserialize)]
struct Formatted {
    #[serde(default = "first_format")]
    format: u32,
}

fn first_format() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_first_format(format: &u32) -> bool {
    *format == first_format()
}

impl Bundle {
    /// The bundle as text, the same for equal bundles.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("specs are plain maps, lists and scalars")
    }

    /// Reads what [`Bundle::to_json`] wrote.
    ///
    /// # Errors
    /// When the text is anything else; an unknown key is an error too.
    pub fn from_json(text: &str) -> Result<Self, InvalidBundle> {
        // First of all: of what a newer version wrote, anything else may be misread.
        let format = serde_json::from_str::<Formatted>(text).map_or(FORMAT, |formatted| formatted.format);
        if format > FORMAT {
            return Err(InvalidBundle(format!(
                "its format is {format}, and this version reads up to {FORMAT}; a newer one has to take over"
            )));
        }
        serde_json::from_str(text).map_err(|error| match error.to_string() {
            message if message.starts_with("unknown field") => {
                InvalidBundle(format!("it says what only a newer version knows: {message}"))
            }
            message => InvalidBundle(message),
        })
    }

    /// SHA-256 of the text, in hexadecimal digits.
    pub fn hash(&self) -> String {
        Self::hash_of(&self.to_json())
    }

    /// SHA-256 of a bundle's text, in hexadecimal digits.
    pub(crate) fn hash_of(text: &str) -> String {
        digits(&Sha256::digest(text.as_bytes()))
    }
}

impl InvalidBundle {
    /// Of bytes that are no text.
    pub fn not_text() -> Self {
        Self("it is not UTF-8".to_owned())
    }
}

impl fmt::Display for InvalidBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unreadable bundle: {}", self.0)
    }
}

impl std::error::Error for InvalidBundle {}
