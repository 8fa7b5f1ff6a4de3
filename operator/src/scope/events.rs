//! Which event concerns whom.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};
use toolgate_crds::{GROUP, McpServer, ToolGrant, ToolPolicy};
use toolgate_policy::References;

use super::Scope;
use super::requests::Request;
use crate::labels;
use crate::ledger::ServerKey;
use crate::raw::Raw;
use crate::view::Views;
use crate::watch::Seen;

impl Scope {
    pub(super) fn server_seen(&self, seen: &Seen<'_, Raw<McpServer>>) -> Vec<Request> {
        match seen {
            Seen::Applied(server) => {
                vec![Request::Server(server.namespace().to_owned(), server.name().to_owned())]
            }
            Seen::Deleted(server) => {
                let uid = server.uid();
                self.ledger.forget(|_, known| known == uid);
                vec![Request::StatusesOf(server.namespace().to_owned())]
            }
            Seen::Relisted => {
                let servers = self.stores.servers.state();
                let exists = |key: &ServerKey, uid: &str| {
                    servers.iter().any(|server| server.uid() == uid && server.namespace() == key.namespace)
                };
                self.ledger.forget(|key, uid| !exists(key, uid));
                vec![Request::Everything]
            }
        }
    }

    pub(super) fn policy_seen(&self, seen: &Seen<'_, Raw<ToolPolicy>>) -> Vec<Request> {
        let (Seen::Applied(policy) | Seen::Deleted(policy)) = seen else { return vec![Request::Everything] };
        let (namespace, name) = (policy.namespace(), policy.name());
        let references = References::of_policy(&policy.spec("targetRefs"));
        let mut requests = self.servers_of(namespace, &references, |views| views.policies.contains_key(name));
        requests.push(Request::Policy(namespace.to_owned(), name.to_owned()));
        requests
    }

    pub(super) fn grant_seen(&self, seen: &Seen<'_, Raw<ToolGrant>>) -> Vec<Request> {
        let grant = match seen {
            Seen::Applied(grant) => grant,
            Seen::Deleted(grant) => {
                self.candidates.forget_grants(|uid| uid == grant.uid());
                grant
            }
            Seen::Relisted => {
                let uids = uids(&self.stores.grants);
                self.candidates.forget_grants(|uid| !uids.contains(uid));
                return vec![Request::Everything];
            }
        };
        let (namespace, name) = (grant.namespace(), grant.name());
        let references = References::of_grant(&grant.spec("servers"));
        let mut requests = self.servers_of(namespace, &references, |views| views.grants.contains_key(name));
        requests.push(Request::Grant(namespace.to_owned(), name.to_owned()));
        requests
    }

    /// A child concerns the server that controls it.
    pub(super) fn child_seen<K: Resource>(_: &Self, seen: &Seen<'_, K>) -> Vec<Request> {
        let (Seen::Applied(child) | Seen::Deleted(child)) = seen else { return vec![Request::Everything] };
        let ours = |api_version: &str| api_version.split('/').next() == Some(GROUP);
        let mut owners = child.owner_references().iter();
        let owner = owners.find(|owner| owner.kind == "McpServer" && ours(&owner.api_version));
        let request = |name: String| Request::Server(child.namespace().unwrap_or_default(), name);
        owner.map(|owner| request(owner.name.clone())).into_iter().collect()
    }

    /// A pod concerns the server whose UID it is labelled with.
    pub(super) fn pod_seen(&self, seen: &Seen<'_, Pod>) -> Vec<Request> {
        let (Seen::Applied(pod) | Seen::Deleted(pod)) = seen else { return vec![Request::Everything] };
        let Some(uid) = pod.labels().get(labels::SERVER_UID) else { return Vec::new() };
        let server = self.stores.servers.find(|server| server.uid() == uid);
        let request = |server: &Raw<McpServer>| {
            Request::Server(server.namespace().to_owned(), server.name().to_owned())
        };
        server.map(|server| request(&server)).into_iter().collect()
    }

    // Those that the object is for, and those that know it: it may have been for them before.
    fn servers_of(
        &self,
        namespace: &str,
        references: &References,
        knows: impl Fn(&Views) -> bool,
    ) -> Vec<Request> {
        let meant = self.stores.servers.state_filter(|server| {
            server.namespace() == namespace && references.include(server.name(), server.labels())
        });
        let meant = meant.iter().map(|server| server.name().to_owned());
        let mut names: Vec<String> = meant.chain(self.ledger.servers(namespace, knows)).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| Request::Server(namespace.to_owned(), name)).collect()
    }
}

fn uids<K: Resource<DynamicType = ()> + 'static>(store: &Store<Raw<K>>) -> BTreeSet<String> {
    store.state().iter().map(|object| object.uid().to_owned()).collect()
}
