//! The headers that go with every request to the server, credentials among them.
//!
//! A credential is a file that Kubernetes keeps up to date; it is read again every second at most, so that a rotation
//! in its Secret reaches the server without a restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use toolgate_crds::Header;

/// How long what was read is good.
const FRESH: Duration = Duration::from_secs(1);
/// The largest credential, in bytes.
pub const CREDENTIAL_BYTES_MAX: u64 = 16 * 1024;

/// Why a header cannot be had. Neither says what a credential is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredential {
    /// The file is not there, or cannot be read.
    #[error("the credential {secret}/{key} cannot be read: {reason}")]
    Unreadable {
        /// The Secret's name.
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
    last: Mutex<Option<Last>>,
}

impl Credentials {
    /// Credentials below a folder: `<folder>/<secret>/<key>`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, last: Mutex::new(None) }
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
        let unreadable = |reason: String| NoCredential::Unreadable {
            secret: reference.name.to_string(),
            key: reference.key.clone(),
            reason,
        };
        let folder =
            self.folder.as_ref().ok_or_else(|| unreadable("no --credentials folder was given".to_owned()))?;
        read_file(&folder.join(reference.name.as_str()).join(&reference.key)).map_err(unreadable)
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.kind().to_string())?.len();
    if size > CREDENTIAL_BYTES_MAX {
        return Err(format!("larger than {CREDENTIAL_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.kind().to_string())?;
    // An editor's last line feed is not part of a credential.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
