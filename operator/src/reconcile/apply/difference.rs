//! Whether a child has to be written. No client.

use serde_json::Value;

use crate::reconcile::build::{Child, digest};
use crate::reconcile::memory::Written;

/// What is to be done with a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is as it should be.
    Keep,
    /// It is missing, or differs; then with the UID of the object that was looked at.
    Write {
        /// That UID.
        uid: Option<String>,
    },
    /// It is somebody else's; says whose.
    Foreign(String),
}

/// Decides what is to be done with a child, for the server with the UID `owner`.
pub fn decide(child: &Child, live: Option<&Value>, owner: &str, written: Option<&Written>) -> Decision {
    let Some(live) = live else { return Decision::Write { uid: None } };
    if let Err(whose) = controlled_by(live, owner) {
        return Decision::Foreign(whose);
    }
    // Defaults and other managers add to what was applied, and the API server may spell a value in its own way. So an
    // object is as it should be when it covers what is wanted, or when nobody has changed what our last write made.
    let untouched =
        written.is_some_and(|last| last.wanted == child.digest && last.result == fingerprint(live));
    // While a watch is broken the cache may have an object from before our last write.
    let is_behind = written.is_some_and(|last| {
        last.wanted == child.digest
            && last.version.zip(version(live)).is_some_and(|(written, seen)| seen < written)
    });
    if untouched || is_behind || covers(live, &child.object) {
        return Decision::Keep;
    }
    Decision::Write { uid: live["metadata"]["uid"].as_str().map(str::to_owned) }
}

/// Digest of an object without what the API server and other controllers keep in it.
pub(super) fn fingerprint(live: &Value) -> String {
    let mut object = live.clone();
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
        metadata.remove("generation");
    }
    digest(&object)
}

// Versions of one object grow; a version that is no number is not compared.
pub(super) fn version(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// Whether the server with the UID `owner` controls an object; otherwise whose it is.
pub(super) fn controlled_by(live: &Value, owner: &str) -> Result<(), String> {
    let owners = live["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    match owners.iter().find(|reference| reference["controller"] == true) {
        Some(controller) if controller["uid"] == owner => Ok(()),
        Some(controller) => {
            let text = |field: &str| controller[field].as_str().unwrap_or_default().to_owned();
            Err(format!("it belongs to the {} {} ({})", text("kind"), text("name"), text("uid")))
        }
        None => Err("it exists already and belongs to nobody".to_owned()),
    }
}

// Maps may have more than is wanted; lists are compared item by item and may not.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| covers(live.get(name).unwrap_or(&Value::Null), wanted))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        // An empty map or list is as good as none.
        (Value::Null, Value::Object(wanted)) => wanted.is_empty(),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Decision, decide, fingerprint};
    use crate::child::ChildKind;
    use crate::reconcile::build::Child;
    use crate::reconcile::memory::Written;

    fn wanted() -> Child {
        let object = json!({
            "kind": "Role",
            "metadata": {"name": "crm-toolgate", "annotations": {"toolgate.dev/applied": "d1"}},
            "rules": [{"verbs": ["get"], "resources": ["configmaps"]}],
            "spec": {"cpu": "1000m"},
        });
        Child { kind: ChildKind::Role, object, digest: "d1".to_owned() }
    }

    fn live(change: impl FnOnce(&mut Value)) -> Value {
        let mut live = wanted().object;
        live["metadata"]["uid"] = json!("u-role");
        live["metadata"]["resourceVersion"] = json!("7");
        live["metadata"]["ownerReferences"] =
            json!([{"kind": "McpServer", "name": "crm", "uid": "u-crm", "controller": true}]);
        change(&mut live);
        live
    }

    fn write() -> Decision {
        Decision::Write { uid: Some("u-role".to_owned()) }
    }

    #[test]
    fn a_missing_child_is_written() {
        assert_eq!(decide(&wanted(), None, "u-crm", None), Decision::Write { uid: None });
    }

    #[test]
    fn a_child_that_covers_what_is_wanted_is_kept() {
        let live = live(|live| {
            live["metadata"]["labels"] = json!({"somebody": "else"});
            live["spec"]["defaulted"] = json!(true);
        });
        assert_eq!(decide(&wanted(), Some(&live), "u-crm", None), Decision::Keep);
    }

    #[test]
    fn every_difference_is_written() {
        let changes: [fn(&mut Value); 5] = [
            |live| live["rules"][0]["verbs"] = json!(["get", "update"]),
            |live| live["rules"] = json!([live["rules"][0], {"verbs": ["*"]}]),
            |live| live["spec"]["cpu"] = json!("2"),
            |live| live["spec"] = Value::Null,
            // A field that is no longer wanted shows in the digest alone.
            |live| live["metadata"]["annotations"]["toolgate.dev/applied"] = json!("d0"),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(decide(&wanted(), Some(&live(change)), "u-crm", None), write(), "{index}");
        }
    }

    #[test]
    fn a_value_that_the_api_server_spells_otherwise_is_not_written_for_ever() {
        let canonical = live(|live| live["spec"]["cpu"] = json!("1"));
        let written = Written { wanted: "d1".to_owned(), result: fingerprint(&canonical), version: None };
        assert_eq!(decide(&wanted(), Some(&canonical), "u-crm", Some(&written)), Decision::Keep);
        let status = live(|live| {
            live["spec"]["cpu"] = json!("1");
            live["status"] = json!({"replicas": 1});
            live["metadata"]["resourceVersion"] = json!("9");
        });
        assert_eq!(decide(&wanted(), Some(&status), "u-crm", Some(&written)), Decision::Keep);
        let edited = live(|live| live["spec"]["cpu"] = json!("3"));
        assert_eq!(decide(&wanted(), Some(&edited), "u-crm", Some(&written)), write());
    }

    #[test]
    fn what_was_written_is_not_written_again_before_it_is_seen() {
        let before = live(|live| live["spec"]["cpu"] = json!("0"));
        let written = |wanted: &str, version| Written {
            wanted: wanted.to_owned(),
            result: "of our write".to_owned(),
            version: Some(version),
        };
        let decided = |written| decide(&wanted(), Some(&before), "u-crm", Some(&written));
        assert_eq!(decided(written("d1", 8)), Decision::Keep, "it is seen as it was at version 7");
        assert_eq!(decided(written("d1", 7)), write(), "somebody made it so since");
        assert_eq!(decided(written("d0", 8)), write(), "something else was written");
    }

    #[test]
    fn an_object_of_somebody_else_is_left_alone() {
        let strangers: [fn(&mut Value); 3] = [
            |live| live["metadata"]["ownerReferences"] = Value::Null,
            |live| live["metadata"]["ownerReferences"][0]["controller"] = json!(false),
            |live| live["metadata"]["ownerReferences"][0]["uid"] = json!("u-of-its-predecessor"),
        ];
        for (index, change) in strangers.into_iter().enumerate() {
            let decision = decide(&wanted(), Some(&live(change)), "u-crm", None);
            assert!(matches!(decision, Decision::Foreign(_)), "{index}: {decision:?}");
        }
    }
}
