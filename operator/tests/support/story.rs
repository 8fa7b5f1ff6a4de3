//! A server over several reconciles, its gateways, and what is said of it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use toolgate_crds::ToolPolicy;
use toolgate_crds::status::McpServerStatus;
use toolgate_crds::status::condition::REACHABLE;
use toolgate_operator::child::ChildKind;
use toolgate_operator::gateways::{
    Answer, Enforced, EnforcedServer, ReadyPod, SharedCounters, Standing, Tools, Upstream,
};
use toolgate_operator::raw::Raw;
use toolgate_operator::reconcile::apply::{Applied, Failure};
use toolgate_operator::reconcile::memory::AppliedBundle;
use toolgate_operator::reconcile::observe::Observed;
use toolgate_operator::reconcile::report::{Reported, Reporting, report};
use toolgate_policy::Bundle;

use crate::world::{SERVER_UID, UPSTREAM, grant, observed, policy, server, validated};

/// A server over several reconciles.
pub(crate) struct Story {
    pub(crate) observed: Observed,
    pub(crate) failures: Vec<Failure>,
    pub(crate) pods_unready: usize,
}

/// What a gateway pod says.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    /// The bundle that was applied last.
    Current,
    /// The bundle before that.
    Previous,
    Nothing,
    OtherHash,
    OtherServer,
    /// The bundle that was applied last, and of the store: whether it is used.
    Counts(Option<bool>),
    /// The bundle that was applied last, and how the server stands.
    Sees(Option<bool>, Standing),
    /// The bundle that was applied last, as a gateway says it that is too old to say more.
    NothingOfTheServer,
    /// The bundle that was applied last, and so many tools in the list that passed at that second.
    Lists(i32, i64),
    /// The bundle before that, and why not the last one.
    Refuses(&'static str),
}

impl Story {
    pub(crate) fn new() -> Self {
        let observed = Observed {
            policies: vec![policy("narrow", 1, "tools: {read: {}}"), policy("wide", 1, "default: allow")],
            grants: vec![grant("robot", 1, "")],
            ..observed(server(1, UPSTREAM))
        };
        Self { observed, failures: Vec::new(), pods_unready: 0 }
    }

    /// A story whose gateways enforce everything.
    pub(crate) fn settled() -> Self {
        let mut story = Self::new();
        let reported = story.next(&[Says::Current]);
        assert_eq!(told(&reported.status), ["Accepted=True/Accepted", "Ready=True/Ready"]);
        story
    }

    pub(crate) fn set_policies(&mut self, policies: Vec<Arc<Raw<ToolPolicy>>>) {
        self.observed.policies = policies;
    }

    /// One reconcile. What it reports is what the next one starts from.
    pub(crate) fn next(&mut self, says: &[Says]) -> Reported {
        let observed = &mut self.observed;
        observed.pods = (0..says.len()).map(pod).collect();
        observed.pods_there = observed.pods.len() + self.pods_unready;
        let validated = validated(observed);
        let held_back = self.failures.iter().any(|failure| failure.kind == ChildKind::ConfigMap);
        let bundle = match validated.bundle.clone() {
            Some((bundle, packed)) if !held_back => {
                Some(AppliedBundle { bundle, hash: packed.hash.clone(), packed })
            }
            Some(_) => observed.memory.applied.clone(),
            None => None,
        };
        let answers = answers(says, bundle.as_ref(), observed.previous.as_deref());
        let applied =
            Applied { bundle: bundle.clone(), written: BTreeMap::new(), failures: self.failures.clone() };
        let reported = report(&Reporting {
            observed,
            validated: &validated,
            applied: &applied,
            answers: &answers,
            now: Timestamp::UNIX_EPOCH,
        });
        observed.memory = reported.memory.clone();
        observed.previous = bundle.map(|applied| applied.bundle);
        let server = (*observed.server).clone();
        observed.server = Arc::new(server.with_status(json!(reported.status)));
        reported
    }
}

pub(crate) fn pod(index: usize) -> ReadyPod {
    let last = u8::try_from(index).unwrap() + 1;
    ReadyPod { name: format!("pod-{index}"), address: [10, 0, 0, last].into() }
}

pub(crate) fn answers(
    says: &[Says],
    applied: Option<&AppliedBundle>,
    previous: Option<&Bundle>,
) -> Vec<Answer> {
    let enforced = |bundle: &Bundle, uid: &str, hash: String| Enforced {
        server: EnforcedServer { uid: uid.to_owned() },
        revision: bundle.revision,
        hash,
        counters: None,
        upstream: Some(standing(Some(true), Standing::Reachable)),
        tools: None,
        refused: Vec::new(),
    };
    let counting = |up: Option<bool>| SharedCounters { up, message: format!("the store is {up:?}") };
    let answer = |says: &Says| {
        let applied = applied.ok_or_else(|| "cannot be reached".to_owned())?;
        match says {
            Says::Current => Ok(enforced(&applied.bundle, SERVER_UID, applied.hash.clone())),
            Says::Counts(up) => Ok(Enforced {
                counters: Some(counting(*up)),
                ..enforced(&applied.bundle, SERVER_UID, applied.hash.clone())
            }),
            Says::Sees(reachable, reason) => Ok(Enforced {
                upstream: Some(standing(*reachable, *reason)),
                ..enforced(&applied.bundle, SERVER_UID, applied.hash.clone())
            }),
            Says::NothingOfTheServer => {
                Ok(Enforced { upstream: None, ..enforced(&applied.bundle, SERVER_UID, applied.hash.clone()) })
            }
            Says::Lists(count, second) => Ok(Enforced {
                tools: Some(Tools { count: *count, at: Timestamp::from_second(*second).unwrap() }),
                ..enforced(&applied.bundle, SERVER_UID, applied.hash.clone())
            }),
            Says::Refuses(why) => Ok(Enforced {
                refused: vec![(*why).to_owned()],
                ..enforced(previous.unwrap(), SERVER_UID, previous.unwrap().hash())
            }),
            Says::Previous => Ok(enforced(previous.unwrap(), SERVER_UID, previous.unwrap().hash())),
            Says::OtherHash => Ok(enforced(&applied.bundle, SERVER_UID, "0".repeat(64))),
            Says::OtherServer => Ok(enforced(&applied.bundle, "uid-of-another", applied.hash.clone())),
            Says::Nothing => Err("cannot be reached".to_owned()),
        }
    };
    let answers = says.iter().enumerate();
    answers.map(|(index, says)| Answer { pod: pod(index).name, enforced: answer(says) }).collect()
}

fn standing(reachable: Option<bool>, reason: Standing) -> Upstream {
    Upstream { reachable, reason, message: format!("the server is {}", reason.as_str()) }
}

/// The conditions, but for the one that tests of it ask for by its name.
pub(crate) fn told(status: &McpServerStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions
        .filter(|condition| condition.type_ != REACHABLE)
        .map(|condition| format!("{}={}/{}", condition.type_, condition.status, condition.reason))
        .collect()
}

pub(crate) fn message(status: &McpServerStatus, type_: &str) -> String {
    status.conditions.iter().find(|condition| condition.type_ == type_).unwrap().message.clone()
}
