//! Whatever goes wrong at the API server, the end is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fake::{Asked, Away, Fault, Path};
use crate::stage::{LONG, Operator, POLICY, SERVER, condition, edit, lived, shop};

type End = BTreeMap<String, Value>;

/// Every fault that one request can meet.
const FAULTS: [Fault; 8] = [
    Fault::Status(403),
    Fault::Status(404),
    Fault::Status(409),
    Fault::Status(429),
    Fault::Status(500),
    Fault::Broken,
    Fault::AnswerLost,
    Fault::Silence,
];

/// The end of a life without faults, and how many requests it took.
async fn undisturbed() -> (End, Vec<Asked>) {
    let fake = shop();
    let end = lived(&fake, LONG).await;
    assert_eq!(condition(&fake, POLICY, "Programmed"), "True/Programmed");
    assert_eq!(condition(&fake, SERVER, "Ready"), "True/Ready");
    (unnumbered(end), fake.asked())
}

/// A fault may cost a revision, for those only grow. So how they are numbered is left out.
fn unnumbered(mut end: End) -> End {
    end.values_mut().for_each(unnumber);
    end
}

fn unnumber(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match key.trim_start_matches("toolgate.dev/") {
                    "revision" | "hash" | "applied" => *member = Value::Null,
                    "bundle.json" => {
                        *member = serde_json::from_str(member.as_str().unwrap()).unwrap();
                        unnumber(member);
                    }
                    _ => unnumber(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unnumber),
        _ => {}
    }
}

fn differing(expected: &End, end: &End) -> Result<(), String> {
    let paths = expected.keys().chain(end.keys());
    let differing: Vec<&String> = paths.filter(|path| expected.get(*path) != end.get(*path)).collect();
    match differing.first() {
        None => Ok(()),
        Some(path) => {
            let show = |end: &End| end.get(*path).map_or("nothing".to_owned(), ToString::to_string);
            Err(format!("{path}\n expected {}\n found    {}", show(expected), show(end)))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whichever_request_fails_in_whichever_way_the_end_is_the_same() {
    let (expected, asked) = undisturbed().await;
    let upto = asked.iter().rposition(Asked::is_write).unwrap() + 1;
    let mut failed = Vec::new();
    for number in 0..upto {
        for fault in FAULTS {
            let fake = shop();
            fake.plan(move |asked| (asked.number == number).then_some(fault));
            // What seems to be gone is not tried again before everything is looked at anew.
            let after = if fault == Fault::Status(404) { LONG } else { Duration::from_secs(100) };
            if let Err(difference) = differing(&expected, &unnumbered(lived(&fake, after).await)) {
                failed.push(format!("{} met {fault:?}: {difference}", asked[number].what()));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), upto * FAULTS.len(), failed.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn many_requests_fail_at_random_and_the_end_is_the_same() {
    let (expected, _) = undisturbed().await;
    for seed in 0..15 {
        let mut chance = Chance(seed);
        let plan =
            move |_: &Asked| chance.next().is_multiple_of(3).then(|| FAULTS[chance.next() % FAULTS.len()]);
        let fake = shop();
        fake.plan(plan);
        let operator = Operator::start(&fake);
        sleep(Duration::from_secs(100)).await;
        edit(&fake);
        sleep(Duration::from_secs(100)).await;
        fake.nothing_goes_wrong();
        sleep(LONG).await;
        drop(operator);
        differing(&expected, &unnumbered(fake.end())).unwrap_or_else(|found| panic!("seed {seed}: {found}"));
    }
}

#[tokio::test(start_paused = true)]
async fn whichever_events_are_lost_the_end_is_the_same() {
    let (expected, _) = undisturbed().await;
    for seed in 0..15 {
        let fake = shop();
        fake.lose(move |change| Chance(seed * 1000 + change.version).next().is_multiple_of(3));
        let operator = Operator::start(&fake);
        sleep(Duration::from_secs(20)).await;
        edit(&fake);
        // No watch ever tells what was lost: only a list does.
        sleep(Duration::from_mins(70)).await;
        drop(operator);
        differing(&expected, &unnumbered(fake.end())).unwrap_or_else(|found| panic!("seed {seed}: {found}"));
    }
}

#[tokio::test(start_paused = true)]
async fn whichever_write_is_the_last_before_a_crash_the_end_is_the_same() {
    let (expected, asked) = undisturbed().await;
    let writes: Vec<usize> =
        asked.iter().filter(|asked| asked.is_write()).map(|asked| asked.number).collect();
    assert!(writes.len() > 10);
    for last in writes {
        for seen in [Fault::Broken, Fault::AnswerLost] {
            let fake = shop();
            let crashed = Arc::new(tokio::sync::Notify::new());
            let crash = crashed.clone();
            fake.plan(move |asked| {
                // From the last write on nothing gets through, as from a process that is not there any more.
                if asked.number == last {
                    crash.notify_one();
                    return Some(seen);
                }
                (asked.number > last).then_some(Fault::Broken)
            });
            let operator = Operator::start(&fake);
            let edited = async {
                sleep(Duration::from_secs(20)).await;
                edit(&fake);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = edited => {}
                () = crashed.notified() => {}
            }
            drop(operator);
            fake.nothing_goes_wrong();
            edit(&fake);
            let operator = Operator::start(&fake);
            sleep(LONG).await;
            drop(operator);
            let found = differing(&expected, &unnumbered(fake.end()));
            found.unwrap_or_else(|found| panic!("crash at {} {seen:?}: {found}", asked[last].what()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn caches_that_are_behind_lead_to_no_wrong_end() {
    let (expected, asked) = undisturbed().await;
    let lists = asked.iter().filter(|asked| !asked.is_write() && asked.query.contains("limit=500"));
    let collections: BTreeSet<String> = lists.map(|asked| Path::parse(&asked.path).collection()).collect();
    assert!(collections.len() >= 14, "{collections:?}");
    for behind in &collections {
        let fake = shop();
        let operator = Operator::start(&fake);
        sleep(Duration::from_secs(20)).await;
        fake.hold(behind);
        edit(&fake);
        sleep(Duration::from_mins(1)).await;
        fake.release(behind);
        sleep(LONG).await;
        drop(operator);
        differing(&expected, &unnumbered(fake.end())).unwrap_or_else(|found| panic!("{behind}: {found}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_to_list_anew_takes_nothing_for_deleted() {
    let fake = shop();
    let operator = Operator::start(&fake);
    sleep(Duration::from_secs(20)).await;
    let before = fake.end();
    fake.asked();
    for _ in 0..5 {
        fake.go(Away::Refusing);
        sleep(Duration::from_secs(10)).await;
        // Something happens that nobody sees, and is forgotten.
        fake.edit(SERVER, |server| server["metadata"]["annotations"] = json!({"some": "body"}));
        fake.edit(SERVER, |server| server["metadata"]["annotations"] = Value::Null);
        fake.compact();
        fake.come_back();
        sleep(Duration::from_mins(1)).await;
    }
    drop(operator);
    let asked = fake.asked();
    assert!(asked.iter().filter(|asked| asked.query.contains("limit=500")).count() > 10, "it lists anew");
    let writes: Vec<String> = asked.iter().filter(|asked| asked.is_write()).map(Asked::what).collect();
    assert_eq!(writes, Vec::<String>::new());
    assert_eq!(without_nulls(&fake.end()), without_nulls(&before));
}

fn without_nulls(end: &End) -> String {
    serde_json::to_string(end).unwrap().replace("\"annotations\":null,", "")
}

/// Numbers without order: the same for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap()
    }
}
