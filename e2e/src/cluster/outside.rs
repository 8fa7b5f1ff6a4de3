//! The agent on the host's files and in the cluster's network: for when no pod can be reached because the API server
//! is away. Only for the disposable cluster.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::agent::{Outcome, Sighting};

use super::agent::{SAMPLE_TOKEN, sighting};
use super::place::Cluster;
use super::stage::Stage;
use super::{Error, promise};

/// How long an outcome is waited for, in seconds.
const WAIT_SECONDS: &str = "30";

/// The agent outside of any pod, with the token of the sample grant.
#[derive(Debug)]
pub struct Outside<'c> {
    cluster: &'c Cluster,
    agent: PathBuf,
    url: String,
    token: PathBuf,
}

impl<'c> Outside<'c> {
    /// The agent, made ready while everything can still be asked for.
    ///
    /// # Errors
    ///
    /// If the gateway's Service has no address, or if the cluster is the user's own.
    pub fn of(stage: &Stage<'c>) -> Result<Self, Error> {
        let address = stage.kubectl.value("service/kommo-toolgate", ".spec.clusterIP")?;
        let own = || Error::NotUsable("only pods are in the network of a cluster of your own".to_owned());
        let folder = stage.cluster.folder().ok_or_else(own)?;
        let agent = stage.images.programs.as_ref().ok_or_else(own)?.join("agent");
        let token = folder.with_extension("token");
        let failed = |source| Error::File { path: token.display().to_string(), source };
        fs::write(&token, SAMPLE_TOKEN).map_err(failed)?;
        Ok(Self { cluster: stage.cluster, agent, url: format!("http://{address}/mcp"), token })
    }

    /// Calls a tool until an outcome is seen.
    ///
    /// # Errors
    ///
    /// If it is not seen in time.
    pub fn until(&self, tool: &str, arguments: &Value, outcome: Outcome) -> Result<Sighting, Error> {
        let (token, arguments) = (self.token.display().to_string(), arguments.to_string());
        let to = ["--url", &self.url, "--token-file", &token];
        let call =
            ["until", tool, &arguments, "--outcome", outcome.name(), "--timeout-seconds", WAIT_SECONDS];
        let sighting = sighting(&self.cluster.enter(&self.agent, &[to.as_slice(), &call].concat())?)?;
        promise(sighting.seen, || format!("{tool} was never {}: {:?}", outcome.name(), sighting.last))?;
        Ok(sighting)
    }
}
