//! A second release of the chart beside the first one, in a namespace of its own.

use super::install::Operator;
use super::kubectl::Kubectl;
use super::place::root;
use super::stage::filled;
use super::{Audit, Error, promise};

/// The second release.
#[derive(Debug)]
pub struct Neighbour {
    /// Its name, and that of its namespace.
    pub name: String,
    /// kubectl for its namespace.
    pub kubectl: Kubectl,
}

impl Operator<'_> {
    /// Installs the chart once more with these settings, does something, and takes the second release away.
    ///
    /// # Errors
    ///
    /// If it does not come up or go, or if what is done fails.
    pub fn beside(
        &self,
        name: &str,
        settings: &[&str],
        act: impl FnOnce(&Neighbour) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let namespace = filled(include_str!("../../manifests/namespace.yaml"), &[("NAMESPACE", name)])?;
        self.cluster.kubectl.apply(&namespace)?;
        let chart = root().join("charts/toolgate").display().to_string();
        let mut arguments = vec!["install", name, &chart, "--namespace", name, "--wait"];
        let images = self.image_settings();
        let settings = images.iter().map(String::as_str).chain(settings.iter().copied());
        arguments.extend(settings.flat_map(|setting| ["--set", setting]));
        self.cluster.helm(&arguments)?.success()?;
        let neighbour = Neighbour { name: name.to_owned(), kubectl: self.cluster.kubectl.in_namespace(name) };
        let acted = act(&neighbour);
        self.cluster.helm(&["uninstall", name, "--namespace", name, "--wait"])?.success()?;
        self.cluster.kubectl.run(&["delete", "namespace", name])?;
        acted
    }
}

impl Neighbour {
    /// Sees that nothing of it reaches beyond namespaces, and that it was refused nothing.
    ///
    /// # Errors
    ///
    /// If something does, or if it was.
    pub fn keeps_to_itself(&self, operator: &Operator<'_>) -> Result<(), Error> {
        let of_it = format!("--selector=app.kubernetes.io/instance={}", self.name);
        let kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions";
        let found = self.kubectl.run(&["get", kinds, &of_it, "--output", "name"])?;
        promise(found.trim().is_empty(), || format!("it has {found}"))?;
        let Some(audit) = Audit::of(operator.cluster) else { return Ok(()) };
        let is_its_own = format!("system:serviceaccount:{}:", self.name);
        let mut records = audit.records()?;
        records.retain(|record| record.user.starts_with(&is_its_own));
        promise(!records.is_empty(), || "the audit log knows nothing of it".to_owned())?;
        records.retain(|record| record.is_forbidden);
        promise(records.is_empty(), || format!("refused by the API server: {records:?}"))
    }
}
