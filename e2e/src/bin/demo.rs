//! `demo`: the whole story on a real Kubernetes, told as it happens. It fails if anything differs from the promise.
//!
//! With `KEEP=1` everything is left running, and how to use it is printed.

use std::env;
use std::process::ExitCode;

use anyhow::Context;

use toolgate_e2e::cluster::{
    Cluster, Images, Operator, Prometheus, RELEASE_NAMESPACE, SAMPLE_TOKEN, Stage, Story, dump, exit_code,
    walk,
};

/// The namespace of the demo.
const NAMESPACE: &str = "demo";

/// The name of the disposable cluster's folder.
const CLUSTER: &str = "run";

/// What is worth asking: who called what, which limit is nearly used, what the gateway adds.
const QUERIES: [&str; 3] = [
    "sum by (grant, tool, verdict) (toolgate_tool_calls_total)",
    "max by (policy, counter, window, grant) (toolgate_limit_used_ratio)",
    "histogram_quantile(0.95, sum by (le) (rate(toolgate_tool_call_duration_seconds_bucket{verdict=\"allowed\"}[5m])))",
];

fn main() -> ExitCode {
    let story = Story::aloud();
    println!("Toolgate on a real Kubernetes\n");
    match run(&story) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            exit_code(&error)
        }
    }
}

fn run(story: &Story) -> anyhow::Result<()> {
    println!("A cluster (e2e/cluster/up; E2E_KUBECONFIG names one of your own instead)");
    let cluster = Cluster::ready(CLUSTER)?;
    Operator::refuse_another(&cluster)?;
    story.step("the cluster is up");
    let keep = env::var_os("KEEP").is_some_and(|keep| keep != "0");
    let prometheus = if keep { watching(&cluster, story) } else { None };
    let played = play(&cluster, story);
    if played.is_err() {
        dump(&cluster.kubectl, NAMESPACE);
    }
    if keep {
        how_to_use(&cluster);
        prometheus.map_or_else(|| (), what_to_look_at);
        return played;
    }
    story.chapter("The end");
    let cleaned = clean(cluster, story).context("taking everything away");
    played.and(cleaned)
}

fn play(cluster: &Cluster, story: &Story) -> anyhow::Result<()> {
    story.chapter("Toolgate");
    cluster.kubectl.run(&["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    let images = Images::provide(cluster)?;
    story.step("operator, gateway, a stand-in for the Kommo MCP server and an agent are there as images");
    Operator::install(cluster, &images)?;
    story.step(format!("helm install toolgate charts/toolgate --namespace {RELEASE_NAMESPACE} --wait"));
    let stage = Stage::set(cluster, &images, NAMESPACE)?;
    story.step(format!("namespace {NAMESPACE} (Pod Security: restricted) with the stand-in and its Secret"));
    walk(&stage, story)?;
    Ok(())
}

fn clean(cluster: Cluster, story: &Story) -> anyhow::Result<()> {
    if cluster.is_started_here() {
        cluster.leave()?;
        story.step("the cluster is down and nothing of it is left");
        return Ok(());
    }
    Operator::remove(&cluster)?;
    cluster.kubectl.run(&["delete", "namespace", NAMESPACE, RELEASE_NAMESPACE, "--ignore-not-found"])?;
    story.step("the cluster was here before: the release, the CRDs and the demo's namespaces are gone");
    Ok(())
}

/// A Prometheus that is there from the beginning. The story goes on without it.
fn watching(cluster: &Cluster, story: &Story) -> Option<Prometheus> {
    match Prometheus::start(cluster) {
        Ok(prometheus) => {
            story.step(format!("Prometheus scrapes all of it: {}", prometheus.url()));
            Some(prometheus)
        }
        Err(error) => {
            story.step(format!("no Prometheus: {error}"));
            None
        }
    }
}

fn what_to_look_at(prometheus: Prometheus) {
    println!("  {}     Prometheus, with the chart's alerts; ask it such as", prometheus.url());
    for query in QUERIES {
        println!("    {query}");
    }
    println!("  charts/toolgate/files/dashboards    to import into a Grafana that has it as a data source");
    let processes: Vec<String> = prometheus.leave().iter().map(ToString::to_string).collect();
    println!("  kill {}     # ends Prometheus and its way into the cluster", processes.join(" "));
}

fn how_to_use(cluster: &Cluster) {
    let kubeconfig = cluster.kubectl.kubeconfig().display();
    println!("\nLeft as it is. To use it:");
    println!("  export KUBECONFIG={kubeconfig}");
    if cluster.folder().is_some() {
        println!("  export PATH=$PWD/e2e/cluster/.cache/bin:$PATH");
    }
    println!("  kubectl --namespace {NAMESPACE} port-forward service/kommo-toolgate 8080:80");
    println!("  TOOLGATE_TOKEN={SAMPLE_TOKEN} target/debug/agent --url http://127.0.0.1:8080/mcp tools");
    println!("  kubectl --namespace {NAMESPACE} edit toolpolicy kommo-sales");
    if let Some(folder) = cluster.folder() {
        println!("  CLUSTER_DIR={} e2e/cluster/down     # ends all of it", folder.display());
    }
}
