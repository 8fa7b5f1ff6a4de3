//! `pictures`: draws the chart's dashboards, from what a real Prometheus sees of a real cluster under a load with every kind of
//! verdict, an edit, and outages of the guarded server and of the store of counters.
//!
//! What the callers heard is held against what Prometheus counted before anything is drawn.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use toolgate_e2e::cluster::{
    Cluster, Forwarded, Images, OTHER_TOKEN, Operator, Prometheus, SAMPLE_TOKEN, SERVER, Stage, Store, Story,
    token_digest,
};
use toolgate_e2e::load::{Agent, Ask, Heard};

/// The namespace of the load.
const NAMESPACE: &str = "sales";
/// The name of the disposable cluster's folder.
const CLUSTER: &str = "run";
/// Where the pictures are put, from the root of the repository.
const PICTURES: &str = "charts/toolgate/pictures";
/// The gateways' port for agents.
const PORT: u16 = 8080;
/// What the load lasts, and what happens in it, in seconds from its beginning.
const LOAD: u64 = 300;
const EDIT: u64 = 100;
const SERVER_GONE: (u64, u64) = (150, 180);
const STORE_GONE: (u64, u64) = (215, 235);
/// The agent that does not understand a refusal.
const LOOPING_TOKEN: &str = "toolgate-looping-token";
const LOOPING: (u64, u64) = (40, 95);
/// A token of the form that issuers sign, and signed by none.
const FORGED: &str = "eyJhbGciOiJub25lIn0.e30.c2ln";

const MORE: &str = "
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: support-agent}
spec:
  servers: [{name: kommo}]
  subject: {type: Token, token: {sha256: 'SUPPORT'}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolGrant
metadata: {name: looping-agent}
spec:
  servers: [{name: kommo}]
  subject: {type: Token, token: {sha256: 'LOOPING'}}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: kommo-readers}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  grants: [support-agent]
  tools:
    get_leads: {limits: [{counter: reads, window: hour, max: 40, scope: grant}]}
    get_pipelines: {}
---
apiVersion: toolgate.dev/v1alpha1
kind: ToolPolicy
metadata: {name: narrower}
spec:
  targetRefs: [{kind: McpServer, name: kommo}]
  mode: audit
  tools: {get_leads: {}, get_pipelines: {}, move_lead: {denyIf: [{path: args.status_id, op: eq, value: 103}]}}
";

fn main() -> ExitCode {
    match run(&Story::aloud()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nno pictures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(story: &Story) -> anyhow::Result<()> {
    story.chapter("A cluster");
    let cluster = Cluster::ready(CLUSTER)?;
    Operator::refuse_another(&cluster)?;
    let drawn = play(&cluster, story);
    story.chapter("The end");
    let cleaned = if cluster.is_started_here() {
        cluster.leave().map_err(anyhow::Error::from)
    } else {
        let (kubectl, removed) = (cluster.kubectl.clone(), Operator::remove(&cluster));
        removed.map_err(anyhow::Error::from).and_then(|()| {
            Ok(kubectl
                .run(&["delete", "namespace", NAMESPACE, "toolgate-system", "--ignore-not-found"])
                .map(drop)?)
        })
    };
    drawn.and(cleaned.context("taking everything away"))
}

fn play(cluster: &Cluster, story: &Story) -> anyhow::Result<()> {
    cluster.kubectl.run(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    let images = Images::provide(cluster)?;
    Operator::install(cluster, &images)?;
    let stage = Stage::set(cluster, &images, NAMESPACE)?;
    Store::run(&stage)?;
    let prometheus = Prometheus::start(cluster)?;
    story.step(format!("Prometheus scrapes operator and gateways: {}", prometheus.url()));
    stage.apply_samples()?;
    let more =
        MORE.replace("SUPPORT", &token_digest(OTHER_TOKEN)).replace("LOOPING", &token_digest(LOOPING_TOKEN));
    stage.kubectl.apply(&more)?;
    stage.kubectl.run(&["patch", SERVER, "--type=merge", "--patch", &Store::patch(2)])?;
    stage.rolled_out(2)?;
    stage.kubectl.wait("condition=Programmed", &["toolpolicy/kommo-readers", "toolgrant/looping-agent"])?;
    stage.kubectl.wait("condition=CountersAvailable", &[SERVER])?;
    let pods = stage.gateways()?;
    let running = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let names: Vec<&str> = running.filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
    let doors = names
        .iter()
        .map(|pod| Forwarded::to(&stage.kubectl, &format!("pod/{pod}"), PORT))
        .collect::<Result<Vec<_>, _>>()?;
    story.chapter(format!("{LOAD} s of load through {} gateways", doors.len()));
    let runtime = Runtime::new()?;
    let load = runtime.spawn(toolgate_e2e::load::run(agents(&doors)));
    happen(&stage, story)?;
    let heard = runtime.block_on(load)?;
    let ended = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    story.step(format!("heard: {heard:?}"));
    // A scrape or two later everything was seen.
    std::thread::sleep(Duration::from_secs(6));
    runtime.block_on(balance(&prometheus, &heard))?;
    story.step("Prometheus counted what the agents heard");
    draw(&prometheus, ended)
}

fn call(tool: &str, arguments: &Value) -> Ask {
    Ask::Call(tool.to_owned(), arguments.clone())
}

/// What an agent asks that works.
fn works() -> Vec<Ask> {
    let (none, lead) = (json!({}), json!({"id": 1001}));
    let moved = json!({"lead_id": 1001, "status_id": 103, "confirm": true});
    vec![
        call("get_leads", &none),
        call("get_lead", &lead),
        call("move_lead", &moved),
        call("get_lead", &lead),
        call("get_pipelines", &none),
    ]
}

/// What it tries now and then.
fn tries() -> Vec<Ask> {
    let bot = json!({"bot_id": 901, "entity_id": 1001, "entity_type": "leads", "confirm": true});
    vec![
        call("update_lead", &json!({"id": 1001, "price": 1})),
        call("run_salesbot", &bot),
        call("stop_salesbot", &bot),
        call("make_coffee", &json!({})),
    ]
}

/// Who calls, what, how often.
fn agents(doors: &[Forwarded]) -> Vec<Agent> {
    let (none, lead) = (json!({}), json!({"id": 1001}));
    let agent = |index: usize, grant: Option<&str>, token: &str, every: u64, asks: Vec<Ask>| Agent {
        address: doors[index % doors.len()].address(),
        grant: grant.map(str::to_owned),
        token: token.to_owned(),
        every: Duration::from_millis(every),
        between: (Duration::ZERO, Duration::from_secs(LOAD)),
        asks,
    };
    let sales = |index, every, asks| agent(index, Some("sales-agent"), SAMPLE_TOKEN, every, asks);
    let support = |index, every, asks| agent(index, Some("support-agent"), OTHER_TOKEN, every, asks);
    let looping = (Duration::from_secs(LOOPING.0), Duration::from_secs(LOOPING.1));
    let reads = vec![call("get_leads", &none), call("get_pipelines", &none), call("get_leads", &none)];
    let again = vec![call("update_lead", &lead)];
    let others = vec![
        Ask::Request("resources/read", json!({"uri": "kommo://account"})),
        Ask::Request("prompts/get", json!({"name": "summary"})),
    ];
    let lists = vec![Ask::Request("tools/list", none)];
    vec![
        sales(0, 290, works()),
        sales(1, 410, works()),
        sales(1, 1700, tries()),
        sales(0, 2300, others),
        support(0, 330, reads),
        support(1, 2900, vec![call("get_lead", &lead)]),
        Agent { between: looping, ..agent(0, Some("looping-agent"), LOOPING_TOKEN, 120, again) },
        agent(1, None, "nobody", 3100, lists.clone()),
        agent(0, None, FORGED, 4700, lists),
    ]
}

/// What happens during the load, at its times.
fn happen(stage: &Stage<'_>, story: &Story) -> anyhow::Result<()> {
    let began = std::time::Instant::now();
    let at = |seconds: u64| std::thread::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
    let scale = |deployment: &str, replicas: u8| {
        let replicas = format!("--replicas={replicas}");
        stage.kubectl.run(&["scale", &format!("deployment/{deployment}"), &replicas]).map(drop)
    };
    at(EDIT);
    let edit = r#"{"spec": {"tools": {"move_lead": {"limits": [{"counter": "move_lead_rate", "window": "minute", "max": 60, "scope": "grant"}]}}}}"#;
    stage.kubectl.run(&["patch", "toolpolicy/kommo-sales", "--type=merge", "--patch", edit])?;
    story.step("the policy is edited: move_lead twice as often");
    at(SERVER_GONE.0);
    scale("kommo-mcp", 0)?;
    story.step("the guarded server is gone");
    at(SERVER_GONE.1);
    scale("kommo-mcp", 1)?;
    story.step("it comes back");
    at(STORE_GONE.0);
    scale("store", 0)?;
    story.step("the store of counters is gone");
    at(STORE_GONE.1);
    scale("store", 1)?;
    story.step("it comes back");
    Ok(())
}

/// What was heard is what was counted.
async fn balance(prometheus: &Prometheus, heard: &Heard) -> anyhow::Result<()> {
    let counted = prometheus.query("sum by (grant, verdict) (toolgate_tool_calls_total)").await?;
    let mut sums = Heard::default();
    for sample in counted.as_array().into_iter().flatten() {
        let count: u64 = sample["value"][1].as_str().unwrap_or_default().parse()?;
        let (grant, verdict) = (&sample["metric"]["grant"], &sample["metric"]["verdict"]);
        sums.add(grant.as_str().unwrap_or_default(), verdict.as_str().unwrap_or_default(), count);
    }
    ensure!(heard.agrees_with(&sums), "heard {heard:?}, counted {sums:?}");
    Ok(())
}

fn draw(prometheus: &Prometheus, to: u64) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (minutes, to) = (LOAD.div_ceil(60).to_string(), to.to_string());
    let drawn = Command::new("node")
        .arg(root.join("e2e/pictures/draw.mjs"))
        .args(["--prometheus", &prometheus.url(), "--scrape", "2", "--minutes", &minutes, "--to", &to])
        .arg("--out")
        .arg(root.join(PICTURES))
        .status()
        .context("run node")?;
    if !drawn.success() {
        bail!("the dashboards could not be drawn: {drawn}");
    }
    Ok(())
}
