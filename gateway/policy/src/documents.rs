//! Objects out of the text of files, with every fault by file, line and path.

use std::fmt;

use serde_json::Value;
use toolgate_crds::{
    API_VERSION, FieldError, GROUP, McpServerSpec, ObjectName, ToolGrantSpec, ToolPolicySpec, yaml,
};

use crate::candidate::Candidate;

/// The namespace of objects that name none.
const NAMESPACE: &str = "default";

/// Everything that some files say.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The servers.
    pub servers: Vec<Candidate<McpServerSpec>>,
    /// The policies.
    pub policies: Vec<Candidate<ToolPolicySpec>>,
    /// The grants.
    pub grants: Vec<Candidate<ToolGrantSpec>>,
    /// Every fault, in the order of the text.
    pub faults: Vec<Fault>,
    /// Objects of other API groups: kind and name. They are nobody's business here.
    pub ignored: Vec<String>,
    /// Whether a text was no YAML, so that nobody knows what it would have said.
    pub unreadable: bool,
}

/// A fault in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The object, such as `ToolPolicy/kommo-sales`; empty if it cannot be told.
    pub object: String,
    /// What is wrong, and where in the object.
    pub error: FieldError,
}

impl Documents {
    /// Reads one more file's text.
    pub fn read(&mut self, file: &str, text: &str) {
        match yaml::documents(text) {
            Ok(documents) => documents.iter().for_each(|document| self.add(file, document)),
            Err(invalid) => {
                self.unreadable = true;
                let error = FieldError::new("", invalid.to_string());
                self.faults.push(Fault { file: file.to_owned(), line: None, object: String::new(), error });
            }
        }
    }

    fn add(&mut self, file: &str, document: &yaml::Document) {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&document.value["kind"]), text(&document.value["metadata"]["name"]));
        let api_version = text(&document.value["apiVersion"]);
        let object = format!("{kind}/{name}");
        // A list may hold anything, ours too: passing over it would be passing over what is in it.
        let is_list = api_version == "v1" && kind.ends_with("List");
        let foreign = !api_version.is_empty() && api_version.split('/').next() != Some(GROUP) && !is_list;
        if foreign && !kind.is_empty() {
            self.ignored.push(object);
            return;
        }
        let value = identified(document.value.clone(), &kind, &name);
        let mut errors = document.errors.clone();
        errors.extend(name_fault(&name));
        let found = match kind.as_str() {
            "McpServer" => keep(&mut self.servers, Candidate::server(&value), errors),
            "ToolPolicy" => keep(&mut self.policies, Candidate::policy(&value), errors),
            "ToolGrant" => keep(&mut self.grants, Candidate::grant(&value), errors),
            _ if is_list => vec![FieldError::new("kind", "a list is not read; write its items as documents")],
            _ => {
                errors.push(FieldError::new("kind", format!("{kind:?} is no kind of {API_VERSION}")));
                errors
            }
        };
        self.faults.extend(found.into_iter().map(|error| {
            let line = document.line(&error.path);
            Fault { file: file.to_owned(), line, object: object.clone(), error }
        }));
    }
}

// What an API server would have added.
fn identified(mut value: Value, kind: &str, name: &str) -> Value {
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.entry("namespace").or_insert_with(|| NAMESPACE.into());
        let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or(NAMESPACE).to_owned();
        metadata.insert("uid".to_owned(), format!("{kind}/{namespace}/{name}").into());
    }
    value
}

fn name_fault(name: &str) -> Option<FieldError> {
    (!ObjectName::is_valid(name)).then(|| FieldError::new("metadata.name", "must be the name of an object"))
}

// Of two objects with one name neither is believed.
fn keep<S>(
    kept: &mut Vec<Candidate<S>>,
    mut candidate: Candidate<S>,
    mut errors: Vec<FieldError>,
) -> Vec<FieldError> {
    errors.extend_from_slice(candidate.errors());
    if let Some(twin) =
        kept.iter_mut().find(|twin| twin.name == candidate.name && twin.namespace == candidate.namespace)
    {
        let error = FieldError::new("metadata.name", "is used by another object of this kind");
        twin.spec = Err(vec![error.clone()]);
        errors.push(error);
        return errors;
    }
    // Two passes may find one fault each in its own words: one of a null, say. The first is the nearer to the text.
    let mut seen = Vec::new();
    errors.retain(|error| {
        let known = seen.contains(&error.path);
        seen.push(error.path.clone());
        !known || !error.message.starts_with("must not be null")
    });
    if !errors.is_empty() {
        candidate.spec = Err(errors.clone());
    }
    kept.push(candidate);
    errors
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.object.is_empty() {
            write!(formatter, ": {}", self.object)?;
        }
        if self.error.path.is_empty() {
            return write!(formatter, ": {}", self.error.message);
        }
        write!(formatter, ": {}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: p}
spec:
  targetRefs: [{kind: McpServer, name: crm}]
  tools:
    a: {}
    a: {action: deny}
    b:
  defualt: allow
---
apiVersion: v1
kind: Secret
metadata: {name: s}
---
apiVersion: toolgate.dev/v1alpha1
kind: Policy
metadata: {name: q}
";

    #[test]
    fn every_fault_is_told_with_file_line_and_path() {
        let mut documents = Documents::default();
        documents.read("p.yaml", FILE);
        documents.read("broken.yaml", "a: [");
        let told: Vec<String> = documents.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told[..4],
            [
                "p.yaml:8: ToolPolicy/p: spec.tools.a: duplicate key on line 8; first on line 7",
                "p.yaml:9: ToolPolicy/p: spec.tools.b: must not be null; leave the field out or write {}",
                "p.yaml:10: ToolPolicy/p: spec.defualt: unknown field; did you mean default?",
                "p.yaml:17: Policy/q: kind: \"Policy\" is no kind of toolgate.dev/v1alpha1",
            ]
        );
        assert!(told[4].starts_with("broken.yaml: invalid YAML: "), "{}", told[4]);
        assert!(documents.unreadable && documents.policies[0].spec.is_err());
        assert_eq!(documents.ignored, ["Secret/s"]);
    }

    #[test]
    fn of_two_objects_with_one_name_neither_is_believed() {
        let one = "{apiVersion: toolgate.dev/v1alpha1, kind: ToolPolicy, metadata: {name: p}, spec: {targetRefs: [{kind: McpServer, name: crm}]}}";
        let mut documents = Documents::default();
        documents.read("a.yaml", one);
        documents.read("b.yaml", one);
        assert_eq!(documents.policies.len(), 1);
        assert!(documents.policies[0].spec.is_err());
        assert_eq!(documents.faults.len(), 1);
    }

    #[test]
    fn one_name_in_two_namespaces_is_two_objects() {
        let one = |namespace: &str| {
            format!(
                "{{apiVersion: toolgate.dev/v1alpha1, kind: ToolPolicy, metadata: {{name: p, namespace: {namespace}}}, \
                 spec: {{targetRefs: [{{kind: McpServer, name: crm}}]}}}}"
            )
        };
        let mut documents = Documents::default();
        documents.read("a.yaml", &one("prod"));
        documents.read("b.yaml", &one("staging"));
        assert_eq!((documents.policies.len(), documents.faults.len()), (2, 0));
    }

    #[test]
    fn a_list_is_not_passed_over() {
        let mut documents = Documents::default();
        documents.read("a.yaml", "{apiVersion: v1, kind: List, items: []}");
        assert_eq!(
            documents.faults[0].to_string(),
            "a.yaml:1: List/: kind: a list is not read; write its items as documents"
        );
    }

    #[test]
    fn an_object_without_a_proper_name_is_refused() {
        let mut documents = Documents::default();
        documents.read("a.yaml", "{apiVersion: toolgate.dev/v1alpha1, kind: McpServer, metadata: {name: A}, spec: {upstream: {url: 'http://a/b'}}}");
        assert_eq!(
            documents.faults[0].to_string(),
            "a.yaml:1: McpServer/A: metadata.name: must be the name of an object"
        );
    }
}
