//! The caches of one scope: what the watches have seen.

use futures::FutureExt;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::runtime::reflector::{ObjectRef, Store};
use serde::Serialize;
use serde_json::Value;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use crate::child::ChildKind;
use crate::http_route::HttpRoute;
use crate::raw::Raw;

/// The caches of one scope.
#[derive(Clone, Debug)]
pub struct Stores {
    /// All servers.
    pub servers: Store<Raw<McpServer>>,
    /// All policies.
    pub policies: Store<Raw<ToolPolicy>>,
    /// All grants.
    pub grants: Store<Raw<ToolGrant>>,
    /// ConfigMaps of ours.
    pub config_maps: Store<ConfigMap>,
    /// ServiceAccounts of ours.
    pub service_accounts: Store<ServiceAccount>,
    /// Roles of ours.
    pub roles: Store<Role>,
    /// RoleBindings of ours.
    pub role_bindings: Store<RoleBinding>,
    /// Services of ours.
    pub services: Store<Service>,
    /// NetworkPolicies of ours.
    pub network_policies: Store<NetworkPolicy>,
    /// PodDisruptionBudgets of ours.
    pub pod_disruption_budgets: Store<PodDisruptionBudget>,
    /// Deployments of ours.
    pub deployments: Store<Deployment>,
    /// HorizontalPodAutoscalers of ours.
    pub autoscalers: Store<HorizontalPodAutoscaler>,
    /// Ingresses of ours.
    pub ingresses: Store<Ingress>,
    /// HTTPRoutes of ours. It is never filled where the cluster does not serve them.
    pub http_routes: Store<HttpRoute>,
    /// Pods of ours.
    pub pods: Store<Pod>,
}

impl Stores {
    /// Waits until every cache has been filled once. False when the watches have ended instead.
    ///
    /// Nothing may be rendered before: a policy that is not seen yet would be taken for one that was deleted.
    pub async fn filled(&self) -> bool {
        let Self {
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
            http_routes: _,
            pods,
        } = self;
        let each = [
            servers.wait_until_ready().boxed(),
            policies.wait_until_ready().boxed(),
            grants.wait_until_ready().boxed(),
            config_maps.wait_until_ready().boxed(),
            service_accounts.wait_until_ready().boxed(),
            roles.wait_until_ready().boxed(),
            role_bindings.wait_until_ready().boxed(),
            services.wait_until_ready().boxed(),
            network_policies.wait_until_ready().boxed(),
            pod_disruption_budgets.wait_until_ready().boxed(),
            autoscalers.wait_until_ready().boxed(),
            ingresses.wait_until_ready().boxed(),
            deployments.wait_until_ready().boxed(),
            pods.wait_until_ready().boxed(),
        ];
        join_all(each).await.iter().all(Result::is_ok)
    }

    /// A child as it was seen last.
    pub fn child(&self, kind: ChildKind, namespace: &str, name: &str) -> Option<Value> {
        match kind {
            ChildKind::Shard(_) | ChildKind::ConfigMap => seen(&self.config_maps, namespace, name),
            ChildKind::ServiceAccount => seen(&self.service_accounts, namespace, name),
            ChildKind::Role => seen(&self.roles, namespace, name),
            ChildKind::RoleBinding => seen(&self.role_bindings, namespace, name),
            ChildKind::Service => seen(&self.services, namespace, name),
            ChildKind::NetworkPolicy | ChildKind::ServerNetworkPolicy => {
                seen(&self.network_policies, namespace, name)
            }
            ChildKind::PodDisruptionBudget => seen(&self.pod_disruption_budgets, namespace, name),
            ChildKind::Deployment => seen(&self.deployments, namespace, name),
            ChildKind::HorizontalPodAutoscaler => seen(&self.autoscalers, namespace, name),
            ChildKind::Ingress => seen(&self.ingresses, namespace, name),
            ChildKind::HttpRoute => seen(&self.http_routes, namespace, name),
        }
    }
}

fn seen<K>(store: &Store<K>, namespace: &str, name: &str) -> Option<Value>
where
    K: kube::Resource<DynamicType = ()> + Clone + Serialize,
{
    let object = store.get(&ObjectRef::new(name).within(namespace))?;
    Some(serde_json::to_value(&*object).expect("an object that was read can be written"))
}
