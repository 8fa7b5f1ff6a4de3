//! Lines of the trail out of a log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;

use crate::sources::Source;

/// The longest line that is read, in bytes. A gateway's own are far shorter.
const LINE_BYTES_MAX: u64 = 256 * 1024;
/// How every line of the trail begins, whatever stands before it: `kubectl logs` can put a pod's name or a time there.
const BEGINNING: &str = "{\"audit\":\"toolgate.dev/";
/// The version that is understood.
const VERSION: &str = "toolgate.dev/v1";

/// One line of what was read.
#[derive(Debug)]
pub(super) enum Line {
    /// Of the trail.
    Audit(Value),
    /// Of something else.
    Other,
    /// Of the trail, and cut off, or of a version that is not known.
    Broken,
}

/// Lines, as they come.
pub(super) struct Lines(Box<dyn BufRead>);

impl Lines {
    pub(super) fn open(source: &Source) -> io::Result<Self> {
        Ok(Self(match source {
            Source::Stdin => Box::new(io::stdin().lock()),
            Source::File(path) => Box::new(BufReader::new(File::open(path)?)),
        }))
    }

    /// The next line; None at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        if self.0.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') {
            self.skip_rest()?;
        }
        Ok(Some(read(&bytes)))
    }

    // Of a line that is too long; of the last line of a file there is no rest.
    fn skip_rest(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        loop {
            rest.clear();
            let read = self.0.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut rest)?;
            if read == 0 || rest.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

fn read(bytes: &[u8]) -> Line {
    let text = String::from_utf8_lossy(bytes);
    let Some(start) = text.find(BEGINNING) else { return Line::Other };
    match serde_json::from_str::<Value>(text[start..].trim_end()) {
        Ok(line) if line["audit"] == VERSION => Line::Audit(line),
        _ => Line::Broken,
    }
}

/// A member of a line as text; empty if it is not there. A rule is known by its policy, too.
pub(super) fn text(line: &Value, member: &str) -> String {
    let member = if member == "tool" { "name" } else { member };
    match &line[member] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
