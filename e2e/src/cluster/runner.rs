//! Plays scenarios on one cluster with one installation: first those that leave each other alone, some at a time, then
//! those that take something away from all, one by one.
//!
//! Without a cluster nothing is played, and that is said loudly.

use std::env;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use super::Error;
use super::dump::dump;
use super::images::Images;
use super::install::{OF_SCENARIOS, Operator, RELEASE_NAMESPACE};
use super::place::Cluster;
use super::stage::Stage;

/// Makes it a failure that no cluster can be used.
const REQUIRE: &str = "TOOLGATE_REQUIRE_CLUSTER";

/// Leaves everything as it is after the last scenario.
const KEEP: &str = "KEEP";

/// How many scenarios are played at the same time. With more, two cores are so busy that what each of them waits for takes
/// longer than all of them one after the other.
const AT_ONCE: usize = 6;

/// What all scenarios share.
#[derive(Debug)]
pub struct World<'c> {
    /// The cluster.
    pub cluster: &'c Cluster,
    /// The images.
    pub images: &'c Images,
    /// The installed operator.
    pub operator: Operator<'c>,
}

/// One scenario. It is played in a namespace of its name.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name, with hyphens.
    pub name: &'static str,
    /// What is done and expected.
    pub play: fn(&World<'_>, &str) -> Result<(), Error>,
}

/// How a scenario ended.
enum Played {
    Ok,
    Failed,
    NotRun,
}

/// How many scenarios ended how.
#[derive(Default)]
struct Tally {
    ok: usize,
    failed: usize,
    not_run: usize,
}

impl Tally {
    fn count(&mut self, played: &Played) {
        match played {
            Played::Ok => self.ok += 1,
            Played::Failed => self.failed += 1,
            Played::NotRun => self.not_run += 1,
        }
    }
}

impl World<'_> {
    /// Sets the stage of a scenario.
    ///
    /// # Errors
    ///
    /// If something in it does not come to run.
    pub fn stage(&self, name: &str) -> Result<Stage<'_>, Error> {
        Stage::set(self.cluster, self.images, name)
    }
}

/// Plays the scenarios whose names have one of the words of the command line in them, or all.
pub fn run(together: &[Scenario], alone: &[Scenario]) -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let all = || together.iter().chain(alone);
    if words.iter().any(|word| word == "--list") {
        all().for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |scenario: &&Scenario| {
        words.is_empty() || words.iter().any(|word| scenario.name.contains(word.as_str()))
    };
    let together: Vec<Scenario> = together.iter().filter(is_chosen).copied().collect();
    let alone: Vec<Scenario> = alone.iter().filter(is_chosen).copied().collect();
    let count = together.len() + alone.len();
    if count == 0 {
        return ExitCode::SUCCESS;
    }
    match play(&together, &alone) {
        Ok(tally) => report(&tally),
        Err(Error::NotUsable(reason)) => not_run(count, &reason),
        Err(error) => {
            println!("\nno scenario could be played: {error}");
            ExitCode::FAILURE
        }
    }
}

fn report(tally: &Tally) -> ExitCode {
    let Tally { ok, failed, not_run } = tally;
    println!("\ncluster scenarios: {ok} ok, {failed} failed, {not_run} not run");
    let is_required = env::var_os(REQUIRE).is_some_and(|value| value == "1");
    if *failed == 0 && (*not_run == 0 || !is_required) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn not_run(count: usize, reason: &str) -> ExitCode {
    println!("\nNOT RUN: {count} cluster scenarios: {reason}");
    if env::var_os(REQUIRE).is_some_and(|value| value == "1") {
        println!("{REQUIRE}=1 makes this a failure");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn play(together: &[Scenario], alone: &[Scenario]) -> Result<Tally, Error> {
    let cluster = Cluster::ready("test")?;
    // Before anything is changed, and before anything could be taken away.
    if let Err(error) = Operator::refuse_another(&cluster) {
        cluster.leave()?;
        return Err(error);
    }
    let played = play_on(&cluster, together, alone);
    if is_kept() {
        println!("left as it is: export KUBECONFIG={}", cluster.kubectl.kubeconfig().display());
        return played;
    }
    // Also where nothing could be installed: what was started here must not stay.
    let left = leave(cluster);
    let tally = played?;
    left?;
    Ok(tally)
}

fn is_kept() -> bool {
    env::var_os(KEEP).is_some_and(|keep| keep != "0")
}

fn leave(cluster: Cluster) -> Result<(), Error> {
    if !cluster.is_started_here() {
        Operator::remove(&cluster)?;
        cluster.kubectl.run(&["delete", "namespaces", OF_SCENARIOS, "--ignore-not-found", "--wait=false"])?;
    }
    cluster.leave()?;
    Ok(())
}

fn play_on(cluster: &Cluster, together: &[Scenario], alone: &[Scenario]) -> Result<Tally, Error> {
    let started = Instant::now();
    let images = Images::provide(cluster)?;
    cluster.kubectl.run(&["delete", "namespaces", OF_SCENARIOS, "--ignore-not-found"])?;
    let operator =
        Operator::install(cluster, &images).inspect_err(|_| dump(&cluster.kubectl, RELEASE_NAMESPACE))?;
    println!("images loaded and chart installed in {:.1} s", started.elapsed().as_secs_f64());
    let world = World { cluster, images: &images, operator };
    let mut tally = Tally::default();
    let left = Mutex::new(together.iter());
    let next = || left.lock().ok()?.next();
    thread::scope(|scope| {
        let play_what_is_left = || iter::from_fn(next).map(|scenario| play_one(&world, scenario)).collect();
        let playing: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(play_what_is_left)).collect();
        for played in playing {
            let played: Vec<Played> = played.join().unwrap_or_else(|_| vec![Played::Failed]);
            for played in &played {
                tally.count(played);
            }
        }
    });
    for scenario in alone {
        tally.count(&play_one(&world, scenario));
    }
    Ok(tally)
}

fn play_one(world: &World<'_>, scenario: &Scenario) -> Played {
    let started = Instant::now();
    // A panic is a failure like any other, and must not take the others along.
    let played = catch_unwind(AssertUnwindSafe(|| (scenario.play)(world, scenario.name)));
    let seconds = started.elapsed().as_secs_f64();
    let failure = match played {
        Ok(Ok(())) => {
            println!("scenario {} ... ok ({seconds:.1} s)", scenario.name);
            return Played::Ok;
        }
        Ok(Err(Error::NotUsable(reason))) => {
            println!("scenario {} ... NOT RUN: {reason}", scenario.name);
            return Played::NotRun;
        }
        Ok(Err(error)) => words(&error),
        Err(_) => "it panicked".to_owned(),
    };
    println!("scenario {} ... FAILED ({seconds:.1} s): {failure}", scenario.name);
    dump(&world.cluster.kubectl, scenario.name);
    Played::Failed
}

fn words(error: &Error) -> String {
    let causes = iter::successors(Some(error as &dyn std::error::Error), |cause| (*cause).source());
    causes.map(ToString::to_string).collect::<Vec<String>>().join(": ")
}
