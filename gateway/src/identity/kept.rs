//! Tokens that were verified a moment ago, by their digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use toolgate_policy::{Identity, Now};

/// How long a token that was verified is not verified again. When it expires, the law sees by itself.
pub const KEPT: Duration = Duration::from_mins(1);
/// The most tokens that are kept. More are verified each time.
pub const KEPT_MAX: usize = 1000;

// What a token said, and until when that is taken from here.
type Entry = (Arc<Identity>, Duration);

#[derive(Debug, Default)]
pub(super) struct Kept {
    verified: Mutex<HashMap<[u8; 32], Entry>>,
}

impl Kept {
    /// What a token said, if it was verified less than [`KEPT`] before `now`.
    pub(super) fn get(&self, digest: &[u8; 32], now: Duration) -> Option<Arc<Identity>> {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let (identity, until) = verified.get(digest)?;
        (now < *until).then(|| identity.clone())
    }

    pub(super) fn keep(&self, digest: [u8; 32], identity: Arc<Identity>, now: Now) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= KEPT_MAX {
            let good = |identity: &Identity, until: Duration| {
                now.monotonic < until && now.wall < identity.expires_at
            };
            verified.retain(|_, (identity, until)| good(identity, *until));
        }
        if verified.len() < KEPT_MAX {
            verified.insert(digest, (identity, now.monotonic + KEPT));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn identity() -> Arc<Identity> {
        Arc::new(Identity {
            issuer: "https://idp.example.com".to_owned(),
            audiences: Vec::new(),
            claims: std::collections::BTreeMap::new(),
            service_account: None,
            expires_at: Timestamp::MAX,
        })
    }

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: Timestamp::UNIX_EPOCH }
    }

    fn digest(index: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&index.to_le_bytes());
        digest
    }

    #[test]
    fn a_token_is_kept_for_its_time_and_no_longer() {
        let kept = Kept::default();
        kept.keep(digest(1), identity(), at(0));
        assert!(kept.get(&digest(1), KEPT.saturating_sub(Duration::from_nanos(1))).is_some());
        assert!(kept.get(&digest(1), KEPT).is_none());
        assert!(kept.get(&digest(2), Duration::ZERO).is_none());
    }

    #[test]
    fn as_many_as_are_kept_and_one_more() {
        let kept = Kept::default();
        for index in 0..=KEPT_MAX {
            kept.keep(digest(index), identity(), at(0));
        }
        assert!(kept.get(&digest(KEPT_MAX - 1), Duration::ZERO).is_some());
        assert!(kept.get(&digest(KEPT_MAX), Duration::ZERO).is_none(), "there is no room");
        let later = at(KEPT.as_secs());
        kept.keep(digest(KEPT_MAX), identity(), later);
        assert!(kept.get(&digest(KEPT_MAX), later.monotonic).is_some(), "what ran out made room");
    }
}
