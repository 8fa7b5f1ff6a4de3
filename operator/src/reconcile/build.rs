//! From a bundle to the objects that enforce it. No client, no clock.

mod config_map;
mod deployment;
mod role;
mod role_binding;
mod service;
mod service_account;

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use toolgate_crds::API_VERSION;
use toolgate_policy::{Bundle, BundledServer};

use crate::child::ChildKind;
use crate::{labels, names};

pub use config_map::BUNDLE_KEY;
pub use deployment::{ADMIN_PORT, ADMIN_PORT_NAME, MCP_PORT, MCP_PORT_NAME};
pub use service::SERVICE_PORT;

/// How gateway pods are run, for all servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The image.
    pub image: String,
    /// When it is pulled: `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Names of Secrets, in the namespace of each server, that it is pulled with.
    pub image_pull_secrets: Vec<String>,
}

/// The objects of one server, as they are to be. Nothing has been written yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// The bundle.
    pub config_map: ConfigMap,
    /// Who the gateway pods are.
    pub service_account: ServiceAccount,
    /// What they may read.
    pub role: Role,
    /// That they may.
    pub role_binding: RoleBinding,
    /// Where they are reached.
    pub service: Service,
    /// The gateway pods.
    pub deployment: Deployment,
}

/// One object as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub kind: ChildKind,
    /// The whole object, with the digest of itself among its annotations.
    pub object: Value,
    /// That digest.
    pub digest: String,
}

/// Builds the objects of a bundle's server.
pub fn build(bundle: &Bundle, hash: &str, settings: &GatewaySettings) -> Prepared {
    Prepared {
        config_map: config_map::build(bundle, hash),
        service_account: service_account::build(&bundle.server),
        role: role::build(&bundle.server),
        role_binding: role_binding::build(&bundle.server),
        service: service::build(&bundle.server),
        deployment: deployment::build(&bundle.server, settings),
    }
}

/// The name of every child of a server.
pub fn child_name(server: &BundledServer) -> String {
    names::child(&server.name, &server.uid)
}

/// Where callers reach a server's gateways, and whom the tokens of ServiceAccounts have to be for.
pub fn url(server: &BundledServer) -> String {
    format!("http://{}.{}.svc/mcp", child_name(server), server.namespace)
}

impl Prepared {
    /// The objects, in the order in which they are written.
    pub fn children(&self) -> [Child; 6] {
        // Without `..`, so that no object can be forgotten.
        let Self { config_map, service_account, role, role_binding, service, deployment } = self;
        [
            Child::new(ChildKind::ConfigMap, config_map),
            Child::new(ChildKind::ServiceAccount, service_account),
            Child::new(ChildKind::Role, role),
            Child::new(ChildKind::RoleBinding, role_binding),
            Child::new(ChildKind::Service, service),
            Child::new(ChildKind::Deployment, deployment),
        ]
    }
}

impl Child {
    fn new(kind: ChildKind, object: &impl Serialize) -> Self {
        let mut object = serde_json::to_value(object).expect("built objects are made of plain values");
        let digest = digest(&object);
        object["metadata"]["annotations"][labels::APPLIED] = Value::from(digest.as_str());
        Self { kind, object, digest }
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// SHA-256 of a value's text, in hexadecimal digits.
pub fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

fn metadata(server: &BundledServer) -> ObjectMeta {
    ObjectMeta {
        name: Some(child_name(server)),
        namespace: Some(server.namespace.clone()),
        labels: Some(labels::of_server(server)),
        owner_references: Some(vec![owner(server)]),
        ..ObjectMeta::default()
    }
}

fn owner(server: &BundledServer) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "McpServer".to_owned(),
        name: server.name.clone(),
        uid: server.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
