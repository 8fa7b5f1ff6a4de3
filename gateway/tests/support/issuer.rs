//! An issuer of the tests' own: real keys, real signatures, and a server that publishes the keys.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Made once by `openssl genpkey -algorithm RSA`; nothing but these tests ever believed it.
const RSA_KEY: &[u8] = include_bytes!("key-for-tests-only.der");

/// A private key with the id that it is published under.
pub(crate) struct Signer {
    pub(crate) id: String,
    key: Key,
}

enum Key {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair, &'static str),
    Rsa(Box<RsaKeyPair>),
}

impl Signer {
    pub(crate) fn ed25519(id: &str) -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { id: id.to_owned(), key: Key::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()) }
    }

    pub(crate) fn p256(id: &str) -> Self {
        Self::ecdsa(id, &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    pub(crate) fn p384(id: &str) -> Self {
        Self::ecdsa(id, &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    fn ecdsa(id: &str, algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), key: Key::Ecdsa(key, curve) }
    }

    pub(crate) fn rsa(id: &str) -> Self {
        let key = RsaKeyPair::from_pkcs8(RSA_KEY).unwrap();
        Self { id: id.to_owned(), key: Key::Rsa(Box::new(key)) }
    }

    /// A P-256 key of somebody's own, as SEC 1 has it: its private part comes seventh, its public part last.
    pub(crate) fn p256_of(id: &str, key: &[u8]) -> Self {
        let (random, public) = (SystemRandom::new(), &key[key.len() - 65..]);
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key =
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &key[7..39], public, &random).unwrap();
        Self { id: id.to_owned(), key: Key::Ecdsa(key, "P-256") }
    }

    /// The public key, as it is published.
    pub(crate) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.key {
            Key::Ed25519(key) => {
                json!({"kid": self.id, "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())})
            }
            Key::Ecdsa(key, curve) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                json!({"kid": self.id, "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Key::Rsa(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kid": self.id, "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
        }
    }

    /// The algorithm that is the key's own; RS256 for RSA.
    pub(crate) fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Ed25519(_) => "EdDSA",
            Key::Ecdsa(_, "P-256") => "ES256",
            Key::Ecdsa(..) => "ES384",
            Key::Rsa(_) => "RS256",
        }
    }

    /// A token with the header that belongs to the key.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"}), &claims.to_string())
    }

    /// A token with any header and any text as its claims; RSA signs by the header's `alg`.
    pub(crate) fn token_with(&self, header: &Value, claims: &str) -> String {
        let signed = [header.to_string().as_str(), claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = self.signature(header["alg"].as_str().unwrap_or_default(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let encoding: &'static dyn ring::signature::RsaEncoding = match algorithm {
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            "PS512" => &RSA_PSS_SHA512,
            _ => &RSA_PKCS1_SHA256,
        };
        match &self.key {
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Ecdsa(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// What an issuer's server answers on a path: a status line's rest and a body. None: it never answers.
pub(crate) type Answers = dyn Fn(&str) -> Option<(String, String)> + Send + Sync;

/// An issuer on a free port of the loopback interface.
pub(crate) struct Issuer {
    pub(crate) url: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    /// Publishes keys as OpenID Connect discovery wants it.
    pub(crate) async fn publishing(keys: Value) -> Self {
        let keys = Arc::new(Mutex::new(keys));
        let published = keys.clone();
        let issuer = Self::answering(move |url| {
            let (url, published) = (url.to_owned(), published.clone());
            Box::new(move |path| {
                let body = match path {
                    "/.well-known/openid-configuration" => {
                        json!({"issuer": url, "jwks_uri": format!("{url}/keys")})
                    }
                    "/keys" => published.lock().unwrap().clone(),
                    _ => return Some(("404 Not Found".to_owned(), String::new())),
                };
                Some(("200 OK".to_owned(), body.to_string()))
            })
        });
        Self { keys, ..issuer.await }
    }

    /// Answers what it is told to; the function gets the issuer's own URL first.
    pub(crate) async fn answering(answers: impl FnOnce(&str) -> Box<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Answers> = answers(&url).into();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self { url, keys: Arc::default(), asked }
    }

    /// Publishes other keys from now on.
    pub(crate) fn publish(&self, keys: Value) {
        *self.keys.lock().unwrap() = keys;
    }

    /// How many connections were made to it. Each question is one.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, answers: Arc<Answers>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let Some((status, body)) = answers(path) else {
        return std::future::pending().await;
    };
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _gone = stream.write_all(answer.as_bytes()).await;
}
