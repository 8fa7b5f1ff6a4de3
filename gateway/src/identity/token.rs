//! A signed token (JWS in its compact form), taken apart. Nothing of it is to be believed before its signature is.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use toolgate_policy::json::{self, Json};
use toolgate_policy::{Identity, ServiceAccount};

use super::InvalidToken;
use super::key::Algorithm;

/// How far the clocks of issuers may differ from this one's.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// What a token claims.
#[derive(Debug)]
pub(super) struct Claimed<'a> {
    pub algorithm: Algorithm,
    pub key_id: String,
    pub issuer: String,
    pub audiences: Vec<String>,
    /// The claims that are texts.
    pub claims: BTreeMap<String, String>,
    expires_at: Timestamp,
    begins_at: [Option<Timestamp>; 2],
    /// What is signed.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

/// Whether a bearer token has the form of a signed one: three parts in base64 for URLs.
pub fn looks_signed(token: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    token.split('.').count() == 3 && token.split('.').all(fits)
}

/// Reads a token.
///
/// # Errors
/// It is no token, none of a kind that is taken, or it lacks a key's id, an issuer, an audience or an end.
pub(super) fn read(token: &str) -> Result<Claimed<'_>, InvalidToken> {
    let (signed, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(InvalidToken::Malformed)?;
    let (header, payload, signature) = (decoded(header)?, decoded(payload)?, decoded(signature)?);
    let (header, payload) = (object(&header)?, object(&payload)?);
    check_kind(&header)?;
    let algorithm = text(&header, "alg").and_then(|name| Algorithm::of_name(&name));
    let algorithm = algorithm.ok_or(InvalidToken::Algorithm)?;
    let required = |from: &Json<'_>, name: &str| {
        text(from, name).filter(|text| !text.is_empty()).ok_or(InvalidToken::Malformed)
    };
    Ok(Claimed {
        algorithm,
        key_id: required(&header, "kid")?,
        issuer: required(&payload, "iss")?,
        audiences: audiences(&payload).ok_or(InvalidToken::Malformed)?,
        expires_at: instant(&payload, "exp")?.ok_or(InvalidToken::Malformed)?,
        begins_at: [instant(&payload, "nbf")?, instant(&payload, "iat")?],
        claims: texts(&payload),
        signed: signed.as_bytes(),
        signature,
    })
}

impl Claimed<'_> {
    /// Whether a token may be used at an instant.
    ///
    /// # Errors
    /// It has expired, or is not valid yet.
    pub(super) fn check_times(&self, wall: Timestamp) -> Result<(), InvalidToken> {
        if wall >= self.ends_at() {
            return Err(InvalidToken::Expired);
        }
        let latest = wall.checked_add(LEEWAY).unwrap_or(Timestamp::MAX);
        if self.begins_at.iter().flatten().any(|begins_at| *begins_at > latest) {
            return Err(InvalidToken::NotYetValid);
        }
        Ok(())
    }

    /// Who it is. The signature has to be verified.
    pub(super) fn identity(self, service_account: Option<ServiceAccount>) -> Identity {
        Identity {
            expires_at: self.ends_at(),
            issuer: self.issuer,
            audiences: self.audiences,
            claims: self.claims,
            service_account,
        }
    }

    fn ends_at(&self) -> Timestamp {
        self.expires_at.checked_add(LEEWAY).unwrap_or(Timestamp::MAX)
    }
}

// The decoder takes exactly one spelling of the same bytes.
fn decoded(part: &str) -> Result<Vec<u8>, InvalidToken> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken::Malformed)
}

fn object(bytes: &[u8]) -> Result<Json<'_>, InvalidToken> {
    json::parse(bytes).ok().filter(|json| json.as_object().is_some()).ok_or(InvalidToken::Malformed)
}

// Named are the kinds that are taken: an identity assertion for an authorization server is none for this one.
fn check_kind(header: &Json<'_>) -> Result<(), InvalidToken> {
    let plain = match header.get("typ") {
        None => true,
        Some(Json::String(kind)) => {
            ["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| kind.eq_ignore_ascii_case(known))
        }
        Some(_) => false,
    };
    // What an issuer marks as critical has to be understood, and nothing of it is.
    if plain && header.get("crit").is_none() { Ok(()) } else { Err(InvalidToken::Kind) }
}

fn text(from: &Json<'_>, name: &str) -> Option<String> {
    from.get(name)?.as_str().map(str::to_owned)
}

fn audiences(payload: &Json<'_>) -> Option<Vec<String>> {
    match payload.get("aud")? {
        Json::String(audience) => Some(vec![audience.to_string()]),
        Json::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

// Of a fraction of a second nothing depends; a number beyond all times is none.
fn instant(payload: &Json<'_>, name: &str) -> Result<Option<Timestamp>, InvalidToken> {
    let Some(value) = payload.get(name) else { return Ok(None) };
    let number = value.as_number().ok_or(InvalidToken::Malformed)?;
    let whole = number.text().split('.').next().unwrap_or_default().parse::<i64>();
    let instant = whole.ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    instant.map(Some).ok_or(InvalidToken::Malformed)
}

fn texts(payload: &Json<'_>) -> BTreeMap<String, String> {
    let members = payload.as_object().into_iter().flat_map(json::Object::iter);
    members.filter_map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned()))).collect()
}
