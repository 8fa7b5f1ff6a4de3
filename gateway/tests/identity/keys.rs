//! Whose keys are asked for, when, and which of them count.

use serde_json::{Value, json};
use toolgate_gateway::identity::{
    DOCUMENT_BYTES_MAX, InvalidToken, KEPT, KEYS_AGE_MAX, KEYS_FRESH, KEYS_MAX, REFRESH_MIN, Verifier,
};
use toolgate_policy::Law;

use super::issuer::{Issuer, Signer};
use super::{NOW, claims, later, law, of_issuer, verify, with};

async fn says(verifier: &Verifier, law: &Law, token: &str, seconds: i64) -> Result<(), InvalidToken> {
    verify(verifier, law, token, later(seconds)).await.map(drop)
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

fn long_lived(issuer: &str) -> Value {
    with(claims(issuer), "exp", json!(NOW + 100_000))
}

#[tokio::test]
async fn nobody_is_asked_whom_no_grant_names() {
    let (signer, issuer) = (Signer::ed25519("k"), Issuer::publishing(json!({})).await);
    let verifier = Verifier::default();
    let law = law(&[of_issuer("https://idp.example.com")]);
    let token = signer.token(&claims(&issuer.url));
    assert_eq!(says(&verifier, &law, &token, 0).await, Err(InvalidToken::Unexpected));
    let expired = signer.token(&with(claims("https://idp.example.com"), "exp", json!(NOW - 100)));
    assert_eq!(says(&verifier, &law, &expired, 0).await, Err(InvalidToken::Expired));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn an_issuer_is_asked_once_and_again_for_a_new_key_but_not_too_often() {
    let (old, new) = (Signer::ed25519("old"), Signer::p256("new"));
    let issuer = Issuer::publishing(json!({"keys": [old.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&issuer.url)]), Verifier::default());
    let pause = seconds(REFRESH_MIN);
    for index in 0..3 {
        let token = old.token(&with(claims(&issuer.url), "jti", json!(index.to_string())));
        assert_eq!(says(&verifier, &law, &token, 0).await, Ok(()));
    }
    assert_eq!(issuer.asked(), 2, "its description and its keys");

    issuer.publish(json!({"keys": [new.jwk()]}));
    let token = new.token(&claims(&issuer.url));
    assert_eq!(says(&verifier, &law, &token, pause - 1).await, Err(InvalidToken::UnknownKey));
    assert_eq!(issuer.asked(), 2, "it was asked a moment ago");
    assert_eq!(says(&verifier, &law, &token, pause).await, Ok(()));
    assert_eq!(issuer.asked(), 4);
    let gone = old.token(&with(claims(&issuer.url), "jti", json!("another")));
    assert_eq!(says(&verifier, &law, &gone, pause).await, Err(InvalidToken::UnknownKey));
}

#[tokio::test]
async fn many_callers_at_once_ask_once() {
    let signer = Signer::ed25519("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&issuer.url)]), Verifier::default());
    let tokens: Vec<String> =
        (0..50).map(|id| signer.token(&with(claims(&issuer.url), "jti", json!(id.to_string())))).collect();
    let told = futures::future::join_all(tokens.iter().map(|token| says(&verifier, &law, token, 0))).await;
    assert_eq!(told, vec![Ok(()); tokens.len()]);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_answer_from_the_others() {
    let signer = Signer::ed25519("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&issuer.url)]), Verifier::default());
    let token = signer.token(&claims(&issuer.url));
    let mut hasty = Box::pin(says(&verifier, &law, &token, 0));
    assert!(futures::poll!(&mut hasty).is_pending(), "it waits for the keys");
    drop(hasty);
    assert_eq!(says(&verifier, &law, &token, 0).await, Ok(()), "within the pause between two questions");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_so_after_a_while() {
    let signer = Signer::ed25519("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&issuer.url)]), Verifier::default());
    let token = |id: &str| signer.token(&with(long_lived(&issuer.url), "jti", json!(id)));
    assert_eq!(says(&verifier, &law, &token("a"), 0).await, Ok(()));
    issuer.publish(json!({"keys": []}));
    let fresh = seconds(KEYS_FRESH);
    assert_eq!(says(&verifier, &law, &token("b"), fresh).await, Ok(()));
    assert_eq!(says(&verifier, &law, &token("c"), fresh + 1).await, Err(InvalidToken::UnknownKey));
    assert_eq!(says(&verifier, &law, &token("b"), fresh + seconds(KEPT) - 1).await, Ok(()), "it is kept");
    assert_eq!(
        says(&verifier, &law, &token("b"), fresh + seconds(KEPT)).await,
        Err(InvalidToken::UnknownKey)
    );
}

#[tokio::test]
async fn keys_outlive_an_issuer_that_cannot_be_asked_for_a_while() {
    let signer = Signer::ed25519("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&issuer.url)]), Verifier::default());
    let token = |id: &str| signer.token(&with(long_lived(&issuer.url), "jti", json!(id)));
    assert_eq!(says(&verifier, &law, &token("a"), 0).await, Ok(()));
    issuer.publish(json!("no keys at all"));
    let longest = seconds(KEYS_AGE_MAX);
    assert_eq!(says(&verifier, &law, &token("b"), longest).await, Ok(()));
    assert_eq!(says(&verifier, &law, &token("c"), longest + 1).await, Err(InvalidToken::NoKeys));
}

#[tokio::test]
async fn a_key_is_its_issuers_alone() {
    let (own, foreign) = (Signer::ed25519("a"), Signer::ed25519("b"));
    let a = Issuer::publishing(json!({"keys": [own.jwk()]})).await;
    let b = Issuer::publishing(json!({"keys": [foreign.jwk()]})).await;
    let (law, verifier) = (law(&[of_issuer(&a.url), of_issuer(&b.url)]), Verifier::default());
    assert_eq!(says(&verifier, &law, &foreign.token(&claims(&b.url)), 0).await, Ok(()));
    let forged = foreign.token(&claims(&a.url));
    assert_eq!(says(&verifier, &law, &forged, 0).await, Err(InvalidToken::UnknownKey));
    let header = json!({"alg": "EdDSA", "kid": "a"});
    let forged = foreign.token_with(&header, &claims(&a.url).to_string());
    assert_eq!(says(&verifier, &law, &forged, 0).await, Err(InvalidToken::Signature));
}

#[tokio::test]
async fn a_key_verifies_only_what_its_issuer_published_it_for() {
    let signer = Signer::rsa("k");
    for (more, algorithm, told) in [
        (json!({"use": "sig"}), "RS256", Ok(())),
        (json!({"use": "enc"}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"key_ops": ["verify"]}), "RS256", Ok(())),
        (json!({"key_ops": ["encrypt"]}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"alg": "RS256"}), "RS256", Ok(())),
        (json!({"alg": "RS256"}), "RS512", Err(InvalidToken::Algorithm)),
        (json!({"alg": "RS256"}), "PS256", Err(InvalidToken::Algorithm)),
        (json!({"alg": "HS256"}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"alg": "RSA-OAEP"}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"kty": "oct"}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"kid": null}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"e": "!"}), "RS256", Err(InvalidToken::UnknownKey)),
        (json!({"n": "AQAB"}), "RS256", Err(InvalidToken::Signature)),
    ] {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let issuer = Issuer::publishing(json!({"keys": [{"kty": "unheard of"}, jwk]})).await;
        let law = law(&[of_issuer(&issuer.url)]);
        let header = json!({"alg": algorithm, "kid": "k"});
        let token = signer.token_with(&header, &claims(&issuer.url).to_string());
        assert_eq!(says(&Verifier::default(), &law, &token, 0).await, told, "{more} {algorithm}");
    }
}

#[tokio::test]
async fn as_many_keys_and_bytes_as_are_read_and_one_more() {
    let signer = Signer::ed25519("k");
    let told = async |keys: Value| {
        let issuer = Issuer::publishing(keys).await;
        let token = signer.token(&claims(&issuer.url));
        says(&Verifier::default(), &law(&[of_issuer(&issuer.url)]), &token, 0).await
    };
    let most = vec![signer.jwk(); KEYS_MAX];
    let more = [most.clone(), vec![signer.jwk()]].concat();
    assert_eq!(told(json!({"keys": most})).await, Ok(()));
    assert_eq!(told(json!({"keys": more})).await, Err(InvalidToken::NoKeys));
    let padded = |bytes: usize| {
        let length = json!({"keys": [signer.jwk()], "x": ""}).to_string().len();
        json!({"keys": [signer.jwk()], "x": "x".repeat(bytes - length)})
    };
    assert_eq!(told(padded(DOCUMENT_BYTES_MAX)).await, Ok(()));
    assert_eq!(told(padded(DOCUMENT_BYTES_MAX + 1)).await, Err(InvalidToken::NoKeys));
}

#[tokio::test]
async fn an_issuer_that_leads_elsewhere_or_nowhere_has_no_keys() {
    let signer = Signer::ed25519("k");
    let honest = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let told = async |description: Option<(&str, Value)>| {
        let description = description.map(|(status, body)| (status.to_owned(), body));
        let issuer = Issuer::answering(|url| {
            let url = url.to_owned();
            Box::new(move |_| {
                let (status, body) = description.clone()?;
                Some((status, body.to_string().replace("SELF", &url)))
            })
        });
        let issuer = issuer.await;
        let token = signer.token(&claims(&issuer.url));
        says(&Verifier::default(), &law(&[of_issuer(&issuer.url)]), &token, 0).await
    };
    let keys = format!("{}/keys", honest.url);
    let good = json!({"issuer": "SELF", "jwks_uri": keys});
    assert_eq!(told(Some(("200 OK", good.clone()))).await, Ok(()));
    let moved = format!("302 Found\r\nlocation: {}/.well-known/openid-configuration", honest.url);
    for (what, description) in [
        ("another issuer", Some(("200 OK", json!({"issuer": honest.url, "jwks_uri": keys})))),
        ("no issuer", Some(("200 OK", json!({"jwks_uri": keys})))),
        ("no keys", Some(("200 OK", json!({"issuer": "SELF"})))),
        (
            "keys without https",
            Some(("200 OK", json!({"issuer": "SELF", "jwks_uri": "http://idp.example.com/keys"}))),
        ),
        ("a file", Some(("200 OK", json!({"issuer": "SELF", "jwks_uri": "file:///keys"})))),
        ("an error", Some(("500 Internal Server Error", good.clone()))),
        ("a redirect", Some((moved.as_str(), good))),
        ("no answer at all", None),
    ] {
        assert_eq!(told(description).await, Err(InvalidToken::NoKeys), "{what}");
    }
}
