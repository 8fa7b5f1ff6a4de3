//! Explanations for people.

use std::fmt::Write as _;

use toolgate_crds::{Action, DefaultAction, Mode, Scope, ServerRequest};
use toolgate_policy::{Call, EntryLooked, Explanation, LimitLooked, Looked, Row, Said, Target, View};

use super::law::InForce;

/// A call, and why it is decided as it is.
pub(super) fn explanation(
    in_force: &InForce,
    grant: &str,
    call: &Call<'_>,
    explanation: &Explanation,
) -> String {
    let mut text = Text::default();
    let Said { outcome, rule, reason } = &explanation.verdict;
    let by = rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    text.line(0, &format!("{}{by}", outcome.to_uppercase()));
    if let Some(reason) = reason {
        text.line(0, &format!("\"{reason}\""));
    }
    text.line(0, "");
    text.line(0, &format!("{} {} for {grant} at {}", call.target.as_str(), call.name, place(in_force)));
    for policy in &explanation.policies {
        text.line(0, "");
        looked(&mut text, call.target, policy);
    }
    not_bound(&mut text, &explanation.not_bound);
    text.line(0, "");
    if explanation.charged.is_empty() {
        text.line(0, "charged: nothing");
    } else {
        text.line(0, "charged, if nothing was counted before:");
        for limit in &explanation.charged {
            text.line(1, &limit_line(limit));
        }
    }
    text.0
}

/// Everything that is in force for some grants.
pub(super) fn views(in_force: &InForce, views: &[View]) -> String {
    let mut text = Text::default();
    if views.is_empty() {
        text.line(0, &format!("no grant opens {}: every call is refused", place(in_force)));
    }
    for (index, view) in views.iter().enumerate() {
        if index > 0 {
            text.line(0, "");
        }
        self::view(&mut text, in_force, view);
    }
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    // One line, whatever is in the names that it tells.
    fn line(&mut self, depth: usize, line: &str) {
        let _ = write!(self.0, "{:1$}", "", 2 * depth);
        for character in line.chars() {
            if character.is_control() {
                let _ = write!(self.0, "{}", character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        self.0.push('\n');
    }
}

fn place(in_force: &InForce) -> String {
    let revision = in_force.revision.map(|revision| format!(", revision {revision}")).unwrap_or_default();
    format!("{}/{}{revision}", in_force.namespace, in_force.server)
}

fn looked(text: &mut Text, target: Target, policy: &Looked) {
    let verdict = &policy.verdict;
    let rule = verdict.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let mode = match policy.mode {
        Some(Mode::Enforce) => "says",
        Some(Mode::Audit) => "only watches; it would say",
        None => "never was valid; it says",
    };
    text.line(0, &format!("{} {mode}: {}{rule}", policy.policy, verdict.outcome));
    if let Some(pattern) = &policy.hidden_by {
        text.line(1, &format!("hidden by {pattern}"));
    }
    if policy.unlisted {
        text.line(1, &format!("no entry lists the {}, and the default is deny", target.as_str()));
    }
    for entry in &policy.entries {
        text.line(1, &entry_line(entry));
    }
    for item in &policy.conditions {
        let admits = if item.admits { "admits" } else { "refuses" };
        text.line(1, &format!("{}: {}, {admits}", item.rule, item.holds));
        for test in &item.conditions {
            text.line(2, &format!("{}: {}", test.condition, test.holds));
        }
    }
    for limit in &policy.limits {
        text.line(1, &limit_line(limit));
    }
}

fn view(text: &mut Text, in_force: &InForce, view: &View) {
    text.line(0, &format!("grant {} at {}", view.grant, place(in_force)));
    if let Some(reason) = view.lifeless {
        text.line(1, &format!("opens nothing: it is {reason}"));
    }
    if let Some(standing) = &view.refused {
        let rule = standing.rule.as_deref().unwrap_or_default();
        let reason = standing.reason.as_deref().unwrap_or_default();
        text.line(1, &format!("every call is {} by {rule}: {reason}", standing.outcome));
    }
    for bound in &view.policies {
        let mode = match bound.mode {
            Some(Mode::Enforce) => "enforces",
            Some(Mode::Audit) => "only watches",
            None => "never was valid",
        };
        let default = match bound.default {
            Some(DefaultAction::Allow) => ", default allow",
            Some(DefaultAction::Deny) => ", default deny",
            None => "",
        };
        text.line(1, &format!("{} {mode}{default}", bound.policy));
        if !bound.hide.is_empty() {
            text.line(2, &format!("hides {}", bound.hide.join(", ")));
        }
        for glob in &bound.globs {
            text.line(2, &entry_line(glob));
        }
    }
    for (kind, rows) in [("tools", &view.tools), ("resources", &view.resources), ("prompts", &view.prompts)] {
        if !rows.is_empty() {
            text.line(1, &format!("{kind}:"));
            for row in rows {
                self::row(text, row);
            }
        }
    }
    let others =
        if view.others_listed { "listed" } else { "unlisted, unless a glob of every policy lists it" };
    text.line(1, &format!("everything else: {others}"));
    let requests: Vec<&str> = view.server_requests.iter().map(|request| request_name(*request)).collect();
    if !requests.is_empty() {
        text.line(1, &format!("the server may ask for: {}", requests.join(", ")));
    }
    not_bound(text, &view.not_bound);
}

fn row(text: &mut Text, row: &Row) {
    let Said { outcome, rule, reason } = &row.verdict;
    let listed = if row.listed { "listed" } else { "not listed" };
    let by = rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let reason =
        reason.as_ref().filter(|_| row.listed).map(|reason| format!(": {reason}")).unwrap_or_default();
    text.line(2, &format!("{}: {listed}, {outcome}{by}{reason}", row.name));
    if !row.listed {
        return;
    }
    for condition in &row.conditions {
        text.line(3, &format!("{}: {}", condition.rule, condition.condition));
    }
    for limit in &row.limits {
        text.line(3, &limit_line(limit));
    }
}

fn not_bound(text: &mut Text, policies: &[String]) {
    if !policies.is_empty() {
        text.line(0, "");
        text.line(0, &format!("not bound, because of their grants: {}", policies.join(", ")));
    }
}

fn limit_line(limit: &LimitLooked) -> String {
    let windows: Vec<String> =
        limit.windows.iter().map(|window| format!("{} per {}", window.max, window.window)).collect();
    let scope = match limit.scope {
        Scope::Grant => "for this grant",
        Scope::Server => "for all callers of the server",
    };
    let cost = limit.cost.as_deref().unwrap_or("what cannot be told");
    format!("{}: costs {cost} of {}, {scope}", limit.rule, windows.join(" and "))
}

fn entry_line(entry: &EntryLooked) -> String {
    let narrows = if entry.lists { "" } else { ", and lists nothing" };
    let reason = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}: {}{narrows}{reason}", entry.entry, action(entry.action))
}

fn request_name(request: ServerRequest) -> &'static str {
    match request {
        ServerRequest::Sampling => "sampling",
        ServerRequest::Elicitation => "elicitation",
        ServerRequest::Roots => "roots",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Approve => "approve",
    }
}
