//! `try`: the whole conversation on the loopback interface, told as it happens. It needs no cluster and no root.
//!
//! Exit status: 0 if all went as the policy says, 1 if anything differed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::{Map, Value, json};

use toolgate_e2e::agent::{Connection, Era, Listing, Outcome, Reply};
use toolgate_e2e::kommo::{self, Answers, StandIn, seeded};
use toolgate_e2e::process::{Books, Configuration, Gateway, Line, SAMPLE_TOKEN, Start, World};

/// The file that is edited while the agent works.
const POLICY: &str = "kommo-policy.yaml";
/// The line of it that is edited, and what becomes of it.
const EDIT: (&str, &str) =
    ("get_leads: {}", "get_leads: {action: deny, reason: \"not during the quarterly close\"}");
/// The sample's limit of calls of one grant in a minute.
const MOVES: u32 = 30;
/// How long an edit may take to be obeyed before the story is given up.
const EDIT_PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two calls that wait for the edit.
const PAUSE: Duration = Duration::from_millis(5);
/// How often the agent waits as it is told before it gives up.
const WAITS_MAX: u32 = 10;

/// Watch an agent work behind the gateway, on this machine, in seconds.
#[derive(Debug, Parser)]
#[command(name = "try", version)]
struct Options {
    /// Leave everything running, and say how to use it
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("\nSomething went otherwise than the policy says: see the lines marked with !!");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("try: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<bool> {
    println!("Toolgate on this machine: an agent, a gateway, and a stand-in for the Kommo CRM's MCP server.");
    println!("Nothing leaves the loopback interface.");
    let stand_in = World::stand_in(Answers::Json).await?;
    let mut configuration = Configuration::samples(&stand_in.url())?;
    let (config, credentials) = (configuration.objects(), configuration.credentials());
    let start = Start { config: &config, credentials: Some(&credentials), log: "info", more: &[] };
    let gateway = Gateway::ready(start).await?;
    let mut story = Story { stand_in, gateway, books: Books::new(), well: true, waits: 0 };
    story.tell(&configuration).await?;
    if options.keep {
        let sample = configuration.read(POLICY)?.replace(EDIT.1, EDIT.0);
        configuration.write(POLICY, &sample)?;
        configuration.keep();
        keep(&story.gateway, &configuration).await?;
    }
    Ok(story.well)
}

/// What happens, and whether it is what should.
struct Story {
    stand_in: StandIn,
    gateway: Gateway,
    books: Books,
    well: bool,
    /// How often the agent was told to wait, and did.
    waits: u32,
}

impl Story {
    async fn tell(&mut self, configuration: &Configuration) -> anyhow::Result<()> {
        let connection = Connection::open(&self.gateway.target(Era::Modern, SAMPLE_TOKEN)).await?;
        chapter("The policy, as a person wrote it (crds/samples/kommo-policy.yaml)");
        for line in configuration.read(POLICY)?.lines().skip_while(|line| !line.starts_with("spec:")) {
            println!("     {line}");
        }
        self.tools(&connection).await?;
        self.work(&connection).await?;
        self.refusals(&connection).await?;
        self.edit(&connection, configuration).await?;
        connection.close().await;
        self.older_agent().await?;
        self.accounts().await
    }

    /// One line of the story.
    fn line(&mut self, as_it_should: bool, text: &str) {
        self.well &= as_it_should;
        println!("  {} {text}", if as_it_should { "ok" } else { "!!" });
    }

    async fn tools(&mut self, connection: &Connection) -> anyhow::Result<()> {
        chapter("Which tools are there?");
        let names = connection.list(Listing::Tools).await.context("cannot list the tools")?;
        let (listed, all) = (names.len(), kommo::tool_names().count());
        let expected = ["get_leads", "get_lead", "update_lead", "move_lead", "get_pipelines", "run_salesbot"];
        self.line(names == expected, &format!("the server has {all}, the agent sees {listed}:"));
        println!("     {}", names.join(", "));
        Ok(())
    }

    async fn work(&mut self, connection: &Connection) -> anyhow::Result<()> {
        chapter("The agent works");
        let reply = self.call(connection, "get_leads", &json!({"limit": 3})).await?;
        self.expect(&reply, Outcome::Allowed, "the first leads");
        let started = Instant::now();
        let mut moved = 0;
        for index in 0..MOVES {
            let stages = [seeded::NEGOTIATION, seeded::PROPOSAL];
            let stage = stages[usize::try_from(index).unwrap_or_default() % stages.len()];
            let arguments = json!({"lead_id": seeded::FIRST_LEAD, "status_id": stage});
            let reply = self.call(connection, "move_lead", &arguments).await?;
            moved += u32::from(reply.outcome == Outcome::Allowed);
        }
        let (took, waits) = (started.elapsed().as_secs_f64(), self.waits);
        self.line(moved == MOVES, &format!("move_lead       allowed   {moved} times in {took:.1} s;"));
        println!("     the server's limit of 7 calls a second sent it waiting {waits} times, as it was told");
        let arguments = json!({"lead_id": seeded::FIRST_LEAD, "status_id": seeded::WON});
        let reply = self.call(connection, "move_lead", &arguments).await?;
        self.expect(&reply, Outcome::Limited, &reply.text);
        let reply = self.call(connection, "get_lead", &json!({"id": seeded::FIRST_LEAD})).await?;
        let lead: Value = serde_json::from_str(&reply.text).unwrap_or_default();
        let text = format!("lead {} really is where the last allowed call put it", seeded::FIRST_LEAD);
        self.line(lead["status_id"] == seeded::PROPOSAL, &text);
        Ok(())
    }

    async fn refusals(&mut self, connection: &Connection) -> anyhow::Result<()> {
        chapter("And what it may not do");
        let lead = json!({"id": seeded::FIRST_LEAD, "price": 1});
        let bot =
            json!({"bot_id": seeded::CLOSING_BOT, "entity_id": seeded::FIRST_LEAD, "entity_type": "leads"});
        for (tool, arguments, outcome) in [
            ("update_lead", &lead, Outcome::Denied),
            ("run_salesbot", &bot, Outcome::Held),
            ("stop_salesbot", &bot, Outcome::Unknown),
            ("create_lead", &json!({"name": "x"}), Outcome::Unknown),
            ("no_such_tool", &json!({}), Outcome::Unknown),
        ] {
            let reply = self.call(connection, tool, arguments).await?;
            let words = reply.words().to_owned();
            self.expect(&reply, outcome, &words);
        }
        println!("     hidden, not listed, not there: to the agent these are the same");
        Ok(())
    }

    async fn edit(&mut self, connection: &Connection, configuration: &Configuration) -> anyhow::Result<()> {
        chapter("Meanwhile a person edits the policy: no more get_leads");
        let policy = configuration.read(POLICY)?;
        if !policy.contains(EDIT.0) {
            bail!("the sample policy does not say {:?} any more", EDIT.0);
        }
        let arguments = Map::new();
        let (written, mut calls) = (Instant::now(), 0);
        configuration.write(POLICY, &policy.replace(EDIT.0, EDIT.1))?;
        let reply = loop {
            let reply = connection.call("get_leads", &arguments).await;
            calls += 1;
            self.books.note("get_leads", reply.outcome);
            if reply.outcome == Outcome::Denied || written.elapsed() > EDIT_PATIENCE {
                break reply;
            }
            tokio::time::sleep(PAUSE).await;
        };
        let took = written.elapsed().as_millis();
        self.expect(&reply, Outcome::Denied, &reply.text);
        println!("     obeyed {took} ms after the file was written, on the same connection, at call {calls}");
        Ok(())
    }

    async fn older_agent(&mut self) -> anyhow::Result<()> {
        chapter("An agent of the older protocol, with sessions, hears the same");
        let connection = Connection::open(&self.gateway.target(Era::Session, SAMPLE_TOKEN)).await?;
        for (tool, outcome) in [("get_leads", Outcome::Denied), ("get_pipelines", Outcome::Allowed)] {
            let reply = self.call(&connection, tool, &json!({})).await?;
            let text = if outcome == Outcome::Allowed { "the pipelines" } else { &reply.text };
            self.expect(&reply, outcome, text);
        }
        connection.close().await;
        let stranger = self.gateway.target(Era::Modern, "not-a-token-that-anybody-granted");
        let refused = Connection::open(&stranger).await.is_err();
        self.line(refused, "and one with a token that nobody granted hears nothing at all (401)");
        Ok(())
    }

    async fn accounts(&mut self) -> anyhow::Result<()> {
        chapter("The books");
        let page = self.gateway.admin().get("/metrics").await?.text();
        for line in page.lines().filter(|line| line.starts_with("toolgate_tool_calls_total{")) {
            println!("     {line}");
        }
        let metrics = self.gateway.admin().metrics().await?;
        // What is nowhere is counted under one name, however it was called.
        let known: Vec<&str> = kommo::tool_names().collect();
        let lines = self.books.compare(&metrics, &self.stand_in.counts(), &known);
        println!("\n     {:<14} {:<19} {:>8} {:>9} {:>9}", "tool", "verdict", "agent", "gateway", "server");
        for line in &lines {
            let Line { tool, verdict, heard, counted, reached } = line;
            let text = format!("{tool:<14} {verdict:<19} {heard:>8} {counted:>9} {reached:>9}");
            self.line(line.balances(), &text);
        }
        if lines.iter().all(Line::balances) {
            println!("     They balance: what was allowed reached the server, and nothing else did.");
        }
        Ok(())
    }

    /// Calls as a polite agent does: told that the server's own limit is reached, it waits and asks again.
    async fn call(
        &mut self,
        connection: &Connection,
        tool: &str,
        arguments: &Value,
    ) -> anyhow::Result<Reply> {
        let arguments = arguments.as_object().context("arguments are an object")?;
        for _ in 0..WAITS_MAX {
            let reply = connection.call(tool, arguments).await;
            self.books.note(tool, reply.outcome);
            let short = reply.rule().is_some_and(|rule| rule.ends_with("/allTools/limits/kommo_api"));
            if reply.outcome != Outcome::Limited || !short {
                return Ok(reply);
            }
            self.waits += 1;
            tokio::time::sleep(retry_after(&reply)).await;
        }
        bail!("{tool} was told to wait {WAITS_MAX} times in a row")
    }

    fn expect(&mut self, reply: &Reply, outcome: Outcome, text: &str) {
        let (tool, said) = (&reply.tool, reply.outcome.name());
        let text = format!("{tool:<15} {said:<9} {text}");
        if reply.outcome == outcome {
            self.line(true, &text);
        } else {
            self.line(false, &format!("{text} (expected {}): {}", outcome.name(), reply.words()));
        }
    }
}

fn retry_after(reply: &Reply) -> Duration {
    let verdict = reply.meta.as_ref().and_then(|meta| meta.get("toolgate.dev/verdict"));
    let seconds = verdict.and_then(|verdict| verdict["retryAfterSeconds"].as_u64());
    Duration::from_secs(seconds.unwrap_or(1))
}

fn chapter(title: &str) {
    println!("\n{title}");
}

async fn keep(gateway: &Gateway, configuration: &Configuration) -> anyhow::Result<()> {
    let (url, admin) = (gateway.url(), gateway.admin().address());
    println!("\nIt is left running until Ctrl-C.");
    println!("  MCP endpoint    {url}");
    println!("  token           {SAMPLE_TOKEN}");
    println!("  admin           http://{admin}  (/metrics /readyz /livez /revision)");
    println!("  files to edit   {}", configuration.objects().display());
    println!("\nSuch as");
    println!(
        "  TOOLGATE_TOKEN={SAMPLE_TOKEN} target/debug/agent --url {url} call get_leads '{{\"limit\": 1}}'"
    );
    println!("\nWhat the gateway says of your edits:");
    let told = async {
        for index in gateway.log().lines().len().. {
            let line: Value = serde_json::from_str(&gateway.log().line(index).await).unwrap_or_default();
            let revision = line["revision"].as_i64().map(|revision| format!(" (revision {revision})"));
            println!("  {}{}", line["message"].as_str().unwrap_or_default(), revision.unwrap_or_default());
        }
    };
    tokio::select! {
        () = told => Ok(()),
        stopped = tokio::signal::ctrl_c() => {
            std::fs::remove_dir_all(configuration.path()).context("remove the files")?;
            stopped.context("wait for Ctrl-C")
        }
    }
}
