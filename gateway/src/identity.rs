//! Callers by tokens that somebody else signed: the cluster for its ServiceAccounts, or an OpenID Connect issuer.
//!
//! ```text
//! token --token::read--> what it claims --issuer: keys--> key::verify --> Identity --law--> grant
//! ```
//!
//! Invariants: nobody is asked for keys whom no grant names; what cannot be verified is nobody's; a key decides by its
//! own type what it verifies, never the token; a token goes nowhere from here.

mod fetch;
mod issuer;
mod kept;
mod key;
mod review;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use toolgate_policy::{Identity, Law, Now, ServiceAccount};

use crate::destinations::Destinations;

use issuer::Issuer;
use kept::Kept;
use review::{Question, Reviews};
use token::Claimed;

pub use fetch::DOCUMENT_BYTES_MAX;
pub use issuer::{FETCH_DEADLINE, KEYS_AGE_MAX, KEYS_FRESH, REFRESH_MIN};
pub use kept::{KEPT, KEPT_MAX};
pub use key::KEYS_MAX;
pub use review::{ANSWERS_MAX, HOLDS, QUESTIONS_MAX, REVIEW_DEADLINE, UNANSWERED, WITHDRAWN};
pub use token::{LEEWAY, looks_signed};

/// Why a signed token is nobody's. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidToken {
    /// It cannot be read, or lacks what it must have.
    Malformed,
    /// It is of a kind that is no access token, or asks for what is not known here.
    Kind,
    /// No algorithm that is taken, or none of the key's.
    Algorithm,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// No grant names its issuer for its audience, or its ServiceAccount.
    Unexpected,
    /// Its issuer's keys cannot be had.
    NoKeys,
    /// Its issuer has no such key.
    UnknownKey,
    /// The signature is not its issuer's.
    Signature,
    /// The API server says that it does not hold any more, or not as it claims.
    Withdrawn,
    /// The API server is to say whether it holds, and cannot be asked.
    NoReview,
}

/// Who signs the tokens of the cluster's ServiceAccounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// There is no cluster.
    None,
    /// The API server says so, to the pod.
    ApiServer,
    /// This issuer, whose keys are published as every issuer's are.
    Issuer(String),
}

/// Verifies signed tokens.
#[derive(Debug)]
pub struct Verifier {
    audience: Option<String>,
    cluster: Option<Arc<Issuer>>,
    destinations: Destinations,
    issuers: Mutex<HashMap<String, Arc<Issuer>>>,
    kept: Kept,
    reviews: Reviews,
}

/// A token and its SHA-256, to ask about it again while a stream is open. Nothing shows it.
#[derive(Clone)]
pub struct Bearer {
    token: Arc<str>,
    digest: [u8; 32],
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(None, Cluster::None)
    }
}

impl Verifier {
    /// A verifier of OIDC issuers, and of a cluster's ServiceAccounts if there are a cluster and an audience.
    pub fn new(audience: Option<String>, cluster: Cluster) -> Self {
        let cluster = match cluster {
            Cluster::None => None,
            Cluster::ApiServer => Some(Issuer::api_server()),
            Cluster::Issuer(issuer) => Some(Issuer::published(issuer, Destinations::ANY)),
        };
        let cluster = cluster.map(Arc::new);
        let reviews = Reviews::new(None);
        let destinations = Destinations::ANY;
        Self { audience, cluster, destinations, issuers: Mutex::default(), kept: Kept::default(), reviews }
    }

    /// The same verifier, which asks issuers that grants name only where it may connect.
    #[must_use]
    pub fn within(mut self, destinations: Destinations) -> Self {
        self.destinations = destinations;
        self
    }

    /// The same verifier with this way to the API server.
    #[must_use]
    pub fn reviewing_by(mut self, client: kube::Client) -> Self {
        self.reviews = Reviews::new(Some(client));
        self
    }

    /// Whom tokens of ServiceAccounts have to be for: the URL that callers know this gateway by.
    pub fn audience(&self) -> Option<&str> {
        self.audience.as_deref()
    }

    /// Who the bearer of a token is.
    ///
    /// # Errors
    /// The token is not what a grant asks for, or that cannot be known.
    pub async fn verify(&self, law: &Law, bearer: &Bearer, now: Now) -> Result<Arc<Identity>, InvalidToken> {
        let identity = match self.kept.get(&bearer.digest, now.monotonic) {
            Some(identity) => identity,
            None => self.verify_signed(law, bearer, now).await?,
        };
        self.review(law, bearer, &identity, now).await?;
        Ok(identity)
    }

    /// Whether a token that was verified still holds, where the law wants that asked.
    ///
    /// # Errors
    /// It does not, or that cannot be known.
    pub async fn review(
        &self,
        law: &Law,
        bearer: &Bearer,
        identity: &Identity,
        now: Now,
    ) -> Result<(), InvalidToken> {
        if !law.reviews_tokens() {
            return Ok(());
        }
        let (Some(account), Some(audience)) = (&identity.service_account, &self.audience) else {
            return self.is_of_others(identity, now).await;
        };
        let (token, digest, expires_at) = (&*bearer.token, bearer.digest, identity.expires_at);
        self.reviews.review(Question { token, digest, audience, account, expires_at }, now).await
    }

    // Where tokens of ServiceAccounts are reviewed, a grant to their issuer is no way round it.
    async fn is_of_others(&self, identity: &Identity, now: Now) -> Result<(), InvalidToken> {
        let subject = identity.claims.get("sub").and_then(|subject| ServiceAccount::of_subject(subject));
        let (Some(_), Some(cluster)) = (subject, &self.cluster) else { return Ok(()) };
        match cluster.name(now.monotonic).await {
            Some(name) if name == identity.issuer => Err(InvalidToken::Unexpected),
            Some(_) => Ok(()),
            None => Err(InvalidToken::NoKeys),
        }
    }

    async fn verify_signed(
        &self,
        law: &Law,
        bearer: &Bearer,
        now: Now,
    ) -> Result<Arc<Identity>, InvalidToken> {
        let claimed = token::read(&bearer.token)?;
        claimed.check_times(now.wall)?;
        let account = self.by_cluster(law, &claimed, now).await?;
        if account.is_none() {
            self.by_issuer(law, &claimed, now).await?;
        }
        let identity = Arc::new(claimed.identity(account));
        self.kept.keep(bearer.digest, identity.clone(), now);
        Ok(identity)
    }

    // None: it is not the cluster's word on a ServiceAccount that a grant names.
    async fn by_cluster(
        &self,
        law: &Law,
        claimed: &Claimed<'_>,
        now: Now,
    ) -> Result<Option<ServiceAccount>, InvalidToken> {
        let (Some(cluster), Some(audience)) = (&self.cluster, &self.audience) else { return Ok(None) };
        let account = claimed.claims.get("sub").and_then(|subject| ServiceAccount::of_subject(subject));
        let Some(account) = account.filter(|account| law.names_service_account(account)) else {
            return Ok(None);
        };
        // One that the API server takes too is more than anybody should show here.
        if claimed.audiences.iter().any(|other| other != audience) || claimed.audiences.is_empty() {
            return Ok(None);
        }
        match cluster.keys(&claimed.key_id, now.monotonic).await {
            Some(keys) if keys.issuer == claimed.issuer => {
                keys.verify(claimed)?;
                Ok(Some(account))
            }
            Some(_) => Ok(None),
            // It may be an issuer's whose keys can be had.
            None if law.names_issuer(&claimed.issuer) => Ok(None),
            None => Err(InvalidToken::NoKeys),
        }
    }

    async fn by_issuer(&self, law: &Law, claimed: &Claimed<'_>, now: Now) -> Result<(), InvalidToken> {
        if !claimed.audiences.iter().any(|audience| law.expects(&claimed.issuer, audience)) {
            return Err(InvalidToken::Unexpected);
        }
        let issuer = self.issuer(law, &claimed.issuer);
        let keys = issuer.keys(&claimed.key_id, now.monotonic).await.ok_or(InvalidToken::NoKeys)?;
        keys.verify(claimed)
    }

    fn issuer(&self, law: &Law, name: &str) -> Arc<Issuer> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuer) = issuers.get(name) {
            return issuer.clone();
        }
        // So there are never more than grants name.
        issuers.retain(|name, _| law.names_issuer(name));
        let issuer = Arc::new(Issuer::published(name.to_owned(), self.destinations));
        issuers.insert(name.to_owned(), issuer.clone());
        issuer
    }
}

impl InvalidToken {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Kind,
        Self::Algorithm,
        Self::Expired,
        Self::NotYetValid,
        Self::Unexpected,
        Self::NoKeys,
        Self::UnknownKey,
        Self::Signature,
        Self::Withdrawn,
        Self::NoReview,
    ];

    /// The reason's name, as metrics and logs see it. The caller hears only that the token is not valid.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Kind => "kind",
            Self::Algorithm => "algorithm",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Unexpected => "unexpected",
            Self::NoKeys => "no_keys",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Withdrawn => "withdrawn",
            Self::NoReview => "no_review",
        }
    }
}

impl Bearer {
    /// A token, and its SHA-256.
    pub fn new(token: &str, digest: [u8; 32]) -> Self {
        Self { token: token.into(), digest }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Bearer")
    }
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
