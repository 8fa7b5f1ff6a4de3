//! What a token has to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use toolgate_gateway::identity::{InvalidToken, LEEWAY, Verifier, looks_signed};
use toolgate_policy::Law;

use super::issuer::{Issuer, Signer};
use super::{AUDIENCE, NOW, claims, later, law, of_issuer, verify, with, without};

struct Court {
    signer: Signer,
    issuer: Issuer,
    law: Law,
    verifier: Verifier,
}

impl Court {
    async fn of(signer: Signer) -> Self {
        let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
        let law = law(&[of_issuer(&issuer.url)]);
        Self { signer, issuer, law, verifier: Verifier::default() }
    }

    fn claims(&self) -> Value {
        claims(&self.issuer.url)
    }

    async fn says(&self, token: &str) -> Result<(), InvalidToken> {
        verify(&self.verifier, &self.law, token, later(0)).await.map(drop)
    }

    async fn says_of(&self, claims: &Value) -> Result<(), InvalidToken> {
        self.says(&self.signer.token(claims)).await
    }

    async fn says_with(&self, header: &Value) -> Result<(), InvalidToken> {
        self.says(&self.signer.token_with(header, &self.claims().to_string())).await
    }
}

#[tokio::test]
async fn every_algorithm_with_a_public_key_is_taken() {
    for signer in [Signer::ed25519("k"), Signer::p256("k"), Signer::p384("k"), Signer::rsa("k")] {
        let algorithm = signer.algorithm();
        let court = Court::of(signer).await;
        assert_eq!(court.says_of(&court.claims()).await, Ok(()), "{algorithm}");
    }
    let court = Court::of(Signer::rsa("k")).await;
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        assert_eq!(court.says_with(&json!({"alg": algorithm, "kid": "k"})).await, Ok(()), "{algorithm}");
    }
}

#[tokio::test]
async fn who_it_is_comes_out() {
    let court = Court::of(Signer::p256("k")).await;
    let more = with(with(court.claims(), "groups", json!(["a"])), "team", json!("sales"));
    let several = with(more, "aud", json!(["other", AUDIENCE]));
    let token = court.signer.token(&several);
    let identity = verify(&court.verifier, &court.law, &token, later(0)).await.unwrap();
    assert_eq!(identity.issuer, court.issuer.url);
    assert_eq!(identity.audiences, ["other", AUDIENCE]);
    assert_eq!(identity.service_account, None);
    let texts: Vec<&str> = identity.claims.keys().map(String::as_str).collect();
    assert_eq!(texts, ["iss", "sub", "team"], "and aud, which is several");
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    assert_eq!(identity.expires_at.as_second(), NOW + 600 + leeway);
}

#[tokio::test]
async fn claims_that_are_wanting_or_wrong_are_nobodys() {
    use InvalidToken::{Malformed, Unexpected};
    let court = Court::of(Signer::ed25519("k")).await;
    for name in ["iss", "aud", "exp"] {
        assert_eq!(court.says_of(&without(court.claims(), name)).await, Err(Malformed), "without {name}");
    }
    for (name, value, reason) in [
        ("iss", json!("https://idp.example.com"), Unexpected),
        ("iss", json!(format!("{}/", court.issuer.url)), Unexpected),
        ("iss", json!([court.issuer.url]), Malformed),
        ("iss", json!(""), Malformed),
        ("aud", json!("another"), Unexpected),
        ("aud", json!(format!("{AUDIENCE}/")), Unexpected),
        ("aud", json!([]), Unexpected),
        ("aud", json!([AUDIENCE, 7]), Malformed),
        ("aud", json!({"a": AUDIENCE}), Malformed),
        ("exp", json!((NOW + 600).to_string()), Malformed),
        ("exp", json!(null), Malformed),
        ("exp", json!(1e300), Malformed),
        ("exp", json!(i64::MAX), Malformed),
        ("nbf", json!("now"), Malformed),
        ("iat", json!(true), Malformed),
    ] {
        let told = court.says_of(&with(court.claims(), name, value.clone())).await;
        assert_eq!(told, Err(reason), "{name}: {value}");
    }
    let text = court.claims().to_string();
    let twice = text.replacen('{', &format!("{{\"aud\":\"{AUDIENCE}\","), 1);
    let header = json!({"alg": "EdDSA", "kid": "k"});
    for claims in [twice.as_str(), "[]", "7", "", "{"] {
        assert_eq!(court.says(&court.signer.token_with(&header, claims)).await, Err(Malformed), "{claims}");
    }
    assert_eq!(court.says(&court.signer.token_with(&header, &text)).await, Ok(()));
}

#[tokio::test]
async fn a_token_holds_from_its_beginning_to_its_end_give_or_take_the_leeway() {
    let court = Court::of(Signer::ed25519("k")).await;
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    for name in ["nbf", "iat"] {
        let at = |seconds| with(court.claims(), name, json!(NOW + seconds));
        assert_eq!(court.says_of(&at(leeway)).await, Ok(()), "{name}");
        assert_eq!(court.says_of(&at(leeway + 1)).await, Err(InvalidToken::NotYetValid), "{name}");
    }
    let at = |seconds| with(court.claims(), "exp", json!(NOW + seconds));
    assert_eq!(court.says_of(&at(1 - leeway)).await, Ok(()));
    assert_eq!(court.says_of(&at(-leeway)).await, Err(InvalidToken::Expired));
    assert_eq!(court.says_of(&with(court.claims(), "exp", json!(-1))).await, Err(InvalidToken::Expired));
}

#[tokio::test]
async fn a_header_that_asks_for_more_is_refused() {
    use InvalidToken::{Algorithm, Kind, Malformed, UnknownKey};
    let court = Court::of(Signer::ed25519("k")).await;
    for (header, reason) in [
        (json!({"alg": "EdDSA"}), Malformed),
        (json!({"alg": "EdDSA", "kid": 7}), Malformed),
        (json!({"alg": "EdDSA", "kid": ""}), Malformed),
        (json!({"alg": "EdDSA", "kid": "K"}), UnknownKey),
        (json!({"kid": "k"}), Algorithm),
        (json!({"alg": "none", "kid": "k"}), Algorithm),
        (json!({"alg": "NONE", "kid": "k"}), Algorithm),
        (json!({"alg": "eddsa", "kid": "k"}), Algorithm),
        (json!({"alg": "HS256", "kid": "k"}), Algorithm),
        (json!({"alg": "RS256", "kid": "k"}), Algorithm),
        (json!({"alg": "ES256", "kid": "k"}), Algorithm),
        (json!({"alg": "EdDSA", "kid": "k", "crit": []}), Kind),
        (json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false}), Kind),
        (json!({"alg": "EdDSA", "kid": "k", "typ": "oauth-id-jag+jwt"}), Kind),
        (json!({"alg": "EdDSA", "kid": "k", "typ": "logout+jwt"}), Kind),
        (json!({"alg": "EdDSA", "kid": "k", "typ": null}), Kind),
    ] {
        assert_eq!(court.says_with(&header).await, Err(reason), "{header}");
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = json!({"alg": "EdDSA", "kid": "k", "typ": kind});
        assert_eq!(court.says_with(&header).await, Ok(()), "{kind}");
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let court = Court::of(Signer::rsa("k")).await;
    let jwk = court.signer.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    for secret in [modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(modulus).unwrap(), Vec::new()] {
        for algorithm in ["HS256", "none"] {
            let header = json!({"alg": algorithm, "kid": "k"});
            let signed =
                [header.to_string(), court.claims().to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
            let signed = signed.join(".");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert_eq!(court.says(&token).await, Err(InvalidToken::Algorithm));
        }
    }
}

#[tokio::test]
async fn a_token_that_was_touched_is_nobodys() {
    let court = Court::of(Signer::p256("k")).await;
    let good = court.signer.token(&court.claims());
    let parts: Vec<&str> = good.split('.').collect();
    let others = court.signer.token(&with(court.claims(), "sub", json!("admin")));
    let others: Vec<&str> = others.split('.').collect();
    let longer = URL_SAFE_NO_PAD.encode([0; 96]);
    for (what, token) in [
        ("other claims", [parts[0], others[1], parts[2]].join(".")),
        ("another signature", [parts[0], parts[1], others[2]].join(".")),
        ("a signature of nothing", [parts[0], parts[1], "AA"].join(".")),
        ("zeros", [parts[0], parts[1], &URL_SAFE_NO_PAD.encode([0; 64])].join(".")),
        ("a longer one", [parts[0], parts[1], &longer].join(".")),
    ] {
        assert_eq!(court.says(&token).await, Err(InvalidToken::Signature), "{what}");
    }
    for token in ["", ".", "..", "a.b", &format!("{good}="), &format!("{good}.x"), &format!("{good}.")] {
        assert!(!looks_signed(token), "{token}");
        assert_eq!(court.says(token).await, Err(InvalidToken::Malformed), "{token}");
    }
    assert!(looks_signed(&good));
    assert_eq!(court.says(&good).await, Ok(()));
}

#[tokio::test]
async fn no_character_of_a_token_can_be_another_one() {
    let court = Court::of(Signer::ed25519("k")).await;
    let good = court.signer.token(&court.claims());
    assert_eq!(court.says(&good).await, Ok(()));
    for (index, character) in good.char_indices() {
        for other in ['A', 'Q', '_', '.'].into_iter().filter(|other| *other != character) {
            let mut touched = good.clone();
            touched.replace_range(index..=index, &other.to_string());
            assert!(court.says(&touched).await.is_err(), "{other} at {index}");
        }
    }
}
