//! What is measured, and in which order.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};

use super::cores::Cores;
use super::figure::Figure;
use super::load::{self, Pressure, Sample};
use super::program::Program;
use super::question::Question;
use super::report::Report;
use super::rules::Variant;
use super::{edit, instructions, peers, scrape, shared, start, upstream};
use crate::process::{Configuration, Folder};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How often every cell is measured.
    pub rounds: usize,
    /// How long each cell is loaded before anything counts.
    pub warm_up: Duration,
    /// How long each cell is measured.
    pub window: Duration,
    /// The entries of the gateway that has many.
    pub rules: usize,
    /// How often each program is started.
    pub starts: usize,
    /// How many edits are waited for.
    pub edits: usize,
    /// How many tools, and how many grants, a gateway has counted that is scraped. Without any none is.
    pub scraped_tools: usize,
    /// The grants.
    pub scraped_grants: usize,
    /// How long calls are measured without scrapes, and then with them.
    pub scraped_window: Duration,
    /// The pause between two scrapes.
    pub scrape_interval: Duration,
    /// Whether other proxies are measured too.
    pub peers: bool,
    /// How many calls are counted in instructions; none: they are not.
    pub counted_calls: usize,
}

impl Plan {
    /// Everything, in a few minutes.
    pub fn whole() -> Self {
        Self {
            rounds: 5,
            warm_up: Duration::from_millis(300),
            window: Duration::from_secs(1),
            rules: 10_000,
            starts: 7,
            edits: 100,
            scraped_tools: 100,
            scraped_grants: 67,
            scraped_window: Duration::from_secs(15),
            scrape_interval: Duration::from_secs(1),
            peers: true,
            counted_calls: 1000,
        }
    }

    /// The gateway alone, for seconds: shows that everything runs, and no figure of worth.
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            warm_up: Duration::from_millis(20),
            window: Duration::from_millis(80),
            rules: 60,
            starts: 1,
            edits: 2,
            scraped_tools: 3,
            scraped_grants: 2,
            scraped_window: Duration::from_millis(80),
            scrape_interval: Duration::from_millis(10),
            peers: false,
            counted_calls: 0,
        }
    }

    /// Nothing but instructions.
    pub fn instructions() -> Self {
        Self { rounds: 0, starts: 0, edits: 0, scraped_tools: 0, ..Self::whole() }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The upstream itself.
    Direct,
    Nginx,
    Envoy,
    Gateway(Variant),
}

impl Target {
    pub(super) fn name(self) -> String {
        match self {
            Self::Direct => "direct".to_owned(),
            Self::Nginx => "nginx".to_owned(),
            Self::Envoy => "envoy MCP".to_owned(),
            Self::Gateway(variant) => variant.name(),
        }
    }
}

/// What it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Call,
    ModernCall,
    LargeCall,
    Denied,
    Limited,
    List,
}

impl Asked {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Call => "tools/call",
            Self::ModernCall => "tools/call of 2026-07-28",
            Self::LargeCall => "tools/call, 8 kB",
            Self::Denied => "denied call",
            Self::Limited => "limited call",
            Self::List => "tools/list, 23 tools",
        }
    }

    /// Only the gateway filters lists.
    pub(super) fn question(self, target: Target) -> Question {
        match (self, target) {
            (Self::Call, _) => Question::call(),
            (Self::ModernCall, _) => Question::modern_call(),
            (Self::LargeCall, _) => Question::large_call(),
            (Self::Denied, _) => Question::denied_call(),
            (Self::Limited, _) => Question::limited_call(),
            (Self::List, Target::Gateway(_)) => Question::filtered_list(),
            (Self::List, _) => Question::whole_list(),
        }
    }
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub asked: Asked,
    pub target: Target,
    pub connections: usize,
}

/// What one round measured of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub sample: Sample,
    /// How long the process ran for each call, in microseconds. None of the upstream, which shares its process.
    pub cpu: Option<f64>,
    pub resident_bytes: u64,
}

/// A cell and its readings, one for each round.
#[derive(Debug)]
pub(super) struct Measured {
    pub cell: Cell,
    pub readings: Vec<Reading>,
}

/// A running target.
struct Running {
    target: Target,
    address: SocketAddr,
    /// None: it is the upstream.
    program: Option<Program>,
    /// Its files, for as long as it runs.
    _configuration: Option<Configuration>,
}

/// Measures everything. `tell` hears how far it is.
///
/// # Errors
/// When a part does not run. Wrong answers are no such error: they are in the report.
pub fn run(plan: Plan, cores: Option<Cores>, mut tell: impl FnMut(&str)) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let folder = Folder::new()?;
    let upstream = upstream::start()?;
    let mut report = Report::new(plan, cores);
    tell("starting every target");
    let variants = Variant::compared(plan.rules);
    let mut running = targets(plan, cores, &folder, upstream, variants)?;
    report.idle_bytes = idle(&running)?;
    let groups = groups(&running, variants);
    let mut measured: Vec<Measured> =
        groups.iter().flatten().map(|cell| Measured { cell: *cell, readings: Vec::new() }).collect();
    for round in 1..=plan.rounds {
        tell(&format!("round {round} of {}", plan.rounds));
        for cell in shuffled(&groups).into_iter().flat_map(|group| shuffled(group)) {
            let reading = runtime.block_on(read(plan, &mut running, *cell));
            let reading =
                reading.with_context(|| format!("{} of {}", cell.asked.name(), cell.target.name()))?;
            let of_cell = measured.iter_mut().find(|measured| measured.cell == *cell);
            of_cell.context("every cell has its readings")?.readings.push(reading);
        }
    }
    drop(running);
    report.cells = measured;
    tell("counting in a shared store");
    report.shared = runtime.block_on(shared::measure(plan, cores, upstream))?;
    if plan.scraped_tools > 0 {
        tell("scraping a gateway that has counted much");
        report.scrapes = Some(runtime.block_on(scrape::measure(plan, cores, upstream))?);
    }
    tell("starting programs anew");
    report.starts = runtime.block_on(start::measure(plan, cores, &folder, upstream))?;
    tell("editing a policy under load");
    report.edits = runtime.block_on(edit::measure(plan, cores, upstream))?;
    if plan.counted_calls > 0 {
        tell("counting instructions");
        // What was measured before is not lost with it.
        let counting = instructions::measure(plan, &folder, upstream, &mut report.instructions);
        report.uncounted = runtime.block_on(counting).err().map(|error| format!("{error:#}"));
    }
    Ok(report)
}

fn targets(
    plan: Plan,
    cores: Option<Cores>,
    folder: &Folder,
    upstream: SocketAddr,
    variants: [Variant; 4],
) -> anyhow::Result<Vec<Running>> {
    let direct = Running { target: Target::Direct, address: upstream, program: None, _configuration: None };
    let mut running = vec![direct];
    if plan.peers {
        let peers = [
            (Target::Nginx, peers::nginx(folder, upstream)?),
            (Target::Envoy, peers::envoy(folder, upstream)?),
        ];
        for (target, launch) in peers {
            let Some(launch) = launch else { continue };
            let program = Some(launch.listening(cores)?);
            running.push(Running { target, address: launch.address, program, _configuration: None });
        }
    }
    for variant in [Variant::Full].into_iter().chain(variants) {
        let configuration = variant.configure(upstream)?;
        let launch = variant.launch(&configuration)?;
        let program = Some(launch.listening(cores)?);
        let (target, address) = (Target::Gateway(variant), launch.address);
        running.push(Running { target, address, program, _configuration: Some(configuration) });
    }
    Ok(running)
}

fn idle(running: &[Running]) -> anyhow::Result<u64> {
    let full = running.iter().find(|running| running.target == Target::Gateway(Variant::Full));
    full.and_then(|full| full.program.as_ref()).context("the gateway runs")?.resident_bytes()
}

/// What is measured close together, because it is compared.
fn groups(running: &[Running], variants: [Variant; 4]) -> Vec<Vec<Cell>> {
    let full = Target::Gateway(Variant::Full);
    let peers = [Target::Direct, Target::Nginx, Target::Envoy, full];
    let cells = |asked, connections, targets: &[Target]| -> Vec<Cell> {
        let there = targets.iter().filter(|target| running.iter().any(|running| running.target == **target));
        there.map(|target| Cell { asked, target: *target, connections }).collect()
    };
    let variants = variants.map(Target::Gateway);
    let own = [Asked::ModernCall, Asked::LargeCall, Asked::Denied, Asked::Limited];
    let own = own.into_iter().flat_map(|asked| cells(asked, 16, &[full]));
    vec![
        cells(Asked::Call, 1, &peers),
        [cells(Asked::Call, 16, &peers), cells(Asked::Call, 16, &variants), own.collect()].concat(),
        [cells(Asked::Call, 64, &peers), cells(Asked::Call, 64, &[Target::Gateway(Variant::NoLimits)])]
            .concat(),
        cells(Asked::List, 16, &[Target::Nginx, full]),
    ]
}

async fn read(plan: Plan, running: &mut [Running], cell: Cell) -> anyhow::Result<Reading> {
    let of_cell = running.iter_mut().find(|running| running.target == cell.target);
    let Running { address, program, .. } = of_cell.context("the target runs")?;
    let question = cell.asked.question(cell.target);
    if cell.asked == Asked::Limited {
        exhaust(*address, &question).await?;
    }
    let pressure = Pressure { connections: cell.connections, warm_up: plan.warm_up, window: plan.window };
    let mut ran = Vec::new();
    let mark = || {
        ran.push(program.as_ref().map(Program::cpu).transpose()?);
        Ok(())
    };
    let sample = load::run(*address, &question, pressure, mark).await?;
    let resident_bytes = program.as_ref().map(Program::resident_bytes).transpose()?.unwrap_or_default();
    if let Some(program) = program {
        program.must_live()?;
    }
    if sample.calls == 0 {
        bail!("nothing was answered: {}", sample.first_error.as_deref().unwrap_or("no answer came"));
    }
    #[expect(clippy::cast_precision_loss, reason = "so many calls are never made")]
    let cpu = match ran.as_slice() {
        [Some(before), Some(after)] => {
            Some(after.saturating_sub(*before).as_secs_f64() * 1e6 / sample.calls as f64)
        }
        _ => None,
    };
    Ok(Reading { sample, cpu, resident_bytes })
}

/// Uses up the one call that there is room for.
async fn exhaust(address: SocketAddr, question: &Question) -> anyhow::Result<()> {
    let asking =
        async { load::Asker::connect(address, question).await?.ask(question.body.clone()).await.map(drop) };
    tokio::task::LocalSet::new().run_until(asking).await
}

/// The same in another order each time. It need not be hard to guess.
pub(super) fn shuffled<T>(things: &[T]) -> Vec<&T> {
    let order = RandomState::new();
    let mut things: Vec<(u64, &T)> =
        things.iter().enumerate().map(|(index, thing)| (order.hash_one(index), thing)).collect();
    things.sort_by_key(|(key, _)| *key);
    things.into_iter().map(|(_, thing)| thing).collect()
}

impl Measured {
    /// What a round measured, of every round.
    pub(super) fn figure(&self, of: impl Fn(&Reading) -> Option<f64>) -> Option<Figure> {
        Figure::of(self.readings.iter().filter_map(of))
    }
}
