//! Arguments as a keyed digest: equal arguments can be told, and nothing can be guessed from it without the key.

use std::fmt;

use ring::hmac::{Context, HMAC_SHA256, Key, sign};
use ring::rand::{SecureRandom, SystemRandom};
use toolgate_policy::json::{Json, Object, write};

use crate::correlation::Hex;

/// The shortest key that may be given, in bytes.
pub const KEY_BYTES_MIN: usize = 32;
/// The longest key that is read, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;

/// Digests arguments.
pub struct DigestKey {
    key: Key,
    id: Hex<4>,
}

/// The system has no randomness to make a key of.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system has no randomness")]
pub struct NoRandomness;

/// A key that is too short to keep anything from being guessed, or longer than any is.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a key must have {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes")]
pub struct UnfitKey;

impl DigestKey {
    /// A key of this process alone: digests compare only with those that it makes.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut key = [0; KEY_BYTES_MIN];
        SystemRandom::new().fill(&mut key).map_err(|_| NoRandomness)?;
        Ok(Self::of(&key))
    }

    /// A given key: digests compare with those of everybody who has it.
    ///
    /// # Errors
    /// When it has fewer than [`KEY_BYTES_MIN`] bytes or more than [`KEY_BYTES_MAX`].
    pub fn given(key: &[u8]) -> Result<Self, UnfitKey> {
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(UnfitKey);
        }
        Ok(Self::of(key))
    }

    fn of(key: &[u8]) -> Self {
        let key = Key::new(HMAC_SHA256, key);
        let named = sign(&key, b"toolgate.dev/audit the name of this key");
        let id = Hex(std::array::from_fn(|index| named.as_ref()[index]));
        Self { key, id }
    }

    /// What tells this key from others, and nothing of it.
    pub fn id(&self) -> Hex<4> {
        self.id
    }

    /// The digest of arguments. The order of members does not matter; a number is what it was written as.
    pub fn digest(&self, arguments: &Object<'_>) -> Hex<32> {
        let mut context = Context::with_key(&self.key);
        let mut out = Vec::with_capacity(256);
        object(arguments, &mut out, &mut context);
        context.update(&out);
        let tag = context.sign();
        Hex(std::array::from_fn(|index| tag.as_ref()[index]))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DigestKey({})", self.id)
    }
}

// What has gathered is handed over now and then, so that large arguments are never held twice.
const GATHERED_MAX: usize = 4096;

fn object(object: &Object<'_>, out: &mut Vec<u8>, context: &mut Context) {
    let mut members: Vec<(&str, &Json<'_>)> = object.iter().collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    out.push(b'{');
    for (index, (key, member)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        toolgate_policy::json::write_string(key, out);
        out.push(b':');
        value(member, out, context);
    }
    out.push(b'}');
}

// No deeper than the strict parse lets a document be.
fn value(value: &Json<'_>, out: &mut Vec<u8>, context: &mut Context) {
    match value {
        Json::Object(members) => object(members, out, context),
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self::value(item, out, context);
            }
            out.push(b']');
        }
        scalar => write(scalar, out),
    }
    if out.len() > GATHERED_MAX {
        context.update(out);
        out.clear();
    }
}

#[cfg(test)]
mod tests {
    use toolgate_policy::json;

    use super::*;

    fn digest(key: &DigestKey, arguments: &str) -> String {
        let parsed = json::parse(arguments.as_bytes()).unwrap();
        key.digest(parsed.as_object().unwrap()).to_string()
    }

    #[test]
    fn equal_arguments_have_one_digest_whatever_the_order_of_their_members() {
        let key = DigestKey::given(&[7; KEY_BYTES_MIN]).unwrap();
        let one = digest(&key, r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#);
        assert_eq!(one, digest(&key, r#"{ "b": {"d": "x", "c": [1, 2]}, "a": 1 }"#));
        for other in
            [r#"{"a":1,"b":{"c":[2,1],"d":"x"}}"#, r#"{"a":"1","b":{"c":[1,2],"d":"x"}}"#, r#"{"a":1}"#, "{}"]
        {
            assert_ne!(one, digest(&key, other), "{other}");
        }
        let ones = vec!["1"; 5000].join(",");
        let long = format!(r#"{{"b":"{}","a":[{}]}}"#, "x".repeat(9000), ones);
        let sorted = format!(r#"{{"a":[{}],"b":"{}"}}"#, ones, "x".repeat(9000));
        assert_eq!(digest(&key, &long), digest(&key, &sorted));
    }

    #[test]
    fn the_digest_is_hmac_sha256_of_the_sorted_text() {
        let key = [7; KEY_BYTES_MIN];
        let expected = sign(&Key::new(HMAC_SHA256, &key), br#"{"a":1,"b":"x"}"#);
        let expected = Hex::<32>(std::array::from_fn(|index| expected.as_ref()[index])).to_string();
        assert_eq!(digest(&DigestKey::given(&key).unwrap(), r#"{"b":"x","a":1}"#), expected);
    }

    #[test]
    fn digests_of_two_keys_do_not_compare_and_say_so() {
        let (one, other) = (DigestKey::random().unwrap(), DigestKey::random().unwrap());
        assert_ne!(digest(&one, r#"{"a":1}"#), digest(&other, r#"{"a":1}"#));
        assert_ne!(one.id(), other.id());
    }

    #[test]
    fn a_key_has_a_shortest_and_a_longest_length() {
        assert!(
            DigestKey::given(&[1; KEY_BYTES_MIN]).is_ok() && DigestKey::given(&[1; KEY_BYTES_MAX]).is_ok()
        );
        for length in [0, KEY_BYTES_MIN - 1, KEY_BYTES_MAX + 1] {
            assert!(DigestKey::given(&vec![1; length]).is_err(), "{length}");
        }
    }
}
