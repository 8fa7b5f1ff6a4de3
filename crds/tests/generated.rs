//! The checked-in manifests are what the types say.
//!
//! A manifest that has drifted is written anew, and the test fails once so that the change is seen and committed.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use toolgate_crds::manifest;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn ensure(files: impl IntoIterator<Item = (PathBuf, String)>) {
    let drifted: Vec<PathBuf> =
        files.into_iter().filter_map(|(path, text)| written_anew(path, &text)).collect();
    assert!(
        drifted.is_empty(),
        "drifted from the types and written anew, look at the change and commit it: {drifted:?}"
    );
}

fn written_anew(path: PathBuf, text: &str) -> Option<PathBuf> {
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return None;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    Some(path)
}

#[test]
fn custom_resource_definitions_are_those_of_the_types() {
    ensure(manifest::custom_resource_definitions().iter().flat_map(|crd| {
        let file = format!("{}.yaml", crd.metadata.name.as_deref().unwrap());
        let text = manifest::to_yaml(&[json!(crd)]);
        ["crds/generated", "charts/toolgate/files/crds"]
            .map(|folder| (root().join(folder).join(&file), text.clone()))
    }));
}

#[test]
fn admission_policies_are_those_of_the_types() {
    let text = manifest::to_yaml(&manifest::admission_policies());
    ensure(
        ["crds/generated/admission.yaml", "charts/toolgate/files/admission.yaml"]
            .map(|file| (root().join(file), text.clone())),
    );
}

#[test]
fn schemas_are_those_of_the_types() {
    let text = manifest::schemas().to_string() + "\n";
    ensure([(root().join("crds/generated/schemas.json"), text)]);
}

#[test]
fn every_object_level_of_a_spec_preserves_unknown_keys_and_describes_itself() {
    for crd in manifest::custom_resource_definitions() {
        let name = crd.spec.names.kind.clone();
        let schema = json!(crd)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true, "{name}: the root");
        assert!(schema["description"].is_string(), "{name} has no description");
        assert!(!schema.to_string().contains("Auto-generated"), "{name} has a description that says nothing");
        walk(&schema["properties"]["spec"], &format!("{name}.spec"));
    }
}

fn walk(schema: &Value, path: &str) {
    assert!(schema["description"].is_string() || path.ends_with(['}', ']']), "{path} has no description");
    let format = schema["format"].as_str().unwrap_or_default();
    assert!(!format.starts_with("uint"), "{path}: the API server does not know the format {format}");
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true, "{path}");
        for (name, property) in properties {
            walk(property, &format!("{path}.{name}"));
        }
    }
    match schema["type"].as_str() {
        Some("array") => {
            assert!(schema["maxItems"].is_number(), "{path} has no maxItems");
            walk(&schema["items"], &format!("{path}[]"));
        }
        Some("object") if schema["additionalProperties"].is_object() => {
            assert!(schema["maxProperties"].is_number(), "{path} has no maxProperties");
            walk(&schema["additionalProperties"], &format!("{path}.{{}}"));
        }
        Some(_) => {}
        None if schema["x-kubernetes-int-or-string"] == true => {}
        None => assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true, "{path} has no type"),
    }
}
