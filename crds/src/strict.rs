//! The strict parse: the only way from a document to a spec.
//!
//! An API server drops unknown keys without a word, and serde stops at the first fault. Here the generated schema is
//! walked over the document first, so that every fault is found and named by its path; only a document without faults
//! becomes a spec. Nothing is pruned, defaulted or rounded on the way.

mod check;
pub(crate) mod seed;
mod spelling;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{API_VERSION, McpServer, McpServerSpec, ToolGrant, ToolGrantSpec, ToolPolicy, ToolPolicySpec};

/// The most faults that are told of one document; one more entry says how many were left out.
pub const ERRORS_MAX: usize = 100;

/// A fault of a document: where it is and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// The path, such as `spec.tools.move_lead.limits[0].max`.
    pub path: String,
    /// What is wrong, as a lower-case sentence without a full stop.
    pub message: String,
}

/// A kind of custom resource that can be parsed strictly.
pub trait Kind {
    /// The parsed spec.
    type Spec: DeserializeOwned;
    /// The kind's name.
    const KIND: &'static str;
    /// Whether the spec may have the words of a hosted gateway's `policy.json`.
    const SEED: bool;
    /// The schema of the whole object, as the generated CRD has it.
    fn schema() -> &'static JSONSchemaProps;
}

/// Parses the `spec` of a whole object (`apiVersion`, `kind`, `metadata`, `spec`, `status`).
///
/// # Errors
/// All faults that were found, each with its path; never an empty list.
pub fn parse<K: Kind>(object: &Value) -> Result<K::Spec, Vec<FieldError>> {
    let mut errors = Vec::new();
    identity::<K>(object, &mut errors);
    check::object(object, K::schema(), &mut errors);
    let mut spec = object.get("spec").cloned().unwrap_or(Value::Null);
    if errors.is_empty() && K::SEED {
        seed::rewrite(&mut spec, &mut errors);
    }
    if errors.is_empty() {
        return serde_json::from_value(spec)
            .map_err(|error| vec![FieldError::new("spec", error.to_string())]);
    }
    Err(bounded(errors))
}

fn identity<K: Kind>(object: &Value, errors: &mut Vec<FieldError>) {
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", K::KIND)] {
        if object.get(field).and_then(Value::as_str) != Some(expected) {
            errors.push(FieldError::new(field, format!("must be {expected}")));
        }
    }
}

fn bounded(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    if errors.len() > ERRORS_MAX {
        let more = errors.len() - ERRORS_MAX;
        errors.truncate(ERRORS_MAX);
        errors.push(FieldError::new("spec", format!("and {more} more errors")));
    }
    errors
}

/// By kind, as [`schemas`](crate::manifest::schemas) makes them.
static SCHEMAS: LazyLock<HashMap<String, JSONSchemaProps>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../generated/schemas.json")).expect("generated schemas can be read")
});

macro_rules! kind {
    ($kind:ident, $spec:ident, $seed:literal) => {
        impl Kind for $kind {
            type Spec = $spec;
            const KIND: &'static str = stringify!($kind);
            const SEED: bool = $seed;

            fn schema() -> &'static JSONSchemaProps {
                SCHEMAS.get(Self::KIND).expect("every kind has a generated schema")
            }
        }
    };
}

kind!(McpServer, McpServerSpec, false);
kind!(ToolPolicy, ToolPolicySpec, true);
kind!(ToolGrant, ToolGrantSpec, false);

// === impl FieldError ===

impl FieldError {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// Every fault in one line, for a condition's message.
    pub fn join(errors: &[Self]) -> String {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for FieldError {}

/// The path of a member: `tools` + `move_lead` is `tools.move_lead`; a name with other characters is quoted.
pub fn member(path: &str, name: &str) -> String {
    let plain =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-*?".contains(&byte)) && !name.is_empty();
    match (path.is_empty(), plain) {
        (true, _) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (false, false) => format!("{path}[{name:?}]"),
    }
}
