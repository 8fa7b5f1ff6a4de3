//! `toolgate audit`: lines of the audit trail, filtered and told.
//!
//! It reads what gateways write, mixed with whatever else a log holds, and tells it as it comes, so that
//! `kubectl logs -f` can be piped in.

mod filter;
mod lines;
mod table;

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::arguments::{Audit, AuditFormat};
use crate::sources::Source;
use filter::Filter;
use lines::Lines;

/// The most groups that are counted apart; more are counted as one.
const GROUPS_MAX: usize = 10_000;
/// What they are counted as.
const OTHERS: &str = "(others)";

/// Why the trail cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}: {1}")]
    Unread(String, io::Error),
    #[error("cannot write what was found: {0}")]
    Untold(io::Error),
}

/// What was read that is no line of the trail.
#[derive(Debug, Default)]
struct Passed {
    others: u64,
    broken: u64,
}

/// Reads, filters and tells.
///
/// # Errors
/// When something cannot be read or written.
pub(crate) fn run(arguments: &Audit) -> Result<(), Failure> {
    let filter = Filter::new(arguments, Timestamp::now());
    let mut teller = Teller::new(arguments);
    let mut passed = Passed::default();
    for path in &arguments.paths {
        let source = Source::of(path);
        let failed = |error| Failure::Unread(source.to_string(), error);
        let mut lines = Lines::open(&source).map_err(failed)?;
        while let Some(line) = lines.next().map_err(failed)? {
            match line {
                lines::Line::Audit(line) if filter.wants(&line) => {
                    teller.tell(&line).map_err(Failure::Untold)?;
                }
                lines::Line::Audit(_) => {}
                lines::Line::Other => passed.others += 1,
                lines::Line::Broken => passed.broken += 1,
            }
        }
    }
    teller.end().map_err(Failure::Untold)?;
    passed.tell();
    Ok(())
}

impl Passed {
    // What is mixed in from a log is nothing to speak of; a line that was cut off is.
    fn tell(&self) {
        if self.broken > 0 {
            // Nobody can be told when stderr is closed.
            let _ = writeln!(io::stderr(), "note: {} lines of the trail could not be read", self.broken);
        }
    }
}

enum Teller<'a> {
    Table(table::Table),
    Json,
    Count { by: &'a [String], json: bool, groups: BTreeMap<Vec<String>, u64> },
}

impl<'a> Teller<'a> {
    fn new(arguments: &'a Audit) -> Self {
        let json = matches!(arguments.output, AuditFormat::Json);
        match (arguments.count_by.is_empty(), json) {
            (false, json) => Self::Count { by: &arguments.count_by, json, groups: BTreeMap::new() },
            (true, true) => Self::Json,
            (true, false) => Self::Table(table::Table::default()),
        }
    }

    fn tell(&mut self, line: &Value) -> io::Result<()> {
        match self {
            Self::Table(table) => io::stdout().write_all(table.row(line).as_bytes()),
            Self::Json => writeln!(io::stdout(), "{line}"),
            Self::Count { by, groups, .. } => {
                let key: Vec<String> = by.iter().map(|member| lines::text(line, member)).collect();
                let full = groups.len() >= GROUPS_MAX && !groups.contains_key(&key);
                let key = if full { vec![OTHERS.to_owned(); by.len()] } else { key };
                *groups.entry(key).or_default() += weight(line);
                Ok(())
            }
        }
    }

    fn end(self) -> io::Result<()> {
        let Self::Count { by, json, groups } = self else { return Ok(()) };
        let mut groups: Vec<(Vec<String>, u64)> = groups.into_iter().collect();
        // Stable: of equal counts the order of the text.
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        if json {
            let object = |(key, count): &(Vec<String>, u64)| {
                let mut object = json!({"count": count});
                for (member, value) in by.iter().zip(key) {
                    object[member] = value.as_str().into();
                }
                object
            };
            return writeln!(io::stdout(), "{:#}", groups.iter().map(object).collect::<Value>());
        }
        io::stdout().write_all(table::counts(by, &groups).as_bytes())
    }
}

// A line that stands for others counts as many.
fn weight(line: &Value) -> u64 {
    if line["event"] == "omitted" { line["lines"].as_u64().unwrap_or(1) } else { 1 }
}
