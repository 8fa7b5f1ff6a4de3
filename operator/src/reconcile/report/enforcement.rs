//! Whether a server's gateways enforce what was applied.

use super::Reporting;
use crate::child::ChildKind;
use crate::gateways::Answer;
use crate::reconcile::memory::{AppliedBundle, Confirmed};
use crate::reconcile::observe::sane;

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

/// The greatest revision that a gateway of this server enforces and that is not the applied bundle's; 0 if there is none.
///
/// Another operator that led before may have written it. A gateway takes only newer bundles, so ours must become one.
pub(super) fn ahead(reporting: &Reporting<'_>) -> i64 {
    let Some(applied) = &reporting.applied.bundle else { return 0 };
    let told = reporting.answers.iter().filter_map(|answer| answer.enforced.as_ref().ok());
    let ours = told.filter(|enforced| enforced.server.uid == reporting.observed.server.uid());
    let ahead = ours.filter(|enforced| {
        enforced.revision > applied.bundle.revision
            || (enforced.revision == applied.bundle.revision && enforced.hash != applied.hash)
    });
    ahead.map(|enforced| enforced.revision).filter(sane).max().unwrap_or(0)
}

// What is told must not change from poll to poll, or every poll would write a status.
fn progress(reporting: &Reporting<'_>, current: usize, revision: i64) -> String {
    let (server, of) = (reporting.observed.server.name(), reporting.answers.len());
    let mut text = format!("{current} of {of} gateway pods of {server} enforce revision {revision}");
    let why = reporting.answers.iter().find_map(|answer| match &answer.enforced {
        Err(why) => Some(format!("; {} {why}", answer.pod)),
        Ok(enforced) => enforced.refused.first().map(|why| format!("; {} refuses it: {why}", answer.pod)),
    });
    text.push_str(&why.unwrap_or_default());
    text
}

// It stands in the conditions of every policy and grant, too, so a pod that merely starts is no part of it.
fn why_none(reporting: &Reporting<'_>) -> String {
    let server = reporting.observed.server.name();
    let failure = deployment_says(reporting, "ReplicaFailure", "True").into_iter();
    let troubles: Vec<&str> =
        failure.chain(reporting.observed.waiting.troubles.iter().map(String::as_str)).collect();
    if troubles.is_empty() {
        return format!("no gateway pod of {server} is ready");
    }
    format!("no gateway pod of {server} is ready: {}", troubles.join("; "))
}

/// The message of a condition of the Deployment, if it has that status.
pub(super) fn deployment_says<'a>(reporting: &Reporting<'a>, type_: &str, status: &str) -> Option<&'a str> {
    let deployment = reporting.observed.children.get(&ChildKind::Deployment)?;
    let mut conditions = deployment["status"]["conditions"].as_array()?.iter();
    let found = conditions.find(|condition| condition["type"] == type_ && condition["status"] == status)?;
    found["message"].as_str()
}
