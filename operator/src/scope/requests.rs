//! What is to be reconciled, and putting it into the queues.

use super::Scope;
use crate::ledger::{Changed, ServerKey};

/// Something that is to be reconciled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A server, by namespace and name.
    Server(String, String),
    /// A policy's status.
    Policy(String, String),
    /// A grant's status.
    Grant(String, String),
    /// The status of every policy and grant of a namespace.
    StatusesOf(String),
    /// Everything there is.
    Everything,
}

impl Scope {
    pub(super) async fn request(&self, requests: Vec<Request>) {
        for request in requests {
            match request {
                Request::Server(namespace, name) => self.servers.request(&namespace, &name).await,
                Request::Policy(namespace, name) => self.policies.request(&namespace, &name).await,
                Request::Grant(namespace, name) => self.grants.request(&namespace, &name).await,
                Request::StatusesOf(namespace) => self.request_statuses(Some(&namespace)).await,
                Request::Everything => self.request_everything().await,
            }
        }
    }

    pub(super) async fn request_everything(&self) {
        for server in self.stores.servers.state() {
            self.servers.request(server.namespace(), server.name()).await;
        }
        self.request_statuses(None).await;
    }

    /// Tells policies and grants that a server views them otherwise than before.
    pub async fn pass_on(&self, server: &ServerKey, changed: Changed) {
        // Statuses wait until every server of the namespace is known. With this one they may all be.
        if changed.first {
            if self.knows_all_servers(&server.namespace) {
                self.request_statuses(Some(&server.namespace)).await;
            }
            return;
        }
        for name in changed.policies {
            self.policies.request(&server.namespace, &name).await;
        }
        for name in changed.grants {
            self.grants.request(&server.namespace, &name).await;
        }
    }

    /// Whether every server of a namespace has been reconciled since the start.
    pub(super) fn knows_all_servers(&self, namespace: &str) -> bool {
        let unknown = self.stores.servers.find(|server| {
            let key = ServerKey { namespace: namespace.to_owned(), name: server.name().to_owned() };
            server.namespace() == namespace && !self.ledger.knows(&key, server.uid())
        });
        unknown.is_none()
    }

    async fn request_statuses(&self, namespace: Option<&str>) {
        let within = |found: &str| namespace.is_none_or(|namespace| namespace == found);
        for policy in self.stores.policies.state_filter(|policy| within(policy.namespace())) {
            self.policies.request(policy.namespace(), policy.name()).await;
        }
        for grant in self.stores.grants.state_filter(|grant| within(grant.namespace())) {
            self.grants.request(grant.namespace(), grant.name()).await;
        }
    }
}
