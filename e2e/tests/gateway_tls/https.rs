//! Authorities, certificates and a client of the tests' own.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use toolgate_e2e::process::{Gateway, Request};

/// The host of every server's certificate.
const HOST: &str = "kommo-toolgate.sales.svc";

/// Who vouches for certificates.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(crate) struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// One connection.
pub(crate) struct Https(TlsStream<TcpStream>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn server(&self) -> Leaf {
        self.server_of(HOST)
    }

    pub(crate) fn server_of(&self, host: &str) -> Leaf {
        self.leaf(&CertificateParams::new(vec![host.to_owned()]).expect("a host"))
    }

    /// A client's certificate.
    pub(crate) fn client(&self, uris: &[&str], subject: &[(DnType, &str)]) -> Leaf {
        self.leaf(&Self::client_params(uris, subject))
    }

    /// One that ended long ago.
    pub(crate) fn expired(&self, uri: &str) -> Leaf {
        let mut params = Self::client_params(&[uri], &[]);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        self.leaf(&params)
    }

    fn client_params(uris: &[&str], subject: &[(DnType, &str)]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (part, value) in subject {
            params.distinguished_name.push(part.clone(), *value);
        }
        let uri = |uri: &&str| SanType::URI((*uri).try_into().expect("plain text"));
        params.subject_alt_names = uris.iter().map(uri).collect();
        params
    }

    fn leaf(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        Leaf { certificate, key: key.serialize_der() }
    }
}

impl Leaf {
    pub(crate) fn der(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

impl Https {
    /// Connects, as a client that trusts an authority and shows a certificate if it has one.
    pub(crate) async fn open(
        gateway: &Gateway,
        authority: &Authority,
        client: Option<&Leaf>,
    ) -> io::Result<Self> {
        Self::to(gateway.address(), HOST, authority, client).await
    }

    /// The same to an address, for a host.
    pub(crate) async fn to(
        address: SocketAddr,
        host: &str,
        authority: &Authority,
        client: Option<&Leaf>,
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder
                .with_client_auth_cert(
                    vec![leaf.certificate.clone()],
                    PrivatePkcs8KeyDer::from(leaf.key.clone()).into(),
                )
                .map_err(io::Error::other)?,
        };
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Self(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    /// The certificate of the other side.
    pub(crate) fn seen(&self) -> Vec<u8> {
        let certificates = self.0.get_ref().1.peer_certificates().unwrap_or_default();
        certificates.first().map(|certificate| certificate.to_vec()).unwrap_or_default()
    }

    /// Asks, and keeps the connection: status and body of the answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> io::Result<(u16, String)> {
        self.0.write_all(&request.bytes()).await?;
        let head = self.until(b"\r\n\r\n").await?;
        let line = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
        };
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = line("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        let status = status.ok_or_else(|| io::Error::other(head.clone()))?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<String> {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.push(self.0.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&read).into_owned())
    }
}

/// A call, with a token or without.
pub(crate) fn get_leads(token: Option<&str>) -> Request {
    let request = Request::modern_call(token.unwrap_or_default(), "get_leads", &json!({"limit": 1}));
    if token.is_some() { request } else { request.without("authorization") }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}
