//! The files of a listener's TLS, in the shape that cert-manager gives a Secret.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use super::Paths;

/// The certificate, and the chain to its authority.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// The certificate's private key.
pub const KEY_FILE: &str = "tls.key";
/// The largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What the files hold. It has no `Debug`, so that no log can show the key by accident.
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    pub(super) client_ca: Option<Vec<u8>>,
}

impl Material {
    /// Reads the files. While they are being changed it may be one of before and one of after; then they do not fit, and
    /// the next look finds them whole.
    pub(super) fn read(paths: &Paths) -> Result<Self, String> {
        Ok(Self {
            certificate: file(&paths.folder.join(CERTIFICATE_FILE))?,
            key: file(&paths.folder.join(KEY_FILE))?,
            client_ca: paths.client_ca.as_deref().map(file).transpose()?,
        })
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &self.key, self.client_ca.as_ref().unwrap_or(&Vec::new())] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// What a listener serves by.
    ///
    /// # Errors
    /// The files hold no certificate with its key, or no authorities of clients.
    pub(super) fn server(&self) -> Result<ServerConfig, String> {
        let chain =
            certificates(&self.certificate).map_err(|error| format!("{CERTIFICATE_FILE}: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| format!("{KEY_FILE}: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = roots(authorities).map_err(|error| format!("authorities of clients: {error}"))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    // Who shows none may be known by a token. Who shows a bad one is cut off.
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| format!("authorities of clients: {error}"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut server = builder
            .with_single_cert(chain, key)
            .map_err(|error| format!("{CERTIFICATE_FILE} and {KEY_FILE}: {error}"))?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(server)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {}", path.display(), error.kind());
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{}: larger than {FILE_BYTES_MAX} bytes", path.display()));
    }
    std::fs::read(path).map_err(failed)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(read) }
}

// All of them: of a file of which only a part can be used nobody knows what was meant.
fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}
