//! File mode: the same objects in files, rendered here, read again when they change.
//!
//! A change is believed when it lasts: a file that is being written, or a folder of which only some files are there yet,
//! never is a policy. A file that is no YAML keeps what it said before, and holds nothing
//! back that other files say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use toolgate_crds::{McpServerSpec, Tls};
use toolgate_policy::{Candidate, Documents, Inputs, render};

use super::news::News;
use super::{refuse, swap};
use crate::gateway::Gateway;
use crate::in_force::Swap;

/// How often files are looked at though nobody said that they changed.
const LOOK: Duration = Duration::from_secs(1);
/// The same where the system does not tell of changes.
const LOOK_UNTOLD: Duration = Duration::from_millis(200);
/// How long a change has to last to be believed, while somebody writes there or nobody can tell.
const SETTLE: Duration = Duration::from_millis(50);
/// What is said when the files want another listener than there is.
const LISTENER_DIFFERS: &str =
    "spec.gateway.tls: it is not what this gateway's listener began with; start the gateway again";
/// How long it has to last when whoever wrote is known to be done: others may follow at once.
const SETTLE_WRITTEN: Duration = Duration::from_millis(10);
/// The most files of a folder.
pub const FILES_MAX: usize = 1000;

type Texts = BTreeMap<PathBuf, String>;

/// The files of one configuration, as they were read last.
#[derive(Debug, Default)]
pub struct Files {
    path: PathBuf,
    server: Option<String>,
    listener: Listener,
    // None: they could not be read, so that whatever is read next is news.
    texts: Option<Texts>,
    // Not believed yet, and since when it has been the same.
    unsettled: Option<(Texts, Instant)>,
    // Of every file the last text that was YAML.
    readable: Texts,
    documents: Documents,
}

/// Whose word the TLS of the listener is.
#[derive(Debug, Default)]
enum Listener {
    /// The command line's.
    #[default]
    Told,
    /// The files', as they were when it began.
    Began(Option<Tls>),
}

impl Listener {
    fn differs(&self, server: &Candidate<McpServerSpec>) -> bool {
        match self {
            Self::Told => false,
            Self::Began(began) => server.spec.is_ok() && began.as_ref() != tls_of(server),
        }
    }
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

    /// What the files say of the listener's TLS. From now on they may not say anything else: a listener is what it began as.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn choose_listener(&mut self) -> Result<Option<Tls>, String> {
        let mut documents = Documents::default();
        for (path, text) in &texts(&self.path)? {
            documents.read(&path.display().to_string(), text);
        }
        let tls = self.only(&documents).ok().and_then(|server| tls_of(server).cloned());
        self.listener = Listener::Began(tls.clone());
        Ok(tls)
    }

    /// Reads the files and puts in force what they say, at once.
    pub fn load(&mut self, gateway: &Gateway) {
        match texts(&self.path) {
            Ok(texts) => self.believe(gateway, texts),
            Err(error) => self.unread(gateway, error),
        }
        gateway.set_current();
    }

    /// Reads the files and puts in force what they say, if they have said the same for so long.
    fn look(&mut self, gateway: &Gateway, now: Instant, settle: Duration) {
        match (texts(&self.path), &self.unsettled) {
            (Ok(texts), _) if self.texts.as_ref() == Some(&texts) => self.unsettled = None,
            (Ok(texts), Some((seen, since))) if *seen == texts => {
                if now.saturating_duration_since(*since) >= settle {
                    self.believe(gateway, texts);
                }
            }
            (Ok(texts), _) => self.unsettled = Some((texts, now)),
            (Err(error), _) => self.unread(gateway, error),
        }
    }

    // Where the files are that were read last.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let texts = self.unsettled.as_ref().map(|(texts, _)| texts).or(self.texts.as_ref());
        texts.into_iter().flatten().map(|(path, _)| path.as_path())
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

    /// The one server to guard, or how many there are.
    fn only<'d>(&self, documents: &'d Documents) -> Result<&'d Candidate<McpServerSpec>, usize> {
        let wanted = |server: &&Candidate<_>| self.server.as_ref().is_none_or(|name| *name == server.name);
        let servers: Vec<&Candidate<_>> = documents.servers.iter().filter(wanted).collect();
        match servers.as_slice() {
            [server] => Ok(server),
            servers => Err(servers.len()),
        }
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
        let server = match self.only(&self.documents) {
            Ok(server) => server,
            Err(found) => {
                trouble.push(format!("expected one McpServer, found {found}"));
                return refuse(gateway, trouble);
            }
        };
        if self.listener.differs(server) {
            trouble.push(LISTENER_DIFFERS.to_owned());
            // Nobody is served who expects another listener than this one. But whom it serves already loses nothing by it, and
            // what is revoked has to be.
            if current.is_none() {
                return refuse(gateway, trouble);
            }
        }
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

/// Looks at the files whenever they change, and now and then, for ever.
pub async fn follow(gateway: Arc<Gateway>, mut files: Files) {
    let mut news = News::new();
    loop {
        news.watch(&files.path, files.paths());
        let pause = match &files.unsettled {
            Some((_, since)) => settle(&news).saturating_sub(since.elapsed()),
            None if news.are_told() => LOOK,
            None => LOOK_UNTOLD,
        };
        let _nothing_new = tokio::time::timeout(pause, news.next()).await;
        files.look(&gateway, Instant::now(), settle(&news));
        if files.unsettled.is_none() {
            news.believed();
        }
    }
}

fn tls_of(server: &Candidate<McpServerSpec>) -> Option<&Tls> {
    server.spec.as_ref().ok().and_then(McpServerSpec::tls)
}

fn settle(news: &News) -> Duration {
    if news.are_told() && !news.tell_of_writing() { SETTLE_WRITTEN } else { SETTLE }
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
    use crate::destinations::Destinations;
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
        Gateway::new(
            metrics,
            Credentials::new(None),
            seal,
            Client::new(Destinations::ANY).unwrap(),
            Vec::new(),
        )
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
        let start = Instant::now();
        files.look(&gateway, start, SETTLE);
        std::fs::write(folder.join("sales.yaml"), whole("b")).unwrap();
        files.look(&gateway, start + SETTLE, SETTLE);
        files.look(&gateway, start + SETTLE + SETTLE / 2, SETTLE);
        assert_eq!(hidden(&gateway), [["a"]], "what was read last has not lasted yet");
        files.look(&gateway, start + 2 * SETTLE, SETTLE);
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
