//! What the law says of a call: a value, recorded once by whoever asked.

use std::fmt;
use std::time::Duration;

use crate::store::Taken;

/// What is decided of a call, and what policies that only watch would have said.
#[derive(Debug)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// One for each bound policy in audit mode, by name.
    pub audits: Vec<Audited>,
}

/// What a policy in audit mode would have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The policy's name.
    pub policy: String,
    /// Its refusal; None if it would have allowed the call.
    pub refusal: Option<Refusal>,
}

/// The answer to a call.
#[derive(Debug)]
#[must_use = "a verdict has to be carried out and counted"]
pub enum Verdict {
    /// Every bound policy admits it, and all its limits have been charged.
    Allowed(Permit),
    /// It must not reach the server.
    Refused(Refusal),
}

/// The proof that something may go to the server. Only the law makes one, and it is used up by sending.
#[derive(Debug)]
#[must_use = "what a permit has charged is spent even if nothing is sent"]
pub struct Permit {
    taken: Vec<Taken>,
}

/// Why a call must not reach the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of refusal.
    pub outcome: Outcome,
    /// The rule that refused.
    pub rule: Rule,
    /// What the caller may be told.
    pub reason: String,
    /// The limit that had no room, of a call that a limit refuses.
    pub exhausted: Option<Box<Exhausted>>,
    /// How long until the same call would be admitted if nobody else called, of a limited call.
    pub retry_after: Option<Duration>,
}

/// What became of a call. A closed set: it is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It went to the server.
    Allowed,
    /// The tool is hidden: to the caller it does not exist.
    Hidden,
    /// No policy lists the tool: to the caller it does not exist.
    Unlisted,
    /// A rule refuses it.
    Denied,
    /// A limit has no room.
    Limited,
    /// It has a limit, and nobody can say whether that has room.
    Uncounted,
    /// It waits for a person.
    Held,
}

/// The rule that refused: a policy and a pointer into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The policy's name; empty where it is the want of a policy that refuses.
    pub policy: String,
    /// Where in the policy's spec, such as `tools/move_lead/limits/move_lead_rate`.
    pub pointer: String,
}

/// A limit without room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The counter's name.
    pub counter: String,
    /// The window, as it was written.
    pub window: String,
    /// The most that is admitted in such a window.
    pub max: u64,
    /// What such a window has room for now: whole units, rounded down.
    pub remaining: u64,
}

impl Permit {
    pub(crate) fn new(taken: Vec<Taken>) -> Self {
        Self { taken }
    }

    /// What has to be given back to the store that it was taken from. Only for a call of which no byte was written to the
    /// server.
    #[must_use = "what is not given back stays charged"]
    pub fn give_up(self) -> Vec<Taken> {
        self.taken
    }
}

impl Verdict {
    /// What became of the call.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Allowed(_) => Outcome::Allowed,
            Self::Refused(refusal) => refusal.outcome,
        }
    }
}

impl Audited {
    /// What would have become of the call.
    pub fn outcome(&self) -> Outcome {
        self.refusal.as_ref().map_or(Outcome::Allowed, |refusal| refusal.outcome)
    }
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Allowed,
        Self::Hidden,
        Self::Unlisted,
        Self::Denied,
        Self::Limited,
        Self::Uncounted,
        Self::Held,
    ];

    /// The outcome's name, as metrics, logs and callers see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Hidden => "hidden",
            Self::Unlisted => "unlisted",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Uncounted => "uncounted",
            Self::Held => "held",
        }
    }
}

impl Refusal {
    /// Whole seconds to wait, rounded up so that a caller who waits them is never too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.policy.is_empty() {
            return formatter.write_str(&self.pointer);
        }
        write!(formatter, "{}/{}", self.policy, self.pointer)
    }
}
