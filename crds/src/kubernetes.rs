//! Types of Kubernetes' own that a server's gateway takes as they are, so that they can be pasted from any manifest.
//!
//! Their schemas say no more than Kubernetes' documentation does. Here they are closed like ours: every list and map has
//! a bound, and the strict parse and the admission policy know every key.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// The most items of a list, and entries of a map, in a value of Kubernetes' own.
pub const ENTRIES_MAX: usize = 64;

/// The schema of a value of Kubernetes' own.
pub(crate) fn value<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    bounded(generator.subschema_for::<T>())
}

/// The schema of a list of values of Kubernetes' own.
pub(crate) fn list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let items = generator.subschema_for::<T>();
    bounded(json_schema!({"type": "array", "items": items}))
}

/// The schema of a map of texts, such as labels.
pub(crate) fn texts(_: &mut SchemaGenerator) -> Schema {
    bounded(json_schema!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 4096}}))
}

fn bounded(mut schema: Schema) -> Schema {
    Bounds.transform(&mut schema);
    schema
}

struct Bounds;

impl Transform for Bounds {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("type") == Some(&json!("array")) {
            schema.insert("maxItems".to_owned(), json!(ENTRIES_MAX));
        }
        if schema.get("additionalProperties").is_some_and(Value::is_object) {
            schema.insert("maxProperties".to_owned(), json!(ENTRIES_MAX));
        }
        transform_subschemas(self, schema);
    }
}
