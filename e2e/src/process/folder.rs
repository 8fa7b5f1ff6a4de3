//! A folder of one scenario, gone with the value that stands for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ProcessError;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new, empty folder that is removed when this is dropped, unless it is kept.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    /// Makes a folder below the system's folder for temporary files.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> Result<Self, ProcessError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("toolgate-{}-{number}", std::process::id()));
        // What a process of the same number left behind is nobody's any more.
        let _absent = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path)
            .map_err(ProcessError::system(format!("make the folder {}", path.display())))?;
        Ok(Self { path, kept: false })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of it, whole or not at all, as a careful editor does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, name: &str, text: &str) -> Result<(), ProcessError> {
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.draft")));
        let failed = || ProcessError::system(format!("write {}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed())?;
        }
        std::fs::write(&draft, text).map_err(failed())?;
        std::fs::rename(&draft, &path).map_err(failed())
    }

    /// Reads a file of it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn read(&self, name: &str) -> Result<String, ProcessError> {
        let path = self.path.join(name);
        std::fs::read_to_string(&path).map_err(ProcessError::system(format!("read {}", path.display())))
    }

    /// Removes a file of it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(&self, name: &str) -> Result<(), ProcessError> {
        let path = self.path.join(name);
        std::fs::remove_file(&path).map_err(ProcessError::system(format!("remove {}", path.display())))
    }

    /// Leaves it where it is when this is dropped.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // A folder that cannot be removed is the system's to clean.
            let _ignored = std::fs::remove_dir_all(&self.path);
        }
    }
}
