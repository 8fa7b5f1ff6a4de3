//! kubectl, as a user types it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::command::{self, CommandError, Deadline, Ran};
use super::{Error, parsed};

/// How long kubectl waits for something to come true.
const WAIT: &str = "--timeout=180s";

/// kubectl for one cluster and, once chosen, one namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    /// A program and the kubeconfig that it uses.
    pub(super) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig, namespace: None }
    }

    /// The same for a namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace, if one was chosen.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The command, for whoever runs it otherwise.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig);
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        command.args(arguments);
        command
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Errors
    ///
    /// If it cannot be run or does not end in time.
    pub fn attempt(&self, arguments: &[&str], input: &str) -> Result<Ran, CommandError> {
        command::run(&mut self.command(arguments), input, Deadline::Long)
    }

    /// Runs it and answers its output.
    ///
    /// # Errors
    ///
    /// If it does not succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, CommandError> {
        self.attempt(arguments, "")?.success()
    }

    /// Runs it and hands over each line of its output as it comes.
    ///
    /// # Errors
    ///
    /// If it does not succeed.
    pub fn follow(&self, arguments: &[&str], line: impl FnMut(&str)) -> Result<(), CommandError> {
        command::follow(&mut self.command(arguments), Deadline::Long, line)
    }

    /// `kubectl apply` of a manifest.
    ///
    /// # Errors
    ///
    /// If any object of it is refused.
    pub fn apply(&self, manifest: &str) -> Result<String, CommandError> {
        self.attempt(&["apply", "--filename", "-"], manifest)?.success()
    }

    /// `kubectl wait` for a condition, such as `condition=Ready` or a `jsonpath=`.
    ///
    /// # Errors
    ///
    /// If it does not come true in time.
    pub fn wait(&self, what: &str, objects: &[&str]) -> Result<(), CommandError> {
        let what = format!("--for={what}");
        let arguments: Vec<&str> = ["wait", WAIT, &what].into_iter().chain(objects.iter().copied()).collect();
        self.run(&arguments).map(drop)
    }

    /// `kubectl rollout status` of a Deployment: waits until all its pods are of its last template.
    ///
    /// # Errors
    ///
    /// If that does not come about in time.
    pub fn rolled_out(&self, deployment: &str) -> Result<(), CommandError> {
        self.run(&["rollout", "status", &format!("deployment/{deployment}"), WAIT]).map(drop)
    }

    /// An object, or a list of them.
    ///
    /// # Errors
    ///
    /// If it is not there.
    pub fn get(&self, arguments: &[&str]) -> Result<Value, Error> {
        let arguments: Vec<&str> =
            ["get", "--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
        parsed(&arguments.join(" "), &self.run(&arguments)?)
    }

    /// The items of a list.
    ///
    /// # Errors
    ///
    /// If they cannot be had.
    pub fn items(&self, arguments: &[&str]) -> Result<Vec<Value>, Error> {
        let list = self.get(arguments)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// One value out of an object, by a jsonpath without its outer braces.
    ///
    /// # Errors
    ///
    /// If the object is not there.
    pub fn value(&self, object: &str, path: &str) -> Result<String, CommandError> {
        self.run(&["get", object, "--output", &format!("jsonpath={{{path}}}")])
    }

    /// What a path of the API server answers to GET.
    ///
    /// # Errors
    ///
    /// If it answers with an error.
    pub fn raw(&self, path: &str) -> Result<String, CommandError> {
        self.run(&["get", "--raw", path])
    }

    /// What a pod's port answers to GET, by way of the API server. Needs a namespace.
    ///
    /// # Errors
    ///
    /// If there is no answer or an error.
    pub fn pod_port(&self, pod: &str, port: u16, path: &str) -> Result<String, CommandError> {
        let namespace = self.namespace().unwrap_or("default");
        self.raw(&format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"))
    }
}
