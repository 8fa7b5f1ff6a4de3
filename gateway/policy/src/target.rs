//! What a policy can speak of: tools, resources and prompts.

use crate::pattern::{is_resource_uri, is_tool_name};

/// A kind of thing that callers ask a server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A tool, by name.
    Tool,
    /// A resource, by URI.
    Resource,
    /// A prompt, by name.
    Prompt,
}

impl Target {
    /// The kind's name, as people and logs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Resource => "resource",
            Self::Prompt => "prompt",
        }
    }

    /// The member of a policy's spec that lists it.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Resource => "resources",
            Self::Prompt => "prompts",
        }
    }

    /// What a caller hears of one that does not exist for him.
    pub(crate) fn unknown(self, name: &str) -> String {
        match self {
            Self::Tool => format!("Unknown tool: {name}"),
            Self::Resource => format!("Unknown resource: {name}"),
            Self::Prompt => format!("Unknown prompt: {name}"),
        }
    }

    /// Whether a text can name one at all. What cannot is taken for one that does not exist.
    pub(crate) fn can_be_named(self, name: &str) -> bool {
        match self {
            Self::Tool | Self::Prompt => is_tool_name(name),
            Self::Resource => is_resource_uri(name),
        }
    }

    /// What the rule is called that refuses what cannot be a name.
    pub(crate) fn no_name(self) -> &'static str {
        match self {
            Self::Tool => "(not a tool name)",
            Self::Resource => "(not a plain URI)",
            Self::Prompt => "(not a prompt name)",
        }
    }
}
