//! Running programs: with a deadline, and with all of their output kept for the error that may follow.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// For a request and its answer.
    Short,
    /// For what waits for something else to happen.
    Long,
    /// For building programs.
    Build,
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ran {
    words: String,
    status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its error output.
    pub stderr: String,
}

/// Why a program was of no use.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It did not start.
    #[error("cannot run {words}")]
    Start {
        /// The command.
        words: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It did not end in time and was killed.
    #[error("{words} did not end within {seconds} s: {output}")]
    Timeout {
        /// The command.
        words: String,
        /// How long it had.
        seconds: u64,
        /// What it had said by then.
        output: String,
    },
    /// It says that it failed.
    #[error("{words} failed ({status}): {output}")]
    Failed {
        /// The command.
        words: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
}

impl Deadline {
    fn duration(self) -> Duration {
        match self {
            Self::Short => Duration::from_mins(1),
            Self::Long => Duration::from_mins(5),
            Self::Build => Duration::from_hours(1),
        }
    }
}

impl Ran {
    /// Whether it says that it did what it was asked to.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The exit status; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Both outputs, for people.
    pub fn output(&self) -> String {
        [self.stdout.trim(), self.stderr.trim()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<&str>>()
            .join("\n")
    }

    /// Its standard output, if it succeeded.
    ///
    /// # Errors
    ///
    /// If it did not.
    pub fn success(self) -> Result<String, CommandError> {
        if self.succeeded() {
            return Ok(self.stdout);
        }
        Err(CommandError::Failed { output: self.output(), words: self.words, status: self.status })
    }
}

/// Runs a program to its end, with `input` as its standard input.
pub(super) fn run(command: &mut Command, input: &str, deadline: Deadline) -> Result<Ran, CommandError> {
    let words = words(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = |source| CommandError::Start { words: words.clone(), source };
    let mut child = command.spawn().map_err(start)?;
    feed(&mut child, input);
    let (ended_tx, ended_rx) = mpsc::channel();
    let stdout = collect(child.stdout.take(), ended_tx.clone());
    let stderr = collect(child.stderr.take(), ended_tx);
    let end = Instant::now() + deadline.duration();
    // Both outputs end with the program: waiting for them is waiting for it.
    let in_time =
        (0..2).all(|_| ended_rx.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok());
    if !in_time {
        // It may have ended just now; then there is nothing to kill.
        let _ = child.kill();
    }
    let status = child.wait().map_err(start)?;
    let (stdout, stderr) = (joined(stdout), joined(stderr));
    let ran = Ran { words, status, stdout, stderr };
    if in_time {
        return Ok(ran);
    }
    let seconds = deadline.duration().as_secs();
    Err(CommandError::Timeout { output: ran.output(), words: ran.words, seconds })
}

/// Runs a program and hands over each line of its standard output as it comes. Its error output is the caller's.
pub(super) fn follow(
    command: &mut Command,
    deadline: Deadline,
    mut line: impl FnMut(&str),
) -> Result<(), CommandError> {
    let words = words(command);
    let start = |source| CommandError::Start { words: words.clone(), source };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(start)?;
    let output = child.stdout.take();
    let (line_tx, line_rx) = mpsc::channel();
    thread::spawn(move || {
        let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
        // It ends with the output, or when nobody listens any more.
        lines.map_while(Result::ok).take_while(|line| line_tx.send(line.clone()).is_ok()).for_each(drop);
    });
    let end = Instant::now() + deadline.duration();
    loop {
        match line_rx.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended just now; then there is nothing to kill.
                let _ = child.kill();
                let _ = child.wait();
                let (seconds, output) = (deadline.duration().as_secs(), String::new());
                return Err(CommandError::Timeout { words, seconds, output });
            }
        }
    }
    let status = child.wait().map_err(start)?;
    if status.success() {
        return Ok(());
    }
    Err(CommandError::Failed { words, status, output: String::new() })
}

/// The command as one would type it.
pub(super) fn words(command: &Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<String>>().join(" ")
}

fn feed(child: &mut Child, input: &str) {
    let Some(mut stdin) = child.stdin.take() else { return };
    let input = input.to_owned();
    // A program that does not read its input is no failure; its status says what became of it.
    thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
}

fn collect(
    output: Option<impl Read + Send + 'static>,
    ended_tx: mpsc::Sender<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut output) = output {
            // What was read until then is kept.
            let _ = output.read_to_end(&mut bytes);
        }
        // Nobody listens any more when time was up.
        let _ = ended_tx.send(());
        bytes
    })
}

fn joined(output: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&output.join().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_is_kept_and_its_failure_shown() {
        let ran = run(Command::new("cat").arg("-"), "words", Deadline::Short).expect("runs");
        assert_eq!(ran.success().expect("succeeds"), "words");
        let ran = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]), "", Deadline::Short);
        let ran = ran.expect("runs");
        assert_eq!(ran.code(), Some(7));
        let error = ran.success().expect_err("fails").to_string();
        assert_eq!(error, "sh -c echo out; echo err >&2; exit 7 failed (exit status: 7): out\nerr");
    }

    #[test]
    fn lines_are_handed_over_and_a_failure_is_told() {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        let followed = follow(command.args(["-c", "echo one; echo two"]), Deadline::Short, |line| {
            lines.push(line.to_owned());
        });
        assert!(followed.is_ok());
        assert_eq!(lines, ["one", "two"]);
        assert!(follow(&mut Command::new("false"), Deadline::Short, |_| {}).is_err());
    }
}
