//! Taking the API server away, and killing a container without it. Only for the disposable cluster, whose processes
//! were started here.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::command::{self, Deadline};
use super::place::Cluster;
use super::{Error, promise};

/// The API server, stopped. It goes on when this is dropped.
#[derive(Debug)]
pub struct Frozen {
    process: u32,
}

impl Frozen {
    /// Stops the API server of a disposable cluster where it stands: requests to it are neither answered nor refused.
    ///
    /// # Errors
    ///
    /// If the cluster is the user's own, or if its API server is not found.
    pub fn api_server(cluster: &Cluster) -> Result<Self, Error> {
        let folder =
            cluster.folder().ok_or_else(|| Error::Broken("not on a cluster of your own".to_owned()))?;
        let path = folder.join("init");
        let init = fs::read_to_string(&path);
        let init = init.map_err(|source| Error::File { path: path.display().to_string(), source })?;
        // Process 1 as the host numbers it, then its network, mount and pid namespaces.
        let namespace = init.split_whitespace().nth(3).unwrap_or_default().to_owned();
        let is_ours = |folder: &Path| {
            fs::read_link(folder.join("ns/pid")).is_ok_and(|link| link.as_os_str() == namespace.as_str())
        };
        let process = only("kube-apiserver", is_ours)?;
        signal("-STOP", process)?;
        Ok(Self { process })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = signal("-CONT", self.process) {
            eprintln!("the API server stays frozen: {error}");
        }
    }
}

/// Kills the gateway's process in a pod, by the pod's UID. The kubelet starts the container again.
///
/// # Errors
///
/// If there is not exactly one such process.
pub fn restart_container(pod_uid: &str) -> Result<(), Error> {
    let is_in_pod = |folder: &Path| {
        fs::read_to_string(folder.join("cgroup")).is_ok_and(|cgroups| cgroups.contains(pod_uid))
    };
    // The kernel keeps 15 letters of a program's name.
    signal("-KILL", only("toolgate-gatewa", is_in_pod)?)
}

/// The one process of a name for which something holds, by its folder under `/proc`.
fn only(name: &str, holds: impl Fn(&Path) -> bool) -> Result<u32, Error> {
    let failed = |source| Error::File { path: "/proc".to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        let id = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        // A process that ended meanwhile has no name.
        let is_named = fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
        if let (Some(id), true) = (id, is_named && holds(&folder)) {
            found.push(id);
        }
    }
    promise(found.len() == 1, || format!("expected one process {name} in the cluster, there are {found:?}"))?;
    Ok(found[0])
}

fn signal(signal: &str, process: u32) -> Result<(), Error> {
    command::run(Command::new("kill").arg(signal).arg(process.to_string()), "", Deadline::Short)?
        .success()?;
    Ok(())
}
