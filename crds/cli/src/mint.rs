//! `toolgate mint`: a new token, and the grant that knows it by its digest.
//!
//! The grant is read back with the strict parse before anything is handed over, so what is printed can be applied.

pub(crate) mod expiry;
mod rotate;
mod token;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::rand::SystemRandom;
use toolgate_crds::{
    FieldError, ObjectName, ServerReference, Subject, SubjectType, TokenSubject, ToolGrant, ToolGrantSpec,
};
use toolgate_policy::Documents;

use crate::arguments::{GrantFormat, Mint};
use crate::{EXIT_FAULTS, EXIT_USAGE, yaml};
use token::{NoRandomness, Token};

/// Why nothing was minted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MintError {
    /// The grant would not be accepted.
    #[error("{0}")]
    Refused(String),
    /// There is no token.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// There is such a file already.
    #[error("--token-file {}: exists already, and is not overwritten", .0.display())]
    TokenFileExists(PathBuf),
    /// The token could not be kept.
    #[error("--token-file {}: {reason}", .path.display())]
    TokenFile { path: PathBuf, reason: io::Error },
    /// The grant or the token could not be shown.
    #[error("cannot write to {stream}: {reason}")]
    Output { stream: &'static str, reason: io::Error },
}

impl MintError {
    /// The status that the process ends with.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::Refused(_) => EXIT_USAGE,
            Self::NoRandomness(_)
            | Self::TokenFileExists(_)
            | Self::TokenFile { .. }
            | Self::Output { .. } => EXIT_FAULTS,
        }
    }
}

/// Mints.
///
/// # Errors
/// When the grant would be refused, or the grant or the token cannot be handed over. No token file stays behind then.
pub(crate) fn run(arguments: &Mint) -> Result<(), MintError> {
    let token = Token::generate(&SystemRandom::new())?;
    let grant = match &arguments.rotate {
        Some(path) => rotate::grant(path, arguments, &token)?,
        None => grant(arguments, &token),
    };
    let text = written(&grant, arguments.output);
    refuse_faults(&text)?;
    match &arguments.token_file {
        Some(path) => keep(path, &token, &text)?,
        None => print("stdout", &text)?,
    }
    print("stderr", &farewell(arguments, &token, &grant))
}

fn grant(arguments: &Mint, token: &Token) -> ToolGrant {
    let server = |name: &ObjectName| ServerReference { name: Some(name.clone()), selector: None };
    let servers = arguments.server.iter().map(server);
    let spec = ToolGrantSpec {
        servers: servers.collect(),
        subject: Subject {
            type_: SubjectType::Token,
            token: Some(TokenSubject { sha256: token.sha256(), previous_sha256: None }),
            service_account: None,
            oidc: None,
            certificate: None,
        },
        expires_at: expires_at(arguments),
        suspended: false,
    };
    let mut grant = ToolGrant::new(arguments.name.as_str(), spec);
    grant.metadata.namespace = arguments.namespace.as_ref().map(ObjectName::to_string);
    grant
}

fn expires_at(arguments: &Mint) -> Option<String> {
    let instant: Option<Timestamp> = arguments.expires_at.or(arguments.expires_in);
    instant.map(|instant| instant.to_string())
}

fn written(grant: &ToolGrant, format: GrantFormat) -> String {
    let value = serde_json::to_value(grant).expect("a grant is plain maps, lists and scalars");
    match format {
        GrantFormat::Yaml => yaml::write(&value),
        GrantFormat::Json => format!("{value:#}\n"),
    }
}

fn refuse_faults(text: &str) -> Result<(), MintError> {
    let mut documents = Documents::default();
    documents.read("", text);
    match documents.faults.first() {
        Some(fault) => Err(MintError::Refused(format!("{}: {}", flag(&fault.error), fault.error.message))),
        None => Ok(()),
    }
}

// Which part of the command line a field came from.
fn flag(error: &FieldError) -> &str {
    match error.path.as_str() {
        "metadata.name" => "NAME",
        "spec.expiresAt" => "--expires-at",
        path if path.starts_with("spec.servers") => "--server",
        path => path,
    }
}

// First the token, which may fail for many reasons, then the grant: nobody applies a grant whose token is lost.
fn keep(path: &Path, token: &Token, text: &str) -> Result<(), MintError> {
    token.keep(path).map_err(|reason| match reason.kind() {
        io::ErrorKind::AlreadyExists => MintError::TokenFileExists(path.to_owned()),
        _ => MintError::TokenFile { path: path.to_owned(), reason },
    })?;
    print("stdout", text).inspect_err(|_| token::discard(path))
}

fn farewell(arguments: &Mint, token: &Token, grant: &ToolGrant) -> String {
    let name = &arguments.name;
    let rotated = rotate::farewell(grant);
    let shown = match &arguments.token_file {
        Some(path) => {
            format!("The token of ToolGrant/{name} is in {} and nowhere else.\n", path.display())
        }
        None => format!(
            "The token of ToolGrant/{name} is shown only this once; callers send it as \"Authorization: Bearer TOKEN\":\n{}\n",
            token.as_str()
        ),
    };
    rotated + &shown
}

fn print(stream: &'static str, text: &str) -> Result<(), MintError> {
    let written = |target: &mut dyn Write| target.write_all(text.as_bytes()).and_then(|()| target.flush());
    let result = if stream == "stdout" { written(&mut io::stdout()) } else { written(&mut io::stderr()) };
    result.map_err(|reason| MintError::Output { stream, reason })
}
