//! ServiceAccounts, by the word of the cluster's issuer.

use serde_json::{Value, json};
use toolgate_gateway::identity::{Cluster, InvalidToken, Verifier};
use toolgate_policy::{Law, ServiceAccount};

use super::issuer::{Issuer, Signer};
use super::{AUDIENCE, claims, later, law, of_issuer, verify, with};

const AGENT: &str = "system:serviceaccount:sales:agent";

fn granted() -> Law {
    law(&[json!({"type": "ServiceAccount", "serviceAccount": {"name": "agent"}})])
}

fn of_cluster(issuer: &Issuer) -> Verifier {
    Verifier::new(Some(AUDIENCE.to_owned()), Cluster::Issuer(issuer.url.clone()))
}

fn projected(issuer: &Issuer) -> Value {
    with(claims(&issuer.url), "sub", json!(AGENT))
}

#[tokio::test]
async fn a_service_accounts_token_for_this_gateway_is_its_own() {
    let signer = Signer::rsa("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let token = signer.token(&with(projected(&issuer), "aud", json!([AUDIENCE])));
    let identity = verify(&of_cluster(&issuer), &granted(), &token, later(0)).await.unwrap();
    let agent = ServiceAccount { namespace: "sales".to_owned(), name: "agent".to_owned() };
    assert_eq!(identity.service_account, Some(agent));
}

#[tokio::test]
async fn a_token_for_others_or_of_others_is_no_service_accounts() {
    let (signer, stranger) = (Signer::rsa("k"), Signer::ed25519("s"));
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let other = Issuer::publishing(json!({"keys": [stranger.jwk()]})).await;
    let (verifier, law) = (of_cluster(&issuer), granted());
    let told = async |token: String| verify(&verifier, &law, &token, later(0)).await.map(drop);
    for (what, name, value) in [
        ("the API server's audience", "aud", json!(["https://kubernetes.default.svc.cluster.local"])),
        ("one more audience", "aud", json!([AUDIENCE, "https://kubernetes.default.svc.cluster.local"])),
        ("no audience", "aud", json!([])),
        ("another ServiceAccount", "sub", json!("system:serviceaccount:sales:other")),
        ("another namespace", "sub", json!("system:serviceaccount:shop:agent")),
        ("a user", "sub", json!("agent")),
    ] {
        let token = signer.token(&with(projected(&issuer), name, value));
        assert_eq!(told(token).await, Err(InvalidToken::Unexpected), "{what}");
    }
    assert_eq!(issuer.asked(), 0, "for none of these");
    let of_other = stranger.token(&with(projected(&issuer), "iss", json!(other.url)));
    assert_eq!(told(of_other).await, Err(InvalidToken::Unexpected));
    assert_eq!(other.asked(), 0);
    assert_eq!(told(stranger.token(&projected(&issuer))).await, Err(InvalidToken::UnknownKey));
}

#[tokio::test]
async fn another_issuer_says_nothing_of_service_accounts() {
    let (signer, stranger) = (Signer::rsa("k"), Signer::ed25519("s"));
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let other = Issuer::publishing(json!({"keys": [stranger.jwk()]})).await;
    let account = json!({"type": "ServiceAccount", "serviceAccount": {"name": "agent"}});
    let law = law(&[account, of_issuer(&other.url)]);
    let token = stranger.token(&with(projected(&issuer), "iss", json!(other.url)));
    let identity = verify(&of_cluster(&issuer), &law, &token, later(0)).await.unwrap();
    assert_eq!(identity.service_account, None, "though its sub has the words of one");
}

#[tokio::test]
async fn without_an_audience_or_a_cluster_there_are_no_service_accounts() {
    let signer = Signer::rsa("k");
    let issuer = Issuer::publishing(json!({"keys": [signer.jwk()]})).await;
    let token = signer.token(&projected(&issuer));
    for (audience, cluster) in [
        (None, Cluster::Issuer(issuer.url.clone())),
        (Some(AUDIENCE.to_owned()), Cluster::None),
        (None, Cluster::None),
    ] {
        let verifier = Verifier::new(audience, cluster);
        let told = verify(&verifier, &granted(), &token, later(0)).await.map(drop);
        assert_eq!(told, Err(InvalidToken::Unexpected));
    }
    assert_eq!(issuer.asked(), 0);
}
