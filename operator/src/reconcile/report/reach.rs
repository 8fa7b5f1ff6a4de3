//! Whether a server's gateways reach it, and how many tools it has, by their own word.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use toolgate_crds::status::condition::REACHABLE;

use super::{Enforcement, Reporting, status};
use crate::conditions::Wanted;
use crate::gateways::{Enforced, Standing, Upstream};

/// The condition to write. None: no gateway is wanted yet.
pub(super) fn reachable(
    reporting: &Reporting<'_>,
    enforcement: &Enforcement,
    previous: &[Condition],
) -> Option<Wanted> {
    match enforcement {
        Enforcement::NotApplied => return None,
        Enforcement::NoGateways { detail } => {
            return Some(Wanted::unknown(REACHABLE, status::none_ready(reporting, detail)));
        }
        Enforcement::Current { .. } | Enforcement::Moving { .. } | Enforcement::Behind { .. } => {}
    }
    if let Some((pod, upstream)) = told(reporting).find(|(_, upstream)| upstream.reachable == Some(false)) {
        let message = format!("gateway pod {pod}: {}", upstream.message);
        return Some(Wanted::new(REACHABLE, false, upstream.reason.as_str(), message));
    }
    let of = reporting.answers.len();
    let up = told(reporting).filter(|(_, upstream)| upstream.reachable == Some(true)).count();
    let silent = reporting.answers.iter().filter(|answer| answer.enforced.is_err()).count();
    let mut last = previous.iter().filter(|last| last.type_ == REACHABLE);
    let was_reachable = last.any(|last| last.status == "True");
    // One that is silent for a moment, or that has just started beside others, turns nothing.
    let is_tolerated = was_reachable
        && (up + silent == of && matches!(enforcement, Enforcement::Moving { .. })
            || up > 0 && up + open(reporting) == of);
    if up == of || is_tolerated {
        let message = "every gateway pod reaches the server";
        return Some(Wanted::new(REACHABLE, true, Standing::Reachable.as_str(), message));
    }
    Some(Wanted::unknown(REACHABLE, format!("{up} of {of} gateway pods say that they reach the server")))
}

/// Whether a gateway does not know yet how the server stands.
pub(super) fn is_open(reporting: &Reporting<'_>) -> bool {
    open(reporting) > 0
}

/// How many tools the server has, by the list that passed last.
pub(super) fn tools(reporting: &Reporting<'_>) -> Option<i32> {
    let lists = enforced(reporting).filter_map(|(_, enforced)| enforced.tools);
    lists.max_by_key(|tools| tools.at).map(|tools| tools.count)
}

fn open(reporting: &Reporting<'_>) -> usize {
    told(reporting).filter(|(_, upstream)| upstream.reachable.is_none()).count()
}

fn told<'a>(reporting: &Reporting<'a>) -> impl Iterator<Item = (&'a str, &'a Upstream)> {
    enforced(reporting).filter_map(|(pod, enforced)| Some((pod, enforced.upstream.as_ref()?)))
}

fn enforced<'a>(reporting: &Reporting<'a>) -> impl Iterator<Item = (&'a str, &'a Enforced)> {
    let answers = reporting.answers.iter();
    answers.filter_map(|answer| Some((answer.pod.as_str(), answer.enforced.as_ref().ok()?)))
}
