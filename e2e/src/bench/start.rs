//! How long it takes from starting a program until it has answered its first call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hyper::StatusCode;
use tokio::task::LocalSet;

use super::cores::Cores;
use super::figure::Figure;
use super::load::Asker;
use super::peers;
use super::plan::{Plan, shuffled};
use super::program::Launch;
use super::question::Question;
use super::rules::Variant;
use crate::process::{Configuration, Folder, PATIENCE};

/// The pause after an attempt to connect that failed.
const PAUSE: Duration = Duration::from_micros(100);
/// The entries of the gateway that starts with many.
const RULES: usize = 1000;

/// Milliseconds by program.
pub(super) async fn measure(
    plan: Plan,
    cores: Option<Cores>,
    folder: &Folder,
    upstream: SocketAddr,
) -> anyhow::Result<Vec<(String, Figure)>> {
    let mut launches: Vec<(String, Launch, Option<Configuration>)> = Vec::new();
    if let (true, Some(launch)) = (plan.peers, peers::nginx(folder, upstream)?) {
        launches.push(("nginx".to_owned(), launch, None));
    }
    for variant in [Variant::Full, Variant::Rules(RULES.min(plan.rules))] {
        let configuration = variant.configure(upstream)?;
        launches.push((variant.name(), variant.launch(&configuration)?, Some(configuration)));
    }
    let mut took: Vec<Vec<f64>> = vec![Vec::new(); launches.len()];
    let indices: Vec<usize> = (0..launches.len()).collect();
    for _ in 0..plan.starts {
        for index in shuffled(&indices) {
            let (name, launch, _) = &launches[*index];
            let first = LocalSet::new().run_until(first_answer(launch, cores)).await;
            took[*index].push(first.with_context(|| format!("start {name}"))?.as_secs_f64() * 1e3);
        }
    }
    let names = launches.into_iter().map(|(name, ..)| name);
    Ok(names.zip(took).filter_map(|(name, took)| Some((name, Figure::of(took)?))).collect())
}

async fn first_answer(launch: &Launch, cores: Option<Cores>) -> anyhow::Result<Duration> {
    let question = Question::modern_call();
    let began = Instant::now();
    let mut program = launch.start(cores)?;
    loop {
        let asking =
            async { Asker::connect(launch.address, &question).await?.ask(question.body.clone()).await };
        if let Ok((StatusCode::OK, body)) = asking.await
            && question.is_answered_by(&body)
        {
            return Ok(began.elapsed());
        }
        program.must_live()?;
        if began.elapsed() > PATIENCE {
            bail!("it does not answer; it wrote:\n{}", program.written());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
