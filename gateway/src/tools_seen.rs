//! How many tools the server lists, by the lists that pass on their way to callers, before anything is taken out of them.
//!
//! A list may come in pages. They are added up along their cursors, whoever asks for them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

/// The most lists in pages that are added up at the same time.
pub const CURSORS_MAX: usize = 64;

/// A whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How many tools were in it.
    pub count: usize,
    /// When its last page came.
    pub at: Timestamp,
}

/// The place of a page in its list, as the request says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The first one.
    First,
    /// The one after this cursor.
    After(String),
    /// Not known, as of a stream that was resumed.
    Unknown,
}

/// What was seen of the server's lists of tools.
#[derive(Debug, Default)]
pub struct ToolsSeen(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Seen>,
    /// How many tools come before a cursor.
    before: HashMap<String, usize>,
}

impl ToolsSeen {
    /// The last list that was whole.
    pub fn last(&self) -> Option<Seen> {
        self.state().last
    }

    /// A page passes, with so many tools, and the cursor of the next one if there is one.
    pub fn page(&self, page: &Page, count: usize, next: Option<&str>, at: Timestamp) {
        let mut state = self.state();
        let before = match page {
            Page::First => Some(0),
            Page::After(cursor) => state.before.get(cursor).copied(),
            Page::Unknown => None,
        };
        let Some(before) = before else { return };
        let count = before.saturating_add(count);
        match next {
            None => state.last = Some(Seen { count, at }),
            Some(next) if state.before.len() < CURSORS_MAX || state.before.contains_key(next) => {
                state.before.insert(next.to_owned(), count);
            }
            // Cursors that nobody followed to the end are of no use any more.
            Some(next) => state.before = HashMap::from([(next.to_owned(), count)]),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is one insertion or one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cursor: &str) -> Page {
        Page::After(cursor.to_owned())
    }

    fn count(seen: &ToolsSeen) -> Option<usize> {
        seen.last().map(|seen| seen.count)
    }

    #[test]
    fn pages_are_added_up_and_count_when_the_last_one_came() {
        let (seen, now) = (ToolsSeen::default(), Timestamp::UNIX_EPOCH);
        seen.page(&Page::First, 10, Some("b"), now);
        assert_eq!(count(&seen), None);
        // Another caller is elsewhere in the same list.
        seen.page(&Page::First, 10, Some("b"), now);
        seen.page(&after("b"), 10, Some("c"), now);
        seen.page(&after("c"), 3, None, now);
        assert_eq!(count(&seen), Some(23));
        seen.page(&Page::First, 7, None, now);
        assert_eq!(count(&seen), Some(7));
    }

    #[test]
    fn a_page_that_is_nobody_s_next_counts_for_nothing() {
        let (seen, now) = (ToolsSeen::default(), Timestamp::UNIX_EPOCH);
        seen.page(&after("b"), 3, None, now);
        seen.page(&Page::Unknown, 3, None, now);
        assert_eq!(seen.last(), None);
    }

    #[test]
    fn so_many_cursors_are_kept_and_one_more_begins_anew() {
        let (seen, now) = (ToolsSeen::default(), Timestamp::UNIX_EPOCH);
        for number in 0..CURSORS_MAX {
            seen.page(&Page::First, 1, Some(&number.to_string()), now);
        }
        seen.page(&after("0"), 1, None, now);
        assert_eq!(count(&seen), Some(2));
        seen.page(&Page::First, 5, Some("one more"), now);
        seen.page(&after("1"), 100, None, now);
        assert_eq!(count(&seen), Some(2), "forgotten");
        seen.page(&after("one more"), 1, None, now);
        assert_eq!(count(&seen), Some(6));
    }
}
