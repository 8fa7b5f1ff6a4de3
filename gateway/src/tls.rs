//! TLS of the listener: a certificate and its key from files, read again when they change.
//!
//! Files that cannot be used leave in force what was read last, and are said. Before any could be used nobody is served,
//! and never without TLS.

mod material;
mod peer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::gateway::Gateway;
use crate::upstream::chain;
use material::Material;

pub use material::{CERTIFICATE_FILE, FILE_BYTES_MAX, KEY_FILE};
pub use peer::Peer;

/// How long a handshake may take.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The folder with `tls.crt` and `tls.key`.
    pub folder: PathBuf,
    /// The authorities whose certificates callers may show. None: nobody is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// TLS of the listener.
#[derive(Debug)]
pub struct Tls {
    paths: Paths,
    current: ArcSwapOption<InForce>,
    // The digest of the files that were looked at last, or why they could not be read.
    last: Mutex<Option<Result<[u8; 32], String>>>,
}

#[derive(Debug)]
struct InForce {
    server: Arc<rustls::ServerConfig>,
    client_ca: Option<Vec<u8>>,
    trust: u64,
}

/// What became of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// They are what they were.
    Same,
    /// They are in force.
    Done,
    /// They cannot be used; what was in force still is.
    Refused(String),
}

/// Why a connection is not served.
#[derive(Debug)]
pub enum NoHandshake {
    /// There was no usable certificate yet.
    NoCertificate,
    /// It took too long.
    TimedOut,
    /// It failed.
    Failed(String),
}

impl Paths {
    /// Where a server's own words say that they are, below the folders of Secrets and of ConfigMaps.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn of_server(
        wanted: &toolgate_crds::Tls,
        credentials: Option<&Path>,
        certificates: Option<&Path>,
    ) -> Result<Self, String> {
        let below = |folder: Option<&Path>, argument: &str, name: &str| {
            let missing =
                || format!("spec.gateway.tls: {name} is looked for in {argument}, which is not given");
            folder.map(|folder| folder.join(name)).ok_or_else(missing)
        };
        let authority = wanted.client_certificate_authority.as_ref();
        let of_secret = authority.and_then(|authority| authority.secret_key_ref.as_ref());
        let of_config_map = authority.and_then(|authority| authority.config_map_key_ref.as_ref());
        let client_ca = match (of_secret, of_config_map) {
            (Some(from), _) => Some(below(credentials, "--credentials", from.name.as_str())?.join(&from.key)),
            (_, Some(from)) => {
                Some(below(certificates, "--certificates", from.name.as_str())?.join(&from.key))
            }
            (None, None) => None,
        };
        Ok(Self { folder: below(credentials, "--credentials", wanted.secret_name.as_str())?, client_ca })
    }
}

impl Tls {
    /// TLS by these files. They are not read yet.
    pub fn new(paths: Paths) -> Self {
        Self { paths, current: ArcSwapOption::empty(), last: Mutex::default() }
    }

    /// Whether there is anything to serve with.
    pub fn is_usable(&self) -> bool {
        self.current.load().is_some()
    }

    /// Whether who was verified still would be: the authorities of clients are those that verified him.
    pub fn trusts(&self, peer: &Peer) -> bool {
        self.current.load().as_ref().is_some_and(|current| current.trust == peer.trust)
    }

    /// Reads the files, and puts in force what they hold if that is new.
    pub fn load(&self) -> Loaded {
        let read = Material::read(&self.paths);
        let seen = read.as_ref().map(Material::digest).map_err(Clone::clone);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&seen) {
            return Loaded::Same;
        }
        *last = Some(seen);
        let usable = read.and_then(|material| Ok((material.server()?, material.client_ca)));
        match usable {
            Ok((server, client_ca)) => {
                let current = self.current.load();
                let trust = current
                    .as_ref()
                    .map_or(0, |current| current.trust + u64::from(current.client_ca != client_ca));
                self.current.store(Some(Arc::new(InForce { server: Arc::new(server), client_ca, trust })));
                Loaded::Done
            }
            Err(reason) => Loaded::Refused(reason),
        }
    }

    /// Makes a connection one with TLS, and says who showed a certificate.
    ///
    /// # Errors
    /// It cannot be, in time.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Option<Peer>), NoHandshake> {
        let Some(current) = self.current.load_full() else { return Err(NoHandshake::NoCertificate) };
        let accepting = TlsAcceptor::from(current.server.clone()).accept(stream);
        let accepted = tokio::time::timeout(HANDSHAKE_DEADLINE, accepting).await;
        let stream = accepted
            .map_err(|_| NoHandshake::TimedOut)?
            .map_err(|error| NoHandshake::Failed(chain(&error)))?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = match shown {
            None => None,
            Some(certificate) => Some(Peer::of(certificate, current.trust).ok_or_else(|| {
                NoHandshake::Failed("the certificate of the client cannot be read".to_owned())
            })?),
        };
        Ok((stream, peer))
    }
}

/// Reads the files for the first time, and says what became of them.
pub fn load(gateway: &Gateway) {
    let Some(tls) = &gateway.tls else { return };
    // Metrics come before the words: who hears of it may look.
    match tls.load() {
        Loaded::Same => {}
        Loaded::Done => {
            gateway.metrics.tls_refused(false);
            tracing::info!(folder = %tls.paths.folder.display(), "certificate in force");
        }
        Loaded::Refused(reason) => {
            gateway.metrics.tls_refused(true);
            tracing::error!(reason, "the certificate cannot be used");
        }
    }
}

/// Follows the files for ever.
pub async fn follow(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(LOOK).await;
        load(&gateway);
    }
}

impl std::fmt::Display for NoHandshake {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCertificate => formatter.write_str("there is no usable certificate yet"),
            Self::TimedOut => formatter.write_str("the handshake took too long"),
            Self::Failed(reason) => formatter.write_str(reason),
        }
    }
}
