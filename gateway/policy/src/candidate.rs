//! An object as it was found: good, or bad with every fault.

use serde_json::Value;
use toolgate_crds::strict::{self, Kind};
use toolgate_crds::{
    FieldError, McpServer, McpServerSpec, ToolGrant, ToolGrantSpec, ToolPolicy, ToolPolicySpec,
};

use crate::compile::{check_grant, check_policy, check_server};
use crate::reference::{Labels, References, labels};

/// An object of the cluster or of a file, read strictly and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<S> {
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's UID.
    pub uid: String,
    /// The object's generation.
    pub generation: i64,
    /// The spec, or every fault of it.
    pub spec: Result<S, Vec<FieldError>>,
    /// The object's labels.
    pub labels: Labels,
    /// The servers that the object is for.
    pub servers: References,
}

impl Candidate<McpServerSpec> {
    /// Reads a whole `McpServer` object.
    pub fn server(object: &Value) -> Self {
        Self::new::<McpServer>(object, check_server, References::default())
    }
}

impl Candidate<ToolPolicySpec> {
    /// Reads a whole `ToolPolicy` object.
    pub fn policy(object: &Value) -> Self {
        Self::new::<ToolPolicy>(object, check_policy, References::of_policy(&object["spec"]["targetRefs"]))
    }
}

impl Candidate<ToolGrantSpec> {
    /// Reads a whole `ToolGrant` object.
    pub fn grant(object: &Value) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let servers = References::of_grant(&object["spec"]["servers"]);
        Self::new::<ToolGrant>(object, |spec| check_grant(&name, spec), servers)
    }
}

impl<S> Candidate<S> {
    fn new<K: Kind<Spec = S>>(
        object: &Value,
        check: impl Fn(&S) -> Vec<FieldError>,
        servers: References,
    ) -> Self {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let spec = strict::parse::<K>(object).and_then(|spec| {
            let errors = check(&spec);
            if errors.is_empty() { Ok(spec) } else { Err(errors) }
        });
        Self {
            namespace: text("namespace"),
            name: text("name"),
            uid: text("uid"),
            generation: object["metadata"]["generation"].as_i64().unwrap_or_default(),
            spec,
            labels: labels(object),
            servers,
        }
    }

    /// The faults; none for a good object.
    pub fn errors(&self) -> &[FieldError] {
        self.spec.as_ref().err().map_or(&[], Vec::as_slice)
    }
}
