//! What the law says of its own rules: which there are, and which tools' definitions have to be known.

use super::{Caller, Law};
use crate::condition::Truth;
use crate::decide;
use crate::definition::Definition;
use crate::target::Target;

impl Law {
    /// Whether a rule is in force, or is none of a policy's but the want of one.
    pub fn has_rule(&self, policy: &str, pointer: &str) -> bool {
        if self.void.as_ref().is_some_and(|rule| rule.policy == policy && rule.pointer == pointer) {
            return true;
        }
        let named = self.policies.iter().find(|(name, _)| **name == *policy);
        match named {
            Some((_, Some(compiled))) => compiled.has_rule(pointer),
            Some((_, None)) => true,
            None => policy.is_empty(),
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

    /// Whether a call of a tool has to be decided, or watched, by how the server defines it: a bound policy agrees to some
    /// definitions only, and the name alone refuses nothing.
    pub fn wants_definition(&self, caller: &Caller, tool: &str) -> bool {
        if !self.pins(tool) || self.standing(caller).is_err() {
            return false;
        }
        let policies = decide::consult(self.enforcing(caller), Target::Tool, tool);
        let call = decide::Call { target: Target::Tool, name: tool, arguments: None, definition: None };
        let watching = self.auditing(caller).any(|policy| policy.pins(tool));
        decide::mentionable(&policies, &call).is_ok()
            && (watching || self.decides_by_definition(caller, tool))
    }

    /// Whether a policy that decides the calls of a caller agrees to some definitions of a tool only.
    pub fn decides_by_definition(&self, caller: &Caller, tool: &str) -> bool {
        self.enforcing(caller).any(|policy| policy.pins(tool))
    }

    /// The tools of which some policy agrees to some definitions only, in no order.
    pub fn pinned(&self) -> impl Iterator<Item = &str> {
        self.pinned.iter().map(String::as_str)
    }
}
