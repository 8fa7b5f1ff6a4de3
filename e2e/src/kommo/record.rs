//! The record: every request that reached the stand-in, in the order of arrival.
//!
//! Counts go on when entries no longer fit, and what was dropped is counted and said aloud: a test that compares
//! the record with what it expects cannot be fooled by a full one.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// The most entries that are kept; later ones are dropped and counted.
pub const MAX_ENTRIES: usize = 100_000;

/// The most bytes of bodies that are kept over all entries.
const MAX_KEPT_BYTES: usize = 256 * 1024 * 1024;

/// The most tool names that are counted apart; calls of further names count as [`OTHER_TOOLS`].
const MAX_TOOL_NAMES: usize = 1_000;

/// The name under which calls are counted once there are too many names.
const OTHER_TOOLS: &str = "_other";

/// One request that reached the stand-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 and is never given twice, also not after the record was emptied.
    pub sequence: u64,
    /// The HTTP method.
    pub method: String,
    /// The path with its query, as it was sent.
    pub path: String,
    /// All headers, names in lower case; values of a repeated header are joined by a comma and a space.
    pub headers: BTreeMap<String, String>,
    /// The body as it was sent; bytes that are not UTF-8 are replaced.
    pub body: String,
    /// The JSON-RPC method, if the body is a JSON object that has one.
    pub rpc_method: Option<String>,
    /// The tool's name, if the method is `tools/call`.
    pub tool: Option<String>,
    /// When the request's head arrived, in Unix milliseconds.
    pub at_ms: u64,
}

/// How many requests were received since the record was emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All requests, the dropped ones included.
    pub total: u64,
    /// Requests of `tools/call` by the tool's name, the dropped ones included.
    pub by_tool: BTreeMap<String, u64>,
    /// Requests that are counted but whose entries did not fit.
    pub dropped: u64,
}

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Record {
    entries: VecDeque<Entry>,
    counts: Counts,
    last_sequence: u64,
    kept_bytes: usize,
}

impl Record {
    /// Takes an entry; its sequence number is given here.
    pub(super) fn push(&mut self, mut entry: Entry) {
        self.last_sequence += 1;
        entry.sequence = self.last_sequence;
        self.counts.total += 1;
        if let Some(tool) = &entry.tool {
            let known = self.counts.by_tool.contains_key(tool) || self.counts.by_tool.len() < MAX_TOOL_NAMES;
            let name = if known { tool } else { OTHER_TOOLS };
            *self.counts.by_tool.entry(name.to_owned()).or_default() += 1;
        }
        let kept_bytes = self.kept_bytes.saturating_add(entry.body.len());
        if self.entries.len() == MAX_ENTRIES || kept_bytes > MAX_KEPT_BYTES {
            if self.counts.dropped == 0 {
                eprintln!(
                    "THE RECORD IS FULL: requests are counted from here on, but their entries are dropped"
                );
            }
            self.counts.dropped += 1;
            return;
        }
        self.kept_bytes = kept_bytes;
        self.entries.push_back(entry);
    }

    /// All kept entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Forgets all entries and counts. Sequence numbers go on.
    pub(super) fn clear(&mut self) {
        *self = Self { last_sequence: self.last_sequence, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(tool: Option<&str>, body: String) -> Entry {
        Entry {
            sequence: 0,
            method: "POST".to_owned(),
            path: "/mcp".to_owned(),
            headers: BTreeMap::new(),
            body,
            rpc_method: tool.map(|_| "tools/call".to_owned()),
            tool: tool.map(str::to_owned),
            at_ms: 0,
        }
    }

    #[test]
    fn the_last_entry_that_fits_is_kept_and_the_next_is_dropped_and_counted() {
        let mut record = Record::default();
        for _ in 0..MAX_ENTRIES {
            record.push(entry(Some("get_lead"), String::new()));
        }
        assert_eq!((record.entries.len(), record.counts.dropped), (MAX_ENTRIES, 0));
        record.push(entry(Some("get_lead"), String::new()));
        assert_eq!((record.entries.len(), record.counts.dropped), (MAX_ENTRIES, 1));
        let all = MAX_ENTRIES as u64 + 1;
        assert_eq!((record.counts.total, record.counts.by_tool["get_lead"]), (all, all));
    }

    #[test]
    fn bodies_that_do_not_fit_are_dropped_and_counted() {
        let mut record = Record { kept_bytes: MAX_KEPT_BYTES - 4, ..Record::default() };
        record.push(entry(None, "four".to_owned()));
        assert_eq!((record.entries.len(), record.counts.dropped), (1, 0));
        record.push(entry(None, "x".to_owned()));
        assert_eq!((record.entries.len(), record.counts.dropped), (1, 1));
    }

    #[test]
    fn too_many_tool_names_are_counted_as_one() {
        let mut record = Record::default();
        for number in 0..=MAX_TOOL_NAMES {
            record.push(entry(Some(&format!("tool_{number}")), String::new()));
        }
        record.push(entry(Some("tool_0"), String::new()));
        assert_eq!(record.counts.by_tool.len(), MAX_TOOL_NAMES + 1);
        assert_eq!(record.counts.by_tool[OTHER_TOOLS], 1);
        assert_eq!(record.counts.by_tool["tool_0"], 2);
    }

    #[test]
    fn emptying_keeps_the_sequence() {
        let mut record = Record::default();
        record.push(entry(Some("get_lead"), String::new()));
        record.clear();
        assert_eq!(record.counts, Counts::default());
        record.push(entry(None, String::new()));
        assert_eq!(record.entries().map(|entry| entry.sequence).collect::<Vec<u64>>(), [2]);
    }
}
