//! A compiled grant: who it is opened to, and until when.

use std::sync::Arc;

use jiff::Timestamp;
use toolgate_crds::{FieldError, SubjectType, ToolGrantSpec};

use super::ANONYMOUS;

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
    /// The bearer of the token with this SHA-256.
    Token([u8; 32]),
    /// Whoever shows no credentials.
    Anonymous,
}

impl CompiledGrant {
    pub(super) fn new(name: &str, spec: &ToolGrantSpec) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        if name == ANONYMOUS {
            errors.push(FieldError::new(
                "metadata.name",
                "anonymous is reserved for requests without credentials",
            ));
        }
        let subject = subject(spec).map_err(|fault| errors.push(fault)).ok();
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

fn subject(spec: &ToolGrantSpec) -> Result<Subject, FieldError> {
    let subject = &spec.subject;
    let parts = [
        ("token", subject.token.is_some(), SubjectType::Token),
        ("serviceAccount", subject.service_account.is_some(), SubjectType::ServiceAccount),
        ("oidc", subject.oidc.is_some(), SubjectType::OIDC),
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
    let Some(token) = &subject.token else {
        let message = format!("{:?} is not supported yet; use Token", subject.type_);
        return Err(FieldError::new("spec.subject.type", message));
    };
    let digest = digest(&token.sha256);
    digest.map(Subject::Token).ok_or_else(|| {
        FieldError::new("spec.subject.token.sha256", "must be 64 lower-case hexadecimal digits")
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (text.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
