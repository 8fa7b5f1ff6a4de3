//! A second agent on the same server, with a grant and a policy of its own.

use serde_json::json;

use crate::agent::Outcome;

use super::agent::{OTHER_TOKEN, token_digest};
use super::stage::Stage;
use super::story::Story;
use super::{Error, promise};

/// The second agent's grant, and a policy that binds nobody but it: it reads lists and nothing else.
const SECOND: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: other-agent}
spec:
  servers: [{name: kommo}]
  subject: {type: Token, token: {sha256: 'DIGEST'}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-readers}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  grants: [other-agent]
  tools:
    get_leads: {}
    get_pipelines: {}
";

/// Shows that two agents with two grants and two policies on one server get different answers to the same calls.
pub(super) fn second_agent(stage: &Stage<'_>, story: &Story) -> Result<(), Error> {
    story.chapter("A second agent on the same server, with a grant and a policy of its own");
    stage.kubectl.apply(&SECOND.replace("DIGEST", &token_digest(OTHER_TOKEN)))?;
    stage.kubectl.wait("condition=Programmed", &["toolgrant/other-agent", "toolpolicy/kommo-readers"])?;
    story.step("toolgrant/other-agent, and toolpolicy/kommo-readers with grants: [other-agent]");
    let first = stage.caller()?;
    let second = first.with_token("other-agent");
    let update = json!({"id": 1001, "price": 1});
    for (tool, arguments, to_first, to_second) in [
        ("get_leads", json!({}), Outcome::Allowed, Outcome::Allowed),
        ("update_lead", update, Outcome::Denied, Outcome::Unknown),
    ] {
        let heard = [first.expect(tool, &arguments, to_first)?, second.expect(tool, &arguments, to_second)?];
        let [first, second] = heard.map(|reply| reply.outcome.name());
        story.step(format!("{tool:<16} sales-agent: {first}, other-agent: {second}"));
    }
    let refused = stage.metrics()?.sum(
        "toolgate_tool_calls_total",
        &[("grant", "other-agent"), ("tool", "update_lead"), ("verdict", "unlisted")],
    );
    promise(refused == 1, || format!("{refused} refusals of the second agent are counted, and 1 was made"))
}
