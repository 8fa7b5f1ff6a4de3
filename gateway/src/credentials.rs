//! The headers that go with every request to the server, credentials among them.
//!
//! A credential is a file that Kubernetes keeps up to date; it is read again every second at most, so that a rotation
//! in its Secret reaches the server without a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use toolgate_crds::{CertificateAuthority, Header, SecretKeyRef};

/// How long what was read is good.
const FRESH: Duration = Duration::from_secs(1);
/// The largest credential, in bytes.
pub const CREDENTIAL_BYTES_MAX: u64 = 16 * 1024;
/// The most certificates of an authority, in bytes.
pub const CERTIFICATES_BYTES_MAX: u64 = 256 * 1024;

/// Why a header cannot be had. Neither says what a credential is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    /// The file is not there, or cannot be read.
    #[error("the credential {secret}/{key} cannot be read: {reason}")]
    Unreadable {
        /// The Secret's or the ConfigMap's name.
        secret: String,
        /// The key in it.
        key: String,
        /// Why, without its content.
        reason: String,
    },
    /// What is in it cannot be a header.
    #[error("the header {0} has a name or a value that no header can have")]
    Invalid(String),
}

type Read = Result<HeaderMap, NoCredential>;

#[derive(Debug)]
struct Last {
    at: Instant,
    wanted: Vec<Header>,
    read: Arc<Read>,
}

/// Where credentials are, and what was read last.
#[derive(Debug)]
pub struct Credentials {
    folder: Option<PathBuf>,
    certificates: Option<PathBuf>,
    last: Mutex<Option<Last>>,
}

impl Credentials {
    /// Credentials below a folder: `<folder>/<secret>/<key>`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, certificates: None, last: Mutex::new(None) }
    }

    /// The same with certificates of ConfigMaps below another folder: `<certificates>/<config map>/<key>`.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Option<PathBuf>) -> Self {
        self.certificates = certificates;
        self
    }

    /// What a key of a Secret holds, read now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn secret(&self, reference: &SecretKeyRef) -> Result<String, NoCredential> {
        self.in_secret(reference, CREDENTIAL_BYTES_MAX)
    }

    /// The certificates in PEM of an authority, read now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn authority(&self, authority: &CertificateAuthority) -> Result<Vec<u8>, NoCredential> {
        match (&authority.secret_key_ref, &authority.config_map_key_ref) {
            (Some(reference), None) => {
                self.in_secret(reference, CERTIFICATES_BYTES_MAX).map(String::into_bytes)
            }
            (None, Some(reference)) => {
                let folder = (self.certificates.as_deref(), "--certificates");
                find(folder, (reference.name.as_str(), &reference.key), CERTIFICATES_BYTES_MAX)
                    .map(String::into_bytes)
            }
            _ => Err(NoCredential::Invalid("certificateAuthority".to_owned())),
        }
    }

    fn in_secret(&self, reference: &SecretKeyRef, bytes_max: u64) -> Result<String, NoCredential> {
        let folder = (self.folder.as_deref(), "--credentials");
        find(folder, (reference.name.as_str(), &reference.key), bytes_max)
    }

    /// The headers of a server.
    pub fn headers(&self, wanted: &[Header]) -> Arc<Read> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && last.at.elapsed() < FRESH
            && last.wanted == wanted
        {
            return last.read.clone();
        }
        let read = Arc::new(self.read(wanted));
        *last = Some(Last { at: Instant::now(), wanted: wanted.to_vec(), read: read.clone() });
        read
    }

    fn read(&self, wanted: &[Header]) -> Read {
        let mut headers = HeaderMap::new();
        for header in wanted {
            let invalid = || NoCredential::Invalid(header.name.clone());
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| invalid())?;
            let mut value = HeaderValue::from_str(&self.value(header)?).map_err(|_| invalid())?;
            value.set_sensitive(header.secret_key_ref.is_some());
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn value(&self, header: &Header) -> Result<String, NoCredential> {
        let Some(reference) = &header.secret_key_ref else {
            return Ok(header.value.clone().unwrap_or_default());
        };
        self.secret(reference)
    }
}

// Of a folder and the argument that names it, by the object's name and the key.
fn find(
    (folder, argument): (Option<&Path>, &str),
    (name, key): (&str, &str),
    bytes_max: u64,
) -> Result<String, NoCredential> {
    let unreadable =
        |reason: String| NoCredential::Unreadable { secret: name.to_owned(), key: key.to_owned(), reason };
    let folder = folder.ok_or_else(|| unreadable(format!("no {argument} folder was given")))?;
    read_file(&folder.join(name).join(key), bytes_max).map_err(unreadable)
}

fn read_file(path: &Path, bytes_max: u64) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.kind().to_string())?.len();
    if size > bytes_max {
        return Err(format!("larger than {bytes_max} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.kind().to_string())?;
    // An editor's last line feed is not part of a credential.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
