//! The entries of one kind of target: exact names in a table, globs beside it.

use std::collections::HashMap;

use toolgate_crds::Action;

use super::policy::Narrowing;
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
    pub narrowing: Narrowing,
}

/// Every entry of one kind.
#[derive(Debug, Default)]
pub(crate) struct Table {
    exact: HashMap<String, Entry>,
    globs: Vec<(Pattern, Entry)>,
}

impl Table {
    /// Adds an entry. Entries come in the order of their text.
    pub(super) fn add(&mut self, pattern: Pattern, entry: Entry) {
        if pattern.is_glob() {
            self.globs.push((pattern, entry));
        } else {
            self.exact.insert(pattern.as_str().to_owned(), entry);
        }
    }

    /// Every entry that covers a name: its own, then globs in the order of their text.
    pub(crate) fn entries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        let globs =
            self.globs.iter().filter(move |(pattern, _)| pattern.matches(name)).map(|(_, entry)| entry);
        self.exact.get(name).into_iter().chain(globs)
    }

    /// Whether there is an entry that is written exactly so.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.exact.contains_key(name)
    }

    /// The names that are written exactly.
    pub(crate) fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }
}
