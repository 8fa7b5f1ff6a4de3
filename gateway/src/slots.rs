//! How much goes on at a time: of each grant, and of all together. What would be one too many is refused at once.
//!
//! A slot is taken as soon as the caller is known, before his body is read, and freed when nothing is left of what it was
//! taken for, whoever ends it: the answer, the client that goes away, or a failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use toolgate_crds::{Caps, Concurrency};

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that was not answered yet.
    Request,
    /// A stream that tells of changes.
    Stream,
}

/// Whose cap it is that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Of what there would be too many.
    pub kind: Kind,
    /// Whether it is the grant's own doing, or that of all together.
    pub of_grant: bool,
    /// The most.
    pub max: usize,
}

/// Everything that goes on at a gateway.
#[derive(Debug, Default)]
pub struct Slots {
    requests: Mutex<Taken>,
    streams: Mutex<Taken>,
}

/// One that was taken; dropping it frees it.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    kind: Kind,
    grant: Arc<str>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    // Only grants of which something goes on: as many entries as slots at most.
    by_grant: HashMap<Arc<str>, usize>,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Request, Self::Stream];

    /// What there is at most so many of, as metrics and callers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "requests",
            Self::Stream => "streams",
        }
    }

    fn caps(self, concurrency: &Concurrency) -> Caps {
        match self {
            Self::Request => concurrency.requests(),
            Self::Stream => concurrency.streams(),
        }
    }
}

impl Slots {
    /// Takes one for a grant.
    ///
    /// # Errors
    /// There are as many as there may be. The grant's own cap is told first: it is the one he can do something about.
    pub fn take(self: &Arc<Self>, kind: Kind, grant: &str, concurrency: &Concurrency) -> Result<Slot, Full> {
        let caps = kind.caps(concurrency);
        let mut taken = self.lock(kind);
        let known = taken.by_grant.get_key_value(grant).map(|(grant, count)| (grant.clone(), *count));
        let (grant, of_grant) = known.unwrap_or_else(|| (grant.into(), 0));
        if of_grant >= caps.grant {
            return Err(Full { kind, of_grant: true, max: caps.grant });
        }
        if taken.all >= caps.server {
            return Err(Full { kind, of_grant: false, max: caps.server });
        }
        taken.all += 1;
        taken.by_grant.insert(grant.clone(), of_grant + 1);
        Ok(Slot { slots: self.clone(), kind, grant })
    }

    /// How many are taken.
    pub fn taken(&self, kind: Kind) -> usize {
        self.lock(kind).all
    }

    fn lock(&self, kind: Kind) -> MutexGuard<'_, Taken> {
        let taken = match kind {
            Kind::Request => &self.requests,
            Kind::Stream => &self.streams,
        };
        taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock(self.kind);
        taken.all -= 1;
        if let Some(of_grant) = taken.by_grant.get_mut(&self.grant) {
            *of_grant -= 1;
            if *of_grant == 0 {
                taken.by_grant.remove(&self.grant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use toolgate_crds::Cap;

    use super::*;

    fn caps(grant: i32, server: i32) -> Concurrency {
        Concurrency { requests: Some(Cap { grant: Some(grant), server: Some(server) }), streams: None }
    }

    #[test]
    fn as_many_as_there_may_be_of_a_grant_and_of_all_and_one_more() {
        let (slots, concurrency) = (Arc::new(Slots::default()), caps(2, 3));
        let take = |grant: &str| slots.take(Kind::Request, grant, &concurrency);
        let _first = take("alice").unwrap();
        let second = take("alice").unwrap();
        assert_eq!(take("alice").unwrap_err(), Full { kind: Kind::Request, of_grant: true, max: 2 });
        let _third = take("bob").unwrap();
        assert_eq!(take("bob").unwrap_err(), Full { kind: Kind::Request, of_grant: false, max: 3 });
        assert_eq!(slots.taken(Kind::Request), 3, "what was refused took nothing");
        drop(second);
        let _fourth = take("bob").unwrap();
        assert_eq!(slots.taken(Kind::Request), 3);
    }

    #[test]
    fn streams_are_counted_apart_and_nothing_is_left_of_what_ended() {
        let (slots, concurrency) = (Arc::new(Slots::default()), caps(1, 1));
        let request = slots.take(Kind::Request, "alice", &concurrency).unwrap();
        let stream = slots.take(Kind::Stream, "alice", &concurrency).unwrap();
        assert_eq!((slots.taken(Kind::Request), slots.taken(Kind::Stream)), (1, 1));
        drop((request, stream));
        assert_eq!((slots.taken(Kind::Request), slots.taken(Kind::Stream)), (0, 0));
        assert!(slots.lock(Kind::Request).by_grant.is_empty());
    }
}
