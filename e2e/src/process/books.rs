//! The books: what a client was answered, what the gateway counted, and what reached the server. They balance or
//! something was lost, invented or let past.

use std::collections::BTreeMap;
use std::fmt;

use super::metrics::Metrics;
use crate::agent::Outcome;
use crate::kommo::Counts;

/// The metric that counts every decision once.
const CALLS: &str = "toolgate_tool_calls_total";

/// What the gateway counts tools as that neither a policy nor the server names.
const OTHER_TOOL: &str = "_other";

/// What was noted of the calls of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    heard: BTreeMap<(String, Outcome), u64>,
}

/// One tool and one verdict, as each side counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The tool, as it is counted.
    pub tool: String,
    /// The verdict's label.
    pub verdict: String,
    /// How often the client heard it.
    pub heard: u64,
    /// How often the gateway counted it.
    pub counted: u64,
    /// How often such a call reached the server.
    pub reached: u64,
}

impl Line {
    /// Whether all sides agree: what was allowed reached the server, and nothing else did.
    pub fn balances(&self) -> bool {
        let expected = if self.verdict == "allowed" { self.counted } else { 0 };
        self.heard == self.counted && self.reached == expected
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, verdict, heard, counted, reached } = self;
        write!(formatter, "{tool} {verdict}: heard {heard}, counted {counted}, reached the server {reached}")
    }
}

impl Books {
    /// Nothing was called yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what a client was answered to one call. A tool that is in no policy and no list is noted by any name.
    pub fn note(&mut self, tool: &str, outcome: Outcome) {
        *self.heard.entry((tool.to_owned(), outcome)).or_default() += 1;
    }

    /// Compares with the gateway's metrics and the server's record; `known` are the tools that are counted by name.
    pub fn compare(&self, metrics: &Metrics, reached: &Counts, known: &[&str]) -> Vec<Line> {
        let mut lines: BTreeMap<(String, String), Line> = BTreeMap::new();
        let mut line = |tool: &str, verdict: &str, add: &dyn Fn(&mut Line)| {
            let tool = if known.contains(&tool) { tool } else { OTHER_TOOL };
            let empty =
                Line { tool: tool.to_owned(), verdict: verdict.to_owned(), heard: 0, counted: 0, reached: 0 };
            add(lines.entry((tool.to_owned(), verdict.to_owned())).or_insert(empty));
        };
        for ((tool, outcome), count) in &self.heard {
            line(tool, verdict(*outcome), &|line| line.heard += count);
        }
        for (labels, count) in metrics.by(CALLS, &["tool", "verdict"]) {
            // To a caller hidden and unlisted are the same, on purpose.
            let absent = matches!(labels[1].as_str(), "hidden" | "unlisted");
            line(&labels[0], if absent { ABSENT } else { &labels[1] }, &|line| line.counted += whole(count));
        }
        for (tool, count) in &reached.by_tool {
            line(tool, "allowed", &|line| line.reached += count);
        }
        lines.into_values().collect()
    }
}

const ABSENT: &str = "hidden or unlisted";

fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        // The gateway let it through; that the tool failed is the server's business.
        Outcome::Allowed | Outcome::ToolError => "allowed",
        Outcome::Unknown => ABSENT,
        Outcome::Denied
        | Outcome::Limited
        | Outcome::Uncounted
        | Outcome::Held
        | Outcome::Unauthorized
        | Outcome::Failed => outcome.name(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are small whole numbers"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tool: &str, verdict: &str, heard: u64, counted: u64, reached: u64) -> Line {
        Line { tool: tool.to_owned(), verdict: verdict.to_owned(), heard, counted, reached }
    }

    #[test]
    fn every_side_is_in_the_books() {
        let mut books = Books::new();
        for (tool, outcome) in [
            ("get_leads", Outcome::Allowed),
            ("get_leads", Outcome::ToolError),
            ("stop_salesbot", Outcome::Unknown),
            ("nowhere", Outcome::Unknown),
        ] {
            books.note(tool, outcome);
        }
        let metrics = Metrics::parse(
            "toolgate_tool_calls_total{tool=\"get_leads\",verdict=\"allowed\"} 2\n\
             toolgate_tool_calls_total{tool=\"_other\",verdict=\"unlisted\"} 1\n\
             toolgate_tool_calls_total{tool=\"_other\",verdict=\"hidden\"} 1\n",
        );
        let mut reached = Counts { total: 3, ..Counts::default() };
        reached.by_tool.insert("get_leads".to_owned(), 3);
        let lines = books.compare(&metrics, &reached, &["get_leads"]);
        assert_eq!(
            lines,
            [line("_other", ABSENT, 2, 2, 0), line("get_leads", "allowed", 2, 2, 3)],
            "a call that reached the server uncounted is seen"
        );
        assert!(lines[0].balances() && !lines[1].balances());
        assert!(!line("t", "denied", 1, 1, 1).balances() && !line("t", "denied", 1, 2, 0).balances());
    }
}
