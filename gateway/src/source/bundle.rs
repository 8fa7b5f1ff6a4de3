//! A bundle that the operator wrote, from its mount or from the ConfigMaps themselves.

use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use toolgate_policy::{
    BUNDLE_BYTES_MAX, Bundle, CONFIG_MAP_BYTES_MAX, GZIP_KEY, HEAD_KEY, Head, InvalidBundle, inflate,
};

use super::{refuse, swap};
use crate::gateway::Gateway;

/// What one ConfigMap, or its mount, holds of a bundle.
#[derive(Debug)]
pub(super) enum Held {
    /// All of it.
    Whole(Box<Bundle>),
    /// What commits its parts.
    Head(Head),
}

/// Why a mount cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// A file of it cannot be read.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// What is in it is no bundle.
    #[error(transparent)]
    Invalid(#[from] InvalidBundle),
}

/// Puts in force what the mount holds. Without a readable bundle there, what is in force stays.
pub fn load(gateway: &Gateway, path: &Path) {
    take(gateway, read(path).map_err(|error| error.to_string()));
}

/// Puts a bundle in force, or remembers why it cannot be.
pub(super) fn take(gateway: &Gateway, bundle: Result<Bundle, String>) {
    match bundle {
        Ok(bundle) => {
            swap(gateway, bundle);
        }
        Err(error) => refuse(gateway, vec![error]),
    }
}

/// The bundle of a mount: the file at the path, or what is beside it where the bundle is too large for one.
///
/// # Errors
/// There is none, or it is no bundle.
pub fn read(path: &Path) -> Result<Bundle, Unread> {
    let beside = |name: &str| file(&path.with_file_name(name));
    let text =
        |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Unread::Invalid(InvalidBundle::not_text()));
    if let Some(bytes) = beside(GZIP_KEY)? {
        return Ok(Bundle::from_json(&inflate(&bytes)?)?);
    }
    if let Some(bytes) = beside(HEAD_KEY)? {
        let head = Head::from_json(&text(bytes)?)?;
        let mut shards = Vec::new();
        for place in head.places() {
            // Without one of them the digest of the whole is wrong.
            shards.extend(beside(&place.to_string())?);
        }
        return Ok(head.join(&shards)?);
    }
    let missing = || Unread::File(path.display().to_string(), ErrorKind::NotFound.into());
    Ok(Bundle::from_json(&text(file(path)?.ok_or_else(missing)?)?)?)
}

/// What one ConfigMap holds.
///
/// # Errors
/// It holds nothing that can be read.
pub(super) fn held(
    text: Option<&str>,
    compressed: Option<&[u8]>,
    head: Option<&str>,
) -> Result<Held, String> {
    let whole = |read: Result<Bundle, InvalidBundle>| {
        read.map(|bundle| Held::Whole(Box::new(bundle))).map_err(|error| error.to_string())
    };
    match (text, compressed, head) {
        (Some(text), _, _) if text.len() > BUNDLE_BYTES_MAX => {
            Err(format!("a bundle of {} bytes; at most {BUNDLE_BYTES_MAX} are read", text.len()))
        }
        (Some(text), _, _) => whole(Bundle::from_json(text)),
        (None, Some(bytes), _) => whole(inflate(bytes).and_then(|text| Bundle::from_json(&text))),
        (None, None, Some(head)) => Head::from_json(head).map(Held::Head).map_err(|error| error.to_string()),
        (None, None, None) => Err("the ConfigMap has no bundle that this version knows".to_owned()),
    }
}

// None: it is not there.
fn file(path: &Path) -> Result<Option<Vec<u8>>, Unread> {
    let failed = |error: io::Error| Unread::File(path.display().to_string(), error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    // Nothing that is in a ConfigMap is larger, nor is what somebody puts there by hand.
    let most = BUNDLE_BYTES_MAX.max(CONFIG_MAP_BYTES_MAX) as u64;
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}
