//! Whether a server's gateways enforce what was applied.

use super::Reporting;
use crate::gateways::Answer;
use crate::reconcile::memory::{AppliedBundle, Confirmed};

/// How often in a row a gateway may fail to answer before what it enforced is no longer believed of it.
pub const POLLS_TOLERATED: u32 = 8;

/// Whether a server's gateways enforce what was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Nothing is applied.
    NotApplied,
    /// No gateway pod is Ready.
    NoGateways {
        /// Why, if that is known.
        detail: String,
    },
    /// Every gateway enforces exactly the applied bundle.
    Current {
        /// How many there are.
        of: usize,
    },
    /// Every gateway enforces the applied bundle or the one before, on which all agreed.
    Moving {
        /// How far they are.
        progress: String,
        /// The revision on which all agreed last.
        confirmed: i64,
        /// The generation of the server in it.
        server_generation: i64,
    },
    /// A gateway enforces something else, or does not say what.
    Behind {
        /// How far they are.
        progress: String,
    },
}

enum Position {
    Applied,
    Confirmed,
    Silent,
    Elsewhere,
}

impl Enforcement {
    /// Looks at the answers. `polls` is how often the gateways were asked before for this bundle.
    pub fn of(reporting: &Reporting<'_>, polls: u32) -> Self {
        let Some(applied) = &reporting.applied.bundle else { return Self::NotApplied };
        let answers = reporting.answers;
        if answers.is_empty() {
            return Self::NoGateways { detail: why_none(reporting) };
        }
        let uid = reporting.observed.server.uid();
        let confirmed = reporting.observed.memory.confirmed.as_deref();
        let positions: Vec<Position> =
            answers.iter().map(|answer| position(answer, uid, applied, confirmed)).collect();
        let current = positions.iter().filter(|position| matches!(position, Position::Applied)).count();
        if current == answers.len() {
            return Self::Current { of: current };
        }
        let progress = progress(reporting, current, applied.bundle.revision);
        let known = |position: &Position| match position {
            Position::Applied | Position::Confirmed => true,
            Position::Silent => polls < POLLS_TOLERATED,
            Position::Elsewhere => false,
        };
        match confirmed {
            Some(confirmed) if positions.iter().all(known) => Self::Moving {
                progress,
                confirmed: confirmed.revision,
                server_generation: confirmed.server_generation,
            },
            _ => Self::Behind { progress },
        }
    }
}

fn position(answer: &Answer, uid: &str, applied: &AppliedBundle, confirmed: Option<&Confirmed>) -> Position {
    let Ok(enforced) = &answer.enforced else { return Position::Silent };
    let is = |revision: i64, hash: &str| enforced.revision == revision && enforced.hash == hash;
    if enforced.server.uid != uid {
        return Position::Elsewhere;
    }
    if is(applied.bundle.revision, &applied.hash) {
        return Position::Applied;
    }
    match confirmed {
        Some(confirmed) if is(confirmed.revision, &confirmed.hash) => Position::Confirmed,
        _ => Position::Elsewhere,
    }
}

// What is told must not change from poll to poll, or every poll would write a status.
fn progress(reporting: &Reporting<'_>, current: usize, revision: i64) -> String {
    let (server, of) = (reporting.observed.server.name(), reporting.answers.len());
    let mut text = format!("{current} of {of} gateway pods of {server} enforce revision {revision}");
    let silent = reporting
        .answers
        .iter()
        .find_map(|answer| answer.enforced.as_ref().err().map(|why| format!("; {} {why}", answer.pod)));
    text.push_str(&silent.unwrap_or_default());
    text
}

fn why_none(reporting: &Reporting<'_>) -> String {
    let server = reporting.observed.server.name();
    let deployment = reporting.observed.children.get(&crate::child::ChildKind::Deployment);
    let conditions = deployment.and_then(|deployment| deployment["status"]["conditions"].as_array());
    let failure = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    match failure.and_then(|failure| failure["message"].as_str()) {
        Some(message) => format!("no gateway pod of {server} is ready: {message}"),
        None => format!("no gateway pod of {server} is ready"),
    }
}
