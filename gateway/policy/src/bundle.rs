//! The bundle: everything that is in force at one server's gateways, in the user's own spec types.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toolgate_crds::{McpServerSpec, ToolGrantSpec, ToolPolicySpec};

/// What is in force at one server. The operator renders it, a gateway compiles it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
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

/// A text that is no bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidBundle(String);

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
        serde_json::from_str(text).map_err(|error| InvalidBundle(error.to_string()))
    }

    /// SHA-256 of the text, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_json().as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        })
    }
}

impl fmt::Display for InvalidBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unreadable bundle: {}", self.0)
    }
}

impl std::error::Error for InvalidBundle {}
