//! The caches of one scope: what the watches have seen.

use futures::FutureExt;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::runtime::reflector::{ObjectRef, Store};
use serde::Serialize;
use serde_json::Value;
use toolgate_crds::{McpServer, ToolGrant, ToolPolicy};

use crate::child::ChildKind;
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
    /// Deployments of ours.
    pub deployments: Store<Deployment>,
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
            deployments,
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
            deployments.wait_until_ready().boxed(),
            pods.wait_until_ready().boxed(),
        ];
        join_all(each).await.iter().all(Result::is_ok)
    }

    /// A child as it was seen last.
    pub fn child(&self, kind: ChildKind, namespace: &str, name: &str) -> Option<Value> {
        match kind {
            ChildKind::ConfigMap => seen(&self.config_maps, namespace, name),
            ChildKind::ServiceAccount => seen(&self.service_accounts, namespace, name),
            ChildKind::Role => seen(&self.roles, namespace, name),
            ChildKind::RoleBinding => seen(&self.role_bindings, namespace, name),
            ChildKind::Service => seen(&self.services, namespace, name),
            ChildKind::Deployment => seen(&self.deployments, namespace, name),
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
