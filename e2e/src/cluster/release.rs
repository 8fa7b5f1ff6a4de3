//! What a user does with a release after its installation: upgrade it to another chart, test it, roll it back.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::install::{Operator, RELEASE, RELEASE_NAMESPACE};
use super::place::root;
use super::{Error, parsed, promise};

impl Operator<'_> {
    /// The number of the release's last revision.
    ///
    /// # Errors
    ///
    /// If helm does not know it.
    pub fn revision(&self) -> Result<String, Error> {
        let arguments =
            ["history", RELEASE, "--namespace", RELEASE_NAMESPACE, "--max", "1", "--output", "json"];
        let history: Vec<Value> = parsed("helm history", &self.cluster.helm(&arguments)?.success()?)?;
        let revision = history.last().map(|entry| entry["revision"].to_string());
        revision.ok_or_else(|| Error::Broken("the release has no history".to_owned()))
    }

    /// Upgrades to a chart in which one text of one file is another one.
    ///
    /// # Errors
    ///
    /// If the file does not have the text, or if the upgrade does not come to an end.
    pub fn upgrade_changed(&self, (file, before, after): (&str, &str, &str)) -> Result<(), Error> {
        let folder = self.cluster.scratch()?.join("changed-chart");
        copy(&root().join("charts/toolgate"), &folder)?;
        let path = folder.join(file);
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let text = fs::read_to_string(&path).map_err(failed)?;
        promise(text.contains(before), || format!("{file} has no {before:?}"))?;
        fs::write(&path, text.replace(before, after)).map_err(failed)?;
        self.upgrade_to(&folder, &[])
    }

    /// `helm test`.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn test(&self) -> Result<(), Error> {
        self.cluster.helm(&["test", RELEASE, "--namespace", RELEASE_NAMESPACE])?.success()?;
        Ok(())
    }

    /// `helm rollback` to a revision.
    ///
    /// # Errors
    ///
    /// If it does not come to an end.
    pub fn roll_back(&self, revision: &str) -> Result<(), Error> {
        let arguments = ["rollback", RELEASE, revision, "--namespace", RELEASE_NAMESPACE, "--wait"];
        self.cluster.helm(&arguments)?.success()?;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: from.display().to_string(), source };
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}
