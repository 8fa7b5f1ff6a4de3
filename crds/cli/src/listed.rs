//! What a server lists as its tools: an answer to `tools/list`, as a client or `curl` shows it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use toolgate_policy::Definition;
use toolgate_policy::json::{Json, Twins, parse_with};

use crate::sources::{self, Source, Unread};

/// Why there are no tools to speak of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unlisted {
    #[error("{0}: {1}")]
    Unread(String, Unread),
    #[error("{0}: is no JSON that a gateway would read: {1}")]
    NoJson(String, toolgate_policy::json::JsonError),
    #[error("{0}: has no list of tools: it must be an answer to tools/list, its result, or the list itself")]
    NoList(String),
    #[error("{0}: has an entry without a name")]
    NoName(String),
    #[error("{0} is there twice")]
    Twice(String),
}

/// Tools and their definitions, in the order in which they are listed.
///
/// # Errors
/// When a text is no list of tools, or two entries say two things of one tool.
pub(crate) fn definitions(paths: &[PathBuf]) -> Result<Vec<(String, Definition)>, Unlisted> {
    let mut found: Vec<(String, Definition)> = Vec::new();
    for path in paths {
        let source = Source::of(path);
        let text = sources::read(&source).map_err(|unread| Unlisted::Unread(source.to_string(), unread))?;
        let mut page = BTreeSet::new();
        for (name, definition) in of_text(&source.to_string(), &text)? {
            // A gateway would not know which one is meant.
            if !page.insert(name.clone()) {
                return Err(Unlisted::Twice(name));
            }
            match found.iter().find(|(known, _)| *known == name) {
                None => found.push((name, definition)),
                Some((_, known)) if *known == definition => {}
                Some(_) => return Err(Unlisted::Twice(name)),
            }
        }
    }
    Ok(found)
}

fn of_text(source: &str, text: &str) -> Result<Vec<(String, Definition)>, Unlisted> {
    // As a gateway reads answers: what only differs by case may be there.
    let parsed = parse_with(text.as_bytes(), Twins::Allowed)
        .map_err(|error| Unlisted::NoJson(source.to_owned(), error))?;
    let result = parsed.get("result").unwrap_or(&parsed);
    let tools = result.get("tools").unwrap_or(result).as_array();
    let named = |tool: &Json<'_>| {
        let name = tool.get("name").and_then(Json::as_str).ok_or(Unlisted::NoName(source.to_owned()))?;
        Ok((name.to_owned(), Definition::of(tool)))
    };
    tools.ok_or(Unlisted::NoList(source.to_owned()))?.iter().map(named).collect()
}
