//! The texts that a command reads: files, files of folders, stdin.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toolgate_crds::FieldError;
use toolgate_crds::yaml::FILE_BYTES_MAX;
use toolgate_policy::Fault;

/// The most files of one command.
const FILES_MAX: usize = 1000;
/// How names of files in folders end.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// What is piped in.
    Stdin,
}

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// The system refuses to read it.
    #[error("{reason}")]
    System { name: String, reason: io::Error },
    /// A folder without a file to check.
    #[error("no *.yaml, *.yml or *.json file in this folder{}", if *.recursive { "" } else { " (-R looks into folders below it)" })]
    NoFiles { name: String, recursive: bool },
    /// There are too many files.
    #[error("too many files; at most {FILES_MAX} are checked at once")]
    TooManyFiles { name: String },
    /// There are files, and not one object in them.
    #[error("there is nothing to check: no object in any file")]
    Nothing,
    /// It is larger than any text may be.
    #[error("more than {FILE_BYTES_MAX} bytes; so much is never read")]
    TooLarge { name: String },
    /// It is no text.
    #[error("invalid YAML: not UTF-8")]
    NotUtf8 { name: String, line: u64 },
}

/// The sources that paths name, each file once, and what cannot be looked into.
pub(crate) fn find(paths: &[PathBuf], recursive: bool) -> (Vec<Source>, Vec<Unread>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        match Source::of(path) {
            Source::File(folder) if folder.is_dir() => match files_of(&folder, recursive) {
                Ok(files) => found.extend(files.into_iter().map(Source::File)),
                Err(error) => unread.push(error),
            },
            source => found.push(source),
        }
    }
    let mut known = BTreeSet::new();
    found.retain(|source| known.insert(identity(source)));
    if let Some(first) = found.get(FILES_MAX) {
        unread.push(Unread::TooManyFiles { name: first.to_string() });
        found.truncate(FILES_MAX);
    }
    (found, unread)
}

/// The whole text of a source.
///
/// # Errors
/// When it cannot be read, is larger than [`FILE_BYTES_MAX`] or is not UTF-8.
pub(crate) fn read(source: &Source) -> Result<String, Unread> {
    let name = source.to_string();
    let bytes = match source {
        Source::Stdin => bytes(io::stdin().lock()),
        Source::File(path) => File::open(path).and_then(bytes),
    };
    let bytes = bytes.map_err(|reason| Unread::System { name: name.clone(), reason })?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Unread::TooLarge { name });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let lines = good.split(|byte| *byte == b'\n').count();
        Unread::NotUtf8 { name, line: u64::try_from(lines).unwrap_or(u64::MAX) }
    })
}

// One byte past the bound tells a text at it from one beyond.
fn bytes(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

// A pipe that a shell made has a path that leads nowhere; it is then itself.
fn identity(source: &Source) -> Option<PathBuf> {
    match source {
        Source::Stdin => None,
        Source::File(path) => Some(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
    }
}

fn files_of(folder: &Path, recursive: bool) -> Result<Vec<PathBuf>, Unread> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |reason| Unread::System { name: folder.display().to_string(), reason };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            // A link to a folder may lead round in a circle, so none is followed.
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.extend(recursive.then_some(path));
            } else if has_ending(&path) && !path.is_dir() {
                files.insert(path);
            }
        }
        if files.len() > FILES_MAX {
            break;
        }
    }
    if files.is_empty() {
        return Err(Unread::NoFiles { name: folder.display().to_string(), recursive });
    }
    Ok(files.into_iter().collect())
}

fn has_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

impl Source {
    /// The source that a path names: - is stdin.
    pub(crate) fn of(path: &Path) -> Self {
        if path.as_os_str() == "-" { Self::Stdin } else { Self::File(path.to_owned()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Stdin => formatter.write_str("stdin"),
        }
    }
}

impl Unread {
    /// Whether the text itself is at fault, and not the way to it.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::NotUtf8 { .. } => true,
            Self::System { .. } | Self::NoFiles { .. } | Self::TooManyFiles { .. } | Self::Nothing => false,
        }
    }

    /// The same, as files' other faults are told.
    pub(crate) fn into_fault(self) -> Fault {
        let error = FieldError::new("", self.to_string());
        let (file, line) = match self {
            Self::System { name, .. }
            | Self::NoFiles { name, .. }
            | Self::TooManyFiles { name }
            | Self::TooLarge { name } => (name, None),
            Self::NotUtf8 { name, line } => (name, Some(line)),
            Self::Nothing => ("toolgate check".to_owned(), None),
        };
        Fault { file, line, object: String::new(), error }
    }
}
