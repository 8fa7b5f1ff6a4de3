//! How long after an edit of a file open sessions obey it, and whether calls that it does not concern suffer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use hyper::StatusCode;
use tokio::task::LocalSet;

use super::cores::Cores;
use super::figure::percentile;
use super::load::Asker;
use super::plan::Plan;
use super::question::Question;
use super::rules::{self, Variant};
use crate::process::{Configuration, PATIENCE};

/// The pause between two calls of a client that waits for nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// What edits took.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edits {
    pub made: usize,
    /// From the last byte of the file to the first call that obeys, in nanoseconds.
    pub p50: u64,
    pub p99: u64,
    pub longest: u64,
    /// Calls that were made meanwhile by a session that no edit concerns.
    pub calls: u64,
    /// How many of them were not answered as ever.
    pub failed: u64,
}

/// None: nothing is edited.
pub(super) async fn measure(
    plan: Plan,
    cores: Option<Cores>,
    upstream: SocketAddr,
) -> anyhow::Result<Option<Edits>> {
    if plan.edits == 0 {
        return Ok(None);
    }
    let configuration = Variant::Full.configure(upstream)?;
    let program = Variant::Full.launch(&configuration)?.listening(cores)?;
    let address = program.address();
    LocalSet::new().run_until(edit(plan, &configuration, address)).await.map(Some)
}

async fn edit(plan: Plan, configuration: &Configuration, address: SocketAddr) -> anyhow::Result<Edits> {
    let concerned = Question::edited_call();
    let mut asker = Asker::connect(address, &concerned).await?;
    let ended = Rc::new(Cell::new(false));
    let bystander = tokio::task::spawn_local(stand_by(address, ended.clone()));
    let mut took = Vec::new();
    for edit in 0..plan.edits {
        let denies = edit % 2 == 0;
        let action = if denies { "deny" } else { "allow" };
        configuration.policy(
            "edited",
            &format!("default: allow\ntools: {{{}: {{action: {action}}}}}", rules::EDITED),
        )?;
        took.push(until_obeyed(&mut asker, &concerned.body, denies).await?);
    }
    ended.set(true);
    let (calls, failed) = bystander.await.context("a task of the load")??;
    took.sort_unstable();
    let longest = took.last().copied().unwrap_or_default();
    Ok(Edits {
        made: plan.edits,
        p50: percentile(&took, 500),
        p99: percentile(&took, 990),
        longest,
        calls,
        failed,
    })
}

async fn until_obeyed(asker: &mut Asker, body: &Bytes, denied: bool) -> anyhow::Result<u64> {
    let edited = Instant::now();
    loop {
        let (status, answer) = asker.ask(body.clone()).await?;
        if status != StatusCode::OK {
            bail!("a call was answered {status}");
        }
        if String::from_utf8_lossy(&answer).contains("[POLICY DENIED]") == denied {
            return Ok(u64::try_from(edited.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        if edited.elapsed() > PATIENCE {
            bail!("the edit is not obeyed");
        }
        tokio::task::yield_now().await;
    }
}

async fn stand_by(address: SocketAddr, ended: Rc<Cell<bool>>) -> anyhow::Result<(u64, u64)> {
    let question = Question::call();
    let mut asker = Asker::connect(address, &question).await?;
    let (mut calls, mut failed) = (0, 0);
    while !ended.get() {
        let answered = asker.ask(question.body.clone()).await;
        calls += 1;
        let right = |body: &Bytes| question.is_answered_by(body);
        failed += u64::from(!answered.is_ok_and(|(status, body)| status == StatusCode::OK && right(&body)));
        tokio::time::sleep(PAUSE).await;
    }
    Ok((calls, failed))
}
