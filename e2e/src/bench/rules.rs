//! The gateways that are measured, each with rules of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use anyhow::Context;

use super::program::{Launch, free_address};
use crate::kommo;
use crate::process::{Configuration, gateway_binary};

/// The token of the one grant.
pub(super) const TOKEN: &str = "bench-token-7f3a9c52e1d84b06";
/// A tool that every variant allows.
pub(super) const ALLOWED: &str = "move_lead";
/// A tool that is denied.
pub(super) const DENIED: &str = "update_lead";
/// A tool that edits allow and deny in turn.
pub(super) const EDITED: &str = "get_pipelines";
/// A tool whose limit has no room after the first call.
pub(super) const EXHAUSTED: &str = "get_lead";

/// The most entries of one policy.
const ENTRIES_MAX: usize = 1000;

/// What a gateway has to do for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// Everything: entries, a condition, limits of the grant and of the server, a policy that only watches.
    Full,
    /// The same, with as many entries more in further policies that all bind the caller.
    Rules(usize),
    /// The same without limits.
    NoLimits,
    /// The same without the policy that only watches.
    NoWatch,
    /// The same without a line for every decision.
    NoTrail,
}

impl Variant {
    /// All that are compared with the full one, of which one has so many entries more.
    pub(super) fn compared(entries: usize) -> [Self; 4] {
        [Self::Rules(entries), Self::NoLimits, Self::NoWatch, Self::NoTrail]
    }

    /// Its name in tables.
    pub(super) fn name(self) -> String {
        match self {
            Self::Full => "toolgate".to_owned(),
            Self::Rules(entries) => format!("toolgate, {entries} rules"),
            Self::NoLimits => "toolgate, no limits".to_owned(),
            Self::NoWatch => "toolgate, no policy that watches".to_owned(),
            Self::NoTrail => "toolgate, no audit trail".to_owned(),
        }
    }

    fn rules(self) -> String {
        let limits = self != Self::NoLimits;
        let limit = |text: &str| if limits { format!(", limits: [{text}]") } else { String::new() };
        let condition = "require: [{path: args.lead_id, op: gt, value: 0}]";
        let moves = limit("{counter: moves, window: second, max: 1000000, scope: grant}");
        let mut rules = "default: deny\nhide: [\"stop_*\", \"pin_*\", \"unpin_*\"]\ntools:\n".to_owned();
        for tool in kommo::tool_names() {
            let entry = match tool {
                ALLOWED => format!("{condition}{moves}"),
                DENIED => "action: deny, reason: \"change leads by move_lead\"".to_owned(),
                EXHAUSTED => "limits: [{counter: once, window: hour, max: 1, scope: grant}]".to_owned(),
                _ => String::new(),
            };
            let _written = writeln!(rules, "  {tool}: {{{entry}}}");
        }
        if limits {
            rules += "allTools:\n  limits: [{counter: api, window: second, max: 1000000, scope: server}]\n";
        }
        rules
    }

    /// Writes its files.
    pub(super) fn configure(self, upstream: SocketAddr) -> anyhow::Result<Configuration> {
        let configuration = Configuration::new(&format!("http://{upstream}/mcp"))?;
        configuration.policy("bench", &self.rules())?;
        if self != Self::NoWatch {
            configuration
                .policy("watch", "mode: audit\ndefault: deny\ntools: {\"get_*\": {action: allow}}")?;
        }
        if let Self::Rules(entries) = self {
            for first in (0..entries).step_by(ENTRIES_MAX) {
                let entries = first..entries.min(first + ENTRIES_MAX);
                configuration.policy(&format!("more-{first}"), &more(entries))?;
            }
        }
        configuration.grant("bench", TOKEN, "")?;
        Ok(configuration)
    }

    /// How a gateway with these files is started.
    pub(super) fn launch(self, configuration: &Configuration) -> anyhow::Result<Launch> {
        let (address, admin) = (free_address()?, free_address()?);
        let text = |path: std::path::PathBuf| path.to_str().map(str::to_owned).context("a path is no text");
        let mut command = vec![
            text(gateway_binary()?)?,
            "--config".to_owned(),
            text(configuration.objects())?,
            "--credentials".to_owned(),
            text(configuration.credentials())?,
            "--listen".to_owned(),
            address.to_string(),
            "--admin".to_owned(),
            admin.to_string(),
        ];
        if self == Self::NoTrail {
            command.extend(["--audit", "off"].map(str::to_owned));
        }
        let log = configuration.path().join(format!("gateway-{}.log", address.port()));
        let environment = vec![("TOOLGATE_LOG".to_owned(), "warn".to_owned())];
        Ok(Launch { command, environment, address, log })
    }
}

/// A policy that refuses what it names, half by name, half by globs of every form, and nothing that is asked for.
fn more(entries: Range<usize>) -> String {
    let mut rules = "default: allow\ntools:\n".to_owned();
    for index in entries {
        let key = match index % 6 {
            0 | 2 | 4 => format!("tool_{index}"),
            1 => format!("area_{index}_*"),
            3 => format!("*_of_{index}"),
            _ => format!("move_*_in_{index}"),
        };
        let _written = writeln!(rules, "  \"{key}\": {{action: deny}}");
    }
    rules
}

/// Whether the rules hide a tool.
pub(super) fn hides(tool: &str) -> bool {
    ["stop_", "pin_", "unpin_"].iter().any(|prefix| tool.starts_with(prefix))
}
