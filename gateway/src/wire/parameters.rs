//! `Mcp-Param-*`: arguments that a tool's schema says are repeated in headers.
//!
//! Like every header that repeats the body it is compared and never trusted. What no schema declares is passed on as it
//! came, as the protocol asks of those on the way. A header that is not there says nothing that could be wrong: whether
//! it has to be there, the server decides by the schema that it has now, which need not be the one that was listed here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use toolgate_policy::json::{Json, Object};

use super::mirror::{PARAMETERS_MAX, Parameter};

/// The key of a property's schema that names its header.
const DECLARATION: &str = "x-mcp-header";
/// How deep in properties of properties it is looked for.
const DEPTH_MAX: usize = 16;
/// Of how many tools the declarations are kept.
pub const TOOLS_MAX: usize = 4096;

/// An argument that is repeated in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The header's name after its prefix, in lower case.
    pub header: String,
    /// Where the argument is, from the arguments' root.
    pub path: Vec<String>,
}

/// A header and the argument that it repeats are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Mcp-Param header does not match the argument that it repeats")]
pub struct ParameterError;

/// The declarations of a tool's `inputSchema`, [`PARAMETERS_MAX`] at most. Only properties of properties can have one.
pub fn declared(schema: &Json<'_>) -> Vec<Declared> {
    let mut found = Vec::new();
    properties(schema, &mut Vec::new(), &mut found);
    found.truncate(PARAMETERS_MAX);
    found
}

fn properties(schema: &Json<'_>, path: &mut Vec<String>, found: &mut Vec<Declared>) {
    let members = schema.get("properties").and_then(Json::as_object).filter(|_| path.len() < DEPTH_MAX);
    for (name, property) in members.into_iter().flat_map(Object::iter) {
        path.push(name.to_owned());
        if let Some(header) = property.get(DECLARATION).and_then(Json::as_str) {
            found.push(Declared { header: header.to_ascii_lowercase(), path: path.clone() });
        }
        if found.len() <= PARAMETERS_MAX {
            properties(property, path, found);
        }
        path.pop();
    }
}

/// Compares the headers of a call with its arguments. Numbers are compared by value; what is no plain value cannot be
/// repeated.
///
/// # Errors
/// A header says something else than its argument, or repeats what is not there.
pub fn check(
    declared: &[Declared],
    arguments: Option<&Object<'_>>,
    headers: &[Parameter],
) -> Result<(), ParameterError> {
    let differs = |Declared { header, path }: &Declared| {
        let said = headers.iter().find(|parameter| parameter.name == *header);
        said.is_some_and(|said| !argument(arguments, path).is_some_and(|it| is_same(it, &said.value)))
    };
    if declared.iter().any(differs) { Err(ParameterError) } else { Ok(()) }
}

fn argument<'j, 'a>(arguments: Option<&'j Object<'a>>, path: &[String]) -> Option<&'j Json<'a>> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(arguments?.get(first)?, |value, key| value.get(key))
}

fn is_same(argument: &Json<'_>, said: &str) -> bool {
    match argument {
        Json::String(text) => *text == said,
        Json::Bool(value) => said == if *value { "true" } else { "false" },
        Json::Number(number) => number.equals(said),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

/// The declarations of the tools that were listed. A tool that was not listed here yet has none that are known: its headers
/// pass, and the server compares them.
#[derive(Debug, Default)]
pub struct Declarations {
    tools: RwLock<HashMap<String, Arc<[Declared]>>>,
}

impl Declarations {
    /// Learns from one entry of a list of tools.
    pub fn learn(&self, tool: &Json<'_>) {
        let Some(name) = tool.get("name").and_then(Json::as_str) else { return };
        let declared = tool.get("inputSchema").map(declared).unwrap_or_default();
        if self.of(name).as_deref().unwrap_or_default() == declared.as_slice() {
            return;
        }
        let mut tools = self.tools.write().unwrap_or_else(PoisonError::into_inner);
        if declared.is_empty() {
            tools.remove(name);
        } else if tools.len() < TOOLS_MAX || tools.contains_key(name) {
            tools.insert(name.to_owned(), declared.into());
        }
    }

    /// The declarations of a tool.
    pub fn of(&self, tool: &str) -> Option<Arc<[Declared]>> {
        self.tools.read().unwrap_or_else(PoisonError::into_inner).get(tool).cloned()
    }
}
