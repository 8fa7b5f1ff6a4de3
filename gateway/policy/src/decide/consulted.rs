//! What one policy says of one name: looked up once for all stages, and only put into words if it refuses.

use std::cmp::Ordering;
use std::fmt;

use crate::compile::{CompiledPolicy, Entry, Narrowing};
use crate::target::Target;

/// A policy and its entries that cover a name.
#[derive(Debug)]
pub(crate) struct Consulted<'a> {
    pub policy: &'a CompiledPolicy,
    pub entries: Vec<&'a Entry>,
}

/// Where in a policy something stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    AllTools,
    Entry(Target, &'a str),
}

/// Asks policies of one name.
pub(crate) fn consult<'a>(
    policies: impl Iterator<Item = &'a CompiledPolicy>,
    target: Target,
    name: &'a str,
) -> Vec<Consulted<'a>> {
    policies.map(|policy| Consulted::new(policy, target, name)).collect()
}

impl<'a> Consulted<'a> {
    /// Asks one policy of one name.
    pub(crate) fn new(policy: &'a CompiledPolicy, target: Target, name: &'a str) -> Self {
        let mut entries: Vec<&Entry> = policy.table(target).of(name).collect();
        // Its own before globs, and these in the order of their text: of several that say the same, one is told.
        entries.sort_by_key(|entry| (entry.key != name, &entry.key));
        Self { policy, entries }
    }

    /// Everything that narrows a target, and where it stands.
    pub(crate) fn narrowings(&self, target: Target) -> impl Iterator<Item = (Place<'a>, &'a Narrowing)> {
        let (policy, entries) = (self.policy, self.entries.iter());
        let all = (target == Target::Tool).then_some((Place::AllTools, &policy.all_tools));
        let entries = entries.map(move |entry| (Place::Entry(target, &entry.key), &entry.narrowing));
        all.into_iter().chain(entries)
    }
}

impl Place<'_> {
    /// The order of the pointers to two counters at two places, without writing them.
    pub(super) fn cmp_limits(self, counter: &str, other: Self, other_counter: &str) -> Ordering {
        let pieces = |place, counter| {
            let (member, slash, key) = match place {
                Place::AllTools => ("allTools", "", ""),
                Place::Entry(target, key) => (target.member(), "/", key),
            };
            [member, slash, key, "/limits/", counter].into_iter().flat_map(str::bytes)
        };
        pieces(self, counter).cmp(pieces(other, other_counter))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllTools => formatter.write_str("allTools"),
            Self::Entry(target, key) => write!(formatter, "{}/{key}", target.member()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_as_their_pointers_are() {
        let entry = |key| Place::Entry(Target::Tool, key);
        let limits = [
            (Place::AllTools, "z"),
            (entry("a"), "b"),
            (entry("a*"), "a"),
            (entry("a"), "a"),
            (entry("a-"), "c"),
            (entry("ab"), "a"),
        ];
        for (place, counter) in limits {
            for (other, other_counter) in limits {
                let written =
                    format!("{place}/limits/{counter}").cmp(&format!("{other}/limits/{other_counter}"));
                assert_eq!(place.cmp_limits(counter, other, other_counter), written, "{place} and {other}");
            }
        }
    }
}
