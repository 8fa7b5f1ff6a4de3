//! A real Redis in the cluster, of Debian's own package, for counters that several gateways share.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::images::{Image, Images};
use super::place::{Cluster, root};
use super::stage::{Stage, filled};

/// Where `e2e/redis/fetch` puts Debian's package.
const FETCHED: &str = "target/redis";

/// The store's password. It is no secret: it opens nothing that lasts.
const PASSWORD: &str = "toolgate-store-password";

/// What a server says to count in the store, as a merge patch of its spec.
const COUNTERS: &str =
    r#"{"redis": {"url": "redis://store:6379", "secretKeyRef": {"name": "store", "key": "password"}}}"#;

/// A Redis in a stage's namespace.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// The image of Debian's Redis, loaded into the cluster.
    ///
    /// # Errors
    ///
    /// [`Error::NotUsable`] where the package was not fetched, or the cluster is the user's own.
    pub fn image(cluster: &Cluster) -> Result<Image, Error> {
        let home = root().join(FETCHED);
        let program = home.join("usr/bin/redis-server");
        if !program.is_file() {
            return Err(Error::NotUsable("there is no redis-server; e2e/redis/fetch gets it".to_owned()));
        }
        let mut files = vec![in_image(&program, &home)];
        files.extend(libraries(&home.join("usr/lib"))?.iter().map(|library| in_image(library, &home)));
        Images::of_files(cluster, "redis", &files)
    }

    /// Runs a Redis with a password and waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`Store::image`], and if it does not come to run.
    pub fn run(stage: &Stage<'_>) -> Result<(), Error> {
        let image = Self::image(stage.cluster)?.to_string();
        let values = [("REDIS_IMAGE", &*image), ("STORE_PASSWORD", PASSWORD)];
        stage.kubectl.apply(&filled(include_str!("../../manifests/store.yaml"), &values)?)?;
        stage.kubectl.wait("condition=Available", &["deployment/store"])?;
        Ok(())
    }

    /// The patch of a server that makes it count in the store, over so many gateways.
    pub fn patch(replicas: u32) -> String {
        format!(r#"{{"spec": {{"counters": {COUNTERS}, "gateway": {{"replicas": {replicas}}}}}}}"#)
    }
}

// Where the package has it.
fn in_image(file: &Path, home: &Path) -> String {
    let path = file.strip_prefix(home).unwrap_or(file).display();
    format!("{}=/{path}", file.display())
}

fn libraries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File { path: folder.display().to_string(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_library = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so."));
        if path.is_dir() {
            found.extend(libraries(&path)?);
        } else if is_library && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
