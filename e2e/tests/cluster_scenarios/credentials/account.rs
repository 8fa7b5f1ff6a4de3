//! Tokens of ServiceAccounts: as the API server signs them, and bent, signed by the key that it signs with.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use toolgate_e2e::cluster::{Error, Stage};

#[path = "../../../../gateway/tests/support/issuer.rs"]
mod issuer;

use issuer::Signer;

/// The API server's private key, in the folder of the disposable cluster.
const KEY: &str = "state/kubernetes/pki/sa.key";

/// Makes tokens.
pub(super) struct Forge {
    audience: String,
    signer: Signer,
    /// A token as it was signed, taken apart.
    header: Value,
    claims: Value,
}

impl Forge {
    pub(super) fn new(stage: &Stage<'_>) -> Result<Self, Error> {
        let own = || Error::NotUsable("the key of a cluster of your own signs nothing here".to_owned());
        let path = stage.cluster.folder().ok_or_else(own)?.join(KEY);
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let pem = fs::read_to_string(&path).map_err(failed)?;
        let lines = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let key = STANDARD.decode(lines).map_err(|error| Error::Broken(format!("{KEY}: {error}")))?;
        let audience = stage.url()?;
        let token = create(stage, "good", &["--audience", &audience])?;
        let part = |index| {
            let text = token.split('.').nth(index).unwrap_or_default();
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
            serde_json::from_slice::<Value>(&bytes).unwrap_or_default()
        };
        let (header, claims) = (part(0), part(1));
        let id = header["kid"].as_str().unwrap_or_default();
        Ok(Self { audience, signer: Signer::p256_of(id, &key), header, claims })
    }

    /// The credential of a row. None: there is none of this kind.
    pub(super) fn credential(&self, stage: &Stage<'_>, what: &str) -> Result<Option<String>, Error> {
        let of = |account: &str| create(stage, account, &["--audience", &self.audience]);
        let token = match what {
            "good" => of("good")?,
            "wrong" => "no.token.atall".to_owned(),
            "its claims, signed again" => self.bent("sub", self.claims["sub"].clone()),
            "expired" => self.bent("exp", json!(self.claims["iat"].as_u64().unwrap_or_default() - 60)),
            "for another server" => create(stage, "good", &["--audience", "http://other-toolgate.svc/mcp"])?,
            "for the API server" => create(stage, "good", &[])?,
            "for both" => {
                let own = own_audience(stage)?;
                create(stage, "good", &["--audience", &self.audience, "--audience", &own])?
            }
            "of another issuer" => self.bent("iss", json!("https://elsewhere.example.com")),
            "alg none" => {
                let header = json!({"alg": "none", "kid": self.header["kid"]});
                self.signer.token_with(&header, &self.claims.to_string())
            }
            "signed by another key" => {
                let stranger = Signer::p256(self.header["kid"].as_str().unwrap_or_default());
                stranger.token_with(&self.header, &self.claims.to_string())
            }
            "of another server's grant" => of("elsewhere")?,
            "of no grant" => of("nobody")?,
            "of a suspended grant" => of("suspended")?,
            "of an expired grant" => of("expired")?,
            "of a pod that runs" => {
                let bound = ["--bound-object-kind", "Pod", "--bound-object-name", "bound"];
                create(stage, "good", &[&["--audience", &self.audience], bound.as_slice()].concat())?
            }
            _ => return Ok(None),
        };
        Ok(Some(token))
    }

    /// Its claims with one changed, signed by the API server's key.
    fn bent(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.signer.token_with(&self.header, &claims.to_string())
    }
}

/// The API server's own audience.
fn own_audience(stage: &Stage<'_>) -> Result<String, Error> {
    let token = create(stage, "good", &[])?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap_or_default());
    let claims: Value = serde_json::from_slice(&claims.unwrap_or_default()).unwrap_or_default();
    Ok(claims["aud"][0].as_str().unwrap_or_default().to_owned())
}

fn create(stage: &Stage<'_>, account: &str, more: &[&str]) -> Result<String, Error> {
    let token = stage.kubectl.run(&[&["create", "token", account], more].concat())?;
    Ok(token.trim().to_owned())
}
