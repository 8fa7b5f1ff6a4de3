//! Which grant a verified token belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use toolgate_crds::ToolGrantSpec;
use toolgate_policy::{Candidate, Credential, Identity, Law, ServiceAccount, Unauthenticated, compile};

#[path = "support/court.rs"]
mod court;

use court::{grant, object, plain_server, rendered};

const ISSUER: &str = "https://idp.example.com";

fn wall() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("is a time")
}

fn opened_to(name: &str, subject: &str, more: &str) -> Candidate<ToolGrantSpec> {
    let spec = format!("servers: [{{name: crm}}]\nsubject: {subject}\n{more}");
    let candidate = Candidate::grant(&object("ToolGrant", name, 1, &spec));
    assert!(candidate.errors().is_empty(), "{:?}", candidate.errors());
    candidate
}

fn account(name: &str, parts: &str, more: &str) -> Candidate<ToolGrantSpec> {
    opened_to(name, &format!("{{type: ServiceAccount, serviceAccount: {{{parts}}}}}"), more)
}

fn issued(name: &str, claims: &str, more: &str) -> Candidate<ToolGrantSpec> {
    let parts = format!("{{issuer: '{ISSUER}', audience: mcp, claims: {claims}}}");
    opened_to(name, &format!("{{type: OIDC, oidc: {parts}}}"), more)
}

fn law(grants: &[Candidate<ToolGrantSpec>]) -> Law {
    let bundle = rendered(&plain_server(), &[], grants, None).bundle.expect("a bundle");
    compile(&bundle).expect("compiles")
}

fn identity(claims: &[(&str, &str)]) -> Identity {
    let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Identity {
        issuer: ISSUER.to_owned(),
        audiences: vec!["other".to_owned(), "mcp".to_owned()],
        claims: claims.collect::<BTreeMap<_, _>>(),
        service_account: None,
        expires_at: Timestamp::MAX,
    }
}

fn of_account(namespace: &str, name: &str) -> Identity {
    let service_account = ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() };
    Identity { service_account: Some(service_account), ..identity(&[]) }
}

fn who(law: &Law, identity: Identity) -> Result<String, Unauthenticated> {
    let credential = Credential::Verified(Arc::new(identity));
    law.authenticate(&credential, wall()).map(|caller| caller.grant().to_owned())
}

#[test]
fn a_service_account_is_one_of_its_namespace_and_by_default_of_the_grants_own() {
    let law = law(&[account("own", "name: agent", ""), account("other", "name: agent, namespace: shop", "")]);
    assert_eq!(who(&law, of_account("sales", "agent")), Ok("own".to_owned()));
    assert_eq!(who(&law, of_account("shop", "agent")), Ok("other".to_owned()));
    assert_eq!(who(&law, of_account("hr", "agent")), Err(Unauthenticated::Unknown));
    assert_eq!(who(&law, of_account("sales", "agen")), Err(Unauthenticated::Unknown));
    let subject = identity(&[("sub", "system:serviceaccount:sales:agent")]);
    assert_eq!(who(&law, subject), Err(Unauthenticated::Unknown), "only the cluster's issuer says so");
}

#[test]
fn every_claim_has_to_be_there_exactly() {
    let law = law(&[issued("bot", "{sub: bot, team: sales}", "")]);
    let whole = [("sub", "bot"), ("team", "sales"), ("more", "x")];
    assert_eq!(who(&law, identity(&whole)), Ok("bot".to_owned()));
    for claims in [
        &[("sub", "bot")][..],
        &[("team", "sales")],
        &[("sub", "bot"), ("team", "Sales")],
        &[("sub", "bot2"), ("team", "sales")],
        &[],
    ] {
        assert_eq!(who(&law, identity(claims)), Err(Unauthenticated::Unknown), "{claims:?}");
    }
    let elsewhere = Identity { issuer: format!("{ISSUER}/"), ..identity(&whole) };
    assert_eq!(who(&law, elsewhere), Err(Unauthenticated::Unknown));
    let for_others = Identity { audiences: vec!["mcp2".to_owned()], ..identity(&whole) };
    assert_eq!(who(&law, for_others), Err(Unauthenticated::Unknown));
}

#[test]
fn a_token_of_two_live_grants_is_nobodys() {
    let both = [("sub", "bot"), ("team", "sales")];
    let twins = law(&[issued("a", "{sub: bot}", ""), issued("b", "{team: sales}", "")]);
    assert_eq!(who(&twins, identity(&both)), Err(Unauthenticated::Ambiguous));
    assert_eq!(who(&twins, identity(&both[..1])), Ok("a".to_owned()));
    let mixed = law(&[issued("a", "{sub: bot}", ""), account("b", "name: agent", "")]);
    let both_ways = Identity { claims: identity(&both).claims, ..of_account("sales", "agent") };
    assert_eq!(who(&mixed, both_ways), Err(Unauthenticated::Ambiguous));
    let heir = law(&[issued("a", "{sub: bot}", "suspended: true"), issued("b", "{team: sales}", "")]);
    assert_eq!(who(&heir, identity(&both)), Ok("b".to_owned()));
}

#[test]
fn neither_a_lifeless_grant_nor_an_expired_token_lets_anybody_in() {
    let law = law(&[
        issued("suspended", "{sub: s}", "suspended: true"),
        issued("expired", "{sub: e}", "expiresAt: '2026-01-01T00:00:00Z'"),
        issued("live", "{sub: l}", ""),
    ]);
    assert_eq!(who(&law, identity(&[("sub", "s")])), Err(Unauthenticated::Suspended));
    assert_eq!(who(&law, identity(&[("sub", "e")])), Err(Unauthenticated::Expired));
    let until = |expires_at| Identity { expires_at, ..identity(&[("sub", "l")]) };
    assert_eq!(who(&law, until(wall())), Err(Unauthenticated::Expired));
    let just_in_time = wall() + jiff::SignedDuration::from_nanos(1);
    assert_eq!(who(&law, until(just_in_time)), Ok("live".to_owned()));
}

#[test]
fn the_law_knows_whose_keys_are_wanted_at_all() {
    let law = law(&[
        grant("t", 1, ""),
        issued("i", "{sub: a}", "suspended: true"),
        account("a", "name: agent", ""),
    ]);
    assert!(law.names_token(&[1; 32]) && !law.names_token(&[2; 32]));
    assert!(law.names_issuer(ISSUER) && !law.names_issuer("https://idp.example.co"));
    assert_eq!(law.issuers().collect::<Vec<_>>(), [ISSUER]);
    assert!(law.expects(ISSUER, "mcp") && !law.expects(ISSUER, "other"));
    let agent = of_account("sales", "agent").service_account.expect("is one");
    assert!(law.names_service_account(&agent));
    assert!(!law.names_service_account(&ServiceAccount { namespace: "shop".to_owned(), ..agent }));
}

fn token_grant(name: &str, digests: &[(&str, u8)]) -> Candidate<ToolGrantSpec> {
    let digest = |(field, digit): &(&str, u8)| format!("{field}: '{}'", format!("{digit:02x}").repeat(32));
    let digests: Vec<String> = digests.iter().map(digest).collect();
    let subject = format!("{{type: Token, token: {{{}}}}}", digests.join(", "));
    let spec = format!("servers: [{{name: crm}}]\nsubject: {subject}");
    Candidate::grant(&object("ToolGrant", name, 1, &spec))
}

fn bearer(law: &Law, digit: u8) -> Result<String, Unauthenticated> {
    let known = law.authenticate(&Credential::Token([digit; 32]), wall());
    known.map(|caller| caller.grant().to_owned())
}

#[test]
fn while_a_token_is_rotated_the_one_before_it_is_the_same_caller() {
    let law = law(&[token_grant("bot", &[("sha256", 2), ("previousSha256", 1)])]);
    assert_eq!((bearer(&law, 1), bearer(&law, 2)), (Ok("bot".to_owned()), Ok("bot".to_owned())));
    assert_eq!(bearer(&law, 3), Err(Unauthenticated::Unknown));
}

#[test]
fn a_token_of_two_grants_is_nobodys_whichever_field_it_stands_in() {
    let old = ("previousSha256", 1);
    for twin in [&[("sha256", 1)][..], &[("sha256", 3), old]] {
        let law = law(&[token_grant("a", &[("sha256", 2), old]), token_grant("b", twin)]);
        assert_eq!(bearer(&law, 1), Err(Unauthenticated::Ambiguous), "{twin:?}");
        assert_eq!(bearer(&law, 2), Ok("a".to_owned()));
    }
}

#[test]
fn no_typo_in_a_rotation_lets_anybody_in() {
    let fault = |digests: &[(&str, u8)]| token_grant("bot", digests).errors()[0].to_string();
    assert_eq!(
        fault(&[("sha256", 1), ("previousSha256", 1)]),
        "spec.subject.token.previousSha256: must be of another token than sha256"
    );
    assert_eq!(fault(&[("previousSha256", 1)]), "spec.subject.token.sha256: is required");
    assert_eq!(
        fault(&[("sha256", 1), ("previousSHA256", 2)]),
        "spec.subject.token.previousSHA256: unknown field; did you mean previousSha256?"
    );
}
