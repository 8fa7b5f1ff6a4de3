//! What a store of counters is asked of a call, and what its answer makes of it.

#[path = "support/court.rs"]
mod court;

use std::time::Duration;

use court::Court;
use toolgate_policy::{
    Call, Caller, CounterKey, Examined, Full, NoRoom, Outcome, Pending, Reply, Target, Verdict,
};

const COUNTED: &str = "tools:
  x: {limits: [{counter: c, window: minute, max: 5, scope: grant, cost: 3}]}
  y: {limits: [{counter: c, window: minute, max: 5, scope: grant}], action: approve}
  z: {}";

fn examined<'a>(court: &'a Court, caller: &Caller, name: &'a str) -> Option<Pending<'a>> {
    match court.law.examine(
        caller,
        &Call { target: Target::Tool, name, arguments: None, definition: None },
        None,
    ) {
        Examined::Decided(_) => None,
        Examined::Pending(pending) => Some(pending),
    }
}

#[test]
fn a_store_that_cannot_be_asked_refuses_what_has_a_limit_and_nothing_else() {
    let mut court = Court::of(&[("p", COUNTED)]);
    let caller = court.caller(1);
    for name in ["x", "y"] {
        let pending = examined(&court, &caller, name).unwrap();
        let away = Reply::away(pending.demand());
        let Verdict::Refused(refusal) = pending.conclude(away).verdict else { panic!("{name} was allowed") };
        assert_eq!(refusal.outcome, Outcome::Uncounted);
        assert_eq!(refusal.rule.to_string(), format!("p/tools/{name}/limits/c"));
        assert!(refusal.reason.contains("cannot be asked"), "{}", refusal.reason);
    }
    assert!(examined(&court, &caller, "z").is_none(), "what has no limit asks no store");
    assert_eq!(court.call(1, "z"), "allowed");
    assert_eq!(court.call(1, "x"), "allowed", "nothing was charged");
}

#[test]
fn a_store_that_answers_of_what_it_was_not_asked_admits_nothing_more() {
    let court = Court::of(&[("p", COUNTED), ("w", &format!("mode: audit\n{COUNTED}"))]);
    let caller = court.caller(1);
    let pending = examined(&court, &caller, "x").unwrap();
    let full = Full { bound: 7, wait: Some(Duration::ZERO), remaining: 0 };
    let odd = Reply { binding: Err(NoRoom::Full(9, full)), watching: Vec::new() };
    let decision = pending.conclude(odd);
    assert_eq!(decision.verdict.outcome(), Outcome::Uncounted);
    assert_eq!(decision.audits[0].outcome(), Outcome::Uncounted, "an answer that is missing is not a yes");
}

#[test]
fn what_is_left_of_a_window_is_told_in_whole_units() {
    let mut court = Court::of(&[("p", COUNTED)]);
    assert_eq!(court.call(1, "x"), "allowed");
    let refusal = court.refusal("x");
    let exhausted = refusal.exhausted.unwrap();
    assert_eq!((exhausted.max, exhausted.remaining), (5, 2));
    court.now += refusal.retry_after.unwrap();
    assert_eq!(court.call(1, "x"), "allowed", "after the wait that was told");
}

#[test]
fn while_the_server_is_paused_what_would_be_admitted_hears_how_long_and_is_charged_nothing() {
    let mut court = Court::of(&[("p", COUNTED), ("w", &format!("mode: audit\n{COUNTED}"))]);
    let (caller, wait) = (court.caller(1), Duration::from_millis(1500));
    let told = |court: &Court, name: &str| {
        let call = Call { target: Target::Tool, name, arguments: None, definition: None };
        let decision = match court.law.examine(&caller, &call, Some(wait)) {
            Examined::Decided(decision) => decision,
            Examined::Pending(pending) => {
                assert!(pending.demand().groups().all(|group| !group.take), "{name} would be charged");
                let watching = pending.demand().watching.iter().map(|_| Ok(Vec::new())).collect();
                pending.conclude(Reply { binding: Ok(Vec::new()), watching })
            }
        };
        match decision.verdict {
            Verdict::Refused(refusal) => {
                (refusal.rule.to_string(), refusal.outcome, refusal.retry_after_seconds())
            }
            Verdict::Allowed(_) => panic!("{name} was allowed"),
        }
    };
    let busy = ("(the server is busy)".to_owned(), Outcome::Limited, Some(2));
    assert_eq!(told(&court, "x"), busy);
    assert_eq!(told(&court, "z"), busy, "what has no limit, too");
    assert_eq!(told(&court, "unlisted").1, Outcome::Unlisted, "nobody learns of a tool by it");
    // The same from the store, which another gateway told it.
    let pending = examined(&court, &caller, "x").unwrap();
    let reply = Reply { binding: Err(NoRoom::Paused(wait)), watching: vec![Ok(Vec::new())] };
    assert_eq!(pending.conclude(reply).verdict.outcome(), Outcome::Limited);
    assert_eq!(court.call(1, "x"), "allowed", "nothing was charged");
}

#[test]
fn every_limit_that_is_enforced_is_told_with_what_it_holds() {
    let watching = format!("mode: audit\n{COUNTED}");
    let shared = "grants: [alice]\ntools: {x: {limits: [\
        {counter: all, window: second, max: 7, scope: server}, {counter: all, window: 90s, max: 9, scope: server}, \
        {counter: own, window: day, max: 2, scope: grant}]}}";
    let mut court = Court::of(&[("p", COUNTED), ("q", shared), ("w", &watching)]);
    assert_eq!(court.call(1, "x"), "allowed");
    let told: Vec<String> = court
        .law
        .limits()
        .map(|limit| {
            let usage = court.counters.usage(&limit.key, limit.bounds, court.now);
            let used = usage.map(|all| all.iter().map(|usage| usage.used / 1_000_000).collect::<Vec<_>>());
            let CounterKey { policy, counter, grant } = &limit.key;
            format!("{policy} {counter} {} {:?} {used:?}", grant.as_deref().unwrap_or("-"), limit.windows)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"p c alice ["minute"] Some([3])"#,
            r#"p c bob ["minute"] None"#,
            r#"q all - ["second", "90s"] Some([1, 1])"#,
            r#"q own alice ["day"] Some([1])"#,
        ]
    );
    court.now += Duration::from_secs(1);
    let all = court.law.limits().nth(2).unwrap();
    let usage = court.counters.usage(&all.key, all.bounds, court.now).unwrap();
    assert_eq!([usage[0].used, usage[1].used], [0, 1_000_000]);
}
