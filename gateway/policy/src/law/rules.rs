//! What the law says of its own rules: which there are, and which tools' definitions have to be known.

use super::{Caller, Law};
use crate::condition::Truth;
use crate::decide;
use crate::definition::Definition;
use crate::target::Target;

impl Law {
    /// Whether a rule is in force, or is none of a policy's but the want of one.
    pub fn has_rule(&self, policy: &str, pointer: &str) -> bool {
        let named = self.policies.iter().find(|(name, _)| **name == *policy);
        match named {
            Some((_, Some(compiled))) => compiled.has_rule(pointer),
            Some((_, None)) => true,
            None => policy.is_empty() || self.void.as_ref().is_some_and(|rule| rule.policy == policy),
        }
    }

    /// Whether any policy agrees to some definitions of a tool only, so that its definition has to be known.
    pub fn pins(&self, tool: &str) -> bool {
        self.pinned.contains(tool)
    }

    /// Whether all policies agree to a definition of a tool.
    pub fn agrees(&self, tool: &str, definition: Definition) -> bool {
        let policies = self.policies.iter().filter_map(|(_, compiled)| compiled.as_ref());
        let mut entries = policies.filter_map(|policy| policy.table(Target::Tool).of_exactly(tool));
        entries
            .all(|entry| decide::agrees(entry, Some(definition)).is_none_or(|agrees| agrees == Truth::True))
    }

    /// Whether nothing but a tool's definition is in the way of what a caller might call: to know another one could
    /// change what is decided.
    pub fn misses_definition(&self, caller: &Caller, tool: &str, definition: Option<Definition>) -> bool {
        let policies = decide::consult(self.enforcing(caller), Target::Tool, tool);
        let call = decide::Call { target: Target::Tool, name: tool, arguments: None, definition };
        self.standing(caller).is_ok()
            && decide::mentionable(&policies, &call).is_ok()
            && decide::defined(&policies, tool, definition).is_err()
    }
}
