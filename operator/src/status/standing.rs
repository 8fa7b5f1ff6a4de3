//! What policies and grants have in common: whether they are accepted, and whether gateways enforce them.

use toolgate_crds::FieldError;
use toolgate_crds::status::condition::{ACCEPTED, PROGRAMMED, READY, STALLED};
use toolgate_policy::InForce;

use super::Target;
use crate::conditions::Wanted;
use crate::view::{Member, Programmed, View};

/// How the two kinds speak of themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    /// What is said when everything is well.
    pub enforced: &'static str,
    /// What an object does that never was valid.
    pub never_good: &'static str,
}

/// Puts the conditions together. None: a server has not looked at this generation yet, and will say when it has.
pub(super) fn standing(
    generation: i64,
    errors: &[FieldError],
    targets: &[Target],
    words: Words,
) -> Option<Vec<Wanted>> {
    if targets.iter().any(|target| is_awaited(target, generation)) {
        return None;
    }
    let members: Vec<&Member> = targets.iter().filter_map(member).collect();
    let errors = members
        .iter()
        .map(|member| member.errors.as_slice())
        .find(|errors| !errors.is_empty())
        .unwrap_or(errors);
    if !errors.is_empty() {
        return Some(invalid(errors, &members, words));
    }
    let missing: Vec<&str> = targets
        .iter()
        .filter(|target| target.named && !target.exists)
        .map(|target| target.server.as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!("no McpServer of this namespace is named {}", missing.join(", "));
        return Some(everywhere(&Wanted::new(ACCEPTED, false, "TargetNotFound", message)));
    }
    let programmed = if targets.is_empty() {
        // Nothing is wrong with it, but there is nothing yet that it could be for.
        Wanted::new(
            PROGRAMMED,
            false,
            "NoServers",
            "no McpServer of this namespace has the labels that it selects",
        )
    } else {
        programmed(targets, words)
    };
    let ready = if programmed.holds == Some(true) {
        Wanted { reason: "Ready", ..programmed.renamed(READY) }
    } else {
        programmed.renamed(READY)
    };
    Some(vec![Wanted::new(ACCEPTED, true, "Accepted", "it is valid"), programmed, ready])
}

/// The version of an object that a server views.
pub(super) fn member(target: &Target) -> Option<&Member> {
    match &target.view {
        Some(View::Member(member)) => Some(member),
        Some(View::Leaving { .. }) | None => None,
    }
}

fn is_awaited(target: &Target, generation: i64) -> bool {
    match (&target.view, member(target)) {
        (_, Some(member)) => member.generation != generation,
        (None, _) => target.named && target.exists,
        // It is named again, but the server has not seen that yet.
        (Some(_), None) => target.named,
    }
}

fn invalid(errors: &[FieldError], members: &[&Member], words: Words) -> Vec<Wanted> {
    let last_good = members.iter().find_map(|member| match member.in_force {
        InForce::LastGood(generation) => Some(generation),
        InForce::This | InForce::Nothing => None,
    });
    let consequence = match last_good {
        Some(generation) => format!("generation {generation} stays in force"),
        None => words.never_good.to_owned(),
    };
    let message = format!("{consequence}; {}", FieldError::join(errors));
    let mut wanted = everywhere(&Wanted::new(ACCEPTED, false, "Invalid", message.clone()));
    wanted.push(Wanted::new(STALLED, true, "Invalid", message));
    wanted
}

fn everywhere(accepted: &Wanted) -> Vec<Wanted> {
    vec![accepted.clone(), accepted.renamed(PROGRAMMED), accepted.renamed(READY)]
}

// What is pending goes before what has no gateways: the first gets better by itself.
fn programmed(targets: &[Target], words: Words) -> Wanted {
    let mut without_gateways = None;
    for target in targets {
        let pending = match &target.view {
            Some(View::Leaving { message, .. }) => {
                format!("it is not for {} any more, but {message}", target.server)
            }
            Some(View::Member(member)) => match &member.programmed {
                Programmed::Yes => continue,
                Programmed::NoGateways(detail) => {
                    without_gateways.get_or_insert(detail.clone());
                    continue;
                }
                Programmed::Pending(message) => message.clone(),
            },
            None => continue,
        };
        return Wanted::new(PROGRAMMED, false, "Pending", pending);
    }
    match without_gateways {
        Some(detail) => Wanted::new(PROGRAMMED, false, "NoGateways", detail),
        None => Wanted::new(PROGRAMMED, true, "Programmed", words.enforced),
    }
}
