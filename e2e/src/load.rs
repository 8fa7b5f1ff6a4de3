//! Agents that call at a pace, each over connections of its own, and what they hear.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::process::{Answer, ProcessError, Request, Socket};

/// What a client is told of a tool that is hidden or listed nowhere.
const UNKNOWN: &str = "unknown";

/// One agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Where it calls.
    pub address: SocketAddr,
    /// Whose grant it calls by; nothing is noted of one that has none.
    pub grant: Option<String>,
    /// Its token.
    pub token: String,
    /// How often it asks.
    pub every: Duration,
    /// From when until when, from the beginning.
    pub between: (Duration, Duration),
    /// What it asks, one after the other, again and again.
    pub asks: Vec<Ask>,
}

/// One thing to ask.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A call of a tool.
    Call(String, Value),
    /// A request that is no tool call; what is heard of it is not noted.
    Request(&'static str, Value),
}

/// How often each grant heard which verdict on a tool call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    counts: BTreeMap<(String, String), u64>,
    /// Calls without an answer: nobody knows whether they were decided.
    pub unanswered: u64,
}

impl Heard {
    /// Notes verdicts of a grant, by the name that metrics have for them.
    pub fn add(&mut self, grant: &str, verdict: &str, count: u64) {
        let verdict = if ["hidden", "unlisted"].contains(&verdict) { UNKNOWN } else { verdict };
        *self.counts.entry((grant.to_owned(), verdict.to_owned())).or_default() += count;
    }

    /// Whether others counted the same: exactly, but for calls without an answer.
    pub fn agrees_with(&self, counted: &Self) -> bool {
        let differences = counted.counts.iter().map(|(key, count)| {
            let heard = self.counts.get(key).copied().unwrap_or_default();
            count.checked_sub(heard)
        });
        let missing = self.counts.keys().any(|key| !counted.counts.contains_key(key));
        let more = differences.sum::<Option<u64>>();
        !missing && more.is_some_and(|more| more <= self.unanswered)
    }

    fn merge(&mut self, other: Self) {
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
        self.unanswered += other.unanswered;
    }
}

/// Lets all agents ask for so long.
pub async fn run(agents: Vec<Agent>) -> Heard {
    let began = Instant::now();
    let mut all = agents.into_iter().map(|agent| work(agent, began)).collect::<JoinSet<Heard>>();
    let mut heard = Heard::default();
    while let Some(done) = all.join_next().await {
        heard.merge(done.expect("no agent panics"));
    }
    heard
}

async fn work(agent: Agent, began: Instant) -> Heard {
    let mut heard = Heard::default();
    let (from, until) = agent.between;
    tokio::time::sleep_until(began + from).await;
    let mut pace = interval(agent.every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for ask in agent.asks.iter().cycle() {
        pace.tick().await;
        if began.elapsed() >= until {
            break;
        }
        let request = match ask {
            Ask::Call(tool, arguments) => Request::modern_call(&agent.token, tool, arguments),
            Ask::Request(method, params) => Request::modern(&agent.token, method, params.clone()),
        };
        let answer = answer(agent.address, &request).await;
        if let (Ask::Call(..), Some(grant)) = (ask, &agent.grant) {
            match answer.as_ref().ok().and_then(verdict) {
                Some(verdict) => heard.add(grant, &verdict, 1),
                None => heard.unanswered += 1,
            }
        }
    }
    heard
}

async fn answer(address: SocketAddr, request: &Request) -> Result<Answer, ProcessError> {
    let mut socket = Socket::open(address).await?;
    // Whatever became of it: there is an answer or there is none.
    let _sent = socket.send(&request.bytes()).await;
    socket.answer().await
}

// None: it was rejected before it was decided.
fn verdict(answer: &Answer) -> Option<String> {
    match (answer.status, answer.verdict(), answer.error_code()) {
        (200, Some(verdict), _) => Some(verdict),
        (_, None, Some(-32602)) => Some(UNKNOWN.to_owned()),
        (200 | 502 | 504, None, _) => Some("allowed".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(counts: &[(&str, &str, u64)], unanswered: u64) -> Heard {
        let mut heard = Heard { unanswered, ..Heard::default() };
        for (grant, verdict, count) in counts {
            heard.add(grant, verdict, *count);
        }
        heard
    }

    #[test]
    fn what_is_counted_is_what_was_heard_but_for_calls_without_an_answer() {
        let ours = heard(&[("a", "allowed", 3), ("a", "unknown", 2)], 0);
        assert!(
            ours.agrees_with(&heard(&[("a", "allowed", 3), ("a", "hidden", 1), ("a", "unlisted", 1)], 0))
        );
        assert!(!ours.agrees_with(&heard(&[("a", "allowed", 3), ("a", "hidden", 1)], 0)));
        assert!(!ours.agrees_with(&heard(&[("a", "allowed", 4), ("a", "hidden", 2)], 0)));
        assert!(!ours.agrees_with(&heard(&[("a", "allowed", 3)], 0)));
        let unsure = Heard { unanswered: 1, ..ours };
        assert!(unsure.agrees_with(&heard(&[("a", "allowed", 4), ("a", "hidden", 2)], 0)));
        assert!(!unsure.agrees_with(&heard(&[("a", "allowed", 5), ("a", "hidden", 2)], 0)));
    }
}
