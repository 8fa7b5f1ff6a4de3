//! The agent in pods: commands in the idle one, and whole conversations in pods of their own.

use std::thread;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::agent::{Outcome, Reply, Sighting, StepReport};

use super::command::Ran;
use super::images::Images;
use super::stage::{Stage, filled};
use super::{Error, parsed, promise};

/// The idle agent's pod.
pub const AGENT: &str = "agent";

/// The token of the sample grant.
pub const SAMPLE_TOKEN: &str = "toolgate-sample-token";

/// The token of the second caller, for grants that scenarios make.
pub const OTHER_TOKEN: &str = "toolgate-other-token";

/// A token's digest, as a grant has it.
pub fn token_digest(token: &str) -> String {
    Sha256::digest(token).iter().fold(String::new(), |digest, byte| format!("{digest}{byte:02x}"))
}

/// Where the tokens are in the agent's pods.
const TOKENS: &str = "/etc/agent/tokens";

/// What the agent's HTTP client says where no answer came at all.
const UNSENT: &str = "error sending request";

/// How often such a call is tried again.
const CONNECTIONS_MORE: usize = 2;

/// How long an outcome is waited for.
const WAIT_SECONDS: u64 = 180;

/// Who calls, and where.
#[derive(Debug, Clone)]
pub struct Caller<'s> {
    stage: &'s Stage<'s>,
    pod: String,
    url: String,
    /// The file of its token; none is shown without one.
    token: Option<String>,
    era: &'static str,
}

/// The idle agent and its tokens.
pub(super) fn manifest(images: &Images) -> Result<String, Error> {
    let image = images.agent.to_string();
    let values = [("AGENT_IMAGE", &*image), ("SAMPLE_TOKEN", SAMPLE_TOKEN), ("OTHER_TOKEN", OTHER_TOKEN)];
    filled(include_str!("../../manifests/agent.yaml"), &values)
}

impl<'s> Caller<'s> {
    pub(super) fn new(stage: &'s Stage<'s>, url: String, token: &str) -> Self {
        Self { stage, pod: AGENT.to_owned(), url, token: Some(token.to_owned()), era: "modern" }
    }

    /// The same server and pod, another token: a key of the Secret that the agent's pods mount.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        self.at(&self.pod, token)
    }

    /// The same server, another pod and a token in it.
    #[must_use]
    pub fn at(&self, pod: &str, token: &str) -> Self {
        Self { pod: pod.to_owned(), token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same server and pod, and no token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The same caller at another address, such as one gateway pod's.
    #[must_use]
    pub fn at_url(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    /// The same caller in the protocol's older era: its conversations have a session.
    #[must_use]
    pub fn in_session(&self) -> Self {
        Self { era: "session", ..self.clone() }
    }

    /// The command that calls a tool until an outcome is seen or the seconds are over.
    pub fn until_command(
        &self,
        tool: &str,
        arguments: &Value,
        outcome: Outcome,
        seconds: u64,
    ) -> Vec<String> {
        let token = self.token.as_ref().map(|token| format!("{TOKENS}/{token}"));
        let shown = token.as_ref().map_or(Vec::new(), |token| vec!["--token-file", token.as_str()]);
        let fixed = [&["exec", &self.pod, "--", "agent", "--url", &self.url], shown.as_slice()].concat();
        let (arguments, seconds) = (arguments.to_string(), seconds.to_string());
        let rest = ["until", tool, &arguments, "--outcome", outcome.name(), "--timeout-seconds", &seconds];
        fixed.iter().chain(rest.iter()).map(|word| (*word).to_owned()).collect()
    }

    /// Calls a tool until an outcome is seen.
    ///
    /// # Errors
    ///
    /// If it is not seen in time.
    pub fn until(&self, tool: &str, arguments: &Value, outcome: Outcome) -> Result<Sighting, Error> {
        let sighting = self.attempt(tool, arguments, outcome, WAIT_SECONDS)?;
        promise(sighting.seen, || {
            let last = &sighting.last;
            format!("{tool} was never {}, last {}: {}", outcome.name(), last.outcome.name(), last.words())
        })?;
        Ok(sighting)
    }

    /// Calls a tool once, on a connection of its own.
    ///
    /// # Errors
    ///
    /// If the agent cannot be run.
    pub fn call(&self, tool: &str, arguments: &Value) -> Result<Reply, Error> {
        Ok(self.attempt(tool, arguments, Outcome::Allowed, 0)?.last)
    }

    /// Calls a tool once, on a connection of its own, for exactly this outcome. Where nobody could be connected to, which is
    /// said aloud, nothing was called, and it is tried again: names and the way to a Service are the cluster's, and fail
    /// on a busy machine now and then.
    ///
    /// # Errors
    ///
    /// If it is another one.
    pub fn expect(&self, tool: &str, arguments: &Value, outcome: Outcome) -> Result<Reply, Error> {
        let mut reply = self.call(tool, arguments)?;
        for _ in 0..CONNECTIONS_MORE {
            let unsent = reply.error.as_ref().filter(|error| error.message.contains(UNSENT));
            let Some(unsent) = unsent.filter(|_| reply.outcome != outcome) else { break };
            eprintln!("{}: tried again: {}", self.stage.name(), unsent.message);
            reply = self.call(tool, arguments)?;
        }
        promise(reply.outcome == outcome, || {
            let (wanted, came) = (outcome.name(), reply.outcome.name());
            format!("{tool} has to be {wanted} and is {came}: {}", reply.words())
        })?;
        Ok(reply)
    }

    fn attempt(
        &self,
        tool: &str,
        arguments: &Value,
        outcome: Outcome,
        seconds: u64,
    ) -> Result<Sighting, Error> {
        let command = self.until_command(tool, arguments, outcome, seconds);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        sighting(&self.stage.kubectl.attempt(&command, "")?)
    }

    /// Works off a script in a pod of its own, and hands over each report as it comes. Every expectation of the script
    /// has to be met.
    ///
    /// # Errors
    ///
    /// If one is not, or if the pod does not run.
    pub fn converse(
        &self,
        name: &str,
        script: &str,
        mut report: impl FnMut(StepReport) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let kubectl = &self.stage.kubectl;
        let key = format!("--from-literal=script.json={script}");
        kubectl.run(&["create", "configmap", name, &key])?;
        let image = self.stage.images.agent.to_string();
        let values = [
            ("NAME", name),
            ("URL", &self.url),
            ("AGENT_IMAGE", &image),
            ("ERA", self.era),
            ("TOKEN", self.token.as_deref().unwrap_or_default()),
        ];
        kubectl.apply(&filled(include_str!("../../manifests/conversation.yaml"), &values)?)?;
        let pod = format!("pod/{name}");
        // Before there is a container there is no log to follow.
        kubectl.wait("jsonpath={.status.containerStatuses[0].containerID}", &[&pod])?;
        let mut reported = Ok(());
        kubectl.follow(&["logs", name, "--follow"], |line| {
            if reported.is_ok() {
                reported = parsed("a report of the agent", line).and_then(&mut report);
            }
        })?;
        let code = ".status.containerStatuses[0].state.terminated.exitCode";
        kubectl.wait(&format!("jsonpath={{{code}}}"), &[&pod])?;
        let code = kubectl.value(&pod, code)?;
        promise(code == "0", || format!("the conversation {name} differs from what it has to be"))?;
        reported
    }
}

/// Lets several callers work off the same script at the same time, each in a pod of its own.
///
/// # Errors
///
/// If one of them fails.
pub fn converse_at_once(callers: &[(String, Caller<'_>)], script: &str) -> Result<Vec<StepReport>, Error> {
    thread::scope(|scope| {
        let conversing: Vec<_> = callers
            .iter()
            .map(|(name, caller)| {
                scope.spawn(move || {
                    let mut reports = Vec::new();
                    let ended = caller.converse(name, script, |report| {
                        reports.push(report);
                        Ok(())
                    });
                    ended.map(|()| reports).map_err(|error| Error::Broken(format!("{name}: {error}")))
                })
            })
            .collect();
        let mut all = Vec::new();
        for one in conversing {
            all.extend(one.join().map_err(|_| Error::Broken("a conversation panicked".to_owned()))??);
        }
        Ok(all)
    })
}

/// What `until` printed. It says by its status whether the outcome was seen; the line says that too.
pub(super) fn sighting(ran: &Ran) -> Result<Sighting, Error> {
    let line = ran.stdout.lines().next();
    let line = line.ok_or_else(|| Error::Broken(format!("the agent could not be run: {}", ran.output())))?;
    parsed("the agent's sighting", line)
}
