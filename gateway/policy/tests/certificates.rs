//! Which grant a client's certificate belongs to.

use std::sync::Arc;

use jiff::Timestamp;
use toolgate_crds::ToolGrantSpec;
use toolgate_policy::{Candidate, ClientCertificate, Credential, Law, Unauthenticated, compile};

#[path = "support/court.rs"]
mod court;

use court::{grant, object, rendered, server};

const BOT: &str = "spiffe://example.com/ns/sales/sa/bot";
const SUBJECT: &str = "CN=bot,O=Example";

fn wall() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("is a time")
}

fn certified(name: &str, certificate: &str, more: &str) -> Candidate<ToolGrantSpec> {
    let spec = format!(
        "servers: [{{name: crm}}]\nsubject: {{type: Certificate, certificate: {{{certificate}}}}}\n{more}"
    );
    Candidate::grant(&object("ToolGrant", name, 1, &spec))
}

fn law(grants: &[Candidate<ToolGrantSpec>]) -> Law {
    let anonymous = server("upstream: {url: 'http://crm:3001/mcp'}\ngateway: {anonymous: true}");
    compile(&rendered(&anonymous, &[], grants, None).bundle.expect("a bundle")).expect("compiles")
}

fn shown(uri: Option<&str>, subject: Option<&str>) -> Arc<ClientCertificate> {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Arc::new(ClientCertificate { uri: text(uri), subject: text(subject), expires_at: Timestamp::MAX })
}

fn who(law: &Law, credential: &Credential) -> Result<String, Unauthenticated> {
    law.authenticate(credential, wall()).map(|caller| caller.grant().to_owned())
}

#[test]
fn a_certificate_is_known_by_its_uri_or_its_subject_exactly() {
    let law = law(&[
        certified("by-uri", &format!("uri: '{BOT}'"), ""),
        certified("by-subject", &format!("subject: '{SUBJECT}'"), ""),
    ]);
    let of = |uri, subject| who(&law, &Credential::Certificate(shown(uri, subject)));
    assert_eq!(of(Some(BOT), None), Ok("by-uri".to_owned()));
    assert_eq!(of(Some(BOT), Some("CN=x")), Ok("by-uri".to_owned()));
    assert_eq!(of(None, Some(SUBJECT)), Ok("by-subject".to_owned()));
    assert_eq!(of(Some(BOT), Some(SUBJECT)), Err(Unauthenticated::Ambiguous), "of two grants it is nobody's");
    for (uri, subject) in [
        (None, None),
        (Some("spiffe://example.com/ns/sales/sa/bo"), None),
        (Some("SPIFFE://example.com/ns/sales/sa/bot"), None),
        (Some(SUBJECT), None),
        (None, Some(BOT)),
        (None, Some("CN=bot,O=Example,C=DE")),
        (None, Some("O=Example,CN=bot")),
    ] {
        assert_eq!(of(uri, subject), Err(Unauthenticated::Unknown), "{uri:?} {subject:?}: never anonymous");
    }
    let expired = ClientCertificate { expires_at: wall(), ..(*shown(Some(BOT), None)).clone() };
    assert_eq!(who(&law, &Credential::Certificate(Arc::new(expired))), Err(Unauthenticated::Expired));
}

#[test]
fn a_token_and_a_certificate_that_a_grant_names_are_two_callers() {
    let law = law(&[
        grant("alice", 1, ""),
        certified("live", &format!("uri: '{BOT}'"), ""),
        certified("dead", &format!("subject: '{SUBJECT}'"), "suspended: true"),
    ]);
    let both = |digit: u8, uri, subject| {
        who(&law, &Credential::Both(Box::new(Credential::Token([digit; 32])), shown(uri, subject)))
    };
    assert_eq!(both(1, Some("spiffe://example.com/other"), None), Ok("alice".to_owned()), "it only carries");
    assert_eq!(both(1, Some(BOT), None), Err(Unauthenticated::Ambiguous));
    assert_eq!(
        both(1, None, Some(SUBJECT)),
        Err(Unauthenticated::Ambiguous),
        "also of a grant that is suspended"
    );
    assert_eq!(both(2, Some("spiffe://example.com/other"), None), Err(Unauthenticated::Unknown));
    assert_eq!(
        both(2, Some(BOT), None),
        Err(Unauthenticated::Ambiguous),
        "a bad token is no less of a token"
    );
}

#[test]
fn a_certificate_is_named_in_one_way() {
    let fault = |certificate: &str| certified("bot", certificate, "").errors()[0].to_string();
    let one = "spec.subject.certificate: must have exactly one of uri and subject";
    assert_eq!(fault(""), one);
    assert_eq!(fault(&format!("uri: '{BOT}', subject: '{SUBJECT}'")), one);
    assert!(fault("uri: bot").contains("must match"), "{}", fault("uri: bot"));
    assert!(fault("subject: bot").contains("must match"));
    assert!(fault("dns: bot").contains("unknown field"));
}
