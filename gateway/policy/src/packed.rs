//! How a bundle is kept in ConfigMaps, of which each holds a megabyte: as text while it fits into one, else compressed, else
//! compressed and cut into shards that a head commits.
//!
//! Shards are kept in two halves. A bundle is written to the half that is not in force, shard by shard, and the head names
//! it last, with the digest of the whole. So whoever reads sees one bundle or none, and never a part of two.

use std::fmt;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, InvalidBundle};

/// The key of a ConfigMap that holds a bundle as text.
pub const BUNDLE_KEY: &str = "bundle.json";
/// The key of a ConfigMap that holds a compressed bundle.
pub const GZIP_KEY: &str = "bundle.json.gz";
/// The key of a ConfigMap that holds the head of a bundle in shards.
pub const HEAD_KEY: &str = "bundle.shards.json";

/// The most bytes of a ConfigMap's content. It takes 1 MiB; the rest is for what it is wrapped in.
pub const CONFIG_MAP_BYTES_MAX: usize = 1_000_000;
/// The most shards of a bundle.
pub const SHARDS_MAX: u8 = 8;
/// The most bytes of a bundle's text. So much is read whole, and never more, whatever a few compressed bytes would become.
pub const BUNDLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A bundle as ConfigMaps hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The bundle's digest.
    pub hash: String,
    /// In which form it is.
    pub form: Form,
}

/// In which form a bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is, under [`BUNDLE_KEY`].
    Text(String),
    /// Compressed, under [`GZIP_KEY`].
    Gzip(Vec<u8>),
    /// Compressed and cut; the head is under [`HEAD_KEY`].
    Shards(Head, Vec<Vec<u8>>),
}

/// What commits a bundle in shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// The bundle's digest.
    pub hash: String,
    /// Where its shards are.
    pub half: Half,
    /// How many they are.
    pub shards: u8,
}

/// One of the two places for shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// That of even revisions.
    Even,
    /// That of odd revisions.
    Odd,
}

/// A place for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// In which half it is.
    pub half: Half,
    /// Its number, from 0.
    pub number: u8,
}

/// A bundle that is too large to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// Its text has so many bytes.
    Text(usize),
    /// Compressed it has so many bytes.
    Compressed(usize),
}

impl Packed {
    /// Packs a bundle in the simplest form that it fits.
    ///
    /// # Errors
    /// It fits none.
    pub fn of(bundle: &Bundle) -> Result<Self, TooLarge> {
        let text = bundle.to_json();
        let hash = Bundle::hash_of(&text);
        if text.len() <= CONFIG_MAP_BYTES_MAX {
            return Ok(Self { hash, form: Form::Text(text) });
        }
        if text.len() > BUNDLE_BYTES_MAX {
            return Err(TooLarge::Text(text.len()));
        }
        let compressed = deflate(&text);
        if compressed.len() <= CONFIG_MAP_BYTES_MAX {
            return Ok(Self { hash, form: Form::Gzip(compressed) });
        }
        let shards: Vec<Vec<u8>> = compressed.chunks(CONFIG_MAP_BYTES_MAX).map(<[u8]>::to_vec).collect();
        let count = u8::try_from(shards.len()).ok().filter(|count| *count <= SHARDS_MAX);
        let count = count.ok_or(TooLarge::Compressed(compressed.len()))?;
        let head = Head { hash: hash.clone(), half: Half::of(bundle.revision), shards: count };
        Ok(Self { hash, form: Form::Shards(head, shards) })
    }

    /// Whether it is in shards.
    pub fn is_sharded(&self) -> bool {
        matches!(self.form, Form::Shards(..))
    }
}

impl Half {
    /// The half of a revision.
    pub fn of(revision: i64) -> Self {
        if revision % 2 == 0 { Self::Even } else { Self::Odd }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Odd => "odd",
        }
    }
}

impl Shard {
    /// Every place there is.
    pub fn all() -> impl Iterator<Item = Self> {
        [Half::Even, Half::Odd]
            .into_iter()
            .flat_map(|half| (0..SHARDS_MAX).map(move |number| Self { half, number }))
    }

    /// The name of the ConfigMap for the shard, beside that of the head.
    pub fn config_map(self, head: &str) -> String {
        format!("{head}-{self}")
    }
}

impl Head {
    /// Reads a head.
    ///
    /// # Errors
    /// It is none, or names more shards than there may be.
    pub fn from_json(text: &str) -> Result<Self, InvalidBundle> {
        let head: Self =
            serde_json::from_str(text).map_err(|error| InvalidBundle(format!("its head: {error}")))?;
        if head.shards > SHARDS_MAX {
            return Err(InvalidBundle(format!(
                "its head names {} shards; at most {SHARDS_MAX} are read",
                head.shards
            )));
        }
        Ok(head)
    }

    /// The head as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a head is made of plain values")
    }

    /// Where the shards are, in order.
    pub fn places(&self) -> impl Iterator<Item = Shard> + use<> {
        let half = self.half;
        (0..self.shards).map(move |number| Shard { half, number })
    }

    /// Puts the bundle together again out of its shards, in order.
    ///
    /// # Errors
    /// They are not exactly those that the head commits.
    pub fn join(&self, shards: &[Vec<u8>]) -> Result<Bundle, InvalidBundle> {
        if shards.iter().any(|shard| shard.len() > CONFIG_MAP_BYTES_MAX) {
            return Err(InvalidBundle(format!("a shard has more than {CONFIG_MAP_BYTES_MAX} bytes")));
        }
        let text = inflate(&shards.concat())?;
        if Bundle::hash_of(&text) != self.hash {
            return Err(InvalidBundle("its shards are not those that its head names".to_owned()));
        }
        Bundle::from_json(&text)
    }
}

/// The text of a compressed bundle.
///
/// # Errors
/// It is none, or would be larger than [`BUNDLE_BYTES_MAX`].
pub fn inflate(compressed: &[u8]) -> Result<String, InvalidBundle> {
    let mut text = Vec::new();
    // One byte past the bound tells a text at it from one beyond.
    let mut bounded = GzDecoder::new(compressed).take(BUNDLE_BYTES_MAX as u64 + 1);
    bounded
        .read_to_end(&mut text)
        .map_err(|error| InvalidBundle(format!("it cannot be decompressed: {error}")))?;
    if text.len() > BUNDLE_BYTES_MAX {
        return Err(InvalidBundle(format!("it has more than {BUNDLE_BYTES_MAX} bytes")));
    }
    String::from_utf8(text).map_err(|_| InvalidBundle::not_text())
}

fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.expect("a Vec takes every write")
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.half.as_str(), self.number)
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(bytes) => write!(formatter, "{bytes} bytes; at most {BUNDLE_BYTES_MAX} fit"),
            Self::Compressed(bytes) => {
                let most = usize::from(SHARDS_MAX) * CONFIG_MAP_BYTES_MAX;
                write!(formatter, "{bytes} bytes even when compressed; at most {most} fit")
            }
        }
    }
}
