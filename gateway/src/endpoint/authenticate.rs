//! Who calls: the bearer of a token, whoever showed a certificate, or nobody.

use hyper::header::{self, HeaderMap};
use sha2::{Digest, Sha256};
use toolgate_policy::{Caller, Credential, Law, Unauthenticated};

use super::{Rejection, metadata, reject};
use crate::gateway::Gateway;
use crate::identity::{Bearer, looks_signed};
use crate::metrics::Rejected;
use crate::tls::Peer;
use crate::wire::answer;

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 8192;

/// The caller of a request, and what shows it, so that it can be looked at again while a stream is open.
#[derive(Debug)]
pub(super) struct Known {
    pub caller: Caller,
    pub credential: Credential,
    /// A token that an issuer signed.
    pub bearer: Option<Bearer>,
}

/// The caller of a request.
///
/// # Errors
/// 401: no grant, or not exactly one, knows the credential. The caller does not hear which.
pub(super) async fn caller(
    gateway: &Gateway,
    law: &Law,
    headers: &HeaderMap,
    peer: Option<&Peer>,
) -> Result<Known, Rejection> {
    let known = match shown(headers) {
        Ok(shown) => known(gateway, law, shown, peer).await,
        Err(reason) => Err(reason),
    };
    known.map_err(|reason| {
        tracing::debug!(%reason, "unauthenticated");
        let error = (reason != Unauthenticated::Missing).then_some("invalid_token");
        let metadata = metadata::url(gateway, law);
        let answer = answer::unauthorized(metadata.as_deref(), None, error);
        Rejection { detail: Some(reason.as_str()), ..reject(Rejected::Unauthenticated, answer) }
    })
}

async fn known(
    gateway: &Gateway,
    law: &Law,
    token: Option<&str>,
    peer: Option<&Peer>,
) -> Result<Known, Unauthenticated> {
    // The connection may be older than the authorities of now.
    if peer.is_some_and(|peer| !gateway.trusts(peer)) {
        return Err(Unauthenticated::Unknown);
    }
    let (credential, bearer) = match token {
        Some(token) => credential(gateway, law, token).await?,
        None => (Credential::None, None),
    };
    let credential = match (credential, peer) {
        (credential, None) => credential,
        (Credential::None, Some(peer)) => Credential::Certificate(peer.certificate.clone()),
        (token, Some(peer)) => Credential::Both(Box::new(token), peer.certificate.clone()),
    };
    let caller = law.authenticate(&credential, gateway.clock.now().wall)?;
    Ok(Known { caller, credential, bearer })
}

// A token that a grant names by its digest is that grant's, whatever is in it. Only another one is read.
async fn credential(
    gateway: &Gateway,
    law: &Law,
    token: &str,
) -> Result<(Credential, Option<Bearer>), Unauthenticated> {
    let digest = Sha256::digest(token.as_bytes()).into();
    if law.names_token(&digest) || !looks_signed(token) {
        return Ok((Credential::Token(digest), None));
    }
    let bearer = Bearer::new(token, digest);
    let verified = Box::pin(gateway.verifier.verify(law, &bearer, gateway.clock.now())).await;
    verified.map(|identity| (Credential::Verified(identity), Some(bearer))).map_err(|reason| {
        tracing::debug!(%reason, "a signed token is nobody's");
        gateway.metrics.token_refused(reason);
        Unauthenticated::Unknown
    })
}

// A credential that cannot be read is a bad one, never none.
fn shown(headers: &HeaderMap) -> Result<Option<&str>, Unauthenticated> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(token_of).filter(|_| values.next().is_none());
    token.map(Some).ok_or(Unauthenticated::Unknown)
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

    fn read(values: &[&str]) -> Result<Option<String>, Unauthenticated> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        shown(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn only_one_plain_bearer_token_is_a_credential() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Bearer abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&["bearer  abc "]), Ok(Some("abc".to_owned())));
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
