//! How counters are called in the store: hashed, so that no name can be made to look like another one's key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use toolgate_policy::CounterKey;

/// The keys of one server. All have one hash tag, so that one script of a cluster's node can take several of them.
///
/// A server is its namespace and its name, not its UID: neither an edit nor a re-creation hands out quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(namespace: &str, server: &str) -> Self {
        Self { prefix: format!("toolgate:1:{{{}}}:", digest(&[namespace, server])) }
    }

    /// A counter's log.
    pub(super) fn counter(&self, key: &CounterKey) -> String {
        let mut parts: Vec<&str> = vec![&key.policy, &key.counter];
        parts.extend(key.grant.as_deref());
        format!("{}counter:{}", self.prefix, digest(&parts))
    }

    /// A log that no policy can name, for trying whether one can be written.
    pub(super) fn probe(&self) -> String {
        format!("{}probe", self.prefix)
    }

    /// What is there while the server is paused.
    pub(super) fn pause(&self) -> String {
        format!("{}pause", self.prefix)
    }

    /// A pause of nobody's, for trying whether one can be written.
    pub(super) fn probe_pause(&self) -> String {
        format!("{}probe-pause", self.prefix)
    }

    /// What the gateways of the server share to open each other's sessions.
    pub(super) fn seal(&self) -> String {
        format!("{}seal", self.prefix)
    }
}

// Every part with its length before it, so that no two lists of parts have the same bytes.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_counters_have_one_key_however_they_are_called() {
        let names = ["a", "ab", "b", "", ":", "{", "}", "{a}", "a:b", "a\0b"];
        let mut keys = HashSet::new();
        let mut count = 0;
        for policy in names {
            for counter in names {
                for grant in names.iter().map(Some).chain([None]) {
                    let grant = grant.map(|grant| (*grant).into());
                    let key = CounterKey { policy: policy.into(), counter: counter.into(), grant };
                    for (namespace, server) in [("a", "b"), ("ab", ""), ("", "ab")] {
                        keys.insert(Keys::new(namespace, server).counter(&key));
                        count += 1;
                    }
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn all_keys_of_a_server_have_one_hash_tag() {
        let keys = Keys::new("sales", "kommo");
        let counter = |name: &str| {
            keys.counter(&CounterKey { policy: "}{".into(), counter: name.into(), grant: Some("{x}".into()) })
        };
        let tag = |key: String| key.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
        let tags: HashSet<String> =
            [counter("a"), counter("{b}"), keys.pause(), keys.seal(), keys.probe()].map(tag).into();
        assert_eq!(tags.len(), 1);
        assert!(!tags.contains(&tag(Keys::new("sales", "other").pause())));
    }
}
