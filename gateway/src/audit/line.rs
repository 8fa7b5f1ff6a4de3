//! The lines of the trail. `AUDIT.md` beside the gateway is their contract, and a test holds the two together.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use toolgate_policy::json::Object;
use toolgate_policy::{Audited, Outcome, Refusal, Rule, Target};

use super::digest::DigestKey;
use super::writer::Members;
use crate::correlation::{Correlation, Hex};
use crate::metrics::Rejected;

/// The first member of every line, which tells it from a line of a log.
pub const VERSION: &str = "toolgate.dev/v1";
/// The longest name that is told, in characters; names that nobody knows are made up by callers.
pub const NAME_CHARACTERS_MAX: usize = 256;
/// The most keys of arguments that are told.
pub const KEYS_MAX: usize = 32;
/// The longest key that is told, in characters.
pub const KEY_CHARACTERS_MAX: usize = 64;

/// Whose law decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The server's namespace.
    pub namespace: String,
    /// The server's name.
    pub server: String,
    /// The revision of what was in force.
    pub revision: i64,
}

/// What is recorded at one instant: a line, or several.
#[derive(Debug)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// Of which request.
    pub correlation: Option<Correlation>,
    /// Under whose law; nobody's before anything was in force.
    pub place: Option<Arc<Place>>,
    /// Whose request.
    pub who: Option<Who>,
    /// What happened.
    pub event: Event,
}

impl Entry {
    /// So many lines are missing, and why: see [`Event::Omitted`].
    pub fn omitted(time: Timestamp, lines: u64, because: &'static str) -> Self {
        let event = Event::Omitted { lines, because };
        Self { time, correlation: None, place: None, who: None, event }
    }
}

/// Who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The grant's name.
    pub grant: Arc<str>,
    /// What the grant's subject is: `token`, `serviceAccount`, `oidc`, `certificate` or `anonymous`.
    pub subject: &'static str,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Something was asked for, and decided.
    Decision {
        /// What was asked for.
        asked: Asked,
        /// The revision of the protocol.
        era: &'static str,
        /// The refusal; None if it was allowed.
        refused: Option<(Outcome, Rule)>,
        /// What policies that only watch would have said: a line each.
        watched: Vec<Audited>,
    },
    /// A request was refused before it was known what it asks for.
    Rejected {
        /// Why.
        reason: Rejected,
        /// Why exactly, where callers are not told.
        detail: Option<&'static str>,
    },
    /// Lines were left out.
    Omitted {
        /// How many.
        lines: u64,
        /// Why: there were too many rejections at once (`rate`), or the sink was too slow (`sink`).
        because: &'static str,
    },
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    method: &'static str,
    target: &'static str,
    name: String,
    keys: Vec<String>,
    keys_omitted: usize,
    digest: Option<(Hex<4>, Hex<32>)>,
}

impl Asked {
    /// What a request asks for, without any value of its arguments.
    pub fn new(
        method: &'static str,
        target: Target,
        name: &str,
        arguments: Option<&Object<'_>>,
        key: &DigestKey,
    ) -> Self {
        let mut keys: Vec<&str> = arguments.map(|arguments| arguments.keys().collect()).unwrap_or_default();
        keys.sort_unstable();
        Self {
            method,
            target: target.as_str(),
            name: cut(name, NAME_CHARACTERS_MAX),
            keys: keys.iter().take(KEYS_MAX).map(|key| cut(key, KEY_CHARACTERS_MAX)).collect(),
            keys_omitted: keys.len().saturating_sub(KEYS_MAX),
            digest: arguments.map(|arguments| (key.id(), key.digest(arguments))),
        }
    }
}

impl Entry {
    /// How many lines it is.
    pub fn lines(&self) -> u64 {
        match &self.event {
            Event::Decision { watched, .. } => 1 + watched.len() as u64,
            Event::Rejected { .. } | Event::Omitted { .. } => 1,
        }
    }

    /// Appends its lines, each with its line feed.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.event {
            Event::Decision { asked, era, refused, watched } => {
                let refused = refused.as_ref().map(|(outcome, rule)| (*outcome, rule));
                self.line("decision", out, |line| said(line, asked, era, refused, None));
                for audited in watched {
                    let refused =
                        audited.refusal.as_ref().map(|Refusal { outcome, rule, .. }| (*outcome, rule));
                    self.line("watched", out, |line| said(line, asked, era, refused, Some(&audited.policy)));
                }
            }
            Event::Rejected { reason, detail } => self.line("rejected", out, |line| {
                line.word("reason", reason.as_str());
                line.maybe("detail", *detail);
            }),
            Event::Omitted { lines, because } => self.line("omitted", out, |line| {
                line.number("lines", i64::try_from(*lines).unwrap_or(i64::MAX));
                line.word("because", because);
            }),
        }
    }

    fn line(&self, event: &'static str, out: &mut Vec<u8>, more: impl FnOnce(&mut Members<'_>)) {
        let mut line = Members::begin(out);
        line.word("audit", VERSION);
        line.word("event", event);
        line.text("time", &written(self.time));
        if let Some(correlation) = &self.correlation {
            line.digits("requestId", &correlation.request);
            if let Some(parent) = &correlation.parent {
                line.digits("traceId", &parent.trace);
            }
        }
        if let Some(place) = &self.place {
            line.text("namespace", &place.namespace);
            line.text("server", &place.server);
            line.number("revision", place.revision);
        }
        if let Some(who) = &self.who {
            line.text("grant", &who.grant);
            line.word("subject", who.subject);
        }
        more(&mut line);
        line.end();
        out.push(b'\n');
    }
}

// A policy that only watches is named even where it refuses nothing.
fn said(
    line: &mut Members<'_>,
    asked: &Asked,
    era: &'static str,
    refused: Option<(Outcome, &Rule)>,
    watcher: Option<&str>,
) {
    line.word("protocol", era);
    line.word("method", asked.method);
    line.word("target", asked.target);
    line.text("name", &asked.name);
    line.word("verdict", refused.map_or(Outcome::Allowed, |(outcome, _)| outcome).as_str());
    let policy = refused.map(|(_, rule)| rule.policy.as_str()).filter(|policy| !policy.is_empty());
    line.maybe("policy", watcher.or(policy));
    line.maybe("rule", refused.map(|(_, rule)| rule.to_string()).as_deref());
    line.texts("argumentKeys", &asked.keys);
    if asked.keys_omitted > 0 {
        line.number("argumentKeysOmitted", i64::try_from(asked.keys_omitted).unwrap_or(i64::MAX));
    }
    if let Some((key, digest)) = &asked.digest {
        line.digits("argumentsDigest", digest);
        line.digits("digestKey", key);
    }
}

fn written(time: Timestamp) -> String {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    PRINTER.timestamp_to_string(&time)
}

// What was cut off shows at the end.
fn cut(text: &str, characters_max: usize) -> String {
    if text.len() <= characters_max {
        return text.to_owned();
    }
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}
