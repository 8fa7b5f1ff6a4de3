//! File mode: the same objects in files, rendered here, read again when they change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toolgate_crds::McpServerSpec;
use toolgate_policy::{Candidate, Documents, Inputs, render};

use super::{refuse, swap};
use crate::gateway::Gateway;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The most files of a folder.
pub const FILES_MAX: usize = 1000;

/// The files of one configuration, as they were read last.
#[derive(Debug, Default)]
pub struct Files {
    path: PathBuf,
    server: Option<String>,
    texts: BTreeMap<PathBuf, String>,
    documents: Documents,
}

impl Files {
    /// A file, or a folder of files that end in `.yaml`, `.yml` or `.json`; and the server to guard, if several are in
    /// them.
    pub fn new(path: PathBuf, server: Option<String>) -> Self {
        Self { path, server, ..Self::default() }
    }

    /// The name of the server to guard.
    ///
    /// # Errors
    /// When the files cannot be read, or hold no server, or several and none was named.
    pub fn server_name(&self) -> Result<String, String> {
        if let Some(name) = &self.server {
            return Ok(name.clone());
        }
        let documents = read(&texts(&self.path)?);
        match documents.servers.as_slice() {
            [server] => Ok(server.name.clone()),
            [] => Err(format!("{}: there is no McpServer", self.path.display())),
            servers => {
                let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
                Err(format!(
                    "{}: name one of the servers with --server: {}",
                    self.path.display(),
                    names.join(", ")
                ))
            }
        }
    }

    /// Reads the files and puts in force what they say.
    pub fn load(&mut self, gateway: &Gateway) {
        match texts(&self.path) {
            Ok(texts) if texts != self.texts => {
                self.texts = texts;
                self.apply(gateway);
            }
            Ok(_) => {}
            Err(error) if gateway.holder.trouble() == [error.clone()] => {}
            Err(error) => refuse(gateway, vec![error]),
        }
        gateway.set_current();
    }

    fn apply(&mut self, gateway: &Gateway) {
        let mut documents = read(&self.texts);
        let trouble: Vec<String> = documents.faults.iter().map(ToString::to_string).collect();
        // What cannot be read at all might have said anything: nothing of this edit is believed.
        if documents.unreadable {
            return refuse(gateway, trouble);
        }
        number(&mut documents.servers, &self.documents.servers);
        number(&mut documents.policies, &self.documents.policies);
        number(&mut documents.grants, &self.documents.grants);
        self.documents = documents;
        let wanted = |server: &&Candidate<_>| self.server.as_ref().is_none_or(|name| *name == server.name);
        let servers: Vec<&Candidate<_>> = self.documents.servers.iter().filter(wanted).collect();
        let [server] = servers.as_slice() else {
            return refuse(gateway, vec![format!("expected one McpServer, found {}", servers.len())]);
        };
        let current = gateway.holder.current();
        let (policies, grants) =
            (beside(server, &self.documents.policies), beside(server, &self.documents.grants));
        let rendered = render(&Inputs {
            server,
            policies: &policies,
            grants: &grants,
            previous: current.as_ref().map(|in_force| &in_force.bundle),
            revision_floor: 0,
        });
        if let Some(bundle) = rendered.bundle {
            swap(gateway, bundle);
        }
        if !trouble.is_empty() {
            refuse(gateway, trouble);
        }
    }
}

/// Looks at the files for ever.
pub async fn follow(gateway: Arc<Gateway>, mut files: Files) {
    loop {
        tokio::time::sleep(LOOK).await;
        files.load(&gateway);
    }
}

fn read(texts: &BTreeMap<PathBuf, String>) -> Documents {
    let mut documents = Documents::default();
    for (path, text) in texts {
        documents.read(&path.display().to_string(), text);
    }
    documents
}

fn texts(path: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut paths = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(|error| failed(path, error))? {
            let file = entry.map_err(|error| failed(path, error))?.path();
            if file.is_file()
                && file.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
            {
                paths.push(file);
            }
        }
    } else {
        paths.push(path.to_owned());
    }
    if paths.len() > FILES_MAX {
        return Err(format!("{}: {} files; at most {FILES_MAX} are read", path.display(), paths.len()));
    }
    let text = |path: PathBuf| match std::fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => Err(failed(&path, error)),
    };
    paths.into_iter().map(text).collect()
}

// Objects reach no farther than their namespace.
fn beside<S: Clone>(server: &Candidate<McpServerSpec>, candidates: &[Candidate<S>]) -> Vec<Candidate<S>> {
    candidates.iter().filter(|candidate| candidate.namespace == server.namespace).cloned().collect()
}

// What an API server does: an object whose spec was edited gets the next generation.
fn number<S: PartialEq>(candidates: &mut [Candidate<S>], before: &[Candidate<S>]) {
    for candidate in candidates {
        let known = before.iter().find(|known| known.uid == candidate.uid);
        candidate.generation =
            known.map_or(1, |known| known.generation + i64::from(known.spec != candidate.spec));
    }
}
