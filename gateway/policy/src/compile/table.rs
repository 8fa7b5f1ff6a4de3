//! What is said of names and globs: exact names in a table, globs beside it in one of their own.

use std::collections::HashMap;

use toolgate_crds::Action;

use super::policy::Narrowing;
use crate::definition::Definition;
use crate::pattern::Pattern;

/// The rules of one name or glob.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name or glob, as it was written.
    pub key: String,
    /// Whether it lists what it covers, or only narrows what others list.
    pub lists: bool,
    pub action: Action,
    pub reason: Option<String>,
    /// The definitions that were agreed to. None: any.
    pub definitions: Option<Vec<Definition>>,
    pub narrowing: Narrowing,
}

/// What is said of every name and glob of one kind.
#[derive(Debug)]
pub(crate) struct Table<Said> {
    exact: HashMap<String, Said>,
    globs: Globs<Said>,
}

/// Globs, found by the longer of the two texts that a name must begin and end with. So a look-up does not cost as much
/// as there are globs; only those that have the same text, or neither, are all tried.
#[derive(Debug)]
struct Globs<Said> {
    all: Vec<(Pattern, Said)>,
    by_beginning: Beginnings,
    // Read backwards.
    by_end: Beginnings,
}

/// Which globs have which text, the texts in order.
#[derive(Debug, Default)]
struct Beginnings {
    sorted: Vec<(Vec<u8>, usize)>,
}

impl<Said> Default for Table<Said> {
    fn default() -> Self {
        let globs =
            Globs { all: Vec::new(), by_beginning: Beginnings::default(), by_end: Beginnings::default() };
        Self { exact: HashMap::new(), globs }
    }
}

impl<Said> Table<Said> {
    /// Adds what is said of a name or glob. Of one that is added twice, what was said first holds.
    pub(super) fn add(&mut self, pattern: Pattern, said: Said) {
        if pattern.is_glob() {
            self.globs.add(pattern, said);
        } else {
            self.exact.entry(pattern.as_str().to_owned()).or_insert(said);
        }
    }

    /// What is said of a name: first of itself, then by every glob that covers it.
    pub(crate) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Said> {
        self.exact.get(name).into_iter().chain(self.globs.covering(name))
    }

    /// What is said of globs, in the order in which it was added.
    pub(crate) fn of_globs(&self) -> impl Iterator<Item = &Said> {
        self.globs.all.iter().map(|(_, said)| said)
    }

    /// What is said of exactly this text.
    pub(crate) fn of_exactly(&self, name: &str) -> Option<&Said> {
        self.exact.get(name)
    }

    /// What is said of a name or glob that is written so.
    pub(crate) fn written(&self, key: &str) -> Option<&Said> {
        let glob = || self.globs.all.iter().find(|(pattern, _)| pattern.as_str() == key);
        self.exact.get(key).or_else(|| glob().map(|(_, said)| said))
    }

    /// Whether something is said of exactly this text.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.of_exactly(name).is_some()
    }

    /// The names that are written exactly.
    pub(crate) fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }
}

impl<Said> Globs<Said> {
    fn add(&mut self, pattern: Pattern, said: Said) {
        let (beginning, end) = pattern.literal_ends();
        if beginning.len() >= end.len() {
            self.by_beginning.add(beginning.bytes().collect(), self.all.len());
        } else {
            self.by_end.add(end.bytes().rev().collect(), self.all.len());
        }
        self.all.push((pattern, said));
    }

    /// Those that may cover a name.
    fn candidates(&self, name: &str) -> impl Iterator<Item = &(Pattern, Said)> {
        let beginnings = self.by_beginning.of(name.bytes());
        beginnings.chain(self.by_end.of(name.bytes().rev())).map(|index| &self.all[index])
    }

    fn covering<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Said> {
        self.candidates(name).filter(move |(pattern, _)| pattern.matches(name)).map(|(_, said)| said)
    }
}

impl Beginnings {
    fn add(&mut self, text: Vec<u8>, glob: usize) {
        let place = self.sorted.partition_point(|(known, _)| *known < text);
        self.sorted.insert(place, (text, glob));
    }

    /// The globs whose text is one that `name` begins with: the order is halved for each byte, as in a dictionary.
    fn of(&self, name: impl Iterator<Item = u8>) -> impl Iterator<Item = usize> {
        let (mut rest, mut name, mut depth) = (self.sorted.as_slice(), name, 0);
        std::iter::from_fn(move || {
            loop {
                let (first, others) = rest.split_first()?;
                // All that are left begin alike, so the shortest comes first.
                if first.0.len() == depth {
                    rest = others;
                    return Some(first.1);
                }
                let byte = name.next()?;
                let from = rest.partition_point(|(text, _)| text[depth] < byte);
                let until = rest.partition_point(|(text, _)| text[depth] <= byte);
                rest = &rest[from..until];
                depth += 1;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn table(keys: &BTreeSet<String>) -> Table<&str> {
        let mut table = Table::default();
        for key in keys {
            table.add(Pattern::parse(key).unwrap(), key.as_str());
        }
        table
    }

    proptest! {
        #[test]
        fn every_entry_that_covers_a_name_is_found_once(
            keys in prop::collection::btree_set("[ab*?]{1,5}", 0..40),
            name in "[ab]{1,6}",
        ) {
            let table = table(&keys);
            let mut found: Vec<&str> = table.of(&name).copied().collect();
            found.sort_unstable();
            let covering: Vec<&str> =
                keys.iter().filter(|key| Pattern::parse(key).unwrap().matches(&name)).map(String::as_str).collect();
            prop_assert_eq!(found, covering);
        }
    }

    #[test]
    fn of_ten_thousand_globs_few_are_tried() {
        let keys: BTreeSet<String> = (0..10_000)
            .map(|index| match index % 3 {
                0 => format!("area_{index}_*"),
                1 => format!("*_of_{index}"),
                _ => format!("get_*_in_{index}"),
            })
            .collect();
        let globs = table(&keys).globs;
        let tried = |name: &str| globs.candidates(name).count();
        assert_eq!(tried("get_leads_in_5000"), 1);
        assert_eq!((tried("area_3000_x"), tried("move_lead"), tried("leads_of_4000")), (1, 0, 1));
    }
}
