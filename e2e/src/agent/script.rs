//! The scripts of a conversation: a JSON array of steps, each a call or a list.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::connection::Listing;
use super::reply::Outcome;

/// The most calls of one step.
pub const MAX_TIMES: u32 = 100_000;

/// The longest that a step spaces its calls, in milliseconds.
pub const MAX_EVERY_MS: u64 = 60_000;

/// One step of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Call a tool, once or more.
    Call(CallStep),
    /// List names.
    List(ListStep),
}

/// Calls of one tool with the same arguments, one after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallStep {
    /// The tool's name.
    pub call: String,
    /// The tool's arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// How many calls, 1 to [`MAX_TIMES`].
    #[serde(default = "once")]
    pub times: u32,
    /// The least milliseconds from the start of one call of the step to the start of the next, 0 to
    /// [`MAX_EVERY_MS`]: how a patient agent keeps below a limit.
    #[serde(default)]
    pub every_ms: u64,
    /// What every single call must come to.
    pub expect: Option<Expectation>,
}

/// What every reply of a step must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// What the reply means.
    pub outcome: Outcome,
    /// A part of the result's text or of the error's message.
    pub text_contains: Option<String>,
    /// The rule that the verdict names, whole.
    pub rule_equals: Option<String>,
}

/// A list of names, read anew.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListStep {
    /// What is listed.
    pub list: Listing,
    /// Names that must be listed.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Names that must not be listed.
    #[serde(default)]
    pub excludes: Vec<String>,
}

/// Why a script is refused.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It is not a JSON array.
    #[error("a script is a JSON array of steps")]
    Shape(#[source] serde_json::Error),
    /// One step is not one.
    #[error("step {number}: {source}")]
    Step {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// One step is neither a call nor a list, or is both.
    #[error("step {number}: needs either `call` or `list`")]
    Kind {
        /// Counted from 1.
        number: usize,
    },
    /// One step calls too often, or not at all.
    #[error("step {number}: `times` must be from 1 to {MAX_TIMES}")]
    Times {
        /// Counted from 1.
        number: usize,
    },
    /// One step spaces its calls too widely.
    #[error("step {number}: `everyMs` must be at most {MAX_EVERY_MS}")]
    Every {
        /// Counted from 1.
        number: usize,
    },
    /// There is nothing to do.
    #[error("the script has no steps")]
    Empty,
}

/// Reads a script.
///
/// # Errors
///
/// If it is not an array of steps; the first wrong step is named by its number.
pub fn parse(text: &str) -> Result<Vec<Step>, ScriptError> {
    let steps: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(ScriptError::Shape)?;
    if steps.is_empty() {
        return Err(ScriptError::Empty);
    }
    steps.into_iter().zip(1..).map(|(step, number)| parse_step(step, number)).collect()
}

fn parse_step(step: Map<String, Value>, number: usize) -> Result<Step, ScriptError> {
    let failed = |source| ScriptError::Step { number, source };
    match (step.contains_key("call"), step.contains_key("list")) {
        (true, false) => {
            let step: CallStep = serde_json::from_value(Value::Object(step)).map_err(failed)?;
            if !(1..=MAX_TIMES).contains(&step.times) {
                return Err(ScriptError::Times { number });
            }
            if step.every_ms > MAX_EVERY_MS {
                return Err(ScriptError::Every { number });
            }
            Ok(Step::Call(step))
        }
        (false, true) => serde_json::from_value(Value::Object(step)).map(Step::List).map_err(failed),
        (true, true) | (false, false) => Err(ScriptError::Kind { number }),
    }
}

fn once() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let text = r#"[
            {"call": "move_lead", "arguments": {"lead_id": 1}, "times": 31,
             "expect": {"outcome": "limited", "ruleEquals": "p/tools/move_lead/limits/rate"}},
            {"list": "tools", "includes": ["get_lead"], "excludes": ["stop_salesbot"]},
            {"call": "get_account"}
        ]"#;
        let steps = parse(text).expect("a script");
        let [Step::Call(first), Step::List(second), Step::Call(third)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert_eq!(
            (first.times, first.expect.as_ref().map(|expect| expect.outcome)),
            (31, Some(Outcome::Limited))
        );
        assert_eq!((second.list, second.excludes.len()), (Listing::Tools, 1));
        assert_eq!((third.times, third.expect.as_ref()), (1, None));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_step() {
        let cases = [
            ("{}", "a script is a JSON array of steps"),
            ("[]", "the script has no steps"),
            (r#"[{"call": "a"}, {}]"#, "step 2: needs either `call` or `list`"),
            (r#"[{"call": "a", "list": "tools"}]"#, "step 1: needs either `call` or `list`"),
            (r#"[{"call": "a", "times": 0}]"#, "step 1: `times` must be from 1 to 100000"),
            (r#"[{"call": "a", "times": 100001}]"#, "step 1: `times` must be from 1 to 100000"),
            (r#"[{"call": "a", "everyMs": 60001}]"#, "step 1: `everyMs` must be at most 60000"),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).expect_err(text).to_string(), message);
        }
        assert!(parse(r#"[{"call": "a", "times": 100000, "everyMs": 60000}]"#).is_ok());
        let typo =
            parse(r#"[{"call": "a", "expect": {"outcome": "denied", "rule": "x"}}]"#).expect_err("a typo");
        assert!(typo.to_string().starts_with("step 1: unknown field `rule`"), "{typo}");
    }
}
