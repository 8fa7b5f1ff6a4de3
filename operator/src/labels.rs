//! Labels and annotations of what the operator makes.

use std::collections::BTreeMap;

use toolgate_policy::BundledServer;

use crate::names;

/// Who writes, as `managedFields` and the label `app.kubernetes.io/managed-by` say.
pub const MANAGER: &str = "toolgate-operator";
/// The label of the tool that manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label of the product's name.
pub const NAME: &str = "app.kubernetes.io/name";
/// The label of the instance: the server.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label of the part that an object belongs to.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The label of the server that an object belongs to.
pub const SERVER: &str = "toolgate.dev/server";
/// The label of that server's UID, so that a server never takes the pods of its predecessor for its own.
pub const SERVER_UID: &str = "toolgate.dev/server-uid";
/// The label of ConfigMaps that hold a bundle. Only the operator may write them.
pub const BUNDLE: &str = "toolgate.dev/bundle";
/// The annotation with a bundle's revision.
pub const REVISION: &str = "toolgate.dev/revision";
/// The annotation with a bundle's digest.
pub const HASH: &str = "toolgate.dev/hash";
/// The annotation with the digest of what the operator applied, so that a field which is no longer wanted is noticed.
pub const APPLIED: &str = "toolgate.dev/applied";

/// The annotation of a Deployment whose number of pods is an autoscaler's to decide.
pub const AUTOSCALED: &str = "toolgate.dev/autoscaled";

/// The product's name, as labels say it.
const PRODUCT: &str = "toolgate";
/// The part that runs in front of a server.
const GATEWAY: &str = "gateway";

/// What every child of a server is labelled with.
pub fn of_server(server: &BundledServer) -> BTreeMap<String, String> {
    let value = names::label_value(&server.name, &server.uid);
    let mut labels = selector(server);
    labels.insert(INSTANCE.to_owned(), value.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels.insert(SERVER.to_owned(), value);
    labels
}

/// What the gateway pods of a server are found by. A Deployment cannot change it, so it holds only what never changes.
pub fn selector(server: &BundledServer) -> BTreeMap<String, String> {
    [(NAME, PRODUCT), (COMPONENT, GATEWAY), (SERVER_UID, &server.uid)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The label selector of everything that the operator made.
pub fn managed() -> String {
    format!("{MANAGED_BY}={MANAGER}")
}
