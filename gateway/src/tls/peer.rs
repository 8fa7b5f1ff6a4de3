//! Who showed a certificate: what was verified at the handshake, read as plain data.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use toolgate_policy::ClientCertificate;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Who showed a certificate that an authority of clients vouches for.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What the certificate says.
    pub certificate: Arc<ClientCertificate>,
    pub(super) trust: u64,
}

impl Peer {
    /// Reads a certificate that was verified. None: it cannot be read.
    pub(super) fn of(certificate: &CertificateDer<'_>, trust: u64) -> Option<Self> {
        Some(Self { certificate: Arc::new(read(certificate)?), trust })
    }
}

fn read(der: &[u8]) -> Option<ClientCertificate> {
    let certificate = Certificate::from_der(der).ok()?;
    let body = certificate.tbs_certificate();
    let names = body.get_extension::<SubjectAltName>().ok()?;
    let names = names.map(|(_critical, names)| names.0).unwrap_or_default();
    let mut uris = names.into_iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    });
    let subject = body.subject();
    let end = body.validity().not_after.to_unix_duration().as_secs();
    Some(ClientCertificate {
        // Of two the workload is neither, as SPIFFE has it.
        uri: uris.next().filter(|_| uris.next().is_none()),
        subject: (!subject.is_empty()).then(|| subject.to_string()),
        expires_at: Timestamp::from_second(i64::try_from(end).ok()?).ok()?,
    })
}
