//! All watches of a scope.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector;
use kube::runtime::reflector::store::Writer;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use super::requests::Request;
use super::{Parts, Scope, Term};
use crate::http_route::{GROUP_VERSION, HttpRoute};
use crate::labels;
use crate::patience::patient;
use crate::raw::Raw;
use crate::stores::Stores;
use crate::watch::{Seen, WEDGED_AFTER, watch};

/// How often it is asked whether the cluster serves a kind by now.
const SERVED_CHECK: Duration = Duration::from_mins(5);

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
    network_policies: Writer<NetworkPolicy>,
    pod_disruption_budgets: Writer<PodDisruptionBudget>,
    deployments: Writer<Deployment>,
    autoscalers: Writer<HorizontalPodAutoscaler>,
    ingresses: Writer<Ingress>,
    http_routes: Writer<HttpRoute>,
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
    let (network_policies, network_policies_writer) = reflector::store();
    let (pod_disruption_budgets, pod_disruption_budgets_writer) = reflector::store();
    let (deployments, deployments_writer) = reflector::store();
    let (autoscalers, autoscalers_writer) = reflector::store();
    let (ingresses, ingresses_writer) = reflector::store();
    let (http_routes, http_routes_writer) = reflector::store();
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
        network_policies,
        pod_disruption_budgets,
        deployments,
        autoscalers,
        ingresses,
        http_routes,
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
        network_policies: network_policies_writer,
        pod_disruption_budgets: pod_disruption_budgets_writer,
        deployments: deployments_writer,
        autoscalers: autoscalers_writer,
        ingresses: ingresses_writer,
        http_routes: http_routes_writer,
        pods: pods_writer,
    };
    (stores, writers)
}

/// Runs all watches. They have no end.
pub(super) async fn run(term: &Term, parts: &Parts, writers: Writers) {
    let within = Within { term, parts };
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
        within.run(ours.clone(), writers.network_policies, Scope::child_seen),
        within.run(ours.clone(), writers.pod_disruption_budgets, Scope::child_seen),
        within.run(ours.clone(), writers.deployments, Scope::child_seen),
        within.run(ours.clone(), writers.autoscalers, Scope::child_seen),
        within.run(ours.clone(), writers.ingresses, Scope::child_seen),
        within.run_once_served(GROUP_VERSION, ours.clone(), writers.http_routes),
        within.run(ours, writers.pods, Scope::pod_seen),
    );
}

struct Within<'a> {
    term: &'a Term,
    parts: &'a Parts,
}

impl Within<'_> {
    /// Watches children of a kind that not every cluster serves, from when it is served.
    async fn run_once_served(&self, group_version: &str, labels: Option<String>, writer: Writer<HttpRoute>) {
        while !self.is_served::<HttpRoute>(group_version).await {
            tokio::time::sleep(SERVED_CHECK).await;
        }
        self.run(labels, writer, Scope::child_seen).await;
    }

    async fn is_served<K: Resource<DynamicType = ()>>(&self, group_version: &str) -> bool {
        let resources = self.parts.client.list_api_group_resources(group_version).await;
        resources.is_ok_and(|list| list.resources.iter().any(|resource| resource.name == K::plural(&())))
    }

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
        let beat = self.parts.pulse.part(format!("watch of {}", K::kind(&())), WEDGED_AFTER);
        let client = patient(&self.parts.watching, Some(beat));
        let api = match &self.parts.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        // There are many, each with much to keep: together they would be too much for a stack.
        let watching = watch(api, labels, writer, &self.parts.metrics, |seen| {
            // When a term begins everything is reconciled, so what happens before need not be remembered.
            let scope = self.term.scope();
            let requests = scope.as_ref().map(|scope| concerns(scope, &seen)).unwrap_or_default();
            async move {
                if let Some(scope) = scope {
                    scope.request(requests).await;
                }
            }
        });
        Box::pin(watching).await;
    }
}
