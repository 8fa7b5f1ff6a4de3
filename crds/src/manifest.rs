//! The manifests of the API types: CRDs and the admission policies that refuse unknown keys.
//!
//! Both come from the types alone. Every object level of a CRD preserves unknown keys, so that none disappears
//! silently; an admission policy for each kind then refuses them at `kubectl apply`, whichever client wrote them.

mod admission;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::strict::{Kind, seed};
use crate::{McpServer, ToolGrant, ToolPolicy};

pub use admission::admission_policies;

/// The CRDs as they are installed.
pub fn custom_resource_definitions() -> Vec<CustomResourceDefinition> {
    [McpServer::crd(), ToolPolicy::crd(), ToolGrant::crd()]
        .into_iter()
        .map(preserving)
        .map(describing)
        .map(awaiting_status)
        .collect()
}

/// The schemas that documents are parsed by, by kind: those of the CRDs, without what they say to people. Deriving them
/// takes longer than all else that a gateway does when it starts, so they are generated, too.
pub fn schemas() -> Value {
    let kinds = [
        (McpServer::KIND, McpServer::crd()),
        (ToolPolicy::KIND, ToolPolicy::crd()),
        (ToolGrant::KIND, ToolGrant::crd()),
    ];
    let bare = |(kind, crd): (&str, CustomResourceDefinition)| {
        let mut schema = schema(&preserving(crd)).clone();
        silence(&mut schema);
        (kind.to_owned(), json!(schema))
    };
    Value::Object(kinds.into_iter().map(bare).collect())
}

/// Marks every object level, the root and the spec included, to preserve keys that the schema does not know; and
/// teaches a policy the words of a hosted gateway's `policy.json`.
fn preserving(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let speaks_seed = crd.spec.names.kind == ToolPolicy::KIND;
    let root = schema_mut(&mut crd);
    root.x_kubernetes_preserve_unknown_fields = Some(true);
    if let Some(spec) = root.properties.as_mut().and_then(|properties| properties.get_mut("spec")) {
        if speaks_seed {
            seed::extend(spec);
        }
        preserve(spec);
    }
    crd
}

// What `kubectl explain` says of a kind is what its spec says of itself; the derive has nothing but its own name there.
fn describing(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let root = schema_mut(&mut crd);
    let spec = root.properties.as_ref().and_then(|properties| properties.get("spec"));
    root.description = spec.and_then(|spec| spec.description.clone());
    crd
}

/// The schema of a CRD's one version.
fn schema(crd: &CustomResourceDefinition) -> &JSONSchemaProps {
    let version = crd.spec.versions.first().expect("a derived CRD has one version");
    let validation = version.schema.as_ref().expect("a derived CRD has a schema");
    validation.open_api_v3_schema.as_ref().expect("a derived CRD has a schema")
}

fn schema_mut(crd: &mut CustomResourceDefinition) -> &mut JSONSchemaProps {
    let version = crd.spec.versions.first_mut().expect("a derived CRD has one version");
    let validation = version.schema.as_mut().expect("a derived CRD has a schema");
    validation.open_api_v3_schema.as_mut().expect("a derived CRD has a schema")
}

fn preserve(schema: &mut JSONSchemaProps) {
    if schema.type_.as_deref() == Some("object") && schema.additional_properties.is_none() {
        schema.x_kubernetes_preserve_unknown_fields = Some(true);
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        preserve(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        preserve(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        preserve(values);
    }
}

fn silence(schema: &mut JSONSchemaProps) {
    schema.description = None;
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(silence);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        silence(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        silence(values);
    }
}

// Without it a waiting client would take an object that no operator has seen yet for ready.
fn awaiting_status(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let waiting = json!({
        "conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "waiting for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }],
    });
    if let Some(status) =
        schema_mut(&mut crd).properties.as_mut().and_then(|properties| properties.get_mut("status"))
    {
        status.default = Some(JSON(waiting));
    }
    crd
}

/// A manifest as YAML, with a first line that says where it comes from.
///
/// # Panics
/// Never: everything here is made of plain maps, lists and scalars.
pub fn to_yaml(documents: &[Value]) -> String {
    let mut text =
        String::from("# Generated from the types of this crate; `make generate` writes it anew.\n");
    for document in documents {
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(document).expect("plain values have a YAML form"));
    }
    text
}
