//! Work that outlives the client who waits for it, and hears that he left.
//!
//! A call is worked on by the task of its connection, which ends when the client closes it. What was begun is then carried
//! on in a task of its own, so that nothing that was charged goes unrecorded; only then is there such a task.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// What is known of a client while its request is worked on. Clones know the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence {
    /// None: its leaving cancels nothing.
    left: Option<Arc<AtomicBool>>,
}

/// Work that is carried to its end, whether somebody waits for it or not.
pub(super) struct Carried<Work: Future<Output: Send> + Send + 'static> {
    // None: it has ended.
    work: Option<Pin<Box<Work>>>,
    presence: Presence,
}

/// The work panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panicked;

impl Presence {
    /// Of a client that cancels by going away.
    pub(super) fn cancelling() -> Self {
        Self { left: Some(Arc::default()) }
    }

    /// Whether the client has cancelled.
    pub(super) fn has_left(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::Acquire))
    }

    /// Waits until the client cancels; for ever if it never does.
    pub(super) async fn left(self) {
        // Nobody is woken: work whose client left is begun to be polled by another task, and looks again then.
        poll_fn(|_| if self.has_left() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn leave(&self) {
        if let Some(left) = &self.left {
            left.store(true, Ordering::Release);
        }
    }
}

impl<Work: Future<Output: Send> + Send + 'static> Carried<Work> {
    /// Work for a client.
    pub(super) fn new(presence: Presence, work: Work) -> Self {
        Self { work: Some(Box::pin(work)), presence }
    }
}

impl<Work: Future<Output: Send> + Send + 'static> Future for Carried<Work> {
    type Output = Result<Work::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Ready(Err(Panicked)) };
        // Work that panicked is dropped and never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(_) => Err(Panicked),
        };
        self.work = None;
        Poll::Ready(ended)
    }
}

impl<Work: Future<Output: Send> + Send + 'static> Drop for Carried<Work> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.presence.leave();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_goes_on_and_hears_of_it() {
        for cancels in [true, false] {
            let presence = if cancels { Presence::cancelling() } else { Presence::default() };
            let (go_on, may_go_on) = oneshot::channel::<()>();
            let (done, is_done) = oneshot::channel();
            let of_client = presence.clone();
            let mut carried = Carried::new(presence.clone(), async move {
                tokio::select! {
                    biased;
                    () = of_client.clone().left() => {}
                    _ = may_go_on => {}
                }
                let _heard = done.send(of_client.has_left());
            });
            assert!(futures::poll!(&mut carried).is_pending() && !presence.has_left());
            drop(carried);
            if !cancels {
                go_on.send(()).expect("it still waits");
            }
            assert_eq!(is_done.await, Ok(cancels));
        }
    }

    #[tokio::test]
    async fn work_that_ended_or_panicked_is_not_carried_on() {
        assert_eq!(Carried::new(Presence::default(), async { 7 }).await, Ok(7));
        let presence = Presence::cancelling();
        let panicking = Carried::new(presence.clone(), async { assert_eq!(1, 2, "as a bug would") });
        assert_eq!(panicking.await, Err(Panicked));
        assert!(!presence.has_left());
    }
}
