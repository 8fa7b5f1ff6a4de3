//! Something that was found, and how it is told.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};
use toolgate_crds::FieldError;

use super::Fault;

/// How bad a finding is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// It would be refused.
    Error,
    /// It would be accepted, and may not do what was meant.
    Warning,
    /// It was not looked at.
    Note,
}

/// Something that was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Where it is, and what it is.
    pub(crate) fault: Fault,
}

/// What would be refused. Of an object without a kind or a name, only what is there is told.
pub(crate) fn fault(mut fault: Fault) -> Finding {
    fault.object = fault.object.trim_matches('/').to_owned();
    Finding { severity: Severity::Error, fault }
}

/// What is said of an object of another API group, such as `Secret/kommo-mcp`.
pub(crate) fn ignored(file: &str, object: &str) -> Finding {
    let error = FieldError::new("", "skipped, because it is of another API group");
    let object = object.trim_end_matches('/').to_owned();
    let fault = Fault { file: file.to_owned(), line: None, object, error };
    Finding { severity: Severity::Note, fault }
}

impl Severity {
    /// The severity's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Finding {
    /// The finding for programs. What cannot be told is null (the line) or empty.
    pub(crate) fn to_json(&self) -> Value {
        let Fault { file, line, object, error: FieldError { path, message } } = &self.fault;
        json!({
            "severity": self.severity.as_str(),
            "file": file,
            "line": line,
            "object": object,
            "path": path,
            "message": message,
        })
    }
}

// One line, whatever is in the text it speaks of: a key may hold line feeds or a terminal's control sequences.
impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Error => {}
            Severity::Warning | Severity::Note => write!(formatter, "{}: ", self.severity.as_str())?,
        }
        for character in self.fault.to_string().chars() {
            if character.is_control() {
                write!(formatter, "{}", character.escape_default())?;
            } else {
                formatter.write_char(character)?;
            }
        }
        Ok(())
    }
}
