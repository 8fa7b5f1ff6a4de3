//! Whether a server's gateways count in the store that they share, by their own word.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use toolgate_crds::status::condition::COUNTERS_AVAILABLE;

use super::{Enforcement, Reporting};
use crate::conditions::Wanted;
use crate::gateways::SharedCounters;

/// The condition to write. None: there is no shared store.
pub(super) fn available(
    reporting: &Reporting<'_>,
    enforcement: &Enforcement,
    previous: &[Condition],
) -> Option<Wanted> {
    if !has_store(reporting) {
        return None;
    }
    if let Some((pod, counters)) = told(reporting).find(|(_, counters)| counters.up == Some(false)) {
        let message = format!("gateway pod {pod}: {}", counters.message);
        return Some(Wanted::new(COUNTERS_AVAILABLE, false, "StoreAway", message));
    }
    let of = reporting.answers.len();
    let up = told(reporting).filter(|(_, counters)| counters.up == Some(true)).count();
    let silent = reporting.answers.iter().filter(|answer| answer.enforced.is_err()).count();
    let mut last = previous.iter().filter(|last| last.type_ == COUNTERS_AVAILABLE);
    let was_available = last.any(|last| last.status == "True");
    // One that is silent for a moment turns nothing, as it does not for `Ready`.
    let is_tolerated = was_available && matches!(enforcement, Enforcement::Moving { .. });
    if of > 0 && (up == of || (is_tolerated && up + silent == of)) {
        let message = "every gateway pod counts in the shared store";
        return Some(Wanted::new(COUNTERS_AVAILABLE, true, "Available", message));
    }
    Some(Wanted::unknown(
        COUNTERS_AVAILABLE,
        format!("{up} of {of} gateway pods say that they count in the shared store"),
    ))
}

/// Whether a gateway is about to connect.
pub(super) fn is_open(reporting: &Reporting<'_>) -> bool {
    has_store(reporting) && told(reporting).any(|(_, counters)| counters.up.is_none())
}

fn has_store(reporting: &Reporting<'_>) -> bool {
    let bundle = reporting.applied.bundle.as_ref();
    let counters = bundle.and_then(|applied| applied.bundle.server.spec.counters.as_ref());
    counters.is_some_and(|counters| counters.redis.is_some())
}

fn told<'a>(reporting: &Reporting<'a>) -> impl Iterator<Item = (&'a str, &'a SharedCounters)> {
    let answers = reporting.answers.iter();
    answers
        .filter_map(|answer| Some((answer.pod.as_str(), answer.enforced.as_ref().ok()?.counters.as_ref()?)))
}
