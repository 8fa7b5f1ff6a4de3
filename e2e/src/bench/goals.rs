//! What the figures should be, and what they are.

use super::figure::Figure;
use super::plan::{Asked, Cell, Measured, Reading, Target};
use super::report::Report;
use super::rules::Variant;

/// One goal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Goal {
    pub what: String,
    pub reached: Figure,
    pub wanted: Wanted,
}

/// Which figures are good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// Whether the median is as wanted.
    pub(super) fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtMost(most) => self.reached.median <= most,
            Wanted::AtLeast(least) => self.reached.median >= least,
        }
    }

    pub(super) fn wanted_text(&self) -> String {
        match self.wanted {
            Wanted::AtMost(most) => format!("<= {most}"),
            Wanted::AtLeast(least) => format!(">= {least}"),
        }
    }
}

const FULL: Target = Target::Gateway(Variant::Full);

/// Every goal of which both sides were measured.
pub(super) fn goals(report: &Report) -> Vec<Goal> {
    let ratios = beside_others().into_iter().chain(beside_itself(report)).filter_map(|compared| {
        let Compared { what, over, under, of, wanted } = compared;
        Some(Goal { what, reached: ratio(report, over, under, of)?, wanted })
    });
    ratios.chain(memory(report)).chain(times(report)).chain(counted(report)).collect()
}

/// Two cells and what is wanted of their ratio.
struct Compared {
    what: String,
    over: Cell,
    under: Cell,
    of: Of,
    wanted: Wanted,
}

fn call(target: Target, connections: usize) -> Cell {
    Cell { asked: Asked::Call, target, connections }
}

fn beside_others() -> Vec<Compared> {
    let beside = |name: &str, target: Target, connections, of, wanted| Compared {
        what: format!("{name}, c={connections}: toolgate / {}", target.name()),
        over: call(FULL, connections),
        under: call(target, connections),
        of,
        wanted,
    };
    let (nginx, envoy) = (Target::Nginx, Target::Envoy);
    let list = |target| Cell { asked: Asked::List, target, connections: 16 };
    vec![
        beside("CPU per call", nginx, 16, Of::Cpu, Wanted::AtMost(1.5)),
        beside("CPU per call", nginx, 1, Of::Cpu, Wanted::AtMost(1.3)),
        beside("added p50", nginx, 1, Of::AddedP50, Wanted::AtMost(1.15)),
        beside("added p99", nginx, 1, Of::AddedP99, Wanted::AtMost(1.3)),
        beside("calls/s", nginx, 64, Of::Calls, Wanted::AtLeast(0.75)),
        beside("CPU per call", envoy, 16, Of::Cpu, Wanted::AtMost(0.4)),
        beside("added p50", envoy, 1, Of::AddedP50, Wanted::AtMost(0.65)),
        Compared {
            what: "CPU per list, c=16: toolgate filtered / nginx whole".to_owned(),
            over: list(FULL),
            under: list(nginx),
            of: Of::Cpu,
            wanted: Wanted::AtMost(2.5),
        },
    ]
}

fn beside_itself(report: &Report) -> Vec<Compared> {
    let own = |asked| Cell { asked, target: FULL, connections: 16 };
    let variant = |variant| call(Target::Gateway(variant), 16);
    let compared = |what: &str, over, under, most| Compared {
        what: format!("CPU per call, c=16: {what}"),
        over,
        under,
        of: Of::Cpu,
        wanted: Wanted::AtMost(most),
    };
    let (full, rules) = (call(FULL, 16), report.plan.rules);
    vec![
        compared("denied / allowed", own(Asked::Denied), full, 0.5),
        compared("8 kB / small arguments", own(Asked::LargeCall), full, 1.5),
        compared(&format!("{rules} rules more / few"), variant(Variant::Rules(rules)), full, 1.03),
        compared("limits on / off", full, variant(Variant::NoLimits), 1.05),
        compared("policy that watches on / off", full, variant(Variant::NoWatch), 1.05),
        compared("audit trail on / off", full, variant(Variant::NoTrail), 1.05),
    ]
}

/// What of a reading is compared.
#[derive(Clone, Copy)]
enum Of {
    Cpu,
    Calls,
    /// Beside the upstream alone, in the same round.
    AddedP50,
    AddedP99,
}

fn find(report: &Report, cell: Cell) -> Option<&Measured> {
    report.cells.iter().find(|measured| measured.cell == cell)
}

fn ratio(report: &Report, over: Cell, under: Cell, of: Of) -> Option<Figure> {
    let direct = find(report, Cell { target: Target::Direct, ..over });
    let (over, under) = (find(report, over)?, find(report, under)?);
    let rounds = over.readings.iter().zip(&under.readings).enumerate();
    Figure::of(rounds.filter_map(|(round, (over, under))| {
        let direct = direct.and_then(|direct| direct.readings.get(round));
        Some(value(over, direct, of)? / value(under, direct, of)?)
    }))
}

fn value(reading: &Reading, direct: Option<&Reading>, of: Of) -> Option<f64> {
    match of {
        Of::Cpu => reading.cpu,
        Of::Calls => Some(per_second(reading)),
        Of::AddedP50 => Some(micros(reading.sample.p50) - micros(direct?.sample.p50)),
        Of::AddedP99 => Some(micros(reading.sample.p99) - micros(direct?.sample.p99)),
    }
}

/// Answers a second.
#[expect(clippy::cast_precision_loss, reason = "so many calls are never made")]
pub(super) fn per_second(reading: &Reading) -> f64 {
    reading.sample.calls as f64 / reading.sample.window.as_secs_f64()
}

/// Nanoseconds as microseconds.
#[expect(clippy::cast_precision_loss, reason = "no call takes years")]
pub(super) fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

/// Bytes as millions of them.
#[expect(clippy::cast_precision_loss, reason = "no process is that large")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn memory(report: &Report) -> Vec<Goal> {
    let loaded = |variant| Cell { asked: Asked::Call, target: Target::Gateway(variant), connections: 64 };
    let resident =
        |variant| find(report, loaded(variant))?.figure(|reading| Some(megabytes(reading.resident_bytes)));
    let goals = [
        ("resident MB, idle", Figure::of([megabytes(report.idle_bytes)]), 12.0),
        ("resident MB, c=64, without limits", resident(Variant::NoLimits), 20.0),
        ("resident MB, c=64, two logs of a million calls a second", resident(Variant::Full), 20.0),
    ];
    let goal = |(what, reached, most): (&str, Option<Figure>, f64)| {
        Some(Goal { what: what.to_owned(), reached: reached?, wanted: Wanted::AtMost(most) })
    };
    goals.into_iter().filter_map(goal).collect()
}

fn times(report: &Report) -> Vec<Goal> {
    let mut goals = Vec::new();
    let mut goal = |what: String, reached, most| {
        goals.push(Goal { what, reached, wanted: Wanted::AtMost(most) });
    };
    for (name, took) in report.starts.iter().filter(|(name, _)| name != &Target::Nginx.name()) {
        goal(format!("ms from start to first answered call: {name}"), *took, 20.0);
    }
    let milliseconds = |nanoseconds| Figure::of([micros(nanoseconds) / 1e3]);
    if let Some(edits) = &report.edits
        && let (Some(p50), Some(p99)) = (milliseconds(edits.p50), milliseconds(edits.p99))
    {
        goal("ms from edit to obeyed, open session, p50".to_owned(), p50, 20.0);
        goal("ms from edit to obeyed, open session, p99".to_owned(), p99, 50.0);
    }
    goals
}

fn counted(report: &Report) -> Vec<Goal> {
    let of = |asked, target| {
        let counted =
            report.instructions.iter().find(|counted| counted.asked == asked && counted.target == target);
        counted.map(|counted| counted.instructions)
    };
    let many = Target::Gateway(Variant::Rules(report.plan.rules));
    let pairs = [
        (
            format!("instructions per call: {} rules / few", report.plan.rules),
            of(Asked::Call, many),
            of(Asked::Call, FULL),
            1.03,
        ),
        (
            "instructions per call: limits on / off".to_owned(),
            of(Asked::Call, FULL),
            of(Asked::Call, Target::Gateway(Variant::NoLimits)),
            1.05,
        ),
        (
            "instructions per call: policy that watches on / off".to_owned(),
            of(Asked::Call, FULL),
            of(Asked::Call, Target::Gateway(Variant::NoWatch)),
            1.05,
        ),
        (
            "instructions per call: audit trail on / off".to_owned(),
            of(Asked::Call, FULL),
            of(Asked::Call, Target::Gateway(Variant::NoTrail)),
            1.05,
        ),
        (
            "instructions per call: denied / allowed".to_owned(),
            of(Asked::Denied, FULL),
            of(Asked::Call, FULL),
            0.5,
        ),
    ];
    let goal = |(what, over, under, most): (String, Option<f64>, Option<f64>, f64)| {
        Some(Goal { what, reached: Figure::of([over? / under?])?, wanted: Wanted::AtMost(most) })
    };
    pairs.into_iter().filter_map(goal).collect()
}
