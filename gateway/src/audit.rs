//! The audit trail: one line of JSON for every decision, and for what was refused before there was one to make.
//!
//! - [`line`](mod@line): what a line says. `AUDIT.md` beside the gateway is the contract.
//! - [`digest`]: arguments without their values.
//! - [`sink`]: where lines go: stdout, or files of a bounded size. [`records`]: the same for a collector.
//!
//! Invariants: no line holds a credential or the value of an argument; writing them delays no call, and what cannot be
//! written in time is dropped, counted, and said.

mod bound;
pub mod digest;
pub mod line;
pub mod records;
pub mod sink;
mod writer;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use toolgate_policy::Now;

use crate::correlation::Correlation;
use crate::metrics::Rejected;
use crate::otlp::Base;
use crate::outlet::Outlet;
use crate::outlet::lines::stream;
use bound::Bound;
use digest::DigestKey;
use line::{Entry, Event, Place, Who};
use records::Records;
use sink::{Lines, Rotating};

/// How many entries wait to be written at most; more are dropped.
pub const QUEUE_MAX: usize = 8192;
/// How many rejections are recorded in one second; of more only the number is.
pub const REJECTIONS_PER_SECOND_MAX: u32 = 20;
/// How long the end of the process waits for the last lines.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Where the trail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, which makes place for the next when it has grown.
    File(PathBuf),
    /// A collector, by OTLP.
    Collector(Base),
}

/// A text that is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be stdout, off, the path of a file with a / in it, or the URL of a collector without user and query"
)]
pub struct InvalidDestination;

/// The audit trail of one gateway.
pub struct Audit {
    on: Option<Trail>,
}

struct Trail {
    outlet: Outlet<Entry>,
    key: DigestKey,
    bound: Mutex<Bound>,
    dropped: Arc<AtomicU64>,
}

impl Audit {
    /// No trail.
    pub fn off() -> Self {
        Self { on: None }
    }

    /// A trail to a destination.
    ///
    /// # Errors
    /// When a file cannot be opened, or the system has no more threads.
    pub fn to(destination: &Destination, key: DigestKey, file_bytes_max: u64) -> io::Result<Self> {
        let dropped = Arc::new(AtomicU64::new(0));
        let outlet = match destination {
            Destination::Off => return Ok(Self::off()),
            Destination::Stdout => {
                Outlet::new("audit", QUEUE_MAX, Lines::new(stream(&io::stdout())?, dropped.clone()))?
            }
            Destination::File(path) => {
                let file = Rotating::open(path, file_bytes_max)?;
                Outlet::new("audit", QUEUE_MAX, Lines::new(file, dropped.clone()))?
            }
            Destination::Collector(base) => {
                Outlet::new("audit", QUEUE_MAX, Records::new(base, dropped.clone())?)?
            }
        };
        Ok(Self { on: Some(Trail { outlet, key, bound: Mutex::default(), dropped }) })
    }

    /// The key of the arguments' digests; None when there is no trail, so that nothing is digested for nobody.
    pub fn key(&self) -> Option<&DigestKey> {
        self.on.as_ref().map(|trail| &trail.key)
    }

    /// Records something, if there is place.
    pub fn record(&self, entry: Entry) {
        let Some(trail) = &self.on else { return };
        let lines = entry.lines();
        if !trail.outlet.send(entry, lines) {
            trail.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// Records a rejection, as long as there are not too many.
    pub fn rejected(
        &self,
        now: Now,
        correlation: Correlation,
        place: Option<Arc<Place>>,
        who: Option<Who>,
        (reason, detail): (Rejected, Option<&'static str>),
    ) {
        let Some(trail) = &self.on else { return };
        let look = trail.bound().look(now.monotonic);
        self.omitted(now, look.omitted);
        if look.admitted {
            let event = Event::Rejected { reason, detail };
            self.record(Entry { time: now.wall, correlation: Some(correlation), place, who, event });
        }
    }

    /// Records how many rejections were left out, if any were. Call it now and then.
    pub fn settle(&self, now: Now) {
        let omitted = self.on.as_ref().map_or(0, |trail| trail.bound().settle(now.monotonic));
        self.omitted(now, omitted);
    }

    /// How many lines were dropped since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        self.on.as_ref().map_or(0, |trail| trail.dropped.swap(0, Ordering::Relaxed))
    }

    /// Records what is left to be told, and waits until everything is written, but not longer than [`FLUSH_DEADLINE`]. It
    /// blocks. Answers whether everything is.
    pub fn finish(&self, now: Now) -> bool {
        let Some(trail) = &self.on else { return true };
        let omitted = trail.bound().finish();
        self.omitted(now, omitted);
        trail.outlet.flush(FLUSH_DEADLINE)
    }

    fn omitted(&self, now: Now, lines: u64) {
        if lines > 0 {
            self.record(Entry::omitted(now.wall, lines, "rate"));
        }
    }
}

impl Trail {
    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        match text {
            "off" => Ok(Self::Off),
            "stdout" => Ok(Self::Stdout),
            url if url.contains("://") => {
                Base::parse(url).map(Self::Collector).map_err(|_| InvalidDestination)
            }
            // A word that is misspelt is no file.
            path if path.contains('/') && Path::new(path).file_name().is_some() => {
                Ok(Self::File(path.into()))
            }
            _ => Err(InvalidDestination),
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.on.is_some() { "Audit(on)" } else { "Audit(off)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_word_a_path_or_a_collector() {
        for (text, expected) in [
            ("off", Ok(Destination::Off)),
            ("stdout", Ok(Destination::Stdout)),
            ("./audit.jsonl", Ok(Destination::File("./audit.jsonl".into()))),
            ("/var/log/audit.jsonl", Ok(Destination::File("/var/log/audit.jsonl".into()))),
            ("Stdout", Err(InvalidDestination)),
            ("", Err(InvalidDestination)),
            ("stderr", Err(InvalidDestination)),
            ("/", Err(InvalidDestination)),
            (
                "http://collector:4318",
                Ok(Destination::Collector(Base::parse("http://collector:4318").unwrap())),
            ),
            ("http://user:secret@collector", Err(InvalidDestination)),
            ("file:///var/log/audit.jsonl", Err(InvalidDestination)),
        ] {
            assert_eq!(text.parse::<Destination>(), expected, "{text:?}");
        }
    }
}
