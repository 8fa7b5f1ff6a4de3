//! Which lines are wanted.

use jiff::Timestamp;
use serde_json::Value;

use super::lines::text;
use crate::arguments::Audit;

/// What a line has to be.
#[derive(Debug)]
pub(super) struct Filter {
    // A member, and the values of which it must have one.
    members: Vec<(&'static str, Vec<String>)>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn new(arguments: &Audit, now: Timestamp) -> Self {
        let all = [
            ("server", &arguments.server),
            ("namespace", &arguments.namespace),
            ("grant", &arguments.grant),
            ("name", &arguments.tool),
            ("verdict", &arguments.verdict),
            ("policy", &arguments.policy),
            ("event", &arguments.event),
            ("requestId", &arguments.request),
        ];
        let wanted = all.into_iter().filter(|(_, values)| !values.is_empty());
        Self {
            members: wanted.map(|(member, values)| (member, values.clone())).collect(),
            since: arguments.since.map(|instant| instant.at(now)),
            until: arguments.until.map(|instant| instant.at(now)),
        }
    }

    /// Whether a line is wanted. That lines are missing is told whatever is wanted, of the time that is looked at.
    pub(super) fn wants(&self, line: &Value) -> bool {
        let time = line["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let in_time = self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| time.is_some_and(|time| time < until));
        let asked_for = |(member, values): &(&str, Vec<String>)| values.contains(&text(line, member));
        in_time && (line["event"] == "omitted" || self.members.iter().all(asked_for))
    }
}
