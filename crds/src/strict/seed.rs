//! The words of hosted gateways' `policy.json`, so that such a document can be pasted under `spec`.
//!
//! Each word stands for one of ours. It is in the schema, so a typo beside it is found like any other; here it is
//! rewritten once the document has no faults. Both spellings in one object are refused: nobody knows which was meant.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value, json};

use super::{FieldError, member};

/// The longest `window` of a `rate_limit`, in seconds: 31 days.
const RATE_WINDOW_MAX: f64 = 2_678_400.0;

/// Adds the seed's words to a policy's schema, wherever theirs are.
pub(crate) fn extend(schema: &mut JSONSchemaProps) {
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        extend(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        extend(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        extend(values);
    }
    let Some(properties) = &mut schema.properties else { return };
    let mut added = Vec::new();
    for (ours, theirs) in [("allTools", "all_tools"), ("denyIf", "deny_if")] {
        added.extend(properties.get(ours).map(|schema| (theirs, spelled(schema, ours))));
    }
    if properties.contains_key("conditions") {
        added.extend(properties.get("reason").map(|schema| ("on_deny", spelled(schema, "reason"))));
    }
    if properties.contains_key("allTools") {
        added.push(("version", version()));
    }
    if properties.contains_key("limits") && properties.contains_key("action") {
        added.push(("rate_limit", rate_limit()));
    }
    if let Some(operators) = properties.get_mut("op").and_then(|op| op.enum_.as_mut()) {
        operators.push(JSON(json!("not_in")));
    }
    properties.extend(added.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
}

fn spelled(schema: &JSONSchemaProps, ours: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        description: Some(format!("The same as `{ours}`, which is preferred.")),
        default: None,
        ..schema.clone()
    }
}

fn version() -> JSONSchemaProps {
    JSONSchemaProps {
        description: Some("The version of a pasted `policy.json`: always \"1\".".to_owned()),
        type_: Some("string".to_owned()),
        enum_: Some(vec![JSON(json!("1"))]),
        ..JSONSchemaProps::default()
    }
}

fn rate_limit() -> JSONSchemaProps {
    let integer = |description: &str, maximum: Option<f64>| JSONSchemaProps {
        description: Some(description.to_owned()),
        type_: Some("integer".to_owned()),
        format: Some("int64".to_owned()),
        minimum: Some(1.0),
        maximum,
        ..JSONSchemaProps::default()
    };
    let properties = [
        ("max", integer("The most that is admitted in any such window.", Some(9_007_199_254_740_991.0))),
        ("window", integer("The window's length, in seconds.", Some(RATE_WINDOW_MAX))),
    ];
    JSONSchemaProps {
        description: Some(
            "The short form of one of `limits`, for each grant: `{max: 10, window: 60}`.".to_owned(),
        ),
        type_: Some("object".to_owned()),
        required: Some(vec!["max".to_owned(), "window".to_owned()]),
        properties: Some(properties.map(|(name, schema)| (name.to_owned(), schema)).into()),
        ..JSONSchemaProps::default()
    }
}

/// Rewrites a policy's spec, which has no faults, in our own words.
pub(super) fn rewrite(spec: &mut Value, errors: &mut Vec<FieldError>) {
    let Some(spec) = spec.as_object_mut() else { return };
    spec.remove("version");
    rename("spec", spec, "all_tools", "allTools", errors);
    if let Some(all) = spec.get_mut("allTools").and_then(Value::as_object_mut) {
        narrowing("spec.allTools", all, errors);
    }
    for kind in ["tools", "resources", "prompts"] {
        for (name, entry) in spec.get_mut(kind).and_then(Value::as_object_mut).into_iter().flatten() {
            let path = member(&format!("spec.{kind}"), name);
            if let Some(entry) = entry.as_object_mut() {
                narrowing(&path, entry, errors);
                short_limit(name, entry);
            }
        }
    }
}

fn narrowing(path: &str, entry: &mut Map<String, Value>, errors: &mut Vec<FieldError>) {
    rename(path, entry, "deny_if", "denyIf", errors);
    for field in ["require", "denyIf"] {
        let rules = entry.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten();
        for (index, rule) in rules.enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let Some(rule) = rule.as_object_mut() else { continue };
            rename(&path, rule, "on_deny", "reason", errors);
            operator(rule);
            for condition in rule.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
                condition.as_object_mut().into_iter().for_each(operator);
            }
        }
    }
}

fn operator(condition: &mut Map<String, Value>) {
    if let Some(op) = condition.get_mut("op").filter(|op| **op == "not_in") {
        *op = json!("notIn");
    }
}

fn short_limit(tool: &str, entry: &mut Map<String, Value>) {
    let Some(short) = entry.remove("rate_limit") else { return };
    let limit = json!({
        "counter": format!("rate_limit.{tool}"),
        "window": format!("{}s", short["window"]),
        "max": short["max"],
        "scope": "grant",
    });
    if let Some(limits) = entry.entry("limits").or_insert_with(|| json!([])).as_array_mut() {
        limits.push(limit);
    }
}

fn rename(
    path: &str,
    object: &mut Map<String, Value>,
    theirs: &str,
    ours: &str,
    errors: &mut Vec<FieldError>,
) {
    let Some(value) = object.remove(theirs) else { return };
    if object.contains_key(ours) {
        errors.push(FieldError::new(
            member(path, theirs),
            format!("means the same as {ours}, which is there too"),
        ));
    } else {
        object.insert(ours.to_owned(), value);
    }
}
