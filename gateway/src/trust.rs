//! Whom the way to the server trusts: the system's certificate authorities, or those that the server names.
//!
//! Those are files that Kubernetes keeps up to date. They are read again every second at most, and connections are kept
//! for as long as their content stays the same.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use toolgate_crds::CertificateAuthority;

use crate::credentials::Credentials;
use crate::destinations::Destinations;
use crate::upstream::{Way, way_trusting};

/// How long what was read is good.
const FRESH: Duration = Duration::from_secs(1);

/// Why nobody can be trusted, for people; without the content of any file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.upstream.certificateAuthority: {0}")]
pub struct NoTrust(String);

/// What was read last.
struct Last {
    at: Instant,
    authority: CertificateAuthority,
    pem: Vec<u8>,
    way: Way,
}

/// Ways to the server, by whom they trust.
pub struct Trust {
    destinations: Destinations,
    last: Mutex<Option<Last>>,
}

impl Trust {
    /// Ways to where a gateway may connect.
    pub fn new(destinations: Destinations) -> Self {
        Self { destinations, last: Mutex::default() }
    }

    /// The way that trusts the certificates of an authority, and nobody else.
    ///
    /// # Errors
    /// They cannot be read, or are none. What was trusted before is no reason to trust it now.
    pub fn way(&self, authority: &CertificateAuthority, credentials: &Credentials) -> Result<Way, NoTrust> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.at.elapsed() < FRESH
            && last.authority == *authority
        {
            return Ok(last.way.clone());
        }
        let pem = credentials.authority(authority).map_err(|error| NoTrust(error.to_string()))?;
        let kept = last.take().filter(|last| last.pem == pem).map(|last| last.way);
        let way = match kept {
            Some(way) => way,
            None => {
                way_trusting(roots(&pem)?, self.destinations).map_err(|error| NoTrust(error.to_string()))?
            }
        };
        *last = Some(Last { at: Instant::now(), authority: authority.clone(), pem, way: way.clone() });
        Ok(way)
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, NoTrust> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| NoTrust("is not in PEM".to_owned()))?;
        roots.add(certificate).map_err(|_| NoTrust("has a certificate that cannot be used".to_owned()))?;
    }
    if roots.is_empty() { Err(NoTrust("has no certificate".to_owned())) } else { Ok(roots) }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Trust")
    }
}
