//! Whether the parts of the operator that have to go on do go on. `/livez` asks.
//!
//! A part that fails and tries again goes on: an API server that is away is no reason to start anew.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// All parts that have to go on.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Vec<Weak<Part>>>>);

/// One part. It is not looked at any more once this is dropped.
#[derive(Clone, Debug)]
pub struct Beat(Arc<Part>);

struct Part {
    name: String,
    silence_max: Duration,
    // Since when nothing has been heard of it; None while it has nothing to do.
    silent_since: Mutex<Option<Instant>>,
}

impl Pulse {
    /// A part that may be silent for so long while it has something to do.
    pub fn part(&self, name: impl Into<String>, silence_max: Duration) -> Beat {
        let part = Arc::new(Part { name: name.into(), silence_max, silent_since: Mutex::new(None) });
        let mut parts = locked(&self.0);
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
        Beat(part)
    }

    /// Names of the parts that stand still.
    pub fn wedged(&self) -> Vec<String> {
        let parts = locked(&self.0);
        let alive = parts.iter().filter_map(Weak::upgrade);
        alive.filter(|part| part.is_wedged()).map(|part| part.name.clone()).collect()
    }
}

impl Beat {
    /// It goes on, and has more to do.
    pub fn goes_on(&self) {
        *locked(&self.0.silent_since) = Some(Instant::now());
    }

    /// It has something to do. If it had before, that changes nothing.
    pub fn has_work(&self) {
        locked(&self.0.silent_since).get_or_insert_with(Instant::now);
    }

    /// It has nothing to do.
    pub fn rests(&self) {
        *locked(&self.0.silent_since) = None;
    }
}

impl Part {
    fn is_wedged(&self) -> bool {
        locked(&self.silent_since).is_some_and(|since| since.elapsed() > self.silence_max)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Part").field("name", &self.name).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pulse;

    const MAX: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_part_is_wedged_once_it_was_silent_for_too_long() {
        let pulse = Pulse::default();
        let (watch, queue) = (pulse.part("watch", MAX), pulse.part("queue", MAX));
        watch.goes_on();
        tokio::time::advance(MAX).await;
        assert!(pulse.wedged().is_empty(), "at the longest silence");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(pulse.wedged(), ["watch"], "the queue had nothing to do");
        queue.has_work();
        watch.goes_on();
        tokio::time::advance(MAX / 2).await;
        queue.has_work();
        tokio::time::advance(MAX).await;
        assert_eq!(pulse.wedged(), ["watch", "queue"], "more work is no progress");
        queue.rests();
        drop(watch);
        assert!(pulse.wedged().is_empty());
    }
}
