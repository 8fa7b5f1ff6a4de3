//! A bounded queue in front of a slow sink, and the thread that empties it.
//!
//! Whoever sends never waits: what finds no place is dropped, and counted in lines. The thread takes all that is there,
//! hands it to the sink in large pieces, and looks again a little later, so that a busy gateway does not pay for waking
//! it each time. The queue holds memory for what waits in it, not for what could.

pub mod lines;

use std::fmt;
use std::mem;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

/// How long the thread lets items gather.
const GATHER: Duration = Duration::from_millis(5);
/// The most items that are handed over in one piece.
const BATCH_MAX: usize = 1024;

/// Where items are put that somebody writes in time.
pub struct Outlet<T> {
    shared: Arc<Shared<T>>,
    capacity: usize,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    news: Condvar,
}

struct Queue<T> {
    items: Vec<T>,
    // Lines that found no place and were not told of yet.
    dropped: u64,
    // Who waits until everything before is written.
    flushes: Vec<SyncSender<()>>,
    // Whether the thread has to be woken.
    asleep: bool,
    // Whether nobody is left who could send.
    closed: bool,
}

/// What takes the items, on a thread of its own: it may be slow, and it may block for ever.
pub trait Sink<T>: Send + 'static {
    /// Takes items out. `dropped` is how many lines found no place since it was called last.
    fn take(&mut self, items: &mut Vec<T>, dropped: u64);
}

impl<T: Send + 'static> Outlet<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn new(name: &str, capacity: usize, sink: impl Sink<T>) -> io::Result<Self> {
        let queue =
            Queue { items: Vec::new(), dropped: 0, flushes: Vec::new(), asleep: false, closed: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), news: Condvar::new() });
        let emptied = shared.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || empty(&emptied, sink))?;
        Ok(Self { shared, capacity })
    }
}

impl<T> Outlet<T> {
    /// Puts an item of so many lines in the queue. False: there is no place, and they are dropped.
    pub fn send(&self, item: T, lines: u64) -> bool {
        let mut queue = self.shared.queue();
        if queue.items.len() >= self.capacity {
            queue.dropped += lines;
            return false;
        }
        queue.items.push(item);
        self.shared.wake(queue);
        true
    }

    /// Waits until everything that was put in before is written, but not longer than that. Answers whether it is.
    pub fn flush(&self, deadline: Duration) -> bool {
        let (said, heard) = sync_channel(1);
        let mut queue = self.shared.queue();
        queue.flushes.push(said);
        self.shared.wake(queue);
        heard.recv_timeout(deadline).is_ok()
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        self.shared.wake(queue);
    }
}

impl<T> Shared<T> {
    // Nothing is left half done by whoever holds it, so a panic elsewhere does not matter.
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue<T>>) {
        if mem::take(&mut queue.asleep) {
            drop(queue);
            self.news.notify_one();
        }
    }

    // Sleeps until there is something to do. None: there never will be.
    fn next(&self) -> Option<MutexGuard<'_, Queue<T>>> {
        let mut queue = self.queue();
        while queue.items.is_empty() && queue.flushes.is_empty() && queue.dropped == 0 {
            if queue.closed {
                return None;
            }
            queue.asleep = true;
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.asleep = false;
        Some(queue)
    }
}

// Until nobody is left who could send.
fn empty<T>(shared: &Shared<T>, mut sink: impl Sink<T>) {
    let mut piece = Vec::new();
    while let Some(mut queue) = shared.next() {
        let mut items = mem::take(&mut queue.items);
        let flushes = mem::take(&mut queue.flushes);
        let mut dropped = mem::take(&mut queue.dropped);
        drop(queue);
        let mut rest = items.drain(..);
        loop {
            piece.extend(rest.by_ref().take(BATCH_MAX));
            if piece.is_empty() && dropped == 0 {
                break;
            }
            sink.take(&mut piece, mem::take(&mut dropped));
            piece.clear();
        }
        // Whoever waited may have given up.
        for said in flushes {
            let _gone = said.try_send(());
        }
        thread::sleep(GATHER);
    }
}

impl<T> fmt::Debug for Outlet<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Outlet")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Tells what it takes, and takes nothing before it may.
    struct Slow {
        may: Receiver<()>,
        took: Sender<(Vec<u32>, u64)>,
    }

    impl Sink<u32> for Slow {
        fn take(&mut self, items: &mut Vec<u32>, dropped: u64) {
            self.took.send((items.clone(), dropped)).unwrap();
            self.may.recv().unwrap();
        }
    }

    #[test]
    fn a_blocked_sink_delays_nobody_and_what_it_misses_is_counted_in_lines() {
        let (may_tx, may) = channel();
        let (took, took_rx) = channel();
        let outlet = Outlet::new("test", 3, Slow { may, took }).unwrap();
        assert!(outlet.send(0, 1));
        assert_eq!(took_rx.recv_timeout(PATIENCE).unwrap(), (vec![0], 0), "and it blocks on it");
        let sent: Vec<bool> = [1, 2, 3, 4, 5].map(|item| outlet.send(item, u64::from(item))).into();
        assert_eq!(sent, [true, true, true, false, false], "as many as there are places, and one more");
        assert!(!outlet.flush(Duration::from_millis(20)), "nobody waits for it for ever");
        may_tx.send(()).unwrap();
        assert_eq!(took_rx.recv_timeout(PATIENCE).unwrap(), (vec![1, 2, 3], 9));
        may_tx.send(()).unwrap();
        assert!(outlet.send(6, 1));
        assert_eq!(took_rx.recv_timeout(PATIENCE).unwrap(), (vec![6], 0), "each is told once");
        may_tx.send(()).unwrap();
    }

    #[test]
    fn what_was_put_in_before_a_flush_is_written_by_then() {
        struct Kept(Sender<Vec<u32>>);
        impl Sink<u32> for Kept {
            fn take(&mut self, items: &mut Vec<u32>, _dropped: u64) {
                self.0.send(items.clone()).unwrap();
            }
        }
        let (kept, kept_rx) = channel();
        let outlet = Outlet::new("test", 4096, Kept(kept)).unwrap();
        assert!((0..3000).all(|item| outlet.send(item, 1)));
        assert!(outlet.flush(PATIENCE));
        let pieces: Vec<Vec<u32>> = kept_rx.try_iter().collect();
        assert_eq!(pieces.concat(), (0..3000).collect::<Vec<u32>>());
        assert!(pieces.iter().all(|piece| piece.len() <= BATCH_MAX));
    }

    #[test]
    fn what_waits_is_written_when_nobody_is_left_who_sends() {
        let (may_tx, may) = channel();
        let (took, took_rx) = channel();
        let outlet = Outlet::new("test", 3, Slow { may, took }).unwrap();
        outlet.send(1, 1);
        assert_eq!(took_rx.recv_timeout(PATIENCE).unwrap().0, [1]);
        outlet.send(2, 1);
        drop(outlet);
        may_tx.send(()).unwrap();
        assert_eq!(took_rx.recv_timeout(PATIENCE).unwrap().0, [2]);
        may_tx.send(()).unwrap();
        assert!(took_rx.recv_timeout(PATIENCE).is_err(), "and the thread ends");
    }
}
