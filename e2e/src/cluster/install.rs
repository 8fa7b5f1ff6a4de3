//! The chart, installed as a user installs it.

use std::path::Path;

use serde_json::Value;

use super::audit::{Audit, Record};
use super::images::Images;
use super::kubectl::Kubectl;
use super::metrics::Metrics;
use super::place::{Cluster, root};
use super::stage::filled;
use super::{Error, eventually, promise};

/// Where the operator is installed.
pub const RELEASE_NAMESPACE: &str = "toolgate-system";

/// The one namespace whose server `kommo` the chart lets review tokens, as a user's settings would say.
pub const REVIEWED: &str = "only-live-credentials-open-a-server";

/// The custom resource definitions.
const CRDS: [&str; 3] = ["mcpservers.toolgate.dev", "toolpolicies.toolgate.dev", "toolgrants.toolgate.dev"];

/// What namespaces that were made here are found by.
pub(super) const OF_SCENARIOS: &str = "--selector=e2e.toolgate.dev/scenario";

/// The release's name.
pub(super) const RELEASE: &str = "toolgate";

/// What the operator's pods are found by.
const OPERATOR_PODS: &str = "--selector=app.kubernetes.io/component=operator";

/// Who the operator is to the API server.
const USER: &str = "system:serviceaccount:toolgate-system:toolgate-operator";

/// The operator's port for probes and metrics.
const PORT: u16 = 8080;

/// What only admission refuses, of each kind.
const UNKNOWN_KEYS: [&str; 3] = [
    "
apiVersion: toolgate.dev/v1alpha1
kind: McpServer
metadata: {name: unknown-key}
unknown: true
spec: {upstream: {url: 'http://nowhere:1/mcp'}}
",
    "
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: unknown-key}
unknown: true
spec: {targetRefs: [{kind: McpServer, name: nowhere}]}
",
    "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: unknown-key}
unknown: true
spec: {servers: [{name: nowhere}], subject: {type: ServiceAccount, serviceAccount: {name: nobody}}}
",
];

/// The installed operator.
#[derive(Debug)]
pub struct Operator<'c> {
    pub(super) cluster: &'c Cluster,
    images: &'c Images,
    /// kubectl for its namespace.
    pub kubectl: Kubectl,
}

impl<'c> Operator<'c> {
    /// Installs the chart and waits until the operator is ready. A release that is there is replaced.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub fn install(cluster: &'c Cluster, images: &'c Images) -> Result<Self, Error> {
        let namespace =
            filled(include_str!("../../manifests/namespace.yaml"), &[("NAMESPACE", RELEASE_NAMESPACE)])?;
        // One that an earlier run is still taking away cannot be used.
        let going = "jsonpath={.items[?(@.status.phase==\"Terminating\")].metadata.name}";
        let going = cluster.kubectl.run(&["get", "namespaces", "--output", going])?;
        if going.split_whitespace().any(|name| name == RELEASE_NAMESPACE) {
            cluster.kubectl.wait("delete", &[&format!("namespace/{RELEASE_NAMESPACE}")])?;
        }
        cluster.kubectl.apply(&namespace)?;
        let operator = Self { cluster, images, kubectl: cluster.kubectl.in_namespace(RELEASE_NAMESPACE) };
        operator.upgrade(&[])?;
        // The API server heeds new policies a moment after it has them; on a busy machine that is seconds.
        operator.until_admission_is("on", false)?;
        Ok(operator)
    }

    /// Installs the chart, or upgrades to it, with more settings.
    fn upgrade(&self, more: &[&str]) -> Result<(), Error> {
        self.upgrade_to(&root().join("charts/toolgate"), more)
    }

    pub(super) fn upgrade_to(&self, chart: &Path, more: &[&str]) -> Result<(), Error> {
        let Self { cluster, .. } = self;
        let chart = chart.display().to_string();
        let mut settings = self.image_settings();
        settings.extend([
            "gateway.tokenReview.servers[0].name=kommo".to_owned(),
            format!("gateway.tokenReview.servers[0].namespace={REVIEWED}"),
        ]);
        let mut arguments =
            vec!["upgrade", "--install", RELEASE, &chart, "--namespace", RELEASE_NAMESPACE, "--wait"];
        let settings = settings.iter().map(String::as_str).chain(more.iter().copied());
        arguments.extend(settings.flat_map(|setting| ["--set", setting]));
        cluster.helm(&arguments)?.success()?;
        Ok(())
    }

    /// What the chart has to be told of the images.
    pub(super) fn image_settings(&self) -> Vec<String> {
        let Images { operator, gateway, .. } = self.images;
        vec![
            format!("image.registry={}", operator.registry),
            format!("image.tag={}", operator.tag),
            format!("gateway.image.registry={}", gateway.registry),
            format!("gateway.image.tag={}", gateway.tag),
        ]
    }

    /// What the operator wrote until now, as the API server's audit log has it: nothing for a cluster of the user's own. That
    /// it leads is said every few seconds, at rest too, and left out.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn writes(&self) -> Result<Vec<Record>, Error> {
        let mut records = Audit::of(self.cluster).map_or(Ok(Vec::new()), |audit| audit.records())?;
        records
            .retain(|record| record.is_write() && record.user == self.user() && record.resource != "leases");
        Ok(records)
    }

    /// Who the operator is to the API server.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// Does something while the chart's admission policies are switched off.
    ///
    /// # Errors
    ///
    /// If it fails, or if they cannot be switched.
    pub fn without_admission(&self, act: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.upgrade(&["admission.enabled=false"])?;
        // The API server goes on refusing for a moment after the policies are gone.
        self.until_admission_is("off", true)?;
        let acted = act();
        self.upgrade(&["admission.enabled=true"])?;
        self.until_admission_is("on", false)?;
        acted
    }

    /// Does something while the operator of another release, `namespace/name`, may write bundles beside this one.
    ///
    /// # Errors
    ///
    /// If it fails, or if the release cannot be upgraded.
    pub fn admitting(&self, other: &str, act: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.upgrade(&[&format!("admission.operators={{{other}}}")])?;
        let acted = act();
        self.upgrade(&[])?;
        acted
    }

    fn until_admission_is(&self, word: &str, lets_in: bool) -> Result<(), Error> {
        let dry = ["create", "--dry-run=server", "--filename", "-"];
        for object in UNKNOWN_KEYS {
            let as_wanted = || Ok(self.kubectl.attempt(&dry, object)?.succeeded() == lets_in);
            eventually(&format!("admission is {word}"), as_wanted)?;
        }
        Ok(())
    }

    /// Does something while the operator is away. It is back when this returns.
    ///
    /// # Errors
    ///
    /// If it fails, or if the operator does not go or come back.
    pub fn away(&self, act: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let pod = format!("pod/{}", self.pod()?);
        self.kubectl.run(&["scale", "deployment", OPERATOR_PODS, "--replicas=0"])?;
        self.kubectl.wait("delete", &[&pod])?;
        let acted = act();
        self.kubectl.run(&["scale", "deployment", OPERATOR_PODS, "--replicas=1"])?;
        self.kubectl.wait("condition=Available", &["deployment", OPERATOR_PODS])?;
        acted
    }

    /// Does something while so many operators run. One runs when this returns.
    ///
    /// # Errors
    ///
    /// If it fails, or if the others do not come or go.
    pub fn scaled(&self, count: usize, act: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let to = |count: usize| {
            let replicas = format!("--replicas={count}");
            self.kubectl.run(&["scale", "deployment", OPERATOR_PODS, &replicas])?;
            self.kubectl.wait(
                &format!("jsonpath={{.status.readyReplicas}}={count}"),
                &["deployment", OPERATOR_PODS],
            )?;
            eventually("so many operators run", || Ok(self.pods()?.len() == count))
        };
        to(count)?;
        let acted = act();
        to(1)?;
        acted
    }

    /// The pod of the operator that leads, as the Lease says; empty if none does.
    ///
    /// # Errors
    ///
    /// If there is no Lease.
    pub fn leader(&self) -> Result<String, Error> {
        Ok(self.kubectl.value("lease/toolgate-operator", ".spec.holderIdentity")?)
    }

    /// Refuses a cluster of the user's own that has Toolgate already: what is done here would take it away.
    ///
    /// # Errors
    ///
    /// If it has, and not from here.
    pub fn refuse_another(cluster: &Cluster) -> Result<(), Error> {
        if cluster.folder().is_some() {
            return Ok(());
        }
        let kubectl = &cluster.kubectl;
        let crds = kubectl.run(&["get", "crd", CRDS[0], "--ignore-not-found", "--output", "name"])?;
        let ours = ["get", "namespaces", OF_SCENARIOS, "--output", "name"];
        let is_ours = kubectl.run(&ours)?.contains(RELEASE_NAMESPACE);
        promise(crds.is_empty() || is_ours, || {
            "the cluster has Toolgate already: use one in which everything may be taken away".to_owned()
        })
    }

    /// Takes away the release, if it is there, and what it would keep: the CRDs, and so every object of ours.
    ///
    /// # Errors
    ///
    /// If something cannot be taken away.
    pub fn remove(cluster: &Cluster) -> Result<(), Error> {
        let arguments =
            ["uninstall", RELEASE, "--namespace", RELEASE_NAMESPACE, "--wait", "--ignore-not-found"];
        cluster.helm(&arguments)?.success()?;
        cluster.kubectl.run(&[&["delete", "crds", "--ignore-not-found"], CRDS.as_slice()].concat())?;
        Ok(())
    }

    /// Takes the release away, as a user does. The CRDs stay.
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
        Ok(Metrics::read(&self.kubectl.pod_port(&self.pod()?, PORT, "/metrics")?))
    }

    /// Deletes the operator's pod and waits until another one is ready.
    ///
    /// # Errors
    ///
    /// If none comes.
    pub fn restart(&self) -> Result<(), Error> {
        let before = self.pod()?;
        self.kubectl.run(&["delete", "pod", &before])?;
        self.kubectl.wait("condition=Ready", &["pod", OPERATOR_PODS])?;
        let after = self.pod()?;
        promise(after != before, || format!("{after} was not replaced"))
    }
}
