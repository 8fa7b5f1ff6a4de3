//! The books of four sides balance: what clients heard, what the gateway counted, what it recorded, and what reached the
//! server; while policies are edited, gateways are killed, and the store that they count in is, too.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use toolgate_e2e::kommo::Answers;
use toolgate_e2e::process::{
    ALICE, Answer, BOB, Folder, Gateway, Metrics, PATIENCE, Redis, Request, Start, World,
};

const OPEN: &str = "\
default: deny
tools:
  get_leads: {}
  get_lead: {limits: [{counter: reads, window: day, max: 9, scope: grant}]}
  update_lead: {action: deny}
  run_salesbot: {action: approve}
hide: [\"stop_*\"]";
// What it hides it names, so that it is counted by its name under either policy.
const NARROW: &str = "default: deny\ntools:\n  get_leads: {action: deny}\n  get_lead: {}\n  run_salesbot: {}\nhide: [update_lead]";
const WATCH: &str = "mode: audit\ndefault: allow\ntools: {get_leads: {action: deny}}";
const KNOWN: [&str; 4] = ["get_leads", "get_lead", "update_lead", "run_salesbot"];
const CALLS: [(&str, &str); 8] = [
    (ALICE, "get_leads"),
    (BOB, "get_lead"),
    (ALICE, "get_lead"),
    (BOB, "update_lead"),
    (ALICE, "run_salesbot"),
    (BOB, "stop_salesbot"),
    (ALICE, "nowhere"),
    (BOB, "get_leads"),
];
const ABSENT: &str = "absent";
const GATEWAYS: usize = 3;
const ROUNDS: usize = 4;
const CALLS_EACH: usize = 3;
/// The calls of all rounds.
const CALLS_MADE: usize = GATEWAYS * ROUNDS * CALLS.len() * CALLS_EACH;

/// How often a tool met a verdict.
type Tally = BTreeMap<(String, String), u64>;

/// What each side counted, over the lives of all gateways.
#[derive(Debug, Default)]
struct Books {
    heard: Tally,
    counted: Tally,
    watched: u64,
    rejected: u64,
}

fn add(tally: &mut Tally, tool: &str, verdict: &str, count: u64) {
    let tool = if KNOWN.contains(&tool) { tool } else { "_other" };
    // To a caller hidden and unlisted are the same, on purpose.
    let verdict = if matches!(verdict, "hidden" | "unlisted") { ABSENT } else { verdict };
    *tally.entry((tool.to_owned(), verdict.to_owned())).or_default() += count;
}

fn heard(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    match answer.error_code() {
        Some(code) => {
            assert_eq!(code, -32602, "{}", answer.text());
            ABSENT.to_owned()
        }
        None => answer.verdict().unwrap_or_else(|| "allowed".to_owned()),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are small whole numbers"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

impl Books {
    fn note(&mut self, metrics: &Metrics) {
        for (labels, count) in metrics.by("toolgate_tool_calls_total", &["tool", "verdict"]) {
            add(&mut self.counted, &labels[0], &labels[1], whole(count));
        }
        self.watched += whole(metrics.sum("toolgate_audit_verdicts_total", &[]));
        self.rejected += whole(metrics.sum("toolgate_requests_rejected_total", &[]));
        assert_eq!(whole(metrics.sum("toolgate_audit_lines_dropped_total", &[])), 0);
    }

    /// All sides say the same: clients, metrics, the trail, and the server.
    fn agree(&self, recorded: &[Value], reached: &BTreeMap<String, u64>) {
        assert_eq!(recorded.len(), self.lines(), "nothing is recorded that was not counted");
        let of = |event: &str| recorded.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
        let mut tally = Tally::new();
        for line in of("decision") {
            let word = |member: &str| line[member].as_str().expect("a word");
            add(&mut tally, word("name"), word("verdict"), 1);
        }
        assert_eq!(of("watched").len() as u64, self.watched);
        assert_eq!(of("rejected").len() as u64, self.rejected);
        assert_eq!(self.heard, self.counted, "what clients heard was counted");
        assert_eq!(self.heard, tally, "and recorded");
        let allowed = tally.iter().filter(|((_, verdict), _)| verdict == "allowed");
        let allowed: BTreeMap<String, u64> =
            allowed.map(|((tool, _), count)| (tool.clone(), *count)).collect();
        assert_eq!(*reached, allowed, "what was allowed reached the server, and nothing else did");
    }

    fn lines(&self) -> usize {
        let decisions: u64 = self.counted.values().sum();
        usize::try_from(decisions + self.watched + self.rejected).expect("not so many")
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the trail is there");
    // The last line may be half written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

async fn until_written(path: &Path, count: usize) -> Vec<Value> {
    let waiting = async {
        loop {
            let lines = lines(path);
            if lines.len() >= count {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("every line is written in time")
}

async fn call(world: &World, token: &str, tool: &str) -> String {
    let request = Request::modern_call(token, tool, &json!({"id": 1001, "bot_id": 1}));
    heard(&world.ask(&request).await.expect("an answer"))
}

/// Callers side by side, and edits while they call.
async fn round(world: &World, heard_by: &mut Tally, rules: &str) {
    let calls = CALLS.map(|(token, tool)| async move {
        let mut verdicts = Vec::new();
        for _ in 0..CALLS_EACH {
            verdicts.push((tool, call(world, token, tool).await));
        }
        verdicts
    });
    let edit = async { world.configuration.policy("kommo-sales", rules).expect("is written") };
    let (verdicts, ()) = tokio::join!(futures::future::join_all(calls), edit);
    for (tool, verdict) in verdicts.into_iter().flatten() {
        add(heard_by, tool, &verdict, 1);
    }
}

/// What is asked of one gateway: two policies in turn, of which the first comes while the store is away.
async fn rounds(world: &World, heard_by: &mut Tally, store: &mut Option<Redis>) {
    for number in 0..ROUNDS {
        let rules = if number % 2 == 0 { NARROW } else { OPEN };
        match store {
            Some(redis) if rules == NARROW => {
                redis.kill().await.expect("it ends");
                add(heard_by, "get_lead", &call(world, ALICE, "get_lead").await, 1);
                let (restarted, ()) = tokio::join!(redis.restart(), round(world, heard_by, rules));
                restarted.expect("it starts");
            }
            Some(_) => {
                world.gateway.admin().until_it_counts().await.expect("it counts again");
                round(world, heard_by, rules).await;
            }
            None => round(world, heard_by, rules).await,
        }
    }
}

/// Plays the lives of all gateways, compares the books, and answers what clients heard.
async fn four_sides_agree(mut store: Option<Redis>) -> Tally {
    let folder = Folder::new().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let more = ["--audit", path.to_str().expect("UTF-8")];
    let mut world = World::start_with(Answers::Json, OPEN, "info", &more).await.expect("a world");
    world.configuration.policy("trial", WATCH).expect("is written");
    if let Some(redis) = &store {
        world.configuration.counters(&format!("{{url: '{}'}}", redis.url())).expect("is written");
    }
    let (objects, credentials) = (world.configuration.objects(), world.configuration.credentials());
    let mut books = Books::default();
    for _ in 0..GATEWAYS {
        let start = Start { config: &objects, credentials: Some(&credentials), log: "info", more: &more };
        // The one before is killed, with no word of it.
        world.gateway = Gateway::ready(start).await.expect("another gateway");
        rounds(&world, &mut books.heard, &mut store).await;
        let unknown = Request::modern_call("nobody", "get_leads", &json!({}));
        assert_eq!(world.ask(&unknown).await.expect("an answer").status, 401);
        books.note(&world.gateway.admin().metrics().await.expect("metrics"));
        until_written(&path, books.lines()).await;
    }
    books.agree(&lines(&path), &world.stand_in.counts().by_tool);
    books.heard
}

#[tokio::test]
async fn four_sides_agree_while_policies_are_edited_and_gateways_killed() {
    let heard = four_sides_agree(None).await;
    assert_eq!(heard.values().sum::<u64>(), CALLS_MADE as u64);
}

#[tokio::test]
async fn four_sides_agree_while_the_store_is_killed_too() {
    let Some(redis) = Redis::start(&[]).await.expect("a Redis") else { return };
    let heard = four_sides_agree(Some(redis)).await;
    // And one more whenever the store was killed, in every other round.
    assert_eq!(heard.values().sum::<u64>(), (CALLS_MADE + GATEWAYS * ROUNDS / 2) as u64);
    let uncounted = ("get_lead".to_owned(), "uncounted".to_owned());
    assert!(heard.contains_key(&uncounted), "nothing was refused while the store was away: {heard:?}");
}
