//! An agent whose ServiceAccount has a grant needs no token of ours, and one made for somebody else opens nothing.

use serde_json::json;

use toolgate_e2e::agent::Outcome;
use toolgate_e2e::cluster::{Error, World, promise};

/// The pod of `bot.yaml`.
const BOT: &str = "bot";

const GRANTS: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: sales-bot}
spec:
  servers: [{name: kommo}]
  subject: {type: ServiceAccount, serviceAccount: {name: sales-bot}}
";

pub(crate) fn a_service_account_calls(world: &World<'_>, name: &str) -> Result<(), Error> {
    let stage = world.stage(name)?;
    stage.apply_samples()?;
    let url = stage.url()?;
    stage.fill(include_str!("../../manifests/bot.yaml"), &[("AUDIENCE", &url)])?;
    stage.kubectl.wait("condition=Ready", &[&format!("pod/{BOT}")])?;
    let (caller, lead) = (stage.caller()?, json!({"id": 1001}));
    let (bot, stranger) = (caller.at(BOT, "own"), caller.at(BOT, "for-somebody-else"));
    bot.expect("get_lead", &lead, Outcome::Unauthorized)?;
    stage.kubectl.apply(GRANTS)?;
    stage.kubectl.wait("condition=Programmed", &["toolgrant/sales-bot"])?;
    bot.expect("get_lead", &lead, Outcome::Allowed)?;
    bot.expect("update_lead", &lead, Outcome::Denied)?;
    stranger.expect("get_lead", &lead, Outcome::Unauthorized)?;
    let counted = stage.metrics()?.sum("toolgate_tool_calls_total", &[("grant", "sales-bot")]);
    promise(counted == 2, || format!("{counted} calls are counted for the grant, and 2 were made"))
}
