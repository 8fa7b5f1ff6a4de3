//! How long it takes from a new `McpServer` to a gateway that serves it.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::Api;
use super::told;
use crate::cluster::Error;

/// Servers are made and taken away one after the other. Each one has a policy that is there already, so it is Ready with
/// its first gateway.
pub(super) async fn measure(api: &Api, servers: usize) -> Result<Value, Error> {
    let mut connection = api.connect().await?;
    let upstream = connection.get("mcpservers/kommo").await?["spec"]["upstream"].take();
    let mut ready = Vec::new();
    for index in 0..servers {
        let name = format!("measured-{index}");
        let policy = json!({
            "apiVersion": "toolgate.dev/v1alpha1", "kind": "ToolPolicy", "metadata": {"name": name},
            "spec": {"targetRefs": [{"kind": "McpServer", "name": name}], "tools": {"get_leads": {}}},
        });
        connection.create("toolpolicies", &policy).await?;
        let server = json!({
            "apiVersion": "toolgate.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": name},
            "spec": {"upstream": upstream},
        });
        let began = Instant::now();
        connection.create("mcpservers", &server).await?;
        ready.push(connection.until(&format!("mcpservers/{name}"), "Ready").await? - began);
        connection.delete(&format!("mcpservers/{name}")).await?;
        connection.delete(&format!("toolpolicies/{name}")).await?;
    }
    Ok(json!({"ready": told(ready)}))
}
