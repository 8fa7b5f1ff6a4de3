//! What it costs to count in a store that gateways share: the gateway's own time beside counters in memory, and what the store
//! has to do for each call.
//!
//! The store is a real Redis on the core of load and upstream.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::cores::Cores;
use super::figure::Figure;
use super::load::{self, Asker, Pressure};
use super::plan::{Plan, shuffled};
use super::program::{Launch, Program};
use super::question::Question;
use super::rules::Variant;
use crate::process::{Configuration, Redis};

/// Connections of the load.
const CONNECTIONS: usize = 16;
/// Longer than a gateway waits as a rule: an answer that is late would be an error here, and no figure count.
const DEADLINE_MILLISECONDS: &str = "1000";

/// Where is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Memory,
    Store,
}

/// What is asked: a call that is allowed, or one whose limit is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Allowed,
    Refused,
}

/// What was measured of one of them.
#[derive(Debug)]
struct Cost {
    asked: Asked,
    memory: Vec<f64>,
    store: Vec<f64>,
    questions: Vec<f64>,
    commands: Vec<f64>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Shared {
    costs: Vec<Cost>,
    /// Answers that were not what they must be.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
}

struct Running {
    counted: Counted,
    program: Program,
    _configuration: Configuration,
}

/// Measures it. None where there is no store.
pub(super) async fn measure(
    plan: Plan,
    cores: Option<Cores>,
    upstream: SocketAddr,
) -> anyhow::Result<Option<Shared>> {
    let Some(redis) = Redis::start(&[]).await? else { return Ok(None) };
    let mut running = Vec::new();
    for counted in [Counted::Memory, Counted::Store] {
        running.push(start(counted, &redis, cores, upstream)?);
    }
    let cost = |asked| Cost { asked, memory: vec![], store: vec![], questions: vec![], commands: vec![] };
    let costs = [Asked::Allowed, Asked::Refused].map(cost).into();
    let mut shared = Shared { costs, errors: 0, first_error: None };
    for running in &running {
        exhaust(running.program.address()).await?;
    }
    for _ in 0..plan.rounds {
        for index in 0..shared.costs.len() {
            for running in shuffled(&running) {
                shared.round(plan, index, running, &redis).await?;
            }
        }
    }
    Ok(Some(shared))
}

fn start(
    counted: Counted,
    redis: &Redis,
    cores: Option<Cores>,
    upstream: SocketAddr,
) -> anyhow::Result<Running> {
    let configuration = Variant::Full.configure(upstream)?;
    if counted == Counted::Store {
        configuration.counters(&format!("{{url: '{}'}}", redis.url()))?;
    }
    let mut launch: Launch = Variant::Full.launch(&configuration)?;
    launch.command.extend(["--counters-deadline-milliseconds", DEADLINE_MILLISECONDS].map(str::to_owned));
    Ok(Running { counted, program: launch.listening(cores)?, _configuration: configuration })
}

/// Uses up the one call that there is room for, as soon as the gateway counts.
async fn exhaust(address: SocketAddr) -> anyhow::Result<()> {
    let question = Question::limited_call();
    let asking = async {
        let mut asker = Asker::connect(address, &question).await?;
        let started = std::time::Instant::now();
        loop {
            let (_, body) = asker.ask(question.body.clone()).await?;
            if question.is_answered_by(&body) {
                return Ok(());
            }
            if started.elapsed() > crate::process::PATIENCE {
                bail!("a call is never over its limit: {}", String::from_utf8_lossy(&body));
            }
        }
    };
    tokio::task::LocalSet::new().run_until(asking).await
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "over its limit",
        }
    }

    fn question(self) -> Question {
        match self {
            Self::Allowed => Question::call(),
            Self::Refused => Question::limited_call(),
        }
    }
}

impl Shared {
    async fn round(
        &mut self,
        plan: Plan,
        index: usize,
        running: &Running,
        redis: &Redis,
    ) -> anyhow::Result<()> {
        let cost = self.costs.get_mut(index).context("a cost")?;
        let pressure = Pressure { connections: CONNECTIONS, warm_up: plan.warm_up, window: plan.window };
        let mut marks = Vec::new();
        let mark = || {
            marks.push((running.program.cpu()?, Work::of(redis.address())?));
            Ok(())
        };
        let sample = load::run(running.program.address(), &cost.asked.question(), pressure, mark).await?;
        let [(cpu_before, work_before), (cpu_after, work_after)] = marks.as_slice() else {
            bail!("a window has two ends");
        };
        if sample.calls == 0 {
            bail!("nothing was answered: {}", sample.first_error.as_deref().unwrap_or("no answer came"));
        }
        #[expect(clippy::cast_precision_loss, reason = "so many calls are never made")]
        let each = |total: f64| total / sample.calls as f64;
        let ran = each(cpu_after.saturating_sub(*cpu_before).as_secs_f64() * 1e6);
        match running.counted {
            Counted::Memory => cost.memory.push(ran),
            Counted::Store => {
                cost.store.push(ran);
                cost.questions.push(each(work_after.questions - work_before.questions));
                cost.commands.push(each(work_after.commands - work_before.commands));
            }
        }
        self.errors += sample.errors;
        self.first_error = self.first_error.take().or(sample.first_error);
        Ok(())
    }

    /// As a table.
    pub(super) fn text(&self, text: &mut String) {
        let _written = writeln!(
            text,
            "| counted in a shared Redis | CPU us/call in memory | in Redis | ratio | scripts Redis ran per call | commands |\n\
             | --- | --- | --- | --- | --- | --- |"
        );
        for cost in &self.costs {
            let cells = [
                figure(&cost.memory, 1),
                figure(&cost.store, 1),
                cost.ratio().map_or("-".to_owned(), |ratio| ratio.text(2)),
                figure(&cost.questions, 3),
                figure(&cost.commands, 3),
            ];
            let _written = writeln!(text, "| a call {} | {} |", cost.asked.name(), cells.join(" | "));
        }
        text.push('\n');
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let json = |figures: &[f64]| Figure::of(figures.iter().copied()).map(Figure::json);
        let cost = |cost: &Cost| {
            json!({
                "asked": cost.asked.name(),
                "cpuMicrosecondsInMemory": json(&cost.memory),
                "cpuMicrosecondsInRedis": json(&cost.store),
                "ratio": cost.ratio().map(Figure::json),
                "redisScripts": json(&cost.questions),
                "redisCommands": json(&cost.commands),
            })
        };
        self.costs.iter().map(cost).collect()
    }
}

impl Cost {
    /// Within each round.
    fn ratio(&self) -> Option<Figure> {
        Figure::of(self.store.iter().zip(&self.memory).map(|(store, memory)| store / memory))
    }
}

fn figure(figures: &[f64], digits: usize) -> String {
    Figure::of(figures.iter().copied()).map_or("-".to_owned(), |figure| figure.text(digits))
}

/// What a store has done since it was started.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Scripts that it was asked to run.
    questions: f64,
    /// Commands, those of scripts included.
    commands: f64,
}

impl Work {
    fn of(store: SocketAddr) -> anyhow::Result<Self> {
        // It closes the connection after the answer, so the answer's end needs no parser.
        let mut stream = TcpStream::connect(store).context("ask the store")?;
        stream.write_all(b"INFO commandstats\r\nQUIT\r\n").context("ask the store")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("ask the store")?;
        let (mut questions, mut commands) = (0.0, 0.0);
        for line in answer.lines() {
            let Some((name, rest)) = line.strip_prefix("cmdstat_").and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let calls = rest.strip_prefix("calls=").and_then(|rest| rest.split(',').next()?.parse().ok());
            let calls: f64 = calls.with_context(|| format!("{line:?} is odd"))?;
            commands += calls;
            if name == "evalsha" {
                questions += calls;
            }
        }
        Ok(Self { questions, commands })
    }
}
