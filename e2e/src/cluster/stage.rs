//! A namespace with everything that a scenario needs: the guarded server, the agent, the samples.

use serde_json::Value;

use crate::kommo::Counts;

use super::agent::{self, Caller};
use super::images::Images;
use super::kubectl::Kubectl;
use super::metrics::Metrics;
use super::place::{Cluster, root};
use super::{Error, eventually, parsed, promise};

/// The sample server.
pub const SERVER: &str = "mcpserver/kommo";
/// The sample policy.
pub const POLICY: &str = "toolpolicy/kommo-sales";
/// The sample grant's name.
pub const GRANT: &str = "sales-agent";

/// What the stand-in demands of the gateway. It is no secret: it opens nothing that lasts.
const UPSTREAM_TOKEN: &str = "toolgate-upstream-token";
/// What gateway pods are found by.
const GATEWAY_PODS: &str = "--selector=app.kubernetes.io/name=toolgate,app.kubernetes.io/component=gateway";
/// The gateways' port for health, metrics and the revision.
const ADMIN_PORT: u16 = 9090;
/// The stand-in's port.
const STAND_IN_PORT: u16 = 3001;

/// A namespace in which a scenario is played.
#[derive(Debug)]
pub struct Stage<'c> {
    /// The cluster.
    pub cluster: &'c Cluster,
    /// kubectl for the namespace.
    pub kubectl: Kubectl,
    /// The images.
    pub images: &'c Images,
    name: String,
}

impl<'c> Stage<'c> {
    /// Makes the namespace, and in it the guarded server and the idle agent. Both run when this returns.
    ///
    /// # Errors
    ///
    /// If the namespace is there already, or if something in it does not come to run.
    pub fn set(cluster: &'c Cluster, images: &'c Images, name: &str) -> Result<Self, Error> {
        let namespace = filled(include_str!("../../manifests/namespace.yaml"), &[("NAMESPACE", name)])?;
        cluster.kubectl.attempt(&["create", "--filename", "-"], &namespace)?.success()?;
        let kubectl = cluster.kubectl.in_namespace(name);
        let stage = Self { cluster, kubectl, images, name: name.to_owned() };
        let stand_in =
            [("STAND_IN_IMAGE", &*images.stand_in.to_string()), ("UPSTREAM_TOKEN", UPSTREAM_TOKEN)];
        stage.kubectl.apply(&filled(include_str!("../../manifests/stand-in.yaml"), &stand_in)?)?;
        stage.kubectl.apply(&agent::manifest(images)?)?;
        stage.kubectl.wait("condition=Ready", &["pod/agent"])?;
        stage.kubectl.wait("condition=Available", &["deployment/kommo-mcp"])?;
        Ok(stage)
    }

    /// Applies a manifest of more pods, with its `@NAMES@` replaced. The agent's image is known.
    ///
    /// # Errors
    ///
    /// If a name is left, or if an object is refused.
    pub fn fill(&self, manifest: &str, values: &[(&str, &str)]) -> Result<(), Error> {
        let image = self.images.agent.to_string();
        let values = [values, &[("AGENT_IMAGE", &*image)]].concat();
        self.kubectl.apply(&filled(manifest, &values)?)?;
        Ok(())
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies the samples as the README says, and waits until they are in force.
    ///
    /// # Errors
    ///
    /// If they are refused or do not come in force.
    pub fn apply_samples(&self) -> Result<(), Error> {
        self.kubectl.run(&["apply", "--filename", &samples()])?;
        self.kubectl.wait("condition=Programmed", &[POLICY, "toolgrant/sales-agent"])?;
        self.kubectl.wait("condition=Ready", &[SERVER])?;
        Ok(())
    }

    /// The idle agent, with the token of the sample grant.
    ///
    /// # Errors
    ///
    /// If the server's status has no URL yet.
    pub fn caller(&self) -> Result<Caller<'_>, Error> {
        let url = self.url()?;
        Ok(Caller::new(self, url, GRANT))
    }

    /// Where the gateway is reached from inside the cluster, as the server's status says.
    ///
    /// # Errors
    ///
    /// If it does not say.
    pub fn url(&self) -> Result<String, Error> {
        let url = self.kubectl.value(SERVER, ".status.url")?;
        promise(url.starts_with("http://"), || format!("the status of {SERVER} has no URL: {url:?}"))?;
        Ok(url)
    }

    /// The gateway's pods, those that are going too.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub fn gateways(&self) -> Result<Vec<Value>, Error> {
        self.kubectl.items(&["pods", GATEWAY_PODS])
    }

    /// Waits until the sample server's gateways are of its last template, and only so many are there.
    ///
    /// # Errors
    ///
    /// If that does not come about.
    pub fn rolled_out(&self, gateways: usize) -> Result<(), Error> {
        self.kubectl.rolled_out("kommo-toolgate")?;
        eventually("the gateways before are gone", || Ok(self.gateways()?.len() == gateways))
    }

    /// The one gateway pod's name.
    ///
    /// # Errors
    ///
    /// If there is not exactly one.
    pub fn gateway(&self) -> Result<String, Error> {
        let pods = self.gateways()?;
        let names: Vec<&str> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
        match names.as_slice() {
            [name] => Ok((*name).to_owned()),
            _ => Err(Error::Broken(format!("expected one gateway pod, there are {names:?}"))),
        }
    }

    /// What the gateway's metrics say.
    ///
    /// # Errors
    ///
    /// If there is not one gateway pod, or if it does not answer.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        Ok(Metrics::read(&self.metrics_page()?))
    }

    /// The gateway's metrics as they are.
    ///
    /// # Errors
    ///
    /// If there is not one gateway pod, or if it does not answer.
    pub fn metrics_page(&self) -> Result<String, Error> {
        Ok(self.kubectl.pod_port(&self.gateway()?, ADMIN_PORT, "/metrics")?)
    }

    /// How many calls reached the guarded server.
    ///
    /// # Errors
    ///
    /// If the stand-in does not answer.
    pub fn record(&self) -> Result<Counts, Error> {
        let pods = self.kubectl.items(&["pods", "--selector=app=kommo-mcp"])?;
        let pod = pods.first().and_then(|pod| pod["metadata"]["name"].as_str()).unwrap_or_default();
        parsed("the stand-in's record", &self.kubectl.pod_port(pod, STAND_IN_PORT, "/record/counts")?)
    }
}

/// Where the samples are.
pub fn samples() -> String {
    root().join("crds/samples").display().to_string()
}

/// A manifest with its `@NAMES@` replaced.
///
/// # Errors
///
/// If a name is left.
pub(super) fn filled(manifest: &str, values: &[(&str, &str)]) -> Result<String, Error> {
    let replaced = |text: String, (name, value): &(&str, &str)| text.replace(&format!("@{name}@"), value);
    let text = values.iter().fold(manifest.to_owned(), replaced);
    let left = text.lines().find(|line| line.matches('@').count() > 1);
    promise(left.is_none(), || format!("a manifest names a value that nobody gives: {left:?}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_filled_or_refused() {
        assert_eq!(filled("image: \"@IMAGE@\"", &[("IMAGE", "a:1")]).expect("filled"), "image: \"a:1\"");
        assert!(filled("image: \"@IMAGE@\"", &[]).is_err());
    }
}
