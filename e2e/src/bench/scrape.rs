//! What a scrape of a gateway that has counted much costs, and whether calls notice it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::cores::Cores;
use super::figure::Figure;
use super::goals::micros;
use super::load::{self, Asker, Pressure, Sample};
use super::plan::Plan;
use super::question::Question;
use super::rules::{self, Variant};
use crate::process::Configuration;

/// A tool that each grant calls in three ways: refused by its condition, allowed once, and over its limit after that.
const SCRIPT: [&str; 3] = ["{}", r#"{"ok":1}"#, r#"{"ok":1}"#];

/// What was measured.
#[derive(Debug)]
pub(super) struct Scrapes {
    series: usize,
    bytes: usize,
    milliseconds: Vec<f64>,
    quiet: Latencies,
    scraped: Latencies,
    interval: Duration,
    /// Answers that were not what they must be.
    pub errors: u64,
}

/// How long calls took, in microseconds, round by round.
#[derive(Debug, Default)]
struct Latencies {
    p99: Vec<f64>,
    longest: Vec<f64>,
}

impl Latencies {
    fn add(&mut self, sample: &Sample) {
        self.p99.push(micros(sample.p99));
        self.longest.push(micros(sample.longest));
    }
}

/// Measures it.
pub(super) async fn measure(
    plan: Plan,
    cores: Option<Cores>,
    upstream: SocketAddr,
) -> anyhow::Result<Scrapes> {
    let configuration = Variant::Full.configure(upstream)?;
    let tools = |entry: &str| -> String {
        (0..plan.scraped_tools).fold(String::new(), |mut text, tool| {
            let _written = writeln!(text, "  {}: {{{}}}", name(tool), entry.replace("TOOL", &name(tool)));
            text
        })
    };
    let entry = "require: [{path: args.ok, op: exists}], limits: [{counter: TOOL, window: day, max: 1, scope: grant}]";
    let grants: Vec<String> = (0..plan.scraped_grants).map(|grant| format!("agent-{grant}")).collect();
    let bound = grants.join(", ");
    configuration.policy("wide", &format!("grants: [{bound}]\ntools:\n{}", tools(entry)))?;
    for policy in ["bench", "watch"] {
        bind(&configuration, policy)?;
    }
    for grant in &grants {
        configuration.grant(grant, &token(grant), "")?;
    }
    let launch = Variant::Full.launch(&configuration)?;
    let admin = launch.command.iter().skip_while(|word| *word != "--admin").nth(1);
    let admin: SocketAddr = admin.context("the gateway has an admin port")?.parse().context("an address")?;
    let program = launch.listening(cores)?;
    fill(program.address(), &grants, plan.scraped_tools).await?;

    let mut scrapes = Scrapes {
        series: 0,
        bytes: 0,
        milliseconds: Vec::new(),
        quiet: Latencies::default(),
        scraped: Latencies::default(),
        interval: plan.scrape_interval,
        errors: 0,
    };
    for _ in 0..plan.rounds.min(2) {
        let quiet = press(plan, program.address()).await?;
        let loaded = tokio::select! {
            sample = press(plan, program.address()) => sample?,
            failed = scrape_on(admin, &mut scrapes) => return Err(failed),
        };
        scrapes.quiet.add(&quiet);
        scrapes.scraped.add(&loaded);
        scrapes.errors += quiet.errors + loaded.errors;
    }
    Ok(scrapes)
}

/// Lets a policy bind nobody but the one who calls.
fn bind(configuration: &Configuration, policy: &str) -> anyhow::Result<()> {
    let file = format!("{policy}.yaml");
    let text = configuration.read(&file)?;
    let (head, rest) = text.split_once("spec:\n").context("a policy has a spec")?;
    Ok(configuration.write(&file, &format!("{head}spec:\n  grants: [bench]\n{rest}"))?)
}

fn name(tool: usize) -> String {
    format!("tool_number_{tool}")
}

fn token(grant: &str) -> String {
    format!("{}-{grant}", rules::TOKEN)
}

/// Has every grant call every tool in every way.
async fn fill(address: SocketAddr, grants: &[String], tools: usize) -> anyhow::Result<()> {
    let filling = async {
        for grant in grants {
            let mut question = Question::call();
            let bearer = format!("Bearer {}", token(grant));
            question.headers.insert(AUTHORIZATION, HeaderValue::from_str(&bearer).context("a plain token")?);
            question.session = false;
            let mut asker = Asker::connect(address, &question).await?;
            for tool in 0..tools {
                for arguments in SCRIPT {
                    let body = format!(
                        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{}","arguments":{arguments}}}}}"#,
                        name(tool)
                    );
                    let (status, answer) = asker.ask(Bytes::from(body)).await?;
                    if !status.is_success() {
                        bail!("a call was answered {status}: {}", String::from_utf8_lossy(&answer));
                    }
                }
            }
        }
        Ok(())
    };
    tokio::task::LocalSet::new().run_until(filling).await
}

async fn press(plan: Plan, address: SocketAddr) -> anyhow::Result<Sample> {
    let pressure = Pressure { connections: 1, warm_up: plan.warm_up, window: plan.scraped_window };
    let sample = load::run(address, &Question::call(), pressure, || Ok(())).await?;
    if sample.calls == 0 {
        bail!("nothing was answered: {}", sample.first_error.as_deref().unwrap_or("no answer came"));
    }
    Ok(sample)
}

/// Scrapes again and again, until it fails or nobody waits for it any more.
async fn scrape_on(admin: SocketAddr, scrapes: &mut Scrapes) -> anyhow::Error {
    loop {
        let (text, took) = match scrape(admin).await {
            Ok(page) => page,
            Err(error) => return error,
        };
        let series = text.lines().filter(|line| line.starts_with("toolgate_tool_calls_total{"));
        (scrapes.series, scrapes.bytes) = (series.count(), text.len());
        scrapes.milliseconds.push(took.as_secs_f64() * 1e3);
        tokio::time::sleep(scrapes.interval).await;
    }
}

async fn scrape(admin: SocketAddr) -> anyhow::Result<(String, Duration)> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(admin).await.context("scrape")?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("scrape")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.context("scrape")?;
    Ok((text, began.elapsed()))
}

impl Scrapes {
    /// As a table.
    pub(super) fn text(&self, text: &mut String) {
        let _written = writeln!(
            text,
            "| a scrape of {} series of calls, each {} ms | kB | ms | p99 us of calls without, c=1 | with | longest call us without | with |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n\
             | | {} | {} | {} | {} | {} | {} |\n",
            self.series,
            self.interval.as_millis(),
            self.bytes / 1000,
            figure(&self.milliseconds, 1),
            figure(&self.quiet.p99, 0),
            figure(&self.scraped.p99, 0),
            figure(&self.quiet.longest, 0),
            figure(&self.scraped.longest, 0),
        );
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let json = |figures: &[f64]| Figure::of(figures.iter().copied()).map(Figure::json);
        json!({
            "series": self.series,
            "bytes": self.bytes,
            "milliseconds": json(&self.milliseconds),
            "p99MicrosecondsWithout": json(&self.quiet.p99),
            "p99MicrosecondsWith": json(&self.scraped.p99),
            "longestMicrosecondsWithout": json(&self.quiet.longest),
            "longestMicrosecondsWith": json(&self.scraped.longest),
        })
    }
}

fn figure(figures: &[f64], digits: usize) -> String {
    Figure::of(figures.iter().copied()).map_or("-".to_owned(), |figure| figure.text(digits))
}
