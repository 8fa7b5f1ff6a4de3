//! Another token for a grant that there is already. The token until now stays good beside it.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;
use toolgate_crds::{SubjectType, TokenSubject, ToolGrant, strict, yaml};
use toolgate_policy::Documents;

use super::token::Token;
use super::{MintError, expires_at};
use crate::arguments::Mint;

/// What `kubectl apply` notes for itself. It would be out of date.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The grant of a file with the new token.
///
/// # Errors
/// When the file cannot be read, has a fault, or holds no such grant to a token.
pub(super) fn grant(path: &Path, arguments: &Mint, token: &Token) -> Result<ToolGrant, MintError> {
    let refused = |reason: String| MintError::Refused(format!("--rotate {}: {reason}", path.display()));
    let text = read(path).map_err(|reason| refused(reason.to_string()))?;
    let mut documents = Documents::default();
    documents.read(&path.display().to_string(), &text);
    if let Some(fault) = documents.faults.first() {
        return Err(MintError::Refused(format!("--rotate {fault}")));
    }
    let object = only(&text, arguments.name.as_str()).map_err(refused)?;
    let mut spec = strict::parse::<ToolGrant>(&object)
        .map_err(|errors| refused(toolgate_crds::FieldError::join(&errors)))?;
    let subject = spec.subject.token.as_mut().filter(|_| spec.subject.type_ == SubjectType::Token);
    let Some(subject) = subject else { return Err(refused("it is no grant to a token".to_owned())) };
    let until_now = std::mem::replace(&mut subject.sha256, token.sha256());
    subject.previous_sha256 = Some(until_now);
    spec.expires_at = expires_at(arguments).or(spec.expires_at);
    let mut grant = ToolGrant::new(arguments.name.as_str(), spec);
    let metadata = &object["metadata"];
    grant.metadata.namespace = metadata["namespace"].as_str().map(str::to_owned);
    grant.metadata.labels = serde_json::from_value(metadata["labels"].clone()).unwrap_or_default();
    grant.metadata.annotations = serde_json::from_value(metadata["annotations"].clone()).unwrap_or_default();
    if let Some(annotations) = &mut grant.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    grant.metadata.annotations = grant.metadata.annotations.filter(|annotations| !annotations.is_empty());
    Ok(grant)
}

/// What is to be said of the token until now.
pub(super) fn farewell(grant: &ToolGrant) -> String {
    match grant
        .spec
        .subject
        .token
        .as_ref()
        .and_then(|TokenSubject { previous_sha256, .. }| previous_sha256.as_ref())
    {
        Some(_) => "The token until now stays good as well. When every caller has the new one, take \
                    spec.subject.token.previousSha256 out of the grant.\n"
            .to_owned(),
        None => String::new(),
    }
}

fn read(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

// The one grant of this name.
fn only(text: &str, name: &str) -> Result<Value, String> {
    let documents = yaml::documents(text).unwrap_or_default().into_iter().map(|document| document.value);
    let is_it = |value: &Value| value["kind"] == "ToolGrant" && value["metadata"]["name"] == name;
    let mut found: Vec<Value> = documents.filter(is_it).collect();
    match (found.len(), found.pop()) {
        (1, Some(object)) => Ok(object),
        (count, _) => Err(format!("holds {count} ToolGrants named {name}, and not one")),
    }
}
