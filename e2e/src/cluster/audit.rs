//! The API server's audit log: who did what to which object. Only the disposable cluster has one that can be read.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::place::Cluster;
use super::{Error, parsed};

/// What the log says of an asker's rights.
const DECISION: &str = "authorization.k8s.io/decision";

/// The audit log.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who asked.
    pub user: String,
    /// What for: get, list, watch, create, update, patch, delete.
    pub verb: String,
    /// The kind of object, with its subresource.
    pub resource: String,
    /// The object, with its namespace.
    pub object: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether it was refused because who asked has no right to it. (Another 403 is that of a namespace on its way out,
    /// in which nobody can make anything.)
    pub is_forbidden: bool,
}

impl Audit {
    /// The log of the disposable cluster; `None` for the user's own.
    pub fn of(cluster: &Cluster) -> Option<Self> {
        cluster.folder().map(|folder| Self { path: folder.join("logs/audit.log") })
    }

    /// Everything that was answered until now.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        let failed = |source| Error::File { path: self.path.display().to_string(), source };
        let text = fs::read_to_string(&self.path).map_err(failed)?;
        // A line without its end is being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Ok(Record::from(parsed::<Event>("the audit log", line)?))).collect()
    }
}

impl Record {
    /// Whether it could have changed something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        let object = event.object_ref.unwrap_or_default();
        let resource = match object.subresource {
            Some(subresource) => format!("{}/{subresource}", object.resource),
            None => object.resource,
        };
        let name = [object.namespace, object.name].into_iter().flatten().collect::<Vec<String>>().join("/");
        Self {
            user: event.user.username,
            verb: event.verb,
            resource,
            object: name,
            code: event.response_status.map_or(0, |status| status.code),
            is_forbidden: event.annotations.get(DECISION).is_some_and(|decision| decision == "forbid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_read() {
        let line = r#"{"kind":"Event","verb":"patch","user":{"username":"system:serviceaccount:a:b"},
            "objectRef":{"resource":"mcpservers","namespace":"n","name":"kommo","subresource":"status"},
            "responseStatus":{"metadata":{},"code":200},"annotations":{"authorization.k8s.io/decision":"allow"}}"#;
        let record = Record::from(parsed::<Event>("a line", line).expect("an event"));
        assert_eq!((record.resource.as_str(), record.object.as_str()), ("mcpservers/status", "n/kommo"));
        assert_eq!((record.code, record.is_write(), record.is_forbidden), (200, true, false));
        let record =
            Record::from(parsed::<Event>("a line", &line.replace("allow", "forbid")).expect("an event"));
        assert!(record.is_forbidden);
    }
}
