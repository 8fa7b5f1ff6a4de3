//! The API server over `kubectl proxy`: plain HTTP on one connection that stays open.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::{Error, Forwarded, Kubectl, promise};
use crate::process::{Request, Socket};

/// How long a condition may take to hold.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// The objects of Toolgate in one namespace.
pub(super) struct Api {
    server: Forwarded,
    base: String,
}

/// An open connection.
pub(super) struct Connection<'a> {
    socket: Socket,
    api: &'a Api,
}

impl Api {
    pub(super) fn of(kubectl: &Kubectl, namespace: &str) -> Result<Self, Error> {
        let base = format!("/apis/toolgate.dev/v1alpha1/namespaces/{namespace}");
        Ok(Self { server: Forwarded::to_api_server(kubectl)?, base })
    }

    pub(super) async fn connect(&self) -> Result<Connection<'_>, Error> {
        let socket = Socket::open(self.server.address()).await.map_err(broken)?;
        Ok(Connection { socket, api: self })
    }
}

impl Connection<'_> {
    /// Changes an object, such as `toolpolicies/kommo-sales`.
    pub(super) async fn patch(&mut self, object: &str, patch: &Value) -> Result<Value, Error> {
        self.ask("PATCH", object, "application/merge-patch+json", &patch.to_string()).await
    }

    /// Makes an object of a kind, such as `mcpservers`.
    pub(super) async fn create(&mut self, kind: &str, object: &Value) -> Result<Value, Error> {
        self.ask("POST", kind, "application/json", &object.to_string()).await
    }

    pub(super) async fn delete(&mut self, object: &str) -> Result<(), Error> {
        self.ask("DELETE", object, "application/json", "").await.map(drop)
    }

    pub(super) async fn get(&mut self, object: &str) -> Result<Value, Error> {
        self.ask("GET", object, "application/json", "").await
    }

    /// Waits until a condition is true of the object as it was written, and answers when that was seen.
    pub(super) async fn until(&mut self, object: &str, condition: &str) -> Result<Instant, Error> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.get(object).await?;
            let generation = &found["metadata"]["generation"];
            let conditions = found["status"]["conditions"].as_array().into_iter().flatten();
            let holds = conditions.into_iter().any(|one| {
                one["type"] == condition
                    && one["status"] == "True"
                    && one["observedGeneration"] == *generation
            });
            if holds {
                return Ok(Instant::now());
            }
            promise(Instant::now() < end, || format!("{object} is never {condition}: {found}"))?;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Result<Value, Error> {
        let target = format!("{}/{path}", self.api.base);
        let request = Request::post("", body).by(method).to(&target);
        let request = request
            .without("authorization")
            .instead("content-type", kind)
            .instead("accept", "application/json");
        // The proxy serves no other name.
        let request = request.with("host", &self.api.server.address().to_string());
        self.socket.send(&request.bytes()).await.map_err(broken)?;
        let answer = self.socket.answer().await.map_err(broken)?;
        promise(answer.status < 300, || format!("{method} {target}: {} {}", answer.status, answer.text()))?;
        Ok(answer.json())
    }
}

pub(super) fn broken(error: impl std::fmt::Display) -> Error {
    Error::Broken(error.to_string())
}
