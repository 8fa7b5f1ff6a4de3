//! The books of a conversation: what the agent was told, what the gateway counted and what reached the server have to
//! agree, call by call.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::{Outcome, Sighting, StepReport};
use crate::kommo::Counts;

use super::metrics::Metrics;
use super::{Error, promise};

/// The metric of decisions.
pub(super) const CALLS: &str = "toolgate_tool_calls_total";

/// How often the agent heard each verdict, by tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    heard: BTreeMap<(String, &'static str), u64>,
}

impl Books {
    /// Enters the calls of a script's step.
    pub fn enter_step(&mut self, report: &StepReport) {
        let Some(tool) = report.what.strip_prefix("call ") else { return };
        for (outcome, count) in &report.counts {
            self.enter(tool, *outcome, u64::from(*count));
        }
    }

    /// Enters the calls of a wait.
    pub fn enter_wait(&mut self, sighting: &Sighting) {
        for (outcome, count) in &sighting.counts {
            self.enter(&sighting.last.tool, *outcome, *count);
        }
    }

    fn enter(&mut self, tool: &str, outcome: Outcome, count: u64) {
        *self.heard.entry((tool.to_owned(), verdict(outcome))).or_default() += count;
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.heard.values().sum()
    }

    /// How many calls the server must have seen.
    pub fn forwarded(&self) -> u64 {
        self.heard.iter().filter(|((_, verdict), _)| *verdict == ALLOWED).map(|(_, count)| count).sum()
    }

    /// Compares them with what a server's gateways counted for a grant and with what reached the server.
    ///
    /// # Errors
    ///
    /// If anything differs, with every difference.
    pub fn balance(&self, grant: &str, metrics: &Metrics, record: &Counts) -> Result<(), Error> {
        let mut counted = BTreeMap::<(String, &'static str), u64>::new();
        let mut differences = Vec::new();
        for series in metrics.named(CALLS) {
            if series.label("grant") != grant {
                differences.push(format!("calls are counted for the grant {}", series.label("grant")));
            }
            let told = told(series.label("verdict"));
            *counted.entry((series.label("tool").to_owned(), told)).or_default() += series.value;
        }
        let all: BTreeSet<&(String, &'static str)> = self.heard.keys().chain(counted.keys()).collect();
        for key @ (tool, verdict) in all {
            let (heard, counted) = (amount(&self.heard, key), amount(&counted, key));
            if heard != counted {
                differences.push(format!(
                    "{tool} {verdict}: the agent heard {heard}, the gateway counted {counted}"
                ));
            }
        }
        let reached: BTreeSet<&String> =
            record.by_tool.keys().chain(self.heard.keys().map(|(tool, _)| tool)).collect();
        for tool in reached {
            let heard = amount(&self.heard, &(tool.clone(), ALLOWED));
            let reached = record.by_tool.get(tool).copied().unwrap_or_default();
            if heard != reached {
                differences
                    .push(format!("{tool}: {heard} calls were let through, {reached} reached the server"));
            }
        }
        promise(differences.is_empty(), || format!("the books differ: {}", differences.join("; ")))
    }
}

const ALLOWED: &str = "allowed";

/// What the agent can tell apart. A tool that failed was called; hidden and unlisted sound the same.
fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed | Outcome::ToolError => ALLOWED,
        Outcome::Denied => "denied",
        Outcome::Limited => "limited",
        Outcome::Uncounted => "uncounted",
        Outcome::Held => "held",
        Outcome::Unknown => "unknown",
        Outcome::Unauthorized => "unauthorized",
        Outcome::Failed => "failed",
    }
}

/// How a counted verdict sounds to the agent.
fn told(verdict: &str) -> &'static str {
    match verdict {
        "allowed" => ALLOWED,
        "denied" => "denied",
        "limited" => "limited",
        "uncounted" => "uncounted",
        "held" => "held",
        "hidden" | "unlisted" => "unknown",
        _ => "counted as something else",
    }
}

fn amount(amounts: &BTreeMap<(String, &'static str), u64>, key: &(String, &'static str)) -> u64 {
    amounts.get(key).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(heard: &[(&str, Outcome, u64)]) -> Books {
        let mut books = Books::default();
        for (tool, outcome, count) in heard {
            books.enter(tool, *outcome, *count);
        }
        books
    }

    fn balance(books: &Books, counted: &[(&str, &str, u64)], reached: &[(&str, u64)]) -> Result<(), String> {
        let line = |(tool, verdict, count): &(&str, &str, u64)| {
            format!("{CALLS}{{grant=\"alice\",tool=\"{tool}\",verdict=\"{verdict}\"}} {count}")
        };
        let page = counted.iter().map(line).collect::<Vec<_>>().join("\n");
        let by_tool = reached.iter().map(|(tool, count)| ((*tool).to_owned(), *count)).collect();
        let record = Counts { by_tool, ..Counts::default() };
        books.balance("alice", &Metrics::read(&page), &record).map_err(|error| error.to_string())
    }

    #[test]
    fn books_that_agree_balance_and_each_kind_of_difference_is_found() {
        let heard = [("a", Outcome::Allowed, 30), ("a", Outcome::Limited, 1), ("b", Outcome::Unknown, 2)];
        let books = books(&heard);
        let counted = [("a", "allowed", 30), ("a", "limited", 1), ("b", "hidden", 1), ("b", "unlisted", 1)];
        assert_eq!(balance(&books, &counted, &[("a", 30)]), Ok(()));
        assert_eq!((books.calls(), books.forwarded()), (33, 30));

        let differs = |counted: &[(&str, &str, u64)], reached: &[(&str, u64)]| {
            balance(&books, counted, reached).expect_err("differs")
        };
        assert_eq!(
            differs(&counted[..3], &[("a", 30)]),
            "the books differ: b unknown: the agent heard 2, the gateway counted 1"
        );
        assert_eq!(
            differs(&counted, &[("a", 31)]),
            "the books differ: a: 30 calls were let through, 31 reached the server"
        );
        assert_eq!(
            differs(&counted, &[("a", 30), ("c", 1)]),
            "the books differ: c: 0 calls were let through, 1 reached the server"
        );
        let more = [counted.as_slice(), &[("d", "denied", 1)]].concat();
        assert_eq!(
            differs(&more, &[("a", 30)]),
            "the books differ: d denied: the agent heard 0, the gateway counted 1"
        );
    }
}
