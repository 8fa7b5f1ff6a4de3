//! The law to explain: rendered from files as a gateway in file mode does, or compiled from a bundle.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use toolgate_crds::{FieldError, McpServerSpec, ObjectName, yaml};
use toolgate_policy::{
    BUNDLE_KEY, Bundle, Candidate, Documents, Fault, GZIP_KEY, HEAD_KEY, Head, Inputs, InvalidBundle, Law,
    compile, inflate, render,
};

use crate::arguments::Explain;
use crate::check::finding;
use crate::sources::{self, Unread};

/// What is in force at one server.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) namespace: String,
    pub(crate) server: String,
    /// None: it was read from files, which have none.
    pub(crate) revision: Option<i64>,
    pub(crate) law: Law,
}

/// Why there is no law to explain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unexplained {
    #[error("{0}")]
    Unread(String),
    #[error("there is no McpServer in what was read")]
    NoServer,
    #[error("no McpServer in what was read is the one that was named; there are: {0}")]
    OtherServers(String),
    #[error("name one of the servers with --server and --namespace: {0}")]
    SeveralServers(String),
    #[error("the McpServer {0} is not valid, so nothing is in force at it")]
    InvalidServer(String),
    #[error("a bundle is explained alone: give one bundle, or files, and not both")]
    Mixed,
    #[error("{0}: {1}")]
    Bundle(String, InvalidBundle),
    #[error("cannot be enforced: {0}")]
    Uncompiled(String),
}

impl InForce {
    /// Reads what the command line names. Faults of files are told on stderr and do not end it: what they leave in force
    /// is what a gateway that starts with these files would enforce.
    ///
    /// # Errors
    /// When nothing is in force.
    pub(crate) fn read(arguments: &Explain) -> Result<Self, Unexplained> {
        let (found, unread) = sources::find(&arguments.paths, arguments.recursive);
        unread.into_iter().try_for_each(|unread| Err(unreadable(unread)))?;
        let mut documents = Documents::default();
        let mut bundles = Vec::new();
        for source in &found {
            let name = source.to_string();
            let text = sources::read(source).map_err(unreadable)?;
            match bundle(&text) {
                Some(read) => bundles.push((name, read)),
                None => documents.read(&name, &text),
            }
        }
        match bundles.pop() {
            None => of_files(&documents, arguments),
            Some(_) if found.len() > 1 => Err(Unexplained::Mixed),
            Some((name, read)) => {
                let bundle = read.map_err(|invalid| Unexplained::Bundle(name, invalid))?;
                if !is_wanted(&bundle.server.name, &bundle.server.namespace, arguments) {
                    let there = format!("{}/{}", bundle.server.namespace, bundle.server.name);
                    return Err(Unexplained::OtherServers(there));
                }
                Self::of_bundle(&bundle, Some(bundle.revision))
            }
        }
    }

    fn of_bundle(bundle: &Bundle, revision: Option<i64>) -> Result<Self, Unexplained> {
        let law = compile(bundle).map_err(|errors| Unexplained::Uncompiled(joined(&errors)))?;
        let (namespace, server) = (bundle.server.namespace.clone(), bundle.server.name.clone());
        Ok(Self { namespace, server, revision, law })
    }
}

fn of_files(documents: &Documents, arguments: &Explain) -> Result<InForce, Unexplained> {
    tell(&documents.faults);
    if documents.unreadable {
        return Err(Unexplained::Unread("a file is no YAML, so nobody knows what it says".to_owned()));
    }
    let server = chosen(&documents.servers, arguments)?;
    let rendered = render(&Inputs {
        server,
        policies: &beside(server, &documents.policies),
        grants: &beside(server, &documents.grants),
        previous: None,
        revision_floor: 0,
    });
    let bundle = rendered.bundle.ok_or_else(|| Unexplained::InvalidServer(server.name.clone()))?;
    InForce::of_bundle(&bundle, None)
}

type Server = Candidate<McpServerSpec>;

fn chosen<'a>(servers: &'a [Server], arguments: &Explain) -> Result<&'a Server, Unexplained> {
    let names = |servers: &[&Server]| {
        let names: Vec<String> =
            servers.iter().map(|server| format!("{}/{}", server.namespace, server.name)).collect();
        names.join(", ")
    };
    let all: Vec<&Server> = servers.iter().collect();
    let mut wanted = all.clone();
    wanted.retain(|server| is_wanted(&server.name, &server.namespace, arguments));
    match wanted.as_slice() {
        [server] => Ok(server),
        [] if all.is_empty() => Err(Unexplained::NoServer),
        [] => Err(Unexplained::OtherServers(names(&all))),
        several => Err(Unexplained::SeveralServers(names(several))),
    }
}

fn is_wanted(name: &str, namespace: &str, arguments: &Explain) -> bool {
    let is = |wanted: &Option<ObjectName>, found: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.as_str() == found)
    };
    is(&arguments.server, name) && is(&arguments.namespace, namespace)
}

// Objects reach no farther than their namespace.
fn beside<S: Clone>(server: &Server, candidates: &[Candidate<S>]) -> Vec<Candidate<S>> {
    candidates.iter().filter(|candidate| candidate.namespace == server.namespace).cloned().collect()
}

// A bundle as it is mounted, or the ConfigMap that holds it, or a list of those that do.
fn bundle(text: &str) -> Option<Result<Bundle, InvalidBundle>> {
    let documents = yaml::documents(text).ok()?;
    let [document] = documents.as_slice() else { return None };
    let value = &document.value;
    match value["kind"].as_str() {
        Some("ConfigMap") => of_config_maps(std::slice::from_ref(value)),
        Some("List" | "ConfigMapList") => of_config_maps(value["items"].as_array()?),
        _ => {
            (value.get("kind").is_none() && value.get("revision").is_some()).then(|| Bundle::from_json(text))
        }
    }
}

fn of_config_maps(config_maps: &[Value]) -> Option<Result<Bundle, InvalidBundle>> {
    let text = |key: &str| config_maps.iter().find_map(|config_map| config_map["data"][key].as_str());
    let bytes = |key: &str| {
        let found = config_maps.iter().find_map(|config_map| config_map["binaryData"][key].as_str());
        found.and_then(|found| STANDARD.decode(found).ok())
    };
    if let Some(whole) = text(BUNDLE_KEY) {
        return Some(Bundle::from_json(whole));
    }
    if let Some(compressed) = bytes(GZIP_KEY) {
        return Some(inflate(&compressed).and_then(|whole| Bundle::from_json(&whole)));
    }
    let joined = |head: Head| {
        let shards: Vec<Vec<u8>> = head.places().filter_map(|place| bytes(&place.to_string())).collect();
        head.join(&shards)
    };
    Some(Head::from_json(text(HEAD_KEY)?).and_then(joined))
}

fn tell(faults: &[Fault]) {
    let mut stderr = io::stderr().lock();
    for fault in faults {
        // Nobody can be told when stderr is closed.
        let _ = writeln!(stderr, "{}", finding::fault(fault.clone()));
    }
}

fn unreadable(unread: Unread) -> Unexplained {
    Unexplained::Unread(finding::fault(unread.into_fault()).to_string())
}

fn joined(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
