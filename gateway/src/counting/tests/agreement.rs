//! What happens to both stores, in any order: they say the same.

use std::time::Duration;

use proptest::prelude::*;
use toolgate_policy::{Counters, Demand, Group, Reply, Taken, Usage};

use super::{Keys, LARGEST, MILLION, RedisServer, Store, charge, plain};

/// What happens to both stores.
#[derive(Clone, Debug)]
enum Event {
    Ask { pause: u64, edit: usize, groups: Vec<(bool, Vec<(usize, usize)>)> },
    GiveBack(usize),
}

// One counter has several windows in one version of its policy, others in the next.
const EDITS: [&[(u64, u128)]; 6] = [
    &[(1, 3 * MILLION)],
    &[(1, 2 * MILLION), (4, 5 * MILLION)],
    &[(4, 5 * MILLION)],
    &[(1, LARGEST), (2, LARGEST)],
    &[(3, 1)],
    // Two of the costs below carry from one limb into the other.
    &[(2, 1_500_000_000 * MILLION)],
];
const COSTS: [u128; 8] =
    [MILLION, 2 * MILLION, 1, 333_333, LARGEST, LARGEST - 1, LARGEST / 3, 900_000_000 * MILLION];

fn event() -> impl Strategy<Value = Event> {
    let charges = prop::collection::btree_map(0..3_usize, 0..COSTS.len(), 0..3);
    let groups = prop::collection::vec((any::<bool>(), charges), 1..3).prop_map(|groups| {
        groups.into_iter().map(|(take, charges)| (take, charges.into_iter().collect())).collect()
    });
    // Often to the very edge of a window.
    let pause = prop_oneof![Just(0_u64), Just(250_000), Just(500_000), Just(1_000_000), 1..1_500_000_u64];
    prop_oneof![
        6 => (pause, 0..EDITS.len(), groups)
            .prop_map(|(pause, edit, groups)| Event::Ask { pause, edit, groups }),
        1 => (0..8_usize).prop_map(Event::GiveBack),
    ]
}

// Groups of one call never share a counter, as policies do not.
fn demand(edit: usize, groups: &[(bool, Vec<(usize, usize)>)]) -> Demand {
    let mut groups = groups.iter().enumerate().map(|(group, (take, charges))| {
        let charges = charges.iter().map(|(counter, cost)| {
            charge(10 * group + counter, EDITS[(edit + counter) % EDITS.len()], COSTS[*cost])
        });
        Group { charges: charges.collect(), take: *take }
    });
    Demand { binding: groups.next().unwrap(), watching: groups.collect() }
}

fn both_agree(store: &Store, events: &[Event]) -> Result<(), TestCaseError> {
    let (mut memory, mut now) = (Counters::new(), Duration::ZERO);
    let mut taken: Vec<(Vec<Taken>, Vec<Taken>)> = Vec::new();
    for event in events {
        match event {
            Event::Ask { pause, edit, groups } => {
                now += Duration::from_micros(*pause);
                let demand = demand(*edit, groups);
                let (here, there) = (memory.ask(&demand, now), store.ask(&demand, now));
                prop_assert_eq!(plain(&here), plain(&there), "at {:?}: {:?}", now, demand);
                let charges: Vec<_> = demand.groups().flat_map(|group| group.charges.clone()).collect();
                let used = charges.iter().map(|charge| memory.usage(&charge.key, &charge.bounds, now));
                let unused = |windows: usize| vec![Usage { used: 0, wait: Duration::ZERO }; windows];
                let used = used
                    .zip(&charges)
                    .map(|(usage, charge)| usage.unwrap_or_else(|| unused(charge.bounds.len())));
                prop_assert_eq!(used.collect::<Vec<_>>(), store.usage(&charges, now), "at {:?}", now);
                let all = |reply: Reply| {
                    let watching = reply.watching.into_iter().flatten().flatten();
                    reply.binding.into_iter().flatten().chain(watching).collect::<Vec<_>>()
                };
                taken.push((all(here), all(there)));
            }
            Event::GiveBack(index) if !taken.is_empty() => {
                let (here, there) = taken[taken.len().saturating_sub(index + 1)].clone();
                memory.give_back(here);
                store.give_back(&there, now);
            }
            Event::GiveBack(_) => {}
        }
    }
    Ok(())
}

#[test]
fn the_store_says_what_memory_says() {
    RedisServer::each(|server| {
        let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let mut store = Store::new(server, "", 65_536);
        let mut case = 0;
        let case = std::cell::RefCell::new((&mut store, &mut case));
        let sequences = prop::collection::vec(event(), 1..60);
        runner
            .run(&sequences, |events| {
                let mut case = case.borrow_mut();
                *case.1 += 1;
                case.0.keys = Keys::new("sales", &format!("case-{}", case.1));
                if *case.1 % 2 == 0 {
                    case.0.near_the_modulus();
                }
                both_agree(case.0, &events)
            })
            .unwrap();
    });
}

#[test]
fn a_call_that_never_fits_is_remembered_by_neither_store() {
    RedisServer::each(|server| {
        let store = Store::new(server, "never", 65_536);
        let ask = |pause, edit, take, cost| Event::Ask { pause, edit, groups: vec![(take, vec![(0, cost)])] };
        let events =
            [ask(0, 3, true, 4), ask(750_000, 1, false, 4), ask(1_250_000, 5, true, 0), ask(0, 1, false, 0)];
        both_agree(&store, &events).unwrap();
    });
}
