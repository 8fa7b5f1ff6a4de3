//! `toolgate pin`: the definitions of tools as they are listed now, to be agreed to in a policy.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::arguments::Pin;
use crate::listed::{self, Unlisted};
use crate::yaml;

/// Why nothing is pinned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpinned {
    #[error(transparent)]
    Unlisted(#[from] Unlisted),
    #[error("{0} is not listed")]
    NoTool(String),
    #[error("no tools are listed")]
    Nothing,
    #[error("cannot write the definitions: {0}")]
    Untold(#[from] io::Error),
}

/// Prints what agrees to the tools as they are listed.
///
/// # Errors
/// When a list cannot be read, or a tool that is asked for is not in it.
pub(crate) fn run(arguments: &Pin) -> Result<(), Unpinned> {
    let mut listed = listed::definitions(&arguments.paths)?;
    let is_listed = |tool: &&String| listed.iter().any(|(name, _)| name == *tool);
    if let Some(missing) = arguments.tool.iter().find(|tool| !is_listed(tool)) {
        return Err(Unpinned::NoTool(missing.clone()));
    }
    listed.retain(|(name, _)| arguments.tool.is_empty() || arguments.tool.contains(name));
    if listed.is_empty() {
        return Err(Unpinned::Nothing);
    }
    let entry = |(name, definition): (String, toolgate_policy::Definition)| {
        (name, json!({"definitions": [definition.to_string()]}))
    };
    let tools: Map<String, Value> = listed.into_iter().map(entry).collect();
    Ok(io::stdout().write_all(yaml::write(&json!({"tools": tools})).as_bytes())?)
}
