//! What the gateway logs: every line, as it comes.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::Notify;

use super::PATIENCE;
use super::error::ProcessError;

/// The most lines that are kept; a scenario that logs more has gone wrong.
const LINES_MAX: usize = 200_000;

/// The lines so far. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Log {
    /// What comes out of a process, line by line.
    pub fn of(from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let log = Self::default();
        tokio::spawn(log.clone().fill(from));
        log
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All lines so far as one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The first line, of those from `from` on, whose message holds a text.
    pub fn find(&self, from: usize, part: &str) -> Option<Value> {
        self.lines().iter().skip(from).find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["message"].as_str()?.contains(part).then_some(line)
        })
    }

    /// The first line, of those from `from` on, whose message holds a text, as soon as there is one.
    ///
    /// # Errors
    /// There was none in time.
    pub async fn message(&self, from: usize, part: &str) -> Result<Value, ProcessError> {
        let waiting = async {
            loop {
                let more = self.shared.more.notified();
                if let Some(found) = self.find(from, part) {
                    return found;
                }
                more.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| ProcessError::Patience {
            what: format!("a log line with {part:?}"),
            last: format!("the log:\n{}", self.text()),
        })
    }

    /// As many lines as this at least, each of them JSON, as soon as they are there.
    ///
    /// # Errors
    /// They were not in time.
    pub async fn json_lines(&self, count: usize) -> Result<Vec<Value>, ProcessError> {
        let last = count.saturating_sub(1);
        let waiting = async {
            if count > 0 {
                self.line(last).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| ProcessError::Patience { what: format!("{count} lines"), last: self.text() })?;
        let no_json = |line: &String| ProcessError::Patience { what: "JSON".to_owned(), last: line.clone() };
        self.lines().iter().map(|line| serde_json::from_str(line).map_err(|_| no_json(line))).collect()
    }

    /// The line of an index, counted from 0, as soon as it is there.
    pub async fn line(&self, index: usize) -> String {
        loop {
            let more = self.shared.more.notified();
            if let Some(line) = self.lines().into_iter().nth(index) {
                return line;
            }
            more.await;
        }
    }

    /// Reads to the end.
    pub(super) async fn fill(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < LINES_MAX {
                kept.push(line);
            }
            drop(kept);
            self.shared.more.notify_waiters();
        }
    }
}
