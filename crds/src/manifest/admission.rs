//! Admission policies that refuse unknown keys, one for each kind, derived from the schema.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Value, json};

use super::{custom_resource_definitions, schema};
use crate::GROUP;

/// How to get from the spec to an object level.
#[derive(Clone)]
enum Step {
    Field(String),
    Values,
    Items,
}

/// An object level: the way to it and the keys it knows.
struct Level {
    steps: Vec<Step>,
    known: Vec<String>,
}

/// For each kind the admission policy and its binding.
pub fn admission_policies() -> Vec<Value> {
    custom_resource_definitions().iter().flat_map(|crd| [policy(crd), binding(crd)]).collect()
}

fn policy_name(crd: &CustomResourceDefinition) -> String {
    format!("unknown-fields.{}.{GROUP}", crd.spec.names.plural)
}

fn binding(crd: &CustomResourceDefinition) -> Value {
    let name = policy_name(crd);
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    })
}

fn policy(crd: &CustomResourceDefinition) -> Value {
    let spec = schema(crd).properties.as_ref().and_then(|properties| properties.get("spec"));
    let mut levels = Vec::new();
    collect(spec.expect("every kind has a spec"), &mut Vec::new(), &mut levels);
    // One variable for each level: the API server bounds the cost of each expression by itself.
    let mut variables = vec![
        json!({"name": "spec", "expression": "'spec' in dyn(object) ? dyn(dyn(object).spec) : dyn({})"}),
        json!({"name": "root", "expression":
            "dyn(object).filter(k, !(k in ['apiVersion', 'kind', 'metadata', 'spec', 'status'])).map(k, string(k))"}),
    ];
    let mut sum = vec!["variables.root".to_owned()];
    for (index, level) in levels.iter().enumerate() {
        let name = format!("level{index}");
        let expression = names("variables.spec", &level.steps, &level.known, "'spec'", 0);
        variables.push(json!({"name": name, "expression": expression}));
        sum.push(format!("variables.{name}"));
    }
    variables.push(json!({"name": "unknown", "expression": sum.join(" + ")}));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": policy_name(crd)},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [GROUP],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": [crd.spec.names.plural],
            }]},
            // An object that is bad already can still be labelled, and its status written.
            "matchConditions": [{
                "name": "changed-outside-metadata",
                "expression": "request.operation == 'CREATE' || dyn(object).exists(k, !(k in ['metadata', 'status']) \
                    && (!(k in dyn(oldObject)) || dyn(object)[k] != dyn(oldObject)[k]))",
            }],
            "variables": variables,
            "validations": [{
                "expression": "size(variables.unknown) == 0",
                "messageExpression": "'unknown field: ' + variables.unknown.join(', ')",
                "reason": "Invalid",
            }],
        },
    })
}

fn collect(schema: &JSONSchemaProps, steps: &mut Vec<Step>, levels: &mut Vec<Level>) {
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        descend(values, Step::Values, steps, levels);
    } else if schema.type_.as_deref() == Some("object") {
        let properties = schema.properties.iter().flatten();
        let known = properties.clone().map(|(name, _)| name.clone()).collect();
        levels.push(Level { steps: steps.clone(), known });
        for (name, property) in properties {
            descend(property, Step::Field(name.clone()), steps, levels);
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        descend(items, Step::Items, steps, levels);
    }
}

fn descend(schema: &JSONSchemaProps, step: Step, steps: &mut Vec<Step>, levels: &mut Vec<Level>) {
    steps.push(step);
    collect(schema, steps, levels);
    steps.pop();
}

// CEL: a list of the unknown keys, with their paths, below `base`. `prefix` is CEL for the path so far.
fn names(base: &str, steps: &[Step], known: &[String], prefix: &str, depth: usize) -> String {
    let Some((step, rest)) = steps.split_first() else {
        return format!("{base}.filter(k, !(k in {})).map(k, {prefix} + '.' + string(k))", list(known));
    };
    match step {
        Step::Field(field) => {
            let inner = names(&at(base, field), rest, known, &format!("{prefix} + '.{field}'"), depth);
            format!("('{field}' in {base} ? {inner} : [])")
        }
        Step::Values | Step::Items => {
            let (each, path) = element(base, step, prefix, depth);
            let bad = exists(&each, rest, known, depth + 1);
            let inner = names(&each, rest, known, &path, depth + 1);
            format!("{base}.filter(v{depth}, {bad}).map(v{depth}, {inner}.join(', '))")
        }
    }
}

// CEL: whether there is any unknown key below `base`. Cheap, so that the names are built only for a faulty object.
fn exists(base: &str, steps: &[Step], known: &[String], depth: usize) -> String {
    let Some((step, rest)) = steps.split_first() else {
        return format!("{base}.exists(k, !(k in {}))", list(known));
    };
    match step {
        Step::Field(field) => {
            format!("('{field}' in {base} && {})", exists(&at(base, field), rest, known, depth))
        }
        Step::Values | Step::Items => {
            let (each, _) = element(base, step, "''", depth);
            format!("{base}.exists(v{depth}, {})", exists(&each, rest, known, depth + 1))
        }
    }
}

fn element(base: &str, step: &Step, prefix: &str, depth: usize) -> (String, String) {
    match step {
        Step::Values => (format!("dyn({base}[v{depth}])"), format!("{prefix} + '.' + string(v{depth})")),
        _ => (format!("dyn(v{depth})"), format!("{prefix} + '[]'")),
    }
}

fn at(base: &str, field: &str) -> String {
    format!("dyn({base}['{field}'])")
}

fn list(known: &[String]) -> String {
    let quoted: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}
