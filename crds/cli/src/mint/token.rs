//! A token: made here, known afterwards only by its digest.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom;
use sha2::{Digest, Sha256};

/// What every token begins with, so that scanners for leaked secrets know one.
const PREFIX: &str = "tg_";
/// How many random bytes are in a token.
const RANDOM_BYTES: usize = 32;

/// A token. It has no `Debug`, so that no log can show it by accident.
pub(crate) struct Token(String);

/// The system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random bytes")]
pub(crate) struct NoRandomness;

impl Token {
    /// A new one.
    pub(crate) fn generate(random: &dyn SecureRandom) -> Result<Self, NoRandomness> {
        let mut bytes = [0; RANDOM_BYTES];
        random.fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its SHA-256 in lower-case hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes every write");
            text
        })
    }

    /// Writes it, without a line feed, to a file that did not exist, for its owner only.
    ///
    /// # Errors
    /// When there is anything at the path already, or it cannot be written. No half-written file stays behind.
    pub(crate) fn keep(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(self.0.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| discard(path))
    }
}

/// Removes a token file that this process made.
pub(crate) fn discard(path: &Path) {
    // The failure that led here is told; this one would only hide it.
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;

    use super::*;

    #[test]
    fn a_token_is_its_prefix_and_32_random_bytes_in_characters_that_headers_and_shells_leave_alone() {
        let token = Token::generate(&SystemRandom::new()).ok().unwrap();
        let encoded = token.as_str().strip_prefix(PREFIX).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(encoded).unwrap().len(), RANDOM_BYTES);
        assert!(token.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn a_digest_is_that_of_the_whole_text() {
        let token = Token("toolgate-sample-token".to_owned());
        assert_eq!(token.sha256(), "7709620e23c09893a0489cacd0125ca163b9bc99b373059b21f1c5de5b95b80a");
    }
}
