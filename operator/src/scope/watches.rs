//! All watches of a scope.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use super::Scope;
use super::requests::Request;
use crate::labels;
use crate::raw::Raw;
use crate::stores::Stores;
use crate::watch::{Seen, watch};

/// The other ends of the caches.
pub(super) struct Writers {
    servers: Writer<Raw<McpServer>>,
    policies: Writer<Raw<ToolPolicy>>,
    grants: Writer<Raw<ToolGrant>>,
    config_maps: Writer<ConfigMap>,
    service_accounts: Writer<ServiceAccount>,
    roles: Writer<Role>,
    role_bindings: Writer<RoleBinding>,
    services: Writer<Service>,
    deployments: Writer<Deployment>,
    pods: Writer<Pod>,
}

/// Empty caches and their other ends.
pub(super) fn caches() -> (Stores, Writers) {
    let (servers, servers_writer) = reflector::store();
    let (policies, policies_writer) = reflector::store();
    let (grants, grants_writer) = reflector::store();
    let (config_maps, config_maps_writer) = reflector::store();
    let (service_accounts, service_accounts_writer) = reflector::store();
    let (roles, roles_writer) = reflector::store();
    let (role_bindings, role_bindings_writer) = reflector::store();
    let (services, services_writer) = reflector::store();
    let (deployments, deployments_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let stores = Stores {
        servers,
        policies,
        grants,
        config_maps,
        service_accounts,
        roles,
        role_bindings,
        services,
        deployments,
        pods,
    };
    let writers = Writers {
        servers: servers_writer,
        policies: policies_writer,
        grants: grants_writer,
        config_maps: config_maps_writer,
        service_accounts: service_accounts_writer,
        roles: roles_writer,
        role_bindings: role_bindings_writer,
        services: services_writer,
        deployments: deployments_writer,
        pods: pods_writer,
    };
    (stores, writers)
}

/// Runs all watches. They have no end.
pub(super) async fn run(scope: &Scope, client: &Client, namespace: Option<&str>, writers: Writers) {
    let within = Within { scope, client, namespace };
    let ours = Some(labels::managed());
    futures::join!(
        within.run(None, writers.servers, Scope::server_seen),
        within.run(None, writers.policies, Scope::policy_seen),
        within.run(None, writers.grants, Scope::grant_seen),
        within.run(ours.clone(), writers.config_maps, Scope::child_seen),
        within.run(ours.clone(), writers.service_accounts, Scope::child_seen),
        within.run(ours.clone(), writers.roles, Scope::child_seen),
        within.run(ours.clone(), writers.role_bindings, Scope::child_seen),
        within.run(ours.clone(), writers.services, Scope::child_seen),
        within.run(ours.clone(), writers.deployments, Scope::child_seen),
        within.run(ours, writers.pods, Scope::pod_seen),
    );
}

struct Within<'a> {
    scope: &'a Scope,
    client: &'a Client,
    namespace: Option<&'a str>,
}

impl Within<'_> {
    async fn run<K>(
        &self,
        labels: Option<String>,
        writer: Writer<K>,
        concerns: impl Fn(&Scope, &Seen<'_, K>) -> Vec<Request>,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        watch(api, labels, writer, &self.scope.metrics, |seen| {
            let requests = if self.scope.is_filled() { concerns(self.scope, &seen) } else { Vec::new() };
            self.scope.request(requests)
        })
        .await;
    }
}
