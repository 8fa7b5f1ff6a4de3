//! A port of a pod's, a Service's or the API server's on this machine's loopback, by kubectl.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};

use super::Error;
use super::kubectl::Kubectl;

/// A port that is forwarded until this is dropped.
#[derive(Debug)]
pub struct Forwarded {
    address: SocketAddr,
    child: Child,
}

impl Forwarded {
    /// Forwards a port of an object, such as `pod/agent`. A Service leads to one of its pods, for as long as it is there.
    ///
    /// # Errors
    ///
    /// If kubectl does not say where.
    pub fn to(kubectl: &Kubectl, object: &str, port: u16) -> Result<Self, Error> {
        Self::by(kubectl, &["port-forward", "--address=127.0.0.1", object, &format!(":{port}")])
    }

    /// The API server, as whom the kubeconfig says, by `kubectl proxy`.
    ///
    /// # Errors
    ///
    /// If kubectl does not say where.
    pub fn to_api_server(kubectl: &Kubectl) -> Result<Self, Error> {
        Self::by(kubectl, &["proxy", "--port=0"])
    }

    fn by(kubectl: &Kubectl, arguments: &[&str]) -> Result<Self, Error> {
        let mut command = kubectl.command(arguments);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let failed = |source| Error::File { path: "kubectl".to_owned(), source };
        let mut child = started.map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout);
            let _read = lines.read_line(&mut line);
            // It writes a line for each connection, and would stop where nobody reads.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        }
        // Forwarding from 127.0.0.1:PORT -> PORT, or: Starting to serve on 127.0.0.1:PORT
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        let Some(address) = address else {
            let _killed = child.kill();
            let _waited = child.wait();
            return Err(Error::Broken(format!("kubectl {} says {line:?}", arguments[0])));
        };
        Ok(Self { address, child })
    }

    /// Where the port is here.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}
