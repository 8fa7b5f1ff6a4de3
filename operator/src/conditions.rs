//! Conditions: what is said of an object, and since when.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use toolgate_crds::status::condition::{ACCEPTED, COUNTERS_AVAILABLE, PROGRAMMED, REACHABLE, READY, STALLED};

/// The most characters of a condition's message that the API conventions allow.
pub const MESSAGE_CHARACTERS_MAX: usize = 32_768;

/// The condition types that the operator writes. Others are somebody else's.
const OURS: [&str; 6] = [ACCEPTED, COUNTERS_AVAILABLE, PROGRAMMED, REACHABLE, READY, STALLED];

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The condition's type.
    pub type_: &'static str,
    /// Whether it holds; None while that is unknown.
    pub holds: Option<bool>,
    /// Why, as one CamelCase word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

impl Wanted {
    /// A condition to write.
    pub fn new(type_: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, holds: Some(holds), reason, message: message.into() }
    }

    /// A condition of which it is not known whether it holds.
    pub fn unknown(type_: &'static str, message: impl Into<String>) -> Self {
        Self { type_, holds: None, reason: "Pending", message: message.into() }
    }

    /// The same said by another condition.
    #[must_use]
    pub fn renamed(&self, type_: &'static str) -> Self {
        Self { type_, ..self.clone() }
    }
}

/// The conditions to write for a generation. The time of transition changes only where the status does.
pub fn written(
    wanted: Vec<Wanted>,
    previous: &[Condition],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    wanted.into_iter().map(|wanted| one(wanted, previous, generation, now)).collect()
}

/// Whether the operator writes conditions of a type.
pub fn is_ours(type_: &str) -> bool {
    OURS.contains(&type_)
}

/// The conditions that the operator wrote, without those of others.
pub fn ours(conditions: Vec<Condition>) -> Vec<Condition> {
    conditions.into_iter().filter(|condition| is_ours(&condition.type_)).collect()
}

fn one(wanted: Wanted, previous: &[Condition], generation: i64, now: Timestamp) -> Condition {
    let status = match wanted.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let last = previous.iter().find(|last| last.type_ == wanted.type_ && last.status == status);
    // A status keeps whole seconds.
    let seconds = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Condition {
        type_: wanted.type_.to_owned(),
        status: status.to_owned(),
        reason: wanted.reason.to_owned(),
        message: bounded(wanted.message),
        observed_generation: Some(generation),
        last_transition_time: last.map_or(Time(seconds), |last| last.last_transition_time.clone()),
    }
}

fn bounded(message: String) -> String {
    if message.chars().count() <= MESSAGE_CHARACTERS_MAX {
        return message;
    }
    message.chars().take(MESSAGE_CHARACTERS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::{MESSAGE_CHARACTERS_MAX, Wanted, written};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_of_transition_changes_only_with_the_status() {
        let first = written(vec![Wanted::new("Ready", false, "Pending", "a")], &[], 1, at(10));
        let reworded = written(vec![Wanted::new("Ready", false, "NoGateways", "b")], &first, 2, at(20));
        assert_eq!(reworded[0].last_transition_time.0, at(10));
        assert_eq!((reworded[0].reason.as_str(), reworded[0].observed_generation), ("NoGateways", Some(2)));
        let turned = written(vec![Wanted::new("Ready", true, "Ready", "c")], &reworded, 2, at(30));
        assert_eq!(turned[0].last_transition_time.0, at(30));
    }

    #[test]
    fn the_longest_message_is_kept_and_one_past_it_is_cut() {
        let message = |length: usize| {
            let wanted = Wanted::new("Ready", true, "Ready", "é".repeat(length));
            written(vec![wanted], &[], 1, at(0)).remove(0).message
        };
        assert_eq!(message(MESSAGE_CHARACTERS_MAX), "é".repeat(MESSAGE_CHARACTERS_MAX));
        let cut = message(MESSAGE_CHARACTERS_MAX + 1);
        assert_eq!(cut.chars().count(), MESSAGE_CHARACTERS_MAX);
        assert!(cut.ends_with('…'));
    }
}
