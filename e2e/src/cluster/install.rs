//! The chart, installed as a user installs it.

use serde_json::Value;

use super::images::Images;
use super::kubectl::Kubectl;
use super::metrics::Metrics;
use super::place::{Cluster, root};
use super::stage::filled;
use super::{Error, promise};

/// Where the operator is installed.
pub const RELEASE_NAMESPACE: &str = "toolgate-system";

/// The release's name.
const RELEASE: &str = "toolgate";

/// What the operator's pods are found by.
const OPERATOR_PODS: &str = "--selector=app.kubernetes.io/component=operator";

/// The installed operator.
#[derive(Debug)]
pub struct Operator<'c> {
    cluster: &'c Cluster,
    /// kubectl for its namespace.
    pub kubectl: Kubectl,
}

impl<'c> Operator<'c> {
    /// Installs the chart and waits until the operator is ready. A release that is there is replaced.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn install(cluster: &'c Cluster, images: &Images) -> Result<Self, Error> {
        let namespace =
            filled(include_str!("../../manifests/namespace.yaml"), &[("NAMESPACE", RELEASE_NAMESPACE)])?;
        cluster.kubectl.apply(&namespace)?;
        let chart = root().join("charts/toolgate").display().to_string();
        let settings = [
            format!("image.registry={}", images.operator.registry),
            format!("image.tag={}", images.operator.tag),
            format!("gateway.image.registry={}", images.gateway.registry),
            format!("gateway.image.tag={}", images.gateway.tag),
        ];
        let mut arguments =
            vec!["upgrade", "--install", RELEASE, &chart, "--namespace", RELEASE_NAMESPACE, "--wait"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        cluster.helm(&arguments)?.success()?;
        Ok(Self { cluster, kubectl: cluster.kubectl.in_namespace(RELEASE_NAMESPACE) })
    }

    /// Takes the release away.
    ///
    /// # Errors
    ///
    /// If helm refuses to.
    pub fn uninstall(&self) -> Result<(), Error> {
        let arguments = ["uninstall", RELEASE, "--namespace", RELEASE_NAMESPACE, "--wait"];
        self.cluster.helm(&arguments)?.success()?;
        Ok(())
    }

    /// The operator's pods, those that are going too.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    pub fn pods(&self) -> Result<Vec<Value>, Error> {
        self.kubectl.items(&["pods", OPERATOR_PODS])
    }

    /// The one operator pod's name.
    ///
    /// # Errors
    ///
    /// If there is not exactly one.
    pub fn pod(&self) -> Result<String, Error> {
        let pods = self.pods()?;
        let names: Vec<&str> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
        match names.as_slice() {
            [name] => Ok((*name).to_owned()),
            _ => Err(Error::Broken(format!("expected one operator pod, there are {names:?}"))),
        }
    }

    /// What the operator's metrics say.
    ///
    /// # Errors
    ///
    /// If there is not one pod, or if it does not answer.
    pub fn metrics(&self) -> Result<Metrics, Error> {
        Ok(Metrics::read(&self.kubectl.pod_port(&self.pod()?, 8080, "/metrics")?))
    }

    /// Deletes the operator's pod and waits until another one is ready.
    ///
    /// # Errors
    ///
    /// If none comes.
    pub fn restart(&self) -> Result<(), Error> {
        let before = self.pod()?;
        self.kubectl.run(&["delete", "pod", &before])?;
        self.kubectl.wait("condition=Available", &["deployment", OPERATOR_PODS])?;
        let after = self.pod()?;
        promise(after != before, || format!("{after} was not replaced"))
    }
}
