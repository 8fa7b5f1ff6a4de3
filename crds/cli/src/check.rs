//! `toolgate check`: every fault of some files, and what does not fit together between their objects.
//!
//! A fault is what the operator or a gateway would refuse; the law's own code says so. A warning is a guess: what is
//! missing from these files may be in the cluster.

pub(crate) mod finding;
mod objects;
mod warnings;

use std::io::{self, Write as _};

use toolgate_policy::{Documents, Fault};

use crate::arguments::{Check, ReportFormat};
use crate::sources::{self, Source, Unread};
use crate::{EXIT_FAULTS, EXIT_USAGE};
use finding::{Finding, Severity};
use objects::{Kind, Object};

/// What became of a check, the worst that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No fault.
    Clean,
    /// At least one fault.
    Faults,
    /// Something could not be read, so nobody knows.
    Unread,
}

/// The findings could not be told.
#[derive(Debug, thiserror::Error)]
#[error("cannot write what was found: {0}")]
pub(crate) struct Untold(#[from] io::Error);

/// What was read, and what was found.
#[derive(Debug, Default)]
struct Survey {
    documents: Documents,
    objects: Vec<Object>,
    findings: Vec<Finding>,
    files: usize,
    // Something is not in `documents`, whatever the reason.
    incomplete: bool,
    // Something could not be read at all.
    unread: bool,
}

impl Outcome {
    /// The status that the process ends with.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Faults => EXIT_FAULTS,
            Self::Unread => EXIT_USAGE,
        }
    }
}

/// Checks, and tells what was found.
///
/// # Errors
/// When the findings cannot be written.
pub(crate) fn run(arguments: &Check) -> Result<Outcome, Untold> {
    let mut survey = Survey::default();
    let (found, unread) = sources::find(&arguments.paths, arguments.recursive);
    for unread in unread {
        survey.miss(unread);
    }
    for source in &found {
        match sources::read(source) {
            Ok(text) => survey.read(source, &text),
            Err(unread) => survey.miss(unread),
        }
    }
    survey.conclude();
    tell(&survey, arguments)?;
    Ok(survey.outcome())
}

impl Survey {
    fn miss(&mut self, unread: Unread) {
        self.incomplete = true;
        self.unread |= !unread.is_fault();
        self.findings.push(finding::fault(unread.into_fault()));
    }

    fn read(&mut self, source: &Source, text: &str) {
        let name = source.to_string();
        let ignored_before = self.documents.ignored.len();
        self.files += 1;
        self.documents.read(&name, text);
        self.objects.extend(objects::read(&name, text));
        let mut faults = std::mem::take(&mut self.documents.faults);
        faults.sort_by_key(|fault| fault.line);
        self.findings.extend(faults.into_iter().map(finding::fault));
        let ignored = self.documents.ignored[ignored_before..].iter();
        self.findings.extend(ignored.map(|object| finding::ignored(&name, object)));
    }

    // What was not read might be just what seems to be missing, so nothing is guessed then.
    fn conclude(&mut self) {
        if self.incomplete || self.documents.unreadable {
            return;
        }
        if self.objects.is_empty() && self.findings.is_empty() {
            self.miss(Unread::Nothing);
        }
        self.findings.extend(warnings::find(&self.objects));
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn outcome(&self) -> Outcome {
        match (self.unread, self.count(Severity::Error)) {
            (true, _) => Outcome::Unread,
            (false, 0) => Outcome::Clean,
            (false, _) => Outcome::Faults,
        }
    }

    fn summary(&self) -> String {
        let counted =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let objects = Kind::ALL.map(|kind| {
            let count = self.objects.iter().filter(|object| object.kind == kind).count();
            format!("{}: {count}", kind.as_str())
        });
        let skipped = match self.count(Severity::Note) {
            0 => String::new(),
            count => format!("; {} of other API groups skipped", counted(count, "object")),
        };
        format!(
            "{} ({}): {}, {}{skipped}\n",
            counted(self.files, "file"),
            objects.join(", "),
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning), "warning"),
        )
    }
}

fn tell(survey: &Survey, arguments: &Check) -> io::Result<()> {
    let mut told: Vec<&Finding> = survey.findings.iter().collect();
    told.retain(|finding| !arguments.quiet || finding.severity == Severity::Error);
    // Stable: within one severity, the order of the text.
    told.sort_by_key(|finding| finding.severity);
    match arguments.output {
        ReportFormat::Json => {
            let array: serde_json::Value = told.into_iter().map(Finding::to_json).collect();
            writeln!(io::stdout(), "{array:#}")
        }
        ReportFormat::Text => {
            let mut stderr = io::stderr().lock();
            for finding in told {
                // In one write, so that other processes' lines do not fall in between.
                stderr.write_all(format!("{finding}\n").as_bytes())?;
            }
            let summary = if arguments.quiet { String::new() } else { survey.summary() };
            io::stdout().write_all(summary.as_bytes())
        }
    }
}
