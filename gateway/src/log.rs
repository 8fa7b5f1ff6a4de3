//! The log: what the process says about itself, on its standard error, an event a line.
//!
//! Whoever logs never waits. A reader that stops reading fills a pipe, and a call that then logged something would stand
//! still with it; so lines go through a bounded queue, and what finds no place is dropped, counted, and told of as soon as
//! there is.
//!
//! Invariant: nothing else in this process writes to its standard error while the log is on.

use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::outlet::lines::{Destination, Lost, WholeLines, stream};
use crate::outlet::{Outlet, Sink};

/// How many lines wait to be written at most; more are dropped.
pub const QUEUE_MAX: usize = 4096;
/// How many bytes wait to be written at most; what would be more is dropped.
pub const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the end of the process waits for the last lines.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// The log of a process. Clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    outlet: Arc<Outlet<Vec<u8>>>,
    // Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
}

/// The thread's side of it.
#[derive(Debug)]
struct Lines<D> {
    to: WholeLines<D>,
    text: Vec<u8>,
    waiting: Arc<AtomicUsize>,
    // Missing, and not told of yet.
    untold: u64,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the log: what `TOOLGATE_LOG` lets through, for people on a terminal and as JSON elsewhere.
    ///
    /// # Errors
    /// When the system has no more threads, or the process no standard error.
    pub fn start() -> io::Result<Self> {
        let log = Self::to(stream(&io::stderr())?)?;
        let filter = EnvFilter::try_from_env("TOOLGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let events = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.clone());
        if io::stderr().is_terminal() {
            events.init();
        } else {
            events.json().flatten_event(true).init();
        }
        panic::set_hook(Box::new(panicked));
        Ok(log)
    }

    fn to(destination: impl Destination) -> io::Result<Self> {
        let (waiting, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
        let lines = Lines {
            to: WholeLines::new(destination),
            text: Vec::new(),
            waiting: waiting.clone(),
            untold: 0,
            dropped: dropped.clone(),
        };
        Ok(Self { outlet: Arc::new(Outlet::new("log", QUEUE_MAX, lines)?), waiting, dropped })
    }

    /// How many lines were dropped since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until everything is written, but not longer than [`FLUSH_DEADLINE`]. It blocks.
    pub fn finish(&self) {
        self.outlet.flush(FLUSH_DEADLINE);
    }

    fn put(&self, line: &[u8]) {
        let waiting = self.waiting.fetch_add(line.len(), Ordering::Relaxed) + line.len();
        let sent = waiting <= QUEUE_BYTES_MAX && self.outlet.send(line.to_vec(), 1);
        if !sent {
            self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<D: Destination> Sink<Vec<u8>> for Lines<D> {
    fn take(&mut self, lines: &mut Vec<Vec<u8>>, dropped: u64) {
        self.untold += dropped;
        self.text.clear();
        self.text.extend(lines.iter().flatten());
        if let Err(Lost { lines, .. }) = self.to.write(&self.text) {
            self.untold += lines;
            self.dropped.fetch_add(lines, Ordering::Relaxed);
        } else if self.untold > 0 {
            tracing::warn!(lines = std::mem::take(&mut self.untold), "lines are missing from this log");
        }
        self.waiting.fetch_sub(self.text.len(), Ordering::Relaxed);
        // What one flood took is not kept for the next.
        self.text.shrink_to(64 * 1024);
    }
}

// One event is one write.
impl Write for &Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for Log {
    type Writer = &'l Log;

    fn make_writer(&'l self) -> &'l Log {
        self
    }
}

// Where the standard library would write by itself, and wait.
fn panicked(info: &PanicHookInfo<'_>) {
    let said = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map(ToString::to_string);
    tracing::error!(said, place, "a panic");
}
