//! The images that run in the cluster: made from the programs of this build, or the user's own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::command::{self, Deadline};
use super::place::{Cluster, root};
use super::{Error, promise};

/// Names the registry, and the path in it, that holds the images of the user's own cluster.
const REGISTRY: &str = "E2E_IMAGE_REGISTRY";

/// Names the tag of those images.
const TAG: &str = "E2E_IMAGE_TAG";

/// Names a folder with programs that are used as they are, instead of building them.
const PROGRAMS: &str = "E2E_PROGRAMS";

/// How much of a program's digest becomes the tag of its image, in bytes.
const TAG_BYTES: usize = 6;

/// The names of the four images, each with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The operator.
    pub operator: Image,
    /// The gateway.
    pub gateway: Image,
    /// The stand-in for the Kommo MCP server.
    pub stand_in: Image,
    /// The agent.
    pub agent: Image,
    /// The folder with the programs that they were made of; `None` for the user's own.
    pub programs: Option<PathBuf>,
}

/// An image's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The registry, and the path in it.
    pub registry: String,
    /// The name.
    pub name: String,
    /// The tag.
    pub tag: String,
}

impl Images {
    /// Provides them: builds the programs, makes images of them and loads those into the disposable cluster; or takes
    /// the user's word for it that a registry has them.
    ///
    /// # Errors
    ///
    /// If a program cannot be built or an image not be made or loaded.
    pub fn provide(cluster: &Cluster) -> Result<Self, Error> {
        match cluster.folder() {
            Some(folder) => Self::make(cluster, &folder.with_extension("images")),
            None => Self::of_registry(),
        }
    }

    fn of_registry() -> Result<Self, Error> {
        let registry = env::var(REGISTRY).unwrap_or_default();
        promise(!registry.is_empty(), || {
            format!("with a cluster of your own, {REGISTRY} has to say where its images come from")
        })?;
        let tag = env::var(TAG).unwrap_or_else(|_| env!("CARGO_PKG_VERSION").to_owned());
        let image =
            |name: &str| Image { registry: registry.clone(), name: name.to_owned(), tag: tag.clone() };
        Ok(Self {
            operator: image("toolgate-operator"),
            gateway: image("toolgate-gateway"),
            stand_in: image("kommo-stand-in"),
            agent: image("agent"),
            programs: None,
        })
    }

    /// An image of files that are no program of ours, loaded into the disposable cluster. The first file is run.
    ///
    /// # Errors
    ///
    /// [`Error::NotUsable`] with a cluster of the user's own; others if it cannot be made or loaded.
    pub fn of_files(cluster: &Cluster, name: &str, files: &[String]) -> Result<Image, Error> {
        let own = || Error::NotUsable(format!("there is no image {name} for a cluster of your own"));
        let folder = cluster.folder().ok_or_else(own)?.with_extension("images");
        let image = Image { registry: "localhost".to_owned(), name: name.to_owned(), tag: "e2e".to_owned() };
        let archive = folder.join(format!("{name}.tar")).display().to_string();
        let (named, mut arguments) = (image.to_string(), vec![]);
        arguments.extend([named.as_str(), archive.as_str()]);
        arguments.extend(files.iter().map(String::as_str));
        cluster.script("image", &arguments)?.success()?;
        cluster.script("load", &[&archive])?.success()?;
        Ok(image)
    }

    fn make(cluster: &Cluster, folder: &Path) -> Result<Self, Error> {
        let programs = programs()?;
        let mut archives = Vec::new();
        let mut image = |name: &str| make(cluster, &programs.join(name), name, folder, &mut archives);
        let images = Self {
            operator: image("toolgate-operator")?,
            gateway: image("toolgate-gateway")?,
            stand_in: image("kommo-stand-in")?,
            agent: image("agent")?,
            programs: Some(programs.clone()),
        };
        let archives: Vec<&str> = archives.iter().map(String::as_str).collect();
        cluster.script("load", &archives)?.success()?;
        Ok(images)
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}:{}", self.registry, self.name, self.tag)
    }
}

/// Where the programs are, built from the sources as they are now.
fn programs() -> Result<PathBuf, Error> {
    if let Some(folder) = env::var_os(PROGRAMS) {
        return Ok(folder.into());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // As the tests were built, so that no dependency is built twice.
    build.args(["build", "--quiet", "--locked", "--workspace", "--bins"]).current_dir(root());
    command::run(&mut build, "", Deadline::Build)?.success()?;
    let own = env::current_exe();
    let own = own.map_err(|source| Error::File { path: "the running program".to_owned(), source })?;
    // A test lies one folder deeper than a program.
    let folder = own.ancestors().skip(1).find(|folder| folder.join("toolgate-gateway").is_file());
    folder
        .map(Path::to_owned)
        .ok_or_else(|| Error::Broken("the built programs are not beside this one".to_owned()))
}

// The tag is of the program's bytes: a pod that was made from another build has another image.
fn make(
    cluster: &Cluster,
    program: &Path,
    name: &str,
    folder: &Path,
    archives: &mut Vec<String>,
) -> Result<Image, Error> {
    let failed = |source| Error::File { path: program.display().to_string(), source };
    let digest = Sha256::digest(fs::read(program).map_err(failed)?);
    let tag = digest.iter().take(TAG_BYTES).fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
    let image = Image { registry: "localhost".to_owned(), name: name.to_owned(), tag };
    let archive = folder.join(format!("{name}.tar")).display().to_string();
    let program = program.display().to_string();
    cluster.script("image", &[&image.to_string(), &archive, &program])?.success()?;
    archives.push(archive);
    Ok(image)
}
