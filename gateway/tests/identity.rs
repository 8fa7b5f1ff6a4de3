//! Tokens that issuers signed: which are somebody's, and which are nobody's and why.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolgate_gateway::identity::{Bearer, InvalidToken, Verifier};
use toolgate_policy::{Candidate, Identity, Inputs, Law, Now, compile, render};

#[path = "support/issuer.rs"]
mod issuer;

#[path = "identity/cluster.rs"]
mod cluster;
#[path = "identity/keys.rs"]
mod keys;
#[path = "identity/tokens.rs"]
mod tokens;

/// The audience of the grants.
const AUDIENCE: &str = "http://kommo-toolgate.sales.svc/mcp";
/// The present instant, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

fn law(subjects: &[Value]) -> Law {
    let object = |kind: &str, name: &str, spec: Value| {
        json!({
            "apiVersion": "toolgate.dev/v1alpha1",
            "kind": kind,
            "metadata": {"namespace": "sales", "name": name, "uid": name, "generation": 1},
            "spec": spec,
        })
    };
    let server = object("McpServer", "crm", json!({"upstream": {"url": "http://crm/mcp"}}));
    let grants = subjects.iter().enumerate().map(|(index, subject)| {
        let spec = json!({"servers": [{"name": "crm"}], "subject": subject});
        let grant = Candidate::grant(&object("ToolGrant", &format!("grant-{index}"), spec));
        assert!(grant.errors().is_empty(), "{:?}", grant.errors());
        grant
    });
    let grants: Vec<_> = grants.collect();
    let server = Candidate::server(&server);
    let inputs =
        Inputs { server: &server, policies: &[], grants: &grants, previous: None, revision_floor: 0 };
    compile(&render(&inputs).bundle.unwrap()).unwrap()
}

/// A grant to the subject `bot` of an issuer.
fn of_issuer(issuer: &str) -> Value {
    json!({"type": "OIDC", "oidc": {"issuer": issuer, "audience": AUDIENCE, "claims": {"sub": "bot"}}})
}

/// The claims of a good token.
fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": AUDIENCE, "sub": "bot", "iat": NOW, "exp": NOW + 600})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A good token's instant, and so many seconds later.
fn later(seconds: i64) -> Now {
    Now {
        monotonic: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        wall: Timestamp::from_second(NOW + seconds).unwrap(),
    }
}

async fn verify(
    verifier: &Verifier,
    law: &Law,
    token: &str,
    now: Now,
) -> Result<Arc<Identity>, InvalidToken> {
    verifier.verify(law, &Bearer::new(token, Sha256::digest(token).into()), now).await
}
