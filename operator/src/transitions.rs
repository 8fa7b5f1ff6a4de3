//! Kubernetes Events: one when a condition turns, none at rest. They say what the conditions say, and nothing else.
//!
//! An Event is a courtesy. Nothing waits for one, and where there are too many the later ones are left out: the status
//! has it all.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use toolgate_crds::status::condition::STALLED;

use crate::labels::MANAGER;

/// The most bytes of an Event's note that the API server takes.
pub const NOTE_BYTES_MAX: usize = 1024;
/// The most Events that wait to be written.
pub const WAITING_MAX: usize = 256;
/// The pause after each Event, so that thousands of objects at once are no storm.
const PAUSE: Duration = Duration::from_millis(50);
/// What comes and goes with every edit, and so is no news.
const NO_NEWS: &str = "Pending";
/// What an Event is about, as the API server wants to know.
const ACTION: &str = "Reconcile";

/// A condition that turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether it is for the worse.
    pub warning: bool,
    /// The condition's reason.
    pub reason: String,
    /// The condition's message, cut to what an Event takes.
    pub note: String,
}

/// Takes Events to be written.
#[derive(Clone, Debug)]
pub struct Teller(mpsc::Sender<(Transition, ObjectReference)>);

/// Events that wait to be written.
pub struct Telling {
    recorder: Recorder,
    waiting: mpsc::Receiver<(Transition, ObjectReference)>,
}

/// What turned between two statuses. What several conditions say alike is told once.
pub fn transitions(before: &[Condition], after: &[Condition]) -> Vec<Transition> {
    let mut told: Vec<Transition> = Vec::new();
    for condition in after.iter().filter(|condition| condition.reason != NO_NEWS) {
        let is_same = |last: &&Condition| last.type_ == condition.type_;
        let last = before.iter().find(is_same);
        if last.is_some_and(|last| last.status == condition.status && last.reason == condition.reason) {
            continue;
        }
        let transition = Transition {
            warning: (condition.status == "True") == (condition.type_ == STALLED),
            reason: condition.reason.clone(),
            note: cut(&condition.message),
        };
        if !told.contains(&transition) {
            told.push(transition);
        }
    }
    told
}

/// Both ends: one takes Events, the other one writes them.
pub fn teller(client: Client, instance: &str) -> (Teller, Telling) {
    let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance.to_owned()) };
    let (waiting_tx, waiting_rx) = mpsc::channel(WAITING_MAX);
    let telling = Telling { recorder: Recorder::new(client, reporter), waiting: waiting_rx };
    (Teller(waiting_tx), telling)
}

impl Teller {
    /// Has Events written about an object, as far as there is room.
    pub fn tell(&self, transitions: Vec<Transition>, object: &ObjectReference) {
        for transition in transitions {
            if let Err(error) = self.0.try_send((transition, object.clone())) {
                tracing::debug!(%error, "an Event is left out");
            }
        }
    }
}

impl Telling {
    /// Writes Events until nobody can bring any more.
    pub async fn run(mut self) {
        while let Some((transition, object)) = self.waiting.recv().await {
            let event = Event {
                type_: if transition.warning { EventType::Warning } else { EventType::Normal },
                reason: transition.reason,
                note: Some(transition.note),
                action: ACTION.to_owned(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, &object).await {
                tracing::debug!(%error, "an Event could not be written");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Telling").finish_non_exhaustive()
    }
}

fn cut(message: &str) -> String {
    if message.len() <= NOTE_BYTES_MAX {
        return message.to_owned();
    }
    let ellipsis = "…";
    let end = message.floor_char_boundary(NOTE_BYTES_MAX - ellipsis.len());
    message[..end].to_owned() + ellipsis
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::{NOTE_BYTES_MAX, cut, transitions};

    fn conditions(lines: &[(&str, &str, &str)]) -> Vec<Condition> {
        let condition = |(type_, status, reason): &(&str, &str, &str)| Condition {
            type_: (*type_).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: format!("says {reason}"),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        lines.iter().map(condition).collect()
    }

    fn told(before: &[(&str, &str, &str)], after: &[(&str, &str, &str)]) -> Vec<String> {
        let turned = transitions(&conditions(before), &conditions(after));
        let line = |turned: super::Transition| {
            format!("{} {}", if turned.warning { "Warning" } else { "Normal" }, turned.reason)
        };
        turned.into_iter().map(line).collect()
    }

    #[test]
    fn what_turns_is_told_once_and_what_is_underway_is_not() {
        let good = [
            ("Accepted", "True", "Accepted"),
            ("Programmed", "True", "Programmed"),
            ("Ready", "True", "Ready"),
        ];
        let bad = [
            ("Accepted", "False", "Invalid"),
            ("Programmed", "False", "Invalid"),
            ("Ready", "False", "Invalid"),
            ("Stalled", "True", "Invalid"),
        ];
        let pending = [
            ("Accepted", "True", "Accepted"),
            ("Programmed", "False", "Pending"),
            ("Ready", "False", "Pending"),
        ];
        assert_eq!(told(&[], &good), ["Normal Accepted", "Normal Programmed", "Normal Ready"]);
        assert_eq!(told(&good, &good), [""; 0]);
        assert_eq!(told(&good, &bad), ["Warning Invalid"]);
        assert_eq!(told(&good, &pending), [""; 0]);
        assert_eq!(told(&pending, &good), ["Normal Programmed", "Normal Ready"]);
        assert_eq!(told(&good, &[("Ready", "False", "NoGateways")]), ["Warning NoGateways"]);
    }

    #[test]
    fn the_longest_note_is_kept_and_one_past_it_is_cut() {
        let longest = "a".repeat(NOTE_BYTES_MAX);
        assert_eq!(cut(&longest), longest);
        assert_eq!(cut(&format!("{longest}a")).len(), NOTE_BYTES_MAX);
        assert!(cut(&"é".repeat(NOTE_BYTES_MAX)).len() <= NOTE_BYTES_MAX);
    }
}
