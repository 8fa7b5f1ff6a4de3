//! Running a script over one connection and comparing what comes back with what it expects.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::connection::{Connection, words};
use super::reply::{Outcome, Reply};
use super::script::{CallStep, Expectation, ListStep, Step};

/// What one step came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Counted from 1.
    pub step: usize,
    /// What was done, such as `call move_lead`.
    pub what: String,
    /// How often each outcome came; empty for a list.
    pub counts: BTreeMap<Outcome, u32>,
    /// The outcome of the last call.
    pub outcome: Option<Outcome>,
    /// The rule that the last verdict named.
    pub rule: Option<String>,
    /// What the agent read last: the result's text, or the error's message.
    pub text: Option<String>,
    /// The listed names.
    pub names: Option<Vec<String>>,
    /// What differs from the expectation; absent if nothing does.
    pub problem: Option<String>,
}

/// Runs all steps, also after one that differs, and hands over each report as soon as its step is done.
/// Answers whether no step differed.
pub async fn converse(connection: &Connection, steps: &[Step], mut report: impl FnMut(&StepReport)) -> bool {
    let mut all_as_expected = true;
    for (step, number) in steps.iter().zip(1..) {
        let done = match step {
            Step::Call(step) => run_calls(connection, number, step).await,
            Step::List(step) => run_list(connection, number, step).await,
        };
        all_as_expected &= done.problem.is_none();
        report(&done);
    }
    all_as_expected
}

async fn run_calls(connection: &Connection, number: usize, step: &CallStep) -> StepReport {
    let mut report = StepReport {
        step: number,
        what: format!("call {}", step.call),
        counts: BTreeMap::new(),
        outcome: None,
        rule: None,
        text: None,
        names: None,
        problem: None,
    };
    let mut next = Instant::now();
    for count in 1..=step.times {
        tokio::time::sleep_until(next.into()).await;
        next = Instant::now() + Duration::from_millis(step.every_ms);
        let reply = connection.call(&step.call, &step.arguments).await;
        *report.counts.entry(reply.outcome).or_default() += 1;
        if let (None, Some(expect)) = (&report.problem, &step.expect) {
            report.problem = difference(expect, &reply)
                .map(|difference| format!("step {number}, call {count} of {}: {difference}", step.times));
        }
        report.outcome = Some(reply.outcome);
        report.rule = reply.rule().map(str::to_owned);
        report.text = Some(reply.words().to_owned());
    }
    report
}

async fn run_list(connection: &Connection, number: usize, step: &ListStep) -> StepReport {
    let (names, problem) = match connection.list(step.list).await {
        Ok(names) => {
            let problem = list_difference(step, &names);
            (Some(names), problem)
        }
        Err(error) => (None, Some(words(&error))),
    };
    StepReport {
        step: number,
        what: format!("list {}", serde_json::json!(step.list).as_str().unwrap_or_default()),
        counts: BTreeMap::new(),
        outcome: None,
        rule: None,
        text: None,
        names,
        problem: problem.map(|problem| format!("step {number}: {problem}")),
    }
}

/// How a reply differs from what is expected.
fn difference(expect: &Expectation, reply: &Reply) -> Option<String> {
    let Expectation { outcome, text_contains, rule_equals } = expect;
    if reply.outcome != *outcome {
        let (expected, came) = (outcome.name(), reply.outcome.name());
        return Some(format!("expected outcome {expected}, got {came}: {}", reply.words()));
    }
    if let Some(part) = text_contains
        && !reply.words().contains(part.as_str())
    {
        return Some(format!("expected a text with {part:?}, got {:?}", reply.words()));
    }
    if let Some(rule) = rule_equals
        && reply.rule() != Some(rule.as_str())
    {
        return Some(format!("expected rule {rule}, got {}", reply.rule().unwrap_or("none")));
    }
    None
}

fn list_difference(step: &ListStep, names: &[String]) -> Option<String> {
    let missing: Vec<&str> =
        step.includes.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
    let unwanted: Vec<&str> =
        step.excludes.iter().filter(|name| names.contains(name)).map(String::as_str).collect();
    match (missing.is_empty(), unwanted.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("not listed: {}", missing.join(", "))),
        (true, false) => Some(format!("listed: {}", unwanted.join(", "))),
        (false, false) => {
            Some(format!("not listed: {}; listed: {}", missing.join(", "), unwanted.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::agent::connection::Listing;
    use crate::agent::reply::VERDICT_KEY;

    #[test]
    fn each_part_of_an_expectation_can_differ() {
        let meta = json!({VERDICT_KEY: {"outcome": "denied", "rule": "p/tools/t"}});
        let reply =
            Reply::result("t", true, "[POLICY DENIED] ask sales".to_owned(), meta.as_object().cloned());
        let expect = |outcome, text: Option<&str>, rule: Option<&str>| Expectation {
            outcome,
            text_contains: text.map(str::to_owned),
            rule_equals: rule.map(str::to_owned),
        };
        let cases = [
            (expect(Outcome::Denied, None, None), None),
            (expect(Outcome::Denied, Some("ask sales"), Some("p/tools/t")), None),
            (
                expect(Outcome::Allowed, None, None),
                Some("expected outcome allowed, got denied: [POLICY DENIED] ask sales"),
            ),
            (
                expect(Outcome::Denied, Some("ask ops"), None),
                Some(r#"expected a text with "ask ops", got "[POLICY DENIED] ask sales""#),
            ),
            (expect(Outcome::Denied, None, Some("p/tools")), Some("expected rule p/tools, got p/tools/t")),
        ];
        for (expect, expected) in cases {
            assert_eq!(difference(&expect, &reply).as_deref(), expected);
        }
    }

    #[test]
    fn a_list_can_miss_names_and_have_too_many() {
        let names = ["get_lead".to_owned(), "stop_salesbot".to_owned()];
        let step = |includes: &[&str], excludes: &[&str]| ListStep {
            list: Listing::Tools,
            includes: includes.iter().map(ToString::to_string).collect(),
            excludes: excludes.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(list_difference(&step(&["get_lead"], &["move_lead"]), &names), None);
        assert_eq!(
            list_difference(&step(&["get_lead", "move_lead"], &["stop_salesbot"]), &names).as_deref(),
            Some("not listed: move_lead; listed: stop_salesbot")
        );
    }
}
