//! What is to be in force, of what was observed.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

#[path = "support/world.rs"]
mod world;

use toolgate_crds::FieldError;
use toolgate_operator::candidates::Candidates;
use toolgate_operator::reconcile::memory::AppliedBundle;
use toolgate_operator::reconcile::observe::Observed;
use toolgate_operator::reconcile::validate::Validated;
use toolgate_policy::{BUNDLE_BYTES_MAX, Candidate, InForce, Inputs, TooLarge, render};
use world::{UPSTREAM, grant, observed, policy, server, validated};

fn world() -> Observed {
    Observed {
        policies: vec![policy("narrow", 1, "tools: {read: {}}")],
        grants: vec![grant("robot", 1, "")],
        ..observed(server(1, UPSTREAM))
    }
}

fn after(validated: &Validated, next: Observed) -> Observed {
    Observed { previous: validated.bundle.clone().map(|(bundle, _)| bundle), ..next }
}

#[test]
fn a_bundle_is_numbered_above_the_greatest_revision_that_was_seen() {
    let first = validated(&Observed { revision_floor: 41, ..world() });
    let (bundle, packed) = first.bundle.clone().unwrap();
    assert_eq!((bundle.revision, bundle.policies.len(), bundle.grants.len()), (42, 1, 1));
    assert_eq!(packed.hash, bundle.hash());
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

/// With more policies, of which the bundle is exactly so many bytes large.
fn of_size(bytes: usize, base: &Observed) -> Observed {
    let with = |lengths: &[usize]| {
        let tool =
            |(index, length): (usize, &usize)| format!("t{index:05}: {{reason: '{}'}}", "x".repeat(*length));
        let mut observed = base.clone();
        for (number, lengths) in lengths.chunks(900).enumerate() {
            let tools: Vec<String> = lengths.iter().enumerate().map(tool).collect();
            let tools = format!("tools: {{{}}}", tools.join(", "));
            observed.policies.push(policy(&format!("large-{number:03}"), 1, &tools));
        }
        observed
    };
    let size = |observed: &Observed| {
        let candidates = Candidates::default();
        let policies: Vec<_> =
            observed.policies.iter().map(|policy| (*candidates.policy(policy)).clone()).collect();
        let grants: Vec<_> = observed.grants.iter().map(|grant| (*candidates.grant(grant)).clone()).collect();
        let server = Candidate::server(&observed.server.whole());
        let (policies, grants) = (policies.as_slice(), grants.as_slice());
        let inputs = Inputs { server: &server, policies, grants, previous: None, revision_floor: 0 };
        render(&inputs).bundle.unwrap().to_json().len()
    };
    // Two entries take what the others leave.
    let full = |count: usize| [vec![1, 1], vec![1000; count]].concat();
    let step = size(&with(&full(1))) - size(&with(&full(0)));
    let mut count = bytes / (step + 1);
    let mut rest = bytes - size(&with(&full(count)));
    while rest > 1600 {
        count += (rest / (step + 1)).max(1);
        rest = bytes - size(&with(&full(count)));
    }
    with(&[vec![1 + rest / 2, 1 + rest.div_ceil(2)], vec![1000; count]].concat())
}

#[test]
fn the_largest_bundle_is_taken_and_one_byte_more_is_the_fault_of_the_new_policies() {
    let largest = of_size(BUNDLE_BYTES_MAX, &world());
    let taken = validated(&largest);
    assert_eq!(taken.bundle.as_ref().unwrap().0.to_json().len(), BUNDLE_BYTES_MAX);
    assert!(taken.policies.iter().all(|report| report.errors.is_empty()));

    let mut larger = after(&validated(&world()), largest);
    larger.policies.push(policy("straw", 1, ""));
    larger.grants = vec![grant("robot", 2, "suspended: true")];
    let refused = validated(&larger);
    for report in &refused.policies {
        let expected = if report.name == "narrow" { InForce::This } else { InForce::Nothing };
        assert_eq!(report.in_force, expected, "{}", report.name);
    }
    let message = FieldError::join(&refused.policies.last().unwrap().errors);
    assert!(message.ends_with("bytes; at most 33554432 fit"), "{message}");
    // It holds back no revocation.
    let bundle = refused.bundle.unwrap().0;
    assert!(bundle.to_json().len() < BUNDLE_BYTES_MAX);
    assert!(bundle.grants[0].spec.suspended);
}

#[test]
fn a_bundle_that_is_too_large_by_what_is_in_force_changes_nothing() {
    let largest = of_size(BUNDLE_BYTES_MAX, &world());
    let first = validated(&largest);
    let mut next = after(&first, largest);
    // A grant is no policy: nothing new is to be refused.
    next.grants.push(grant("one-more", 1, ""));
    let refused = validated(&next);
    assert!(matches!(refused.too_large, Some(TooLarge::Text(bytes)) if bytes > BUNDLE_BYTES_MAX));
    assert_eq!(refused.bundle, None);
}

#[test]
fn what_is_applied_already_is_judged_as_it_would_be_anew() {
    let mut observed = world();
    observed.policies.push(policy("bad", 1, "tolls: {}"));
    let (bundle, packed) = validated(&observed).bundle.unwrap();
    let hash = packed.hash.clone();
    let mut next = Observed { previous: Some(bundle.clone()), ..observed };
    next.policies.push(policy("straw", 1, ""));
    // Another generation, and another object of the same name.
    next.policies[0] = policy("narrow", 2, "tools: {write: {}}");
    next.policies.push(policy("wide", 1, "default: allow"));
    let anew = validated(&next);
    next.memory.applied = Some(AppliedBundle { bundle, hash, packed });
    assert_eq!(validated(&next), anew);
    next.memory.applied = None;
    let settled =
        validated(&Observed { previous: anew.bundle.clone().map(|(bundle, _)| bundle), ..next.clone() });
    let (bundle, packed) = anew.bundle.clone().unwrap();
    next.previous = Some(bundle.clone());
    next.memory.applied = Some(AppliedBundle { hash: packed.hash.clone(), bundle, packed });
    assert_eq!(validated(&next), settled);
}

#[test]
fn a_bundle_in_shards_is_never_written_over_the_one_in_force() {
    let noisy = |index: usize| {
        let mut reason = String::new();
        let mut state = index as u64 + 1;
        for _ in 0..1000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            reason.push(char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap()));
        }
        format!("t{index:05}: {{reason: {reason}}}")
    };
    let mut observed = world();
    for number in 0..4 {
        let tools: Vec<String> = (0..900).map(|index| noisy(number * 900 + index)).collect();
        observed.policies.push(policy(
            &format!("noisy-{number}"),
            1,
            &format!("tools: {{{}}}", tools.join(", ")),
        ));
    }
    let first = validated(&observed);
    let mut next = after(&first, observed);
    next.policies.push(policy("straw", 1, ""));
    for (floor, expected) in [(1, 2), (2, 4)] {
        next.revision_floor = floor;
        let (bundle, packed) = validated(&next).bundle.unwrap();
        assert!(packed.is_sharded());
        assert_eq!(bundle.revision, expected, "one more than the greatest, and beside revision 1");
    }
}
