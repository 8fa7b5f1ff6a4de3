//! Which cluster is used: the user's own, or the disposable one of `e2e/cluster`, started if need be.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::{self, CommandError, Deadline, Ran};
use super::kubectl::Kubectl;
use super::{EXIT_CANNOT_BE_USED_HERE, Error, promise};

/// Names the kubeconfig of a cluster that is there already.
const OWN_CLUSTER: &str = "E2E_KUBECONFIG";

/// Names the folder of the disposable cluster, as the scripts of `e2e/cluster` take it.
const CLUSTER_DIR: &str = "CLUSTER_DIR";

/// What `up` says when it has started a cluster, and not when it found one.
const STARTED: &str = "the cluster is up after";

/// A cluster that can be used.
#[derive(Debug)]
pub struct Cluster {
    /// kubectl for it, without a namespace.
    pub kubectl: Kubectl,
    helm: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The user's own.
    Own,
    /// The disposable one.
    Local {
        /// Its folder.
        folder: PathBuf,
        /// Whether it was started here, and so is ended here.
        is_started_here: bool,
        /// Two runs at the same time would take each other's objects away. It is held for as long as this lives.
        _lock: File,
    },
}

impl Cluster {
    /// The cluster to use. `name` is that of the disposable one's folder, unless `CLUSTER_DIR` names another.
    ///
    /// # Errors
    ///
    /// [`Error::NotUsable`] if none can run here; others if it should but does not come up.
    pub fn ready(name: &str) -> Result<Self, Error> {
        match env::var_os(OWN_CLUSTER) {
            Some(kubeconfig) => Ok(Self {
                kubectl: Kubectl::new("kubectl".into(), kubeconfig.into()),
                helm: "helm".into(),
                place: Place::Own,
            }),
            None => Self::local(name),
        }
    }

    fn local(name: &str) -> Result<Self, Error> {
        let folder =
            env::var_os(CLUSTER_DIR).map_or_else(|| scripts().join(".cache").join(name), PathBuf::from);
        let lock = lock(&folder.with_extension("users"))?;
        let is_started_here = up(&folder)?;
        let programs = scripts().join(".cache/bin");
        Ok(Self {
            kubectl: Kubectl::new(programs.join("kubectl"), folder.join("kubeconfig")),
            helm: programs.join("helm"),
            place: Place::Local { folder, is_started_here, _lock: lock },
        })
    }

    /// The folder of the disposable cluster; `None` for the user's own.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Own => None,
            Place::Local { folder, .. } => Some(folder),
        }
    }

    /// A folder for files of a run, which nobody needs after it.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub(super) fn scratch(&self) -> Result<PathBuf, Error> {
        let folder = match &self.place {
            Place::Own => env::temp_dir().join(format!("toolgate-e2e-{}", std::process::id())),
            Place::Local { folder, .. } => folder.with_extension("scratch"),
        };
        let failed = |source| Error::File { path: folder.display().to_string(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        Ok(folder)
    }

    /// Whether the cluster was started here, and ends with [`Cluster::leave`].
    pub fn is_started_here(&self) -> bool {
        matches!(self.place, Place::Local { is_started_here: true, .. })
    }

    /// Ends the cluster if it was started here.
    ///
    /// # Errors
    ///
    /// If something of it is left.
    pub fn leave(self) -> Result<(), Error> {
        if self.is_started_here() {
            self.script("down", &[])?.success()?;
        }
        Ok(())
    }

    /// Runs helm, whatever comes of it.
    ///
    /// # Errors
    ///
    /// If it cannot be run or does not end in time.
    pub fn helm(&self, arguments: &[&str]) -> Result<Ran, CommandError> {
        let mut helm = Command::new(&self.helm);
        helm.env("KUBECONFIG", self.kubectl.kubeconfig()).args(arguments);
        command::run(&mut helm, "", Deadline::Long)
    }

    /// Runs a program of this machine in the cluster's network, where it reaches pods and Services by address.
    ///
    /// # Errors
    ///
    /// If the cluster is the user's own, which cannot be entered, or if the program cannot be run.
    pub fn enter(&self, program: &Path, arguments: &[&str]) -> Result<Ran, Error> {
        let program = program.to_string_lossy();
        let arguments: Vec<&str> =
            std::iter::once(program.as_ref()).chain(arguments.iter().copied()).collect();
        self.script("enter", &arguments)
    }

    /// Runs a script of the disposable cluster.
    pub(super) fn script(&self, name: &str, arguments: &[&str]) -> Result<Ran, Error> {
        let Some(folder) = self.folder() else {
            return Err(Error::Broken(format!("{name} is only for the disposable cluster")));
        };
        let mut command = Command::new(scripts().join(name));
        command.env(CLUSTER_DIR, folder).args(arguments);
        Ok(command::run(&mut command, "", Deadline::Long)?)
    }
}

/// The root of the repository.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster")
}

fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::File { path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::create(path).map_err(failed)?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another run to end: it holds {}", path.display());
        file.lock().map_err(failed)?;
    }
    Ok(file)
}

/// Starts the cluster, and answers whether it was not up before. What the script says is passed on as it comes: the
/// first time it builds for minutes.
fn up(folder: &Path) -> Result<bool, Error> {
    let script = scripts().join("up");
    let failed = |source| Error::File { path: script.display().to_string(), source };
    let mut command = Command::new(&script);
    command.env(CLUSTER_DIR, folder).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let mut lines = Vec::new();
    for line in child.stderr.take().into_iter().flat_map(|output| BufReader::new(output).lines()) {
        let line = line.map_err(failed)?;
        eprintln!("  {line}");
        lines.push(line);
    }
    let status = child.wait().map_err(failed)?;
    let last = lines.last().cloned().unwrap_or_default();
    if status.code() == Some(i32::from(EXIT_CANNOT_BE_USED_HERE)) {
        return Err(Error::NotUsable(last));
    }
    promise(status.success(), || format!("{} failed ({status}): {last}", script.display()))?;
    Ok(lines.iter().any(|line| line.starts_with(STARTED)))
}
