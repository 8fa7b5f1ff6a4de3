//! How long an operator leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long this operator leads, unless it is extended.
#[derive(Clone, Debug)]
pub struct Tenure(Option<Arc<Limited>>);

#[derive(Debug)]
struct Limited {
    origin: Instant,
    // Milliseconds after the origin; 0 where it does not lead.
    until: AtomicU64,
}

impl Tenure {
    /// Of one that leads without being elected.
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// Of one that has not been elected yet.
    pub fn none() -> Self {
        // The origin lies a moment before everything that follows, so that 0 is never an instant.
        Self(Some(Arc::new(Limited { origin: Instant::now(), until: AtomicU64::new(0) })))
    }

    /// Whether it leads now.
    pub fn holds(&self) -> bool {
        let Some(limited) = &self.0 else { return true };
        milliseconds(limited.origin.elapsed()) < limited.until.load(Ordering::SeqCst)
    }

    /// It leads until then.
    pub(super) fn extend(&self, until: Instant) {
        if let Some(limited) = &self.0 {
            limited.until.store(milliseconds(until.duration_since(limited.origin)), Ordering::SeqCst);
        }
    }

    /// It does not lead any more.
    pub(super) fn end(&self) {
        if let Some(limited) = &self.0 {
            limited.until.store(0, Ordering::SeqCst);
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::Tenure;

    #[tokio::test(start_paused = true)]
    async fn a_tenure_ends_by_itself() {
        let tenure = Tenure::none();
        assert!(!tenure.holds());
        tenure.extend(Instant::now() + Duration::from_millis(100));
        advance(Duration::from_millis(99)).await;
        assert!(tenure.holds());
        advance(Duration::from_millis(1)).await;
        assert!(!tenure.holds());
        tenure.extend(Instant::now() + Duration::from_secs(1));
        tenure.end();
        assert!(!tenure.holds());
        assert!(Tenure::unlimited().holds());
    }
}
