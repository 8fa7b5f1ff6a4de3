//! How soon calls obey an edit, and how soon the API says so.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, broken};
use super::told;
use crate::cluster::{Error, Forwarded, SAMPLE_TOKEN, Stage, promise};
use crate::process::{Request, Socket};

const POLICY: &str = "toolpolicies/kommo-sales";
const TOOL: &str = "get_leads";
/// The gateway's port for MCP.
const MCP_PORT: u16 = 8080;
/// How long an edit may take to be obeyed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Each edit denies or allows a tool that is called all the while.
pub(super) async fn measure(api: &Api, stage: &Stage<'_>, edits: usize) -> Result<Value, Error> {
    let gateway = Forwarded::to(&stage.kubectl, &format!("pod/{}", stage.gateway()?), MCP_PORT)?;
    let mut caller = Socket::open(gateway.address()).await.map_err(broken)?;
    let mut connection = api.connect().await?;
    // Nothing but the edit refuses a call.
    connection.patch(POLICY, &json!({"spec": {"allTools": null}})).await?;
    connection.until(POLICY, "Programmed").await?;
    let (mut obeyed, mut written, mut programmed) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..edits {
        let action = ["deny", "allow"][index % 2];
        let edit = json!({"spec": {"tools": {TOOL: {"action": action}}}});
        let began = Instant::now();
        let (patched, seen) = tokio::join!(
            async { connection.patch(POLICY, &edit).await.map(|_| Instant::now()) },
            until_obeyed(&mut caller, action == "deny"),
        );
        let (patched, seen) = (patched?, seen?);
        written.push(patched - began);
        // By the answer of the first call that obeyed; it may have come before that of the API server.
        obeyed.push(seen - began);
        programmed.push(connection.until(POLICY, "Programmed").await? - began);
    }
    Ok(json!({"written": told(written), "obeyed": told(obeyed), "programmed": told(programmed)}))
}

async fn until_obeyed(caller: &mut Socket, denies: bool) -> Result<Instant, Error> {
    let request = Request::modern_call(SAMPLE_TOKEN, TOOL, &json!({})).bytes();
    let end = Instant::now() + PATIENCE;
    loop {
        caller.send(&request).await.map_err(broken)?;
        let answer = caller.answer().await.map_err(broken)?;
        promise(answer.status == 200, || {
            format!("a call is answered by {}: {}", answer.status, answer.text())
        })?;
        if answer.verdict().is_some() == denies {
            return Ok(Instant::now());
        }
        promise(Instant::now() < end, || "an edit is never obeyed".to_owned())?;
    }
}
