//! File mode: the same objects in files, rendered here, read again when they change.
//!
//! A change is believed when two looks in a row find the same: a file that is being written, or a folder of which only
//! some files are there yet, never is a policy. A file that is no YAML keeps what it said before, and holds nothing
//! back that other files say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toolgate_crds::McpServerSpec;
use toolgate_policy::{Candidate, Documents, Inputs, render};

use super::{refuse, swap};
use crate::gateway::Gateway;
use crate::in_force::Swap;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long a change has to last to be believed.
const SETTLE: Duration = Duration::from_millis(50);
/// The most files of a folder.
pub const FILES_MAX: usize = 1000;

type Texts = BTreeMap<PathBuf, String>;

/// The files of one configuration, as they were read last.
#[derive(Debug, Default)]
pub struct Files {
    path: PathBuf,
    server: Option<String>,
    // None: they could not be read, so that whatever is read next is news.
    texts: Option<Texts>,
    // Read once, and not believed yet.
    unsettled: Option<Texts>,
    // Of every file the last text that was YAML.
    readable: Texts,
    documents: Documents,
}

impl Files {
    /// A file, or a folder of files that end in `.yaml`, `.yml` or `.json`; and the server to guard, if several are in
    /// them.
    pub fn new(path: PathBuf, server: Option<String>) -> Self {
        Self { path, server, ..Self::default() }
    }

    /// The name of the server to guard; None while the files do not say it.
    ///
    /// # Errors
    /// When the files cannot be read, or hold several servers and none was named.
    pub fn server_name(&self) -> Result<Option<String>, String> {
        if let Some(name) = &self.server {
            return Ok(Some(name.clone()));
        }
        let mut documents = Documents::default();
        for (path, text) in &texts(&self.path)? {
            documents.read(&path.display().to_string(), text);
        }
        match documents.servers.as_slice() {
            [] => Ok(None),
            [server] => Ok(Some(server.name.clone())),
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

    /// Reads the files and puts in force what they say, at once.
    pub fn load(&mut self, gateway: &Gateway) {
        match texts(&self.path) {
            Ok(texts) => self.believe(gateway, texts),
            Err(error) => self.unread(gateway, error),
        }
        gateway.set_current();
    }

    /// Reads the files and puts in force what they say, if they said the same before. Answers whether they did.
    fn look(&mut self, gateway: &Gateway) -> bool {
        match texts(&self.path) {
            Ok(texts) if self.texts.as_ref() == Some(&texts) => self.unsettled = None,
            Ok(texts) if self.unsettled.as_ref() == Some(&texts) => self.believe(gateway, texts),
            Ok(texts) => self.unsettled = Some(texts),
            Err(error) => self.unread(gateway, error),
        }
        self.unsettled.is_none()
    }

    fn believe(&mut self, gateway: &Gateway, texts: Texts) {
        let documents = self.read(&texts);
        (self.texts, self.unsettled) = (Some(texts), None);
        self.apply(gateway, documents);
    }

    fn unread(&mut self, gateway: &Gateway, error: String) {
        (self.texts, self.unsettled) = (None, None);
        if gateway.holder.trouble() != [error.clone()] {
            refuse(gateway, vec![error]);
        }
    }

    // `unreadable` is left to say that there is a file of which nobody knows what it ever said.
    fn read(&mut self, texts: &Texts) -> Documents {
        let mut documents = Documents::default();
        self.readable.retain(|path, _| texts.contains_key(path));
        for (path, text) in texts {
            let file = path.display().to_string();
            let mut alone = Documents::default();
            alone.read(&file, text);
            if !alone.unreadable {
                self.readable.insert(path.clone(), text.clone());
                documents.read(&file, text);
                continue;
            }
            let told = documents.faults.len();
            match self.readable.get(path) {
                Some(last) => documents.read(&file, last),
                None => documents.unreadable = true,
            }
            // Lines of a text that is gone would lead nowhere.
            documents.faults.truncate(told);
            documents.faults.append(&mut alone.faults);
        }
        documents
    }

    fn apply(&mut self, gateway: &Gateway, mut documents: Documents) {
        let mut trouble: Vec<String> = documents.faults.iter().map(ToString::to_string).collect();
        let current = gateway.holder.current();
        if documents.unreadable {
            if current.is_none() {
                return refuse(gateway, trouble);
            }
            // What is missed may be in that file. Grants are not missed: taking away is never held back.
            keep_missing(&mut documents.servers, &self.documents.servers);
            keep_missing(&mut documents.policies, &self.documents.policies);
        }
        number(&mut documents.servers, &self.documents.servers);
        number(&mut documents.policies, &self.documents.policies);
        number(&mut documents.grants, &self.documents.grants);
        self.documents = documents;
        let wanted = |server: &&Candidate<_>| self.server.as_ref().is_none_or(|name| *name == server.name);
        let servers: Vec<&Candidate<_>> = self.documents.servers.iter().filter(wanted).collect();
        let [server] = servers.as_slice() else {
            trouble.push(format!("expected one McpServer, found {}", servers.len()));
            return refuse(gateway, trouble);
        };
        let (policies, grants) =
            (beside(server, &self.documents.policies), beside(server, &self.documents.grants));
        let rendered = render(&Inputs {
            server,
            policies: &policies,
            grants: &grants,
            previous: current.as_ref().map(|in_force| &in_force.bundle),
            revision_floor: 0,
        });
        if let Some(bundle) = rendered.bundle
            && swap(gateway, bundle) == Swap::Refused
        {
            trouble.splice(..0, gateway.holder.trouble());
        }
        if !trouble.is_empty() {
            refuse(gateway, trouble);
        }
    }
}

/// Looks at the files for ever.
pub async fn follow(gateway: Arc<Gateway>, mut files: Files) {
    let mut settled = true;
    loop {
        tokio::time::sleep(if settled { LOOK } else { SETTLE }).await;
        settled = files.look(&gateway);
    }
}

fn texts(path: &Path) -> Result<Texts, String> {
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

fn keep_missing<S: Clone>(candidates: &mut Vec<Candidate<S>>, before: &[Candidate<S>]) {
    let missing = before.iter().filter(|known| candidates.iter().all(|found| found.uid != known.uid));
    let missing: Vec<Candidate<S>> = missing.cloned().collect();
    candidates.extend(missing);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Credentials;
    use crate::metrics::Metrics;
    use crate::session::Seal;
    use crate::upstream::Client;

    const SERVER: &str = "{apiVersion: toolgate.dev/v1alpha1, kind: McpServer, metadata: {name: crm}, \
                          spec: {upstream: {url: 'http://127.0.0.1:1/mcp'}}}";
    const POLICY: &str = "\
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: sales}
spec:
  targetRefs: [{kind: McpServer, name: crm}]
  default: allow
";

    fn gateway() -> Gateway {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let (metrics, seal) = (Metrics::new("crm").unwrap(), Seal::new().unwrap());
        Gateway::new(metrics, Credentials::new(None), seal, Client::new().unwrap(), Vec::new())
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("toolgate-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("server.yaml"), SERVER).unwrap();
        folder
    }

    fn hidden(gateway: &Gateway) -> Vec<Vec<String>> {
        let in_force = gateway.holder.current().unwrap();
        let specs = in_force.bundle.policies.iter().filter_map(|policy| policy.spec.as_ref());
        specs.map(|spec| spec.hide.clone()).collect()
    }

    #[test]
    fn a_half_written_file_is_never_in_force() {
        let (gateway, folder) = (gateway(), folder("half"));
        let whole = |tool: &str| format!("{POLICY}  hide: [{tool}]\n");
        std::fs::write(folder.join("sales.yaml"), whole("a")).unwrap();
        let mut files = Files::new(folder.clone(), None);
        files.load(&gateway);
        assert_eq!(hidden(&gateway), [["a"]]);
        // Cut off where it still is YAML, it would hide nothing.
        std::fs::write(folder.join("sales.yaml"), POLICY).unwrap();
        assert!(!files.look(&gateway));
        std::fs::write(folder.join("sales.yaml"), whole("b")).unwrap();
        assert!(!files.look(&gateway));
        assert_eq!(hidden(&gateway), [["a"]]);
        assert!(files.look(&gateway));
        assert_eq!(hidden(&gateway), [["b"]]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_policy_that_moved_into_a_file_that_is_no_yaml_is_still_in_force() {
        let (gateway, folder) = (gateway(), folder("moved"));
        let text = format!("{POLICY}  hide: [a]\n");
        std::fs::write(folder.join("sales.yaml"), &text).unwrap();
        let mut files = Files::new(folder.clone(), None);
        files.load(&gateway);
        std::fs::remove_file(folder.join("sales.yaml")).unwrap();
        std::fs::write(folder.join("renamed.yaml"), text.clone() + "  tools: {a: [\n").unwrap();
        files.load(&gateway);
        assert_eq!(hidden(&gateway), [["a"]]);
        std::fs::remove_file(folder.join("renamed.yaml")).unwrap();
        files.load(&gateway);
        assert!(hidden(&gateway).is_empty(), "without that file it is deleted");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
