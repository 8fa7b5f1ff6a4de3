//! An issuer's public keys (JWKS), and what each of them verifies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::InvalidToken;
use super::token::Claimed;

/// The most keys of one issuer.
pub const KEYS_MAX: usize = 100;

/// An algorithm with a public key. There are no others here: none of `none`, none with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    /// The issuer, as it names itself.
    pub issuer: String,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: String,
    /// The one algorithm that the issuer wants it to be used with, if it says one.
    algorithm: Option<Algorithm>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Algorithm {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

impl Keys {
    /// Reads a JWKS document. Keys that are of no use here are passed over.
    pub(super) fn read(issuer: String, document: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(document).map_err(|error| error.to_string())?;
        if document.keys.len() > KEYS_MAX {
            return Err(format!("{} keys are more than {KEYS_MAX}", document.keys.len()));
        }
        Ok(Self { issuer, keys: document.keys.iter().filter_map(Key::read).collect() })
    }

    /// Whether there is a key with an id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// Verifies a token's signature by the key that it names.
    pub(super) fn verify(&self, claimed: &Claimed<'_>) -> Result<(), InvalidToken> {
        let mut named = self.keys.iter().filter(|key| key.id == claimed.key_id).peekable();
        named.peek().ok_or(InvalidToken::UnknownKey)?;
        let mut fitting = named.filter(|key| key.takes(claimed.algorithm)).peekable();
        fitting.peek().ok_or(InvalidToken::Algorithm)?;
        let verifies = |key: &Key| key.public.verifies(claimed);
        if fitting.any(verifies) { Ok(()) } else { Err(InvalidToken::Signature) }
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Key {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk[name].as_str();
        let bytes = |name: &str| text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let for_signatures = jwk.get("use").is_none_or(|purpose| purpose == "sig")
            && jwk
                .get("key_ops")
                .is_none_or(|uses| uses.as_array().is_some_and(|uses| uses.contains(&Value::from("verify"))));
        let algorithm = match jwk.get("alg") {
            // An algorithm that is not known here is no reason to try others.
            Some(name) => Some(Algorithm::of_name(name.as_str()?)?),
            None => None,
        };
        let public = match (text("kty")?, text("crv")) {
            ("RSA", _) => Public::Rsa { modulus: bytes("n")?, exponent: bytes("e")? },
            ("EC", Some("P-256")) => Public::P256(point(bytes("x")?, bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Public::P384(point(bytes("x")?, bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x")?),
            _ => return None,
        };
        for_signatures.then_some(Self { id: text("kid")?.to_owned(), algorithm, public })
    }

    // The type of the key decides; the token only chooses among what it leaves.
    fn takes(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let of_type = match self.public {
            Public::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Public::P256(_) => algorithm == Es256,
            Public::P384(_) => algorithm == Es384,
            Public::Ed25519(_) => algorithm == EdDsa,
        };
        of_type && self.algorithm.is_none_or(|wanted| wanted == algorithm)
    }
}

impl Public {
    fn verifies(&self, claimed: &Claimed<'_>) -> bool {
        let (message, signature) = (claimed.signed, &claimed.signature);
        let verified = match self {
            Self::Rsa { modulus, exponent } => {
                let parameters = match claimed.algorithm {
                    Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
                    Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
                    Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return false,
                };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, signature)
            }
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Self::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

// Uncompressed: the mark of it, then both coordinates in full length.
fn point(x: Vec<u8>, y: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    (x.len() == length && y.len() == length).then(|| [vec![4], x, y].concat())
}
