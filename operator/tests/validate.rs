//! What is to be in force, of what was observed.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use std::sync::Arc;

use toolgate_crds::FieldError;
use toolgate_operator::reconcile::observe::Observed;
use toolgate_operator::reconcile::validate::{BUNDLE_BYTES_MAX, Validated};
use toolgate_policy::InForce;
use world::{UPSTREAM, grant, observed, policy, server, validated};

fn world() -> Observed {
    Observed {
        policies: vec![policy("narrow", 1, "tools: {read: {}}")],
        grants: vec![grant("robot", 1, "")],
        ..observed(server(1, UPSTREAM))
    }
}

fn after(validated: &Validated, next: Observed) -> Observed {
    Observed { previous: validated.bundle.clone().map(|(bundle, _)| Arc::new(bundle)), ..next }
}

#[test]
fn a_bundle_is_numbered_above_the_greatest_revision_that_was_seen() {
    let first = validated(&Observed { revision_floor: 41, ..world() });
    let (bundle, hash) = first.bundle.clone().unwrap();
    assert_eq!((bundle.revision, bundle.policies.len(), bundle.grants.len()), (42, 1, 1));
    assert_eq!(hash, bundle.hash());
    let again = validated(&after(&first, world()));
    assert_eq!(again.bundle, first.bundle, "nothing has changed");
}

#[test]
fn a_bad_edit_keeps_the_last_good_version() {
    let first = validated(&world());
    let edited = Observed { policies: vec![policy("narrow", 2, "tols: {}")], ..world() };
    let second = validated(&after(&first, edited));
    assert_eq!(second.bundle, first.bundle);
    assert_eq!(second.policies[0].in_force, InForce::LastGood(1));
    assert_eq!(FieldError::join(&second.policies[0].errors), "spec.tols: unknown field; did you mean tools?");
}

#[test]
fn a_server_that_never_was_good_has_no_bundle() {
    let never = validated(&Observed { ..observed(server(1, "upstream: {}")) });
    assert_eq!(never.bundle, None);
    assert_eq!(never.server.in_force, InForce::Nothing);
}

/// With one more policy, of which the bundle is exactly so many bytes large.
fn of_size(name: &str, bytes: usize, base: &Observed) -> Observed {
    let with = |lengths: &[usize]| {
        let tool =
            |(index, length): (usize, &usize)| format!("t{index:05}: {{reason: '{}'}}", "x".repeat(*length));
        let tools: Vec<String> = lengths.iter().enumerate().map(tool).collect();
        let mut observed = base.clone();
        observed.policies.push(policy(name, 1, &format!("tools: {{{}}}", tools.join(", "))));
        observed
    };
    let one = validated(&with(&[1])).bundle.unwrap().0.to_json().len();
    let frame = r#""t00000":{"reason":""},"#.len();
    let (count, rest) = ((bytes - one) / (1000 + frame), (bytes - one) % (1000 + frame));
    with(&[vec![1 + rest], vec![1000; count]].concat())
}

#[test]
fn the_largest_bundle_is_taken_and_one_byte_more_is_the_fault_of_the_new_policy() {
    let largest = of_size("large", BUNDLE_BYTES_MAX, &world());
    let taken = validated(&largest);
    assert_eq!(taken.bundle.as_ref().unwrap().0.to_json().len(), BUNDLE_BYTES_MAX);
    assert!(taken.policies.iter().all(|report| report.errors.is_empty()));

    let mut larger = after(&validated(&world()), of_size("large", BUNDLE_BYTES_MAX, &world()));
    larger.policies.push(policy("straw", 1, ""));
    let refused = validated(&larger);
    let in_force: Vec<_> =
        refused.policies.iter().map(|report| (report.name.as_str(), report.in_force)).collect();
    assert_eq!(
        in_force,
        [("large", InForce::Nothing), ("narrow", InForce::This), ("straw", InForce::Nothing)]
    );
    let message = FieldError::join(&refused.policies[0].errors);
    assert!(message.ends_with("bytes; at most 1000000 fit"), "{message}");
}

#[test]
fn a_bundle_that_is_too_large_holds_back_no_revocation() {
    let first = validated(&world());
    let mut next = of_size("large", BUNDLE_BYTES_MAX, &world());
    next.policies.push(policy("straw", 1, ""));
    next.grants = vec![grant("robot", 2, "suspended: true")];
    let bundle = validated(&after(&first, next)).bundle.unwrap().0;
    assert!(bundle.to_json().len() < BUNDLE_BYTES_MAX);
    assert!(bundle.grants[0].spec.suspended);
}
