//! A compiled grant: who it is opened to, and until when.

mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use toolgate_crds::{
    CertificateSubject, FieldError, ObjectName, OidcSubject, SubjectType, TokenSubject, ToolGrantSpec,
};

use super::ANONYMOUS;
use crate::digest::digest;
use crate::identity::{Identity, ServiceAccount};

/// The longest name of a claim, and the longest value, in bytes.
pub const CLAIM_BYTES_MAX: usize = 1024;

#[derive(Debug)]
pub(crate) struct CompiledGrant {
    pub name: Arc<str>,
    pub subject: Subject,
    pub suspended: bool,
    pub expires_at: Option<Timestamp>,
}

/// Who the caller has to be.
#[derive(Debug)]
pub(crate) enum Subject {
    /// The bearer of a token with one of these SHA-256: two while it is rotated.
    Token(Vec<[u8; 32]>),
    /// A ServiceAccount of the cluster.
    ServiceAccount(ServiceAccount),
    /// Whoever an issuer says so of.
    Oidc(Oidc),
    /// The bearer of a client's certificate.
    Certificate(CertificateName),
    /// Whoever shows no credentials.
    Anonymous,
}

/// What a client's certificate has to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CertificateName {
    Uri(String),
    Subject(String),
}

/// What an issuer has to say of the caller.
#[derive(Debug)]
pub(crate) struct Oidc {
    pub issuer: String,
    pub audience: String,
    claims: BTreeMap<String, String>,
}

impl Oidc {
    /// Whether a verified token says all of it.
    pub(crate) fn describes(&self, identity: &Identity) -> bool {
        let says = |(name, value)| identity.claims.get(name) == Some(value);
        identity.issuer == self.issuer
            && identity.audiences.contains(&self.audience)
            && self.claims.iter().all(says)
    }
}

impl CompiledGrant {
    /// Compiles a grant of a namespace.
    pub(super) fn new(namespace: &str, name: &str, spec: &ToolGrantSpec) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        if name == ANONYMOUS {
            errors.push(FieldError::new(
                "metadata.name",
                "anonymous is reserved for requests without credentials",
            ));
        }
        errors.extend(servers::check(&spec.servers));
        let subject = subject(namespace, spec).map_err(|fault| errors.push(fault)).ok();
        let expires_at = spec.expires_at.as_ref().map(|text| text.parse::<Timestamp>()).transpose();
        if expires_at.is_err() {
            errors.push(FieldError::new(
                "spec.expiresAt",
                "must be an RFC 3339 time such as 2027-01-31T00:00:00Z",
            ));
        }
        match (subject, expires_at) {
            (Some(subject), Ok(expires_at)) if errors.is_empty() => {
                Ok(Self { name: name.into(), subject, suspended: spec.suspended, expires_at })
            }
            _ => Err(errors),
        }
    }

    pub(super) fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), subject: Subject::Anonymous, suspended: false, expires_at: None }
    }
}

fn subject(namespace: &str, spec: &ToolGrantSpec) -> Result<Subject, FieldError> {
    let subject = &spec.subject;
    let parts = [
        ("token", subject.token.is_some(), SubjectType::Token),
        ("serviceAccount", subject.service_account.is_some(), SubjectType::ServiceAccount),
        ("oidc", subject.oidc.is_some(), SubjectType::OIDC),
        ("certificate", subject.certificate.is_some(), SubjectType::Certificate),
    ];
    for (part, present, type_) in parts {
        let path = format!("spec.subject.{part}");
        match (type_ == subject.type_, present) {
            (true, false) => {
                return Err(FieldError::new(path, format!("is required for the type {type_:?}")));
            }
            (false, true) => {
                return Err(FieldError::new(
                    path,
                    format!("does not belong to the type {:?}", subject.type_),
                ));
            }
            _ => {}
        }
    }
    if let Some(account) = &subject.service_account {
        let namespace = account.namespace.as_ref().map_or(namespace, ObjectName::as_str);
        let (namespace, name) = (namespace.to_owned(), account.name.as_str().to_owned());
        return Ok(Subject::ServiceAccount(ServiceAccount { namespace, name }));
    }
    if let Some(oidc) = &subject.oidc {
        return oidc_subject(oidc).map(Subject::Oidc);
    }
    if let Some(certificate) = &subject.certificate {
        return certificate_subject(certificate).map(Subject::Certificate);
    }
    match &subject.token {
        Some(token) => token_subject(token).map(Subject::Token),
        None => Err(FieldError::new("spec.subject.token", "is required for the type Token")),
    }
}

fn certificate_subject(certificate: &CertificateSubject) -> Result<CertificateName, FieldError> {
    match (&certificate.uri, &certificate.subject) {
        (Some(uri), None) => Ok(CertificateName::Uri(uri.clone())),
        (None, Some(subject)) => Ok(CertificateName::Subject(subject.clone())),
        _ => Err(FieldError::new("spec.subject.certificate", "must have exactly one of uri and subject")),
    }
}

fn token_subject(token: &TokenSubject) -> Result<Vec<[u8; 32]>, FieldError> {
    let read = |field: &str, text: &str| {
        let path = format!("spec.subject.token.{field}");
        digest(text).ok_or_else(|| FieldError::new(path, "must be 64 lower-case hexadecimal digits"))
    };
    let mut digests = vec![read("sha256", &token.sha256)?];
    if let Some(previous) = &token.previous_sha256 {
        let previous = read("previousSha256", previous)?;
        if digests.contains(&previous) {
            // Whoever meant to rotate would take the old token for the new one.
            let message = "must be of another token than sha256";
            return Err(FieldError::new("spec.subject.token.previousSha256", message));
        }
        digests.push(previous);
    }
    Ok(digests)
}

fn oidc_subject(subject: &OidcSubject) -> Result<Oidc, FieldError> {
    let at = |field: &str| format!("spec.subject.oidc.{field}");
    if !is_issuer(&subject.issuer) {
        let message = "must be an https URL without user, query and fragment, or http on 127.0.0.1 or [::1]";
        return Err(FieldError::new(at("issuer"), message));
    }
    if subject.audience.trim().is_empty() {
        return Err(FieldError::new(at("audience"), "must not be empty"));
    }
    if subject.claims.is_empty() {
        // Otherwise everybody whom the issuer knows would be let in.
        return Err(FieldError::new(at("claims"), "must name at least one claim, such as sub"));
    }
    let fits = |text: &str| !text.is_empty() && text.len() <= CLAIM_BYTES_MAX;
    match subject.claims.iter().find(|(name, value)| !fits(name) || !fits(value)) {
        Some((name, _)) => {
            let message = format!("name and value must have 1 to {CLAIM_BYTES_MAX} bytes");
            Err(FieldError::new(at(&format!("claims[{name:?}]")), message))
        }
        None => Ok(Oidc {
            issuer: subject.issuer.clone(),
            audience: subject.audience.clone(),
            claims: subject.claims.clone(),
        }),
    }
}

/// Whether keys may be fetched from an issuer: by https, or without it from this very machine.
pub fn is_issuer(url: &str) -> bool {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !br#"?#@\"<>"#.contains(&byte));
    let host = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    let name_of = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name.to_owned(),
        _ => host.to_owned(),
    };
    if let Some(rest) = url.strip_prefix("https://") {
        return plain && !name_of(&host(rest)).is_empty();
    }
    let local = |rest: &str| matches!(name_of(&host(rest)).as_str(), "127.0.0.1" | "[::1]");
    plain && url.strip_prefix("http://").is_some_and(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_by_https_or_from_this_very_machine() {
        for good in [
            "https://idp.example.com",
            "https://idp.example.com:8443/realms/sales/",
            "http://127.0.0.1:8080",
            "http://127.0.0.1/realm",
            "http://[::1]:8080/",
        ] {
            assert!(is_issuer(good), "{good}");
        }
        for bad in [
            "",
            "idp.example.com",
            "https://",
            "https:///path",
            "https://:443",
            "HTTPS://idp.example.com",
            "http://idp.example.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1:x",
            "http://localhost:1",
            "https://user@idp.example.com",
            "http://127.0.0.1@idp.example.com",
            "http://127.0.0.1\\.example.com",
            "https://idp.example.com?x=y",
            "https://idp.example.com#x",
            "https://idp.example.com/ x",
            "ftp://idp.example.com",
        ] {
            assert!(!is_issuer(bad), "{bad}");
        }
    }
}
