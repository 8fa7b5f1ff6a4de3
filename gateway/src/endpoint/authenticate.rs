//! Who calls: the bearer of a token, or nobody.

use hyper::header::{self, HeaderMap};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use toolgate_policy::{Caller, Credential, Law, Unauthenticated};

use super::{Rejection, reject};
use crate::metrics::Rejected;
use crate::wire::answer;

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// The caller of a request, and what shows it.
///
/// # Errors
/// 401: no grant, or not exactly one, knows the credential. The caller does not hear which.
pub(super) fn caller(
    law: &Law,
    headers: &HeaderMap,
    wall: Timestamp,
) -> Result<(Caller, Credential), Rejection> {
    let credential = credential(headers);
    let known = credential.and_then(|credential| Ok((law.authenticate(&credential, wall)?, credential)));
    known.map_err(|reason| {
        tracing::debug!(%reason, "unauthenticated");
        let error = (reason != Unauthenticated::Missing).then_some("invalid_token");
        reject(Rejected::Unauthenticated, answer::unauthorized(None, None, error))
    })
}

// A credential that cannot be read is a bad one, never none.
fn credential(headers: &HeaderMap) -> Result<Credential, Unauthenticated> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credential::None) };
    let token = value.to_str().ok().and_then(token_of).filter(|_| values.next().is_none());
    let token = token.ok_or(Unauthenticated::Unknown)?;
    Ok(Credential::Token(Sha256::digest(token.as_bytes()).into()))
}

fn token_of(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && plain && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Credential, Unauthenticated> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        credential(&headers)
    }

    #[test]
    fn only_one_plain_bearer_token_is_a_credential() {
        assert_eq!(read(&[]), Ok(Credential::None));
        let digest = Sha256::digest(b"abc").into();
        assert_eq!(read(&["Bearer abc"]), Ok(Credential::Token(digest)));
        assert_eq!(read(&["bearer  abc "]), Ok(Credential::Token(digest)));
        for bad in [
            vec![""],
            vec!["Bearer"],
            vec!["Bearer "],
            vec!["Basic abc"],
            vec!["Bearer a b"],
            vec!["Bearer abc"; 2],
        ] {
            assert_eq!(read(&bad), Err(Unauthenticated::Unknown), "{bad:?}");
        }
        let longest = format!("Bearer {}", "a".repeat(TOKEN_BYTES_MAX));
        assert!(read(&[&longest]).is_ok() && read(&[&(longest + "a")]).is_err());
    }
}
