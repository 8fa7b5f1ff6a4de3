//! Whether the guarded server can be reached, and why not.
//!
//! Calls say it. Where none did for a while, a connection to the server is opened and closed again, by the same way and
//! with the same trust; not one byte of a request is sent, for nothing goes to the server without a permit.

mod look;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::{StatusCode, Uri};
use tokio::sync::Notify;

pub use look::{Trouble, follow};

/// How often the server is looked at by a gateway that the operator runs, where no call says how it stands.
pub const PERIOD: Duration = Duration::from_secs(10);
/// How soon a look that failed is repeated.
const AGAIN: Duration = Duration::from_secs(1);
/// So many looks in a row that failed, and the server cannot be reached. A single one may have met a restart.
pub const FAILURES_MAX: u32 = 2;
/// So many answers in a row that refuse the gateway's credential, and it is taken for refused.
pub const REFUSALS_MAX: u32 = 3;

/// How the server stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not known yet.
    Unknown,
    /// It was reached last.
    Reached,
    /// It cannot be reached, or does not let the gateway in.
    Away(Trouble),
}

/// What is known of the way to the server.
#[derive(Debug)]
pub struct Reach {
    start: Instant,
    /// When it answered last: milliseconds since the start, and one more; 0: never.
    heard: AtomicU64,
    /// Answers in a row that refuse the gateway's credential.
    refusals: AtomicU32,
    /// Whether it was reached last, so that no lock is taken for each answer.
    is_reached: AtomicBool,
    seen: Mutex<Seen>,
    doubted: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    server: Option<Uri>,
    last: Option<Result<(), Trouble>>,
    failures: u32,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            heard: AtomicU64::new(0),
            refusals: AtomicU32::new(0),
            is_reached: AtomicBool::new(false),
            seen: Mutex::default(),
            doubted: Notify::new(),
        }
    }
}

impl Reach {
    /// How the server stands.
    pub fn standing(&self) -> Standing {
        let is_refused = self.refusals.load(Ordering::Relaxed) >= REFUSALS_MAX;
        match &self.seen().last {
            Some(Err(trouble)) => Standing::Away(trouble.clone()),
            _ if is_refused => Standing::Away(Trouble::CredentialRefused),
            Some(Ok(())) => Standing::Reached,
            None => Standing::Unknown,
        }
    }

    /// The server answered.
    pub fn answered(&self, status: StatusCode) {
        self.heard.store(self.elapsed(), Ordering::Relaxed);
        if is_refusal(status) {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        } else if self.refusals.load(Ordering::Relaxed) != 0 {
            self.refusals.store(0, Ordering::Relaxed);
        }
        if !self.is_reached.load(Ordering::Relaxed) {
            self.found(Ok(()));
        }
    }

    /// No connection to the server came about: it is looked at at once.
    pub fn doubted(&self) {
        self.heard.store(0, Ordering::Relaxed);
        self.doubted.notify_one();
    }

    // What was found, and how soon to look again.
    fn found(&self, found: Result<(), Trouble>) -> Duration {
        let mut seen = self.seen();
        let Err(trouble) = found else {
            (seen.failures, seen.last) = (0, Some(Ok(())));
            self.is_reached.store(true, Ordering::Relaxed);
            return PERIOD;
        };
        seen.failures = seen.failures.saturating_add(1);
        if seen.failures >= FAILURES_MAX {
            if seen.last.as_ref() != Some(&Err(trouble.clone())) {
                tracing::error!("the server cannot be reached: {trouble}");
            }
            seen.last = Some(Err(trouble));
            self.is_reached.store(false, Ordering::Relaxed);
        }
        AGAIN
    }

    // Nothing is known of another server than before.
    fn about(&self, server: &Uri) {
        let mut seen = self.seen();
        if seen.server.as_ref() != Some(server) {
            *seen = Seen { server: Some(server.clone()), ..Seen::default() };
            self.is_reached.store(false, Ordering::Relaxed);
            self.heard.store(0, Ordering::Relaxed);
            self.refusals.store(0, Ordering::Relaxed);
        }
    }

    fn was_heard_within(&self, length: Duration) -> bool {
        let heard = self.heard.load(Ordering::Relaxed);
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        heard != 0 && self.elapsed().saturating_sub(heard) < length
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Every change of it is whole before anything else can fail.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Callers' credentials never go to the server, so it is the gateway's own that these refuse.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}

impl Standing {
    /// Whether the server can be reached; None while that is not known.
    pub fn is_reached(&self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Reached => Some(true),
            Self::Away(_) => Some(false),
        }
    }

    /// How it stands, as one word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Reached => "Reachable",
            Self::Away(trouble) => trouble.word(),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("the server was not looked at yet"),
            Self::Reached => formatter.write_str("the server can be reached"),
            Self::Away(trouble) => write!(formatter, "{trouble}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(reach: &Reach) -> Option<&'static str> {
        (reach.standing().is_reached() == Some(false)).then(|| reach.standing().word())
    }

    #[test]
    fn one_look_may_fail_and_one_more_says_that_it_is_away() {
        let reach = Reach::default();
        reach.about(&Uri::from_static("http://crm:1/mcp"));
        for _ in 1..FAILURES_MAX {
            assert_eq!(reach.found(Err(Trouble::ConnectionRefused)), AGAIN);
            assert_eq!(reach.standing(), Standing::Unknown);
        }
        reach.found(Err(Trouble::ConnectionRefused));
        assert_eq!(away(&reach), Some("ConnectionRefused"));
        reach.answered(StatusCode::OK);
        assert_eq!(reach.standing(), Standing::Reached);
        reach.found(Err(Trouble::TimedOut));
        assert_eq!(reach.standing(), Standing::Reached, "the count begins anew");
    }

    #[test]
    fn so_many_refusals_in_a_row_and_not_one_fewer_are_a_refused_credential() {
        let reach = Reach::default();
        for _ in 1..REFUSALS_MAX {
            reach.answered(StatusCode::UNAUTHORIZED);
        }
        assert_eq!(reach.standing(), Standing::Reached);
        reach.answered(StatusCode::FORBIDDEN);
        assert_eq!(away(&reach), Some("CredentialRefused"));
        reach.found(Ok(()));
        assert_eq!(away(&reach), Some("CredentialRefused"), "a connection lets nobody in");
        reach.answered(StatusCode::NOT_FOUND);
        assert_eq!(reach.standing(), Standing::Reached);
    }

    #[test]
    fn of_another_server_nothing_is_known() {
        let reach = Reach::default();
        reach.about(&Uri::from_static("http://crm:1/mcp"));
        reach.answered(StatusCode::OK);
        assert!(reach.was_heard_within(Duration::from_mins(1)));
        reach.about(&Uri::from_static("http://crm:1/mcp"));
        assert_eq!(reach.standing(), Standing::Reached);
        reach.about(&Uri::from_static("http://crm:2/mcp"));
        assert_eq!(reach.standing(), Standing::Unknown);
        assert!(!reach.was_heard_within(Duration::from_mins(1)));
    }

    #[test]
    fn a_call_that_got_no_connection_makes_what_was_heard_worthless() {
        let reach = Reach::default();
        reach.answered(StatusCode::OK);
        reach.doubted();
        assert!(!reach.was_heard_within(Duration::from_mins(1)));
    }
}
