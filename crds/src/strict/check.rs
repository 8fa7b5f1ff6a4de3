//! Walks a schema over a document and collects every fault.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::{Map, Value};

use super::spelling::nearest;
use super::{FieldError, member};
use crate::{INTEGER_MAX, Window};

/// The field of a limit that has no type in the schema.
const COST: &str = "cost";
/// The field whose length of time no pattern can bound.
const WINDOW: &str = "window";
/// The keys of a cost that is no number.
const COST_PATHS: [&str; 2] = ["sum", "length"];

/// Checks a whole object. Of `metadata` and `status`, which are the API server's, only the keys are looked at.
pub(super) fn object(object: &Value, schema: &JSONSchemaProps, errors: &mut Vec<FieldError>) {
    let Some(members) = object.as_object() else {
        errors.push(FieldError::new("", "must be an object"));
        return;
    };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
        errors.push(unknown("", name, known.into_iter()));
    }
    let spec_schema = schema.properties.as_ref().and_then(|properties| properties.get("spec"));
    match (members.get("spec"), spec_schema) {
        (Some(spec), Some(spec_schema)) => value("spec", spec, spec_schema, errors),
        _ => errors.push(FieldError::new("spec", "is required")),
    }
}

fn value(path: &str, value: &Value, schema: &JSONSchemaProps, errors: &mut Vec<FieldError>) {
    match (schema.type_.as_deref(), value) {
        (_, Value::Null) => {
            errors.push(FieldError::new(path, "must not be null; leave the field out instead"));
        }
        (Some("object"), Value::Object(members)) => members_of(path, members, schema, errors),
        (Some("array"), Value::Array(items)) => array(path, items, schema, errors),
        (Some("string"), Value::String(text)) => string(path, text, schema, errors),
        (Some("integer"), Value::Number(number)) => integer(path, number, schema, errors),
        (Some("number"), Value::Number(_)) | (None, _) => untyped(path, value, errors),
        (Some("boolean"), Value::Bool(_)) => {}
        (Some(expected), found) => {
            errors.push(FieldError::new(
                path,
                format!("must be {}, not {}", article(expected), kind_of(found)),
            ));
        }
    }
}

fn members_of(
    path: &str,
    members: &Map<String, Value>,
    schema: &JSONSchemaProps,
    errors: &mut Vec<FieldError>,
) {
    for name in schema.required.iter().flatten().filter(|name| !members.contains_key(*name)) {
        errors.push(FieldError::new(member(path, name), "is required"));
    }
    let count = i64::try_from(members.len()).unwrap_or(i64::MAX);
    bounds(path, count, schema.min_properties, schema.max_properties, "entries", errors);
    let properties = schema.properties.as_ref();
    for (name, entry) in members {
        if let Some(property) = properties.and_then(|properties| properties.get(name)) {
            value(&member(path, name), entry, property, errors);
            match name.as_str() {
                COST => cost(&member(path, name), entry, errors),
                WINDOW => window(&member(path, name), entry, errors),
                _ => {}
            }
        } else if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
            value(&member(path, name), entry, values, errors);
        } else {
            errors.push(unknown(path, name, properties.into_iter().flatten().map(|(name, _)| name.as_str())));
        }
    }
}

fn array(path: &str, items: &[Value], schema: &JSONSchemaProps, errors: &mut Vec<FieldError>) {
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    bounds(path, count, schema.min_items, schema.max_items, "items", errors);
    if let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            value(&format!("{path}[{index}]"), item, item_schema, errors);
        }
    }
}

// One fault for each string: how long it is, where that says it all, and else what it must look like.
fn string(path: &str, text: &str, schema: &JSONSchemaProps, errors: &mut Vec<FieldError>) {
    let count = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let (faults, is_short) = (errors.len(), schema.min_length.is_some_and(|minimum| count < minimum));
    bounds(path, count, None, schema.max_length, "characters", errors);
    if errors.len() > faults {
        return;
    }
    if let Some(allowed) = &schema.enum_ {
        let allowed: Vec<&str> = allowed.iter().filter_map(|value| value.0.as_str()).collect();
        if !allowed.contains(&text) {
            errors
                .push(FieldError::new(path, format!("must be one of {}, not {text:?}", allowed.join(", "))));
        }
    }
    match schema.pattern.as_ref().filter(|pattern| !matches(pattern, text)) {
        Some(pattern) => errors.push(FieldError::new(path, format!("{text:?} must match {pattern}"))),
        None if is_short => bounds(path, count, schema.min_length, None, "characters", errors),
        None => {}
    }
}

// Patterns come from our own schemas alone, so there are few; compiling one anew for each string would take seconds for
// a large policy.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<RwLock<HashMap<String, Option<Regex>>>> = LazyLock::new(RwLock::default);
    let known = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(pattern).cloned();
    let regex = known.unwrap_or_else(|| {
        let regex = Regex::new(pattern).ok();
        let mut compiled = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
        compiled.insert(pattern.to_owned(), regex.clone());
        regex
    });
    regex.is_some_and(|regex| regex.is_match(text))
}

fn integer(path: &str, number: &serde_json::Number, schema: &JSONSchemaProps, errors: &mut Vec<FieldError>) {
    let Some(integer) = number.as_i64() else {
        errors.push(FieldError::new(path, format!("must be an integer, not {number}")));
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "bounds in the schema are below 2^53")]
    let as_float = integer as f64;
    if schema.minimum.is_some_and(|minimum| as_float < minimum) {
        errors
            .push(FieldError::new(path, format!("must be at least {}", schema.minimum.unwrap_or_default())));
    }
    if integer > INTEGER_MAX || schema.maximum.is_some_and(|maximum| as_float > maximum) {
        let maximum = schema.maximum.map_or(INTEGER_MAX.to_string(), |maximum| maximum.to_string());
        errors.push(FieldError::new(path, format!("must be at most {maximum}")));
    }
}

// A value without a type is kept as it is, but never one that a client of the API server may drop or round.
fn untyped(path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    match value {
        Value::Null => errors.push(FieldError::new(path, "must not be null")),
        Value::Number(number) => {
            #[expect(clippy::cast_precision_loss, reason = "a bound of 2^53 - 1 is exact")]
            let bound = INTEGER_MAX as f64;
            if number.as_f64().is_none_or(|float| float.abs() > bound) {
                errors.push(FieldError::new(path, format!("{number} is beyond 2^53; write it as a string")));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                untyped(&format!("{path}[{index}]"), item, errors);
            }
        }
        Value::Object(members) => {
            for (name, entry) in members {
                untyped(&member(path, name), entry, errors);
            }
        }
        Value::Bool(_) | Value::String(_) => {}
    }
}

// A schema of the API server cannot say "a number, or an object with one of two keys".
fn cost(path: &str, cost: &Value, errors: &mut Vec<FieldError>) {
    let is_path = |(name, path): (&String, &Value)| COST_PATHS.contains(&name.as_str()) && path.is_string();
    let is_one = match cost {
        Value::Number(number) => number.is_i64(),
        Value::Object(members) => members.len() == 1 && members.iter().all(is_path),
        // That it is null was told already.
        Value::Null => true,
        Value::Bool(_) | Value::String(_) | Value::Array(_) => false,
    };
    if !is_one {
        errors.push(FieldError::new(path, "must be a whole number, {sum: PATH} or {length: PATH}"));
    }
}

// What is no length of time at all was told already, with what it must look like.
fn window(path: &str, window: &Value, errors: &mut Vec<FieldError>) {
    if let Some(text) = window.as_str().filter(|_| errors.last().is_none_or(|last| last.path != path))
        && let Err(invalid) = Window::parse(text)
    {
        errors.push(FieldError::new(path, invalid.to_string()));
    }
}

fn bounds(
    path: &str,
    count: i64,
    minimum: Option<i64>,
    maximum: Option<i64>,
    unit: &str,
    errors: &mut Vec<FieldError>,
) {
    if let Some(minimum) = minimum.filter(|minimum| count < *minimum) {
        errors.push(FieldError::new(path, format!("must have at least {minimum} {unit}")));
    }
    if let Some(maximum) = maximum.filter(|maximum| count > *maximum) {
        errors.push(FieldError::new(path, format!("must have at most {maximum} {unit}, not {count}")));
    }
}

fn unknown<'a>(path: &str, name: &str, known: impl Iterator<Item = &'a str>) -> FieldError {
    let hint = nearest(name, known).map_or(String::new(), |known| format!("; did you mean {known}?"));
    FieldError::new(member(path, name), format!("unknown field{hint}"))
}

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'o', 'i']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
