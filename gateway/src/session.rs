//! Ids of the server that a client keeps, bound to the grant that got them: sessions, events of streams, tasks, and the
//! state of calls in several rounds.
//!
//! What a client gets is the server's own id, sealed for one grant of one server and for one use. Another grant cannot
//! open it, so it cannot use what it stands for, and the gateway has nothing to remember.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// The longest session id of a server, in bytes.
pub const SESSION_BYTES_MAX: usize = 1024;

/// The longest of anything else that is sealed, in bytes.
pub const SEALED_BYTES_MAX: usize = 64 * 1024;

/// What is sealed. One kind never opens as another.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// A server's session id.
    Session,
    /// An event of a stream of the session with this id of the server.
    Event(&'a str),
    /// A task.
    Task,
    /// The state of the call with this digest.
    State(&'a [u8; 32]),
}

/// Whose and what for something is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The server's UID.
    pub server_uid: &'a str,
    /// The grant's name.
    pub grant: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
}

/// Seals and opens ids. Its own key lives as long as the process: after a restart clients open new sessions. Where
/// gateways share a store they agree on a key there, and then each opens what another one sealed.
#[derive(Debug)]
pub struct Seal {
    own: LessSafeKey,
    // The newest first. One before it is still opened with: gateways do not all hear of a new password at once.
    shared: ArcSwap<Vec<Arc<Shared>>>,
    random: SystemRandom,
}

/// A key of all gateways of a server.
#[derive(Debug)]
struct Shared {
    /// Of what it was derived from, so that the same is not taken for a new one.
    origin: [u8; 32],
    key: LessSafeKey,
}

/// How many shared keys are kept: the one that seals, and the one before it.
const SHARED_MAX: usize = 2;

/// A session id that is not this caller's, not this server's, not this process's, or no session id at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign;

impl Seal {
    /// A seal with a new key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self, Unspecified> {
        let random = SystemRandom::new();
        let mut key = [0; 32];
        random.fill(&mut key)?;
        let own = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key)?);
        Ok(Self { own, shared: ArcSwap::default(), random })
    }

    /// A secret that gateways can agree on.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn proposal() -> Result<String, Unspecified> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret)?;
        Ok(URL_SAFE_NO_PAD.encode(secret))
    }

    /// From now on seals with the key of all gateways of a server: derived from what they agreed on in their store, and
    /// from its password, if it has one, so that nobody has it then who can only read the store.
    pub fn share(&self, server_uid: &str, password: &str, agreed: &str) {
        let extracted = Salt::new(HKDF_SHA256, agreed.as_bytes()).extract(password.as_bytes());
        let info = [b"toolgate session".as_slice(), server_uid.as_bytes()];
        let Ok(expanded) = extracted.expand(&info, &CHACHA20_POLY1305) else { return };
        let origin = Sha256::new().chain_update(agreed).chain_update([0]).chain_update(password);
        let newest =
            Shared { origin: origin.finalize().into(), key: LessSafeKey::new(UnboundKey::from(expanded)) };
        let before = self.shared.load();
        let others = before.iter().filter(|shared| shared.origin != newest.origin).cloned();
        let others: Vec<_> = others.take(SHARED_MAX - 1).collect();
        self.shared.store(Arc::new([vec![Arc::new(newest)], others].concat()));
    }

    /// Seals a server's text for its owner. None: it is too long, or there is no randomness.
    pub fn seal(&self, owner: Owner<'_>, text: &str) -> Option<String> {
        if text.len() > owner.kind.bytes_max() {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut text = text.as_bytes().to_vec();
        let shared = self.shared.load();
        let key = shared.first().map_or(&self.own, |shared| &shared.key);
        let bound = Aad::from(owner.bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Opens what was sealed for its owner.
    ///
    /// # Errors
    /// When it was not sealed here for this very owner.
    pub fn open(&self, owner: Owner<'_>, sealed: &str) -> Result<String, Foreign> {
        if sealed.len() > 2 * owner.kind.bytes_max() {
            return Err(Foreign);
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Foreign)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(Foreign)?;
        let bound = owner.bytes();
        let open = |key: &LessSafeKey| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let opened = key.open_in_place(nonce, Aad::from(&bound), &mut text).ok()?;
            String::from_utf8(opened.to_vec()).ok()
        };
        // What was sealed before the gateways agreed, its own process opens still.
        let shared = self.shared.load();
        shared.iter().find_map(|shared| open(&shared.key)).or_else(|| open(&self.own)).ok_or(Foreign)
    }
}

impl Kind<'_> {
    fn bytes_max(self) -> usize {
        match self {
            Self::Session => SESSION_BYTES_MAX,
            Self::Event(_) | Self::Task | Self::State(_) => SEALED_BYTES_MAX,
        }
    }
}

impl Owner<'_> {
    // Neither a UID nor a grant's name has a NUL, and what follows the kind's name is its last part: no two owners have
    // the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let (name, of): (&[u8], &[u8]) = match self.kind {
            Kind::Session => (b"session", b""),
            Kind::Event(session) => (b"event", session.as_bytes()),
            Kind::Task => (b"task", b""),
            Kind::State(digest) => (b"state", digest),
        };
        [self.server_uid.as_bytes(), b"\0", self.grant.as_bytes(), b"\0", name, b"\0", of].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Owner<'_> = Owner { server_uid: "uid", grant: "alice", kind: Kind::Session };

    #[test]
    fn only_the_grant_that_opened_a_session_can_use_it() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let sealed = seal.seal(ALICE, "server-session").unwrap();
        assert_eq!(seal.open(ALICE, &sealed), Ok("server-session".to_owned()));
        assert_eq!(seal.open(Owner { grant: "bob", ..ALICE }, &sealed), Err(Foreign));
        assert_eq!(seal.open(Owner { server_uid: "diu", ..ALICE }, &sealed), Err(Foreign));
        assert_eq!(other.open(ALICE, &sealed), Err(Foreign));
        for bad in ["", "server-session", &sealed[1..], &format!("{sealed}A"), &"A".repeat(5000)] {
            assert_eq!(seal.open(ALICE, bad), Err(Foreign), "{bad}");
        }
    }

    #[test]
    fn gateways_that_agree_open_each_others_sessions_and_nobody_elses() {
        let [one, other, stranger, guesser] = [(); 4].map(|()| Seal::new().unwrap());
        let before = one.seal(ALICE, "before").unwrap();
        let agreed = Seal::proposal().unwrap();
        one.share("uid", "password", &agreed);
        other.share("uid", "password", &agreed);
        stranger.share("uid", "password", &Seal::proposal().unwrap());
        guesser.share("uid", "", &agreed);
        let sealed = one.seal(ALICE, "session").unwrap();
        assert_eq!(other.open(ALICE, &sealed), Ok("session".to_owned()));
        assert_eq!(other.open(Owner { grant: "bob", ..ALICE }, &sealed), Err(Foreign));
        assert_eq!(stranger.open(ALICE, &sealed), Err(Foreign));
        assert_eq!(guesser.open(ALICE, &sealed), Err(Foreign), "who reads the store has no key");
        assert_eq!(one.open(ALICE, &before), Ok("before".to_owned()), "open sessions stay open");
        assert_eq!(other.open(ALICE, &before), Err(Foreign));
    }

    #[test]
    fn a_new_password_ends_no_session_and_the_one_before_the_last_does() {
        let [one, late] = [(); 2].map(|()| Seal::new().unwrap());
        let agreed = Seal::proposal().unwrap();
        one.share("uid", "first", &agreed);
        late.share("uid", "first", &agreed);
        let first = one.seal(ALICE, "first").unwrap();
        one.share("uid", "second", &agreed);
        one.share("uid", "second", &agreed);
        let of_late = late.seal(ALICE, "late").unwrap();
        assert_eq!(one.open(ALICE, &first), Ok("first".to_owned()), "connecting again is no new password");
        assert_eq!(one.open(ALICE, &of_late), Ok("late".to_owned()));
        one.share("uid", "third", &agreed);
        assert_eq!(one.open(ALICE, &first), Err(Foreign));
    }

    #[test]
    fn nothing_opens_as_something_else() {
        let seal = Seal::new().unwrap();
        let (one, other) = ([1; 32], [2; 32]);
        let kinds = [
            Kind::Session,
            Kind::Event("s"),
            Kind::Event("t"),
            Kind::Event(""),
            Kind::Task,
            Kind::State(&one),
            Kind::State(&other),
        ];
        for (i, kind) in kinds.into_iter().enumerate() {
            let sealed = seal.seal(Owner { kind, ..ALICE }, "text").unwrap();
            for (j, kind) in kinds.into_iter().enumerate() {
                assert_eq!(seal.open(Owner { kind, ..ALICE }, &sealed).is_ok(), i == j, "{i} as {j}");
            }
        }
    }

    #[test]
    fn what_is_sealed_has_a_longest_length() {
        let seal = Seal::new().unwrap();
        let (kind, one) = (Kind::Task, [1; 32]);
        for (owner, bytes_max) in [
            (ALICE, SESSION_BYTES_MAX),
            (Owner { kind, ..ALICE }, SEALED_BYTES_MAX),
            (Owner { kind: Kind::State(&one), ..ALICE }, SEALED_BYTES_MAX),
        ] {
            let longest = "s".repeat(bytes_max);
            let sealed = seal.seal(owner, &longest).unwrap();
            assert_eq!(seal.open(owner, &sealed), Ok(longest.clone()));
            assert_eq!(seal.seal(owner, &(longest + "s")), None);
        }
    }
}
