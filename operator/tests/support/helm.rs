//! Helm, where it has been built.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn chart() -> PathBuf {
    root().join("charts/toolgate")
}

/// Helm. None, and a loud word that a test does not run, where it has not been built.
pub(crate) fn helm(test: &str) -> Option<PathBuf> {
    let helm = root().join("e2e/cluster/.cache/bin/helm");
    if helm.exists() {
        return Some(helm);
    }
    // Past the test harness, which shows nothing of a test that succeeds.
    let line = format!("NOT RUN: {test}: there is no Helm; e2e/cluster/build makes it\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// What `helm template` says of these values.
pub(crate) fn template(helm: &Path, values: &[&str]) -> Result<String, String> {
    let mut command = Command::new(helm);
    command.args(["template", "guard"]).arg(chart()).args(["--namespace", "guards"]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The objects that these values make.
pub(crate) fn rendered(helm: &Path, values: &[&str]) -> Vec<Value> {
    let text = template(helm, values).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text);
    let objects = documents.map(|document| Value::deserialize(document).unwrap());
    objects.filter(|object| !object.is_null()).collect()
}

pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
