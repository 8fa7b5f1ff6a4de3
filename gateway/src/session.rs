//! Sessions of the older revisions, bound to the grant that opened them.
//!
//! The session id that a client gets is the server's own, sealed for one grant of one server. Another grant cannot open
//! it, so it cannot use the session, and the gateway has nothing to remember.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};

/// The longest session id of a server, in bytes.
pub const SESSION_BYTES_MAX: usize = 1024;

/// Seals and opens session ids. The key lives as long as the process: after a restart clients open new sessions.
#[derive(Debug)]
pub struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

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
        Ok(Self { key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key)?), random })
    }

    /// Seals a server's session id for a grant. None: it is too long, or there is no randomness.
    pub fn seal(&self, server_uid: &str, grant: &str, session: &str) -> Option<String> {
        if session.len() > SESSION_BYTES_MAX {
            return None;
        }
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).ok()?;
        let mut text = session.as_bytes().to_vec();
        let owner = Aad::from(owner(server_uid, grant));
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), owner, &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Opens a session id for a grant.
    ///
    /// # Errors
    /// When it was not sealed here for this grant of this server.
    pub fn open(&self, server_uid: &str, grant: &str, sealed: &str) -> Result<String, Foreign> {
        if sealed.len() > 2 * SESSION_BYTES_MAX {
            return Err(Foreign);
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Foreign)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Foreign)?;
        let mut text = text.to_vec();
        let owner = Aad::from(owner(server_uid, grant));
        let opened = self.key.open_in_place(nonce, owner, &mut text).map_err(|_| Foreign)?;
        String::from_utf8(opened.to_vec()).map_err(|_| Foreign)
    }
}

// A grant's name has no NUL, so no two owners have the same bytes.
fn owner(server_uid: &str, grant: &str) -> Vec<u8> {
    [server_uid.as_bytes(), b"\0", grant.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_grant_that_opened_a_session_can_use_it() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let sealed = seal.seal("uid", "alice", "server-session").unwrap();
        assert_eq!(seal.open("uid", "alice", &sealed), Ok("server-session".to_owned()));
        assert_eq!(seal.open("uid", "bob", &sealed), Err(Foreign));
        assert_eq!(seal.open("diu", "alice", &sealed), Err(Foreign));
        assert_eq!(other.open("uid", "alice", &sealed), Err(Foreign));
        for bad in ["", "server-session", &sealed[1..], &format!("{sealed}A"), &"A".repeat(5000)] {
            assert_eq!(seal.open("uid", "alice", bad), Err(Foreign), "{bad}");
        }
    }

    #[test]
    fn a_session_id_has_a_longest_length() {
        let seal = Seal::new().unwrap();
        let longest = "s".repeat(SESSION_BYTES_MAX);
        let sealed = seal.seal("uid", "alice", &longest).unwrap();
        assert_eq!(seal.open("uid", "alice", &sealed), Ok(longest.clone()));
        assert_eq!(seal.seal("uid", "alice", &(longest + "s")), None);
    }
}
