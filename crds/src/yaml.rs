//! Files as people write them.
//!
//! Some faults never reach an API server: `kubectl` sends the last of two equal keys and drops a null. Here a file is
//! read with the line of every value, and both are told.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use crate::strict::{FieldError, member};

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most values of a file: keys, scalars, lists and maps together.
pub const VALUES_MAX: usize = 1_000_000;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document, as an API server would get it.
    pub value: Value,
    /// Faults that only the file shows: duplicate keys and nulls.
    pub errors: Vec<FieldError>,
    lines: BTreeMap<String, u64>,
}

/// A file that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidYaml(String);

/// Reads all documents of a file; empty ones are left out.
///
/// # Errors
/// When the text is larger than [`FILE_BYTES_MAX`] or is no YAML; the message says where.
pub fn documents(text: &str) -> Result<Vec<Document>, InvalidYaml> {
    if text.len() > FILE_BYTES_MAX {
        return Err(InvalidYaml(format!("{} bytes; at most {FILE_BYTES_MAX} are read", text.len())));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_nodes: VALUES_MAX },
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| InvalidYaml(error.without_snippet().to_string()))?;
    Ok(nodes.into_iter().filter(|node| !matches!(node.value, Node::Null)).map(Document::new).collect())
}

/// A value with the place of everything in it.
#[derive(Debug)]
enum Node {
    Null,
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Document {
    fn new(node: Spanned<Node>) -> Self {
        let mut document = Self { value: Value::Null, errors: Vec::new(), lines: BTreeMap::new() };
        document.value = document.resolve("", node);
        document
    }

    /// The line (from 1) of the value at a path, or of the nearest value above it.
    pub fn line(&self, path: &str) -> Option<u64> {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return Some(*line);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }

    fn resolve(&mut self, path: &str, node: Spanned<Node>) -> Value {
        self.lines.entry(path.to_owned()).or_insert(node.referenced.line());
        match node.value {
            Node::Null => {
                self.errors.push(FieldError::new(path, "must not be null; leave the field out or write {}"));
                Value::Null
            }
            Node::Scalar(value) => value,
            Node::List(items) => {
                let items = items.into_iter().enumerate();
                Value::Array(
                    items.map(|(index, item)| self.resolve(&format!("{path}[{index}]"), item)).collect(),
                )
            }
            Node::Map(members) => self.resolve_map(path, members),
        }
    }

    fn resolve_map(&mut self, path: &str, members: Vec<(Spanned<String>, Spanned<Node>)>) -> Value {
        let mut map = Map::new();
        for (key, node) in members {
            let path = member(path, &key.value);
            if map.contains_key(&key.value) {
                let first = self.lines.get(&path).copied().unwrap_or_default();
                let line = key.referenced.line();
                self.lines.insert(path.clone(), line);
                let message = format!("duplicate key on line {line}; first on line {first}");
                self.errors.push(FieldError::new(&path, message));
                continue;
            }
            self.lines.insert(path.clone(), key.referenced.line());
            let value = self.resolve(&path, node);
            map.insert(key.value, value);
        }
        Value::Object(map)
    }
}

// === impl InvalidYaml ===

impl fmt::Display for InvalidYaml {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid YAML: {}", self.0)
    }
}

impl std::error::Error for InvalidYaml {}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Node::Scalar(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = access.next_entry()? {
            members.push(entry);
        }
        Ok(Node::Map(members))
    }
}
