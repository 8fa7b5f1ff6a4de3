//! Asks the API server whether the token of a ServiceAccount still holds. Its signature cannot say so: its pod may be gone.
//!
//! Only tokens that were verified come here, so nobody can have the API server asked about anything else. An answer is
//! kept for a while; where there is none, the token is nobody's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{OnceCell, Semaphore};
use toolgate_policy::{Now, ServiceAccount};

use super::{InvalidToken, LEEWAY};

/// How long a token that holds is not asked about again, and never beyond its own end.
pub const HOLDS: Duration = Duration::from_secs(30);
/// How long one that does not hold is not asked about again.
pub const WITHDRAWN: Duration = Duration::from_secs(5);
/// How long nobody is asked about a token again after there was no answer.
pub const UNANSWERED: Duration = Duration::from_secs(1);
/// How long the API server may take to answer, the wait for a place included.
pub const REVIEW_DEADLINE: Duration = Duration::from_secs(2);
/// The most questions at a time.
pub const QUESTIONS_MAX: usize = 16;
/// The most answers that are kept. Beyond them the API server is asked each time.
pub const ANSWERS_MAX: usize = 1000;

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub token: &'a str,
    /// The token's SHA-256.
    pub digest: [u8; 32],
    pub audience: &'a str,
    pub account: &'a ServiceAccount,
    /// When the law takes the token for expired.
    pub expires_at: jiff::Timestamp,
}

/// What the API server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Holds,
    Withdrawn,
    None,
}

/// The answers of a moment ago, and the way to new ones.
pub(super) struct Reviews {
    client: OnceCell<kube::Client>,
    places: Semaphore,
    // By the token's digest, with the instant until which it is believed.
    answers: Mutex<HashMap<[u8; 32], (Answer, Duration)>>,
}

impl Reviews {
    /// Asks by this client; by that of the pod, or of the user's own configuration, where none is given.
    pub(super) fn new(client: Option<kube::Client>) -> Self {
        let client = OnceCell::new_with(client);
        Self { client, places: Semaphore::new(QUESTIONS_MAX), answers: Mutex::default() }
    }

    /// Whether a token holds.
    ///
    /// # Errors
    /// It does not, or that cannot be known.
    pub(super) async fn review(&self, question: Question<'_>, now: Now) -> Result<(), InvalidToken> {
        match self.answer(question, now).await {
            Answer::Holds => Ok(()),
            Answer::Withdrawn => Err(InvalidToken::Withdrawn),
            Answer::None => Err(InvalidToken::NoReview),
        }
    }

    async fn answer(&self, question: Question<'_>, now: Now) -> Answer {
        if let Some(answer) = self.known(&question.digest, now.monotonic) {
            return answer;
        }
        let asking = async {
            let _place = self.places.acquire().await;
            // While this one waited, another request with the same token may have had an answer.
            match self.known(&question.digest, now.monotonic) {
                Some(answer) => answer,
                None => self.ask(question).await,
            }
        };
        let answer = tokio::time::timeout(REVIEW_DEADLINE, asking).await.unwrap_or_else(|_| {
            tracing::warn!("the API server did not review a token in {REVIEW_DEADLINE:?}");
            Answer::None
        });
        self.keep(question, answer, now);
        answer
    }

    async fn ask(&self, question: Question<'_>) -> Answer {
        let client = match self.client.get_or_try_init(kube::Client::try_default).await {
            Ok(client) => client.clone(),
            Err(error) => {
                tracing::warn!(%error, "no way to the API server, which is to review tokens");
                return Answer::None;
            }
        };
        let spec = TokenReviewSpec {
            token: question.token.to_owned(),
            audiences: Some(vec![question.audience.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        match Api::<TokenReview>::all(client).create(&PostParams::default(), &review).await {
            Ok(reviewed) if holds(&reviewed, question) => Answer::Holds,
            Ok(_) => Answer::Withdrawn,
            Err(error) => {
                tracing::warn!(%error, "the API server does not review tokens for this gateway");
                Answer::None
            }
        }
    }

    fn known(&self, digest: &[u8; 32], now: Duration) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, until) = answers.get(digest)?;
        (now < *until).then_some(*answer)
    }

    fn keep(&self, question: Question<'_>, answer: Answer, now: Now) {
        let until = now.monotonic + kept_for(answer, question.expires_at, now);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, (_, until)| now.monotonic < *until);
        }
        if answers.len() < ANSWERS_MAX || answers.contains_key(&question.digest) {
            answers.insert(question.digest, (answer, until));
        }
    }
}

// The API server allows no leeway, so of a token near its end it is asked again just when that has come.
fn kept_for(answer: Answer, expires_at: jiff::Timestamp, now: Now) -> Duration {
    match answer {
        Answer::Holds => {
            let left = Duration::try_from(expires_at.duration_since(now.wall)).unwrap_or_default();
            HOLDS.min(left.saturating_sub(LEEWAY))
        }
        Answer::Withdrawn => WITHDRAWN,
        Answer::None => UNANSWERED,
    }
}

// Without its audiences an answer speaks of the API server's own, which no token for this gateway is for.
fn holds(reviewed: &TokenReview, question: Question<'_>) -> bool {
    let Some(status) = &reviewed.status else { return false };
    let ServiceAccount { namespace, name } = question.account;
    let user = status.user.as_ref().and_then(|user| user.username.as_deref());
    let audiences = status.audiences.as_deref().unwrap_or_default();
    status.authenticated == Some(true)
        && status.error.as_deref().unwrap_or_default().is_empty()
        && user == Some(format!("system:serviceaccount:{namespace}:{name}").as_str())
        && audiences.iter().any(|audience| audience == question.audience)
}

impl std::fmt::Debug for Reviews {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Reviews")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AUDIENCE: &str = "http://kommo-toolgate.sales.svc/mcp";

    fn account() -> ServiceAccount {
        ServiceAccount { namespace: "sales".to_owned(), name: "agent".to_owned() }
    }

    fn question(account: &ServiceAccount, number: usize) -> Question<'_> {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        let expires_at = jiff::Timestamp::from_second(1_000_000).unwrap();
        Question { token: "t", digest, audience: AUDIENCE, account, expires_at }
    }

    fn at(seconds: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: jiff::Timestamp::from_second(wall).unwrap() }
    }

    fn said(status: &Value) -> bool {
        let review: TokenReview = serde_json::from_value(json!({"spec": {}, "status": status})).unwrap();
        holds(&review, question(&account(), 0))
    }

    #[test]
    fn only_the_whole_answer_says_that_a_token_holds() {
        let user = json!({"username": "system:serviceaccount:sales:agent"});
        let good = json!({"authenticated": true, "user": user, "audiences": [AUDIENCE]});
        assert!(said(&good));
        for (name, value) in [
            ("authenticated", json!(false)),
            ("authenticated", json!(null)),
            ("error", json!("the pod is gone")),
            ("user", json!({"username": "system:serviceaccount:sales:other"})),
            ("user", json!({})),
            ("audiences", json!(null)),
            ("audiences", json!([])),
            ("audiences", json!(["https://kubernetes.default.svc"])),
        ] {
            let mut status = good.clone();
            status[name] = value;
            assert!(!said(&status), "{name}");
        }
        let nothing: TokenReview = serde_json::from_value(json!({"spec": {}})).unwrap();
        assert!(!holds(&nothing, question(&account(), 0)));
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_never_beyond_the_tokens_end() {
        let end = jiff::Timestamp::from_second(1_000_000).unwrap();
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
        let kept = |answer, left: i64| kept_for(answer, end, at(0, 1_000_000 - leeway - left)).as_secs();
        assert_eq!(kept(Answer::Holds, 600), HOLDS.as_secs());
        assert_eq!((kept(Answer::Holds, 7), kept(Answer::Holds, 0), kept(Answer::Holds, -100)), (7, 0, 0));
        assert_eq!(kept(Answer::Withdrawn, 600), WITHDRAWN.as_secs());
        assert_eq!(kept(Answer::None, 600), UNANSWERED.as_secs());
        assert!(HOLDS <= Duration::from_mins(1));
    }

    #[test]
    fn as_many_answers_as_are_kept_and_one_more() {
        let (reviews, account) = (Reviews::new(None), account());
        for number in 0..=ANSWERS_MAX {
            reviews.keep(question(&account, number), Answer::Holds, at(0, 0));
        }
        let known =
            |number, seconds| reviews.known(&question(&account, number).digest, Duration::from_secs(seconds));
        assert_eq!(known(ANSWERS_MAX - 1, 29), Some(Answer::Holds));
        assert_eq!(known(ANSWERS_MAX - 1, 30), None);
        assert_eq!(known(ANSWERS_MAX, 0), None, "there is no room");
        reviews.keep(question(&account, 0), Answer::Withdrawn, at(0, 0));
        assert_eq!(known(0, 0), Some(Answer::Withdrawn), "what is known can change its answer");
        reviews.keep(question(&account, ANSWERS_MAX), Answer::Holds, at(30, 0));
        assert_eq!(known(ANSWERS_MAX, 30), Some(Answer::Holds), "what ran out made room");
    }
}
