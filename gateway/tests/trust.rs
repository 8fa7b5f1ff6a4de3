//! Whom the way to the server trusts: exactly those that the server names, as their file is now.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use toolgate_crds::CertificateAuthority;
use toolgate_gateway::credentials::Credentials;
use toolgate_gateway::destinations::Destinations;
use toolgate_gateway::trust::Trust;
use toolgate_gateway::upstream::Way;

/// Who vouches for a server.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            base64::engine::general_purpose::STANDARD.encode(der)
        );
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for loopback, with its key.
    fn leaf(&self) -> (CertificateDer<'static>, Vec<u8>) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key.serialize_der())
    }
}

/// A server on loopback whom an authority vouches for. It ends with the process.
fn server(authority: &Authority) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = authority.leaf();
    let (chain, key) = (vec![certificate], PrivatePkcs8KeyDer::from(key).into());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, config) = (stream.unwrap(), config.clone());
            let mut connection = rustls::ServerConnection::new(config).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            // Who does not trust us hangs up; that is his right.
            if tls.read(&mut [0; 4096]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        }
    });
    format!("https://{address}/mcp")
}

/// A folder of certificates, as a ConfigMap would be mounted.
struct Mounted(PathBuf);

impl Mounted {
    fn new(name: &str, pem: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("toolgate-trust-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("ours")).unwrap();
        let mounted = Self(folder);
        mounted.write(pem);
        mounted
    }

    fn write(&self, pem: &str) {
        fs::write(self.0.join("ours/ca.crt"), pem).unwrap();
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(None).with_certificates(Some(self.0.clone()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn authority() -> CertificateAuthority {
    serde_json::from_str(r#"{"configMapKeyRef": {"name": "ours", "key": "ca.crt"}}"#).unwrap()
}

async fn answers(way: &Way, url: &str) -> bool {
    way.request(Request::get(url).body(Full::new(Bytes::new())).unwrap()).await.is_ok()
}

#[tokio::test]
async fn only_who_is_named_is_trusted_and_a_change_of_the_file_is_followed() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let (url, mounted, trust) =
        (server(&one), Mounted::new("followed", &one.pem), Trust::new(Destinations::ANY));
    let credentials = mounted.credentials();
    let trusted = || trust.way(&authority(), &credentials);
    assert!(answers(&trusted().unwrap(), &url).await);
    mounted.write(&two.pem);
    let end = Instant::now() + Duration::from_secs(30);
    while answers(&trusted().unwrap(), &url).await {
        assert!(Instant::now() < end, "the first authority is trusted for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // While one replaces the other, both are there.
    mounted.write(&[two.pem, one.pem].concat());
    while !answers(&trusted().unwrap(), &url).await {
        assert!(Instant::now() < end, "the second certificate of the file is not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn what_cannot_be_read_is_trusted_by_nobody_and_says_why() {
    let mounted = Mounted::new("unreadable", "nothing");
    let told = |credentials: &Credentials| {
        Trust::new(Destinations::ANY).way(&authority(), credentials).err().unwrap().to_string()
    };
    assert_eq!(told(&mounted.credentials()), "spec.upstream.certificateAuthority: has no certificate");
    mounted.write("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    assert_eq!(told(&mounted.credentials()), "spec.upstream.certificateAuthority: is not in PEM");
    fs::remove_file(mounted.0.join("ours/ca.crt")).unwrap();
    let missing = told(&mounted.credentials());
    assert!(
        missing.starts_with("spec.upstream.certificateAuthority: the credential ours/ca.crt"),
        "{missing}"
    );
}
