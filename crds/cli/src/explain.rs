//! `toolgate explain`: what would be decided of a call and why; or everything that is in force for a grant.
//!
//! Nothing is decided here. The law is compiled as a gateway compiles it, and asked.

mod law;
mod text;

use std::io::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Value, json};
use toolgate_policy::json::{self as strict, JsonError};
use toolgate_policy::{Call, Explanation, Law, Now, Target, View};

use crate::EXIT_FAULTS;
use crate::arguments::{Explain, ReportFormat};
use crate::listed::{self, Unlisted};
use law::{InForce, Unexplained};

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Law(#[from] Unexplained),
    #[error("--listed {0}")]
    Listed(#[from] Unlisted),
    #[error("--arguments is no JSON that a gateway would read: {0}")]
    Arguments(JsonError),
    #[error("--arguments must be a JSON object")]
    NoObject,
    #[error("there is no grant {grant} that opens {server}; there are: {known}")]
    NoGrant { grant: String, server: String, known: String },
    #[error("cannot write the explanation: {0}")]
    Untold(#[from] io::Error),
}

/// Explains. Answers the status that the process ends with.
///
/// # Errors
/// When what is asked for cannot be read or is not there.
pub(crate) fn run(arguments: &Explain) -> Result<u8, Failure> {
    let in_force = InForce::read(arguments)?;
    let now = Now { monotonic: std::time::Duration::ZERO, wall: Timestamp::now() };
    match arguments.call.target() {
        Some(_) => call(arguments, &in_force, now),
        None => views(arguments, &in_force, now),
    }
}

fn call(arguments: &Explain, in_force: &InForce, now: Now) -> Result<u8, Failure> {
    let (Some((target, name)), Some(grant)) = (arguments.call.target(), &arguments.grant) else {
        return Ok(0);
    };
    let text = arguments.arguments.as_deref();
    let parsed = text.map(|text| strict::parse(text.as_bytes())).transpose().map_err(Failure::Arguments)?;
    let given = parsed.as_ref().map(|value| value.as_object().ok_or(Failure::NoObject)).transpose()?;
    let listed = listed::definitions(&arguments.listed)?;
    let listed = listed.into_iter().find(|(tool, _)| target == Target::Tool && tool == name);
    let definition = listed.map(|(_, definition)| definition);
    let call = Call { target, name, arguments: given, definition };
    let explained = in_force.law.explain(grant.as_str(), &call, now);
    let explanation = explained.ok_or_else(|| no_grant(in_force, grant.as_str()))?;
    let told = match arguments.output {
        ReportFormat::Text => text::explanation(in_force, grant.as_str(), &call, &explanation),
        ReportFormat::Json => document(
            in_force,
            &json!({"grant": grant.as_str(), target.as_str(): name}),
            &to_value(&explanation),
        ),
    };
    tell(&told)?;
    Ok(status(arguments.expect, &explanation))
}

fn status(expected: Option<&str>, explanation: &Explanation) -> u8 {
    match expected {
        Some(expected) if expected != explanation.verdict.outcome => {
            // Nobody can be told when stderr is closed; the status still says it.
            let _ = writeln!(
                io::stderr(),
                "error: expected {expected}, and it is {}",
                explanation.verdict.outcome
            );
            EXIT_FAULTS
        }
        _ => 0,
    }
}

fn views(arguments: &Explain, in_force: &InForce, now: Now) -> Result<u8, Failure> {
    let law = &in_force.law;
    let names: Vec<&str> = match &arguments.grant {
        Some(grant) => vec![grant.as_str()],
        None => law.grant_names().collect(),
    };
    let views: Vec<View> = names
        .into_iter()
        .map(|name| law.view(name, now.wall).ok_or_else(|| no_grant(in_force, name)))
        .collect::<Result<_, _>>()?;
    let told = match arguments.output {
        ReportFormat::Text => text::views(in_force, &views),
        ReportFormat::Json => document(in_force, &json!({}), &json!({"grants": to_value(&views)})),
    };
    tell(&told)?;
    Ok(0)
}

fn no_grant(in_force: &InForce, grant: &str) -> Failure {
    let known: Vec<&str> = Law::grant_names(&in_force.law).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::NoGrant { grant: grant.to_owned(), server: in_force.server.clone(), known }
}

fn document(in_force: &InForce, asked: &Value, answer: &Value) -> String {
    let mut document = json!({
        "namespace": in_force.namespace,
        "server": in_force.server,
        "revision": in_force.revision,
    });
    for part in [asked, answer] {
        for (key, value) in part.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
    }
    format!("{document:#}\n")
}

fn to_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("explanations are plain maps, lists and scalars")
}

fn tell(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}
