//! Which core does what.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};

/// Says that this program was started again on its core, so that it does not do so for ever.
const PLACED: &str = "TOOLGATE_BENCH_PLACED";

/// One core for what is measured, another for everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    /// The core of the process that is measured.
    pub measured: usize,
    /// The core of load and upstream.
    pub load: usize,
}

impl Cores {
    /// The first and the last core that this process may use. None: there is only one.
    ///
    /// # Errors
    /// The system does not say which there are.
    pub fn of_this_machine() -> anyhow::Result<Option<Self>> {
        // Where this program was placed it sees its own core alone; it was told the other.
        if let Ok(placed) = std::env::var(PLACED) {
            return parse_placed(&placed).context("this program was placed by somebody else").map(Some);
        }
        let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
        let listed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cores = parse_list(listed.context("the system does not say which cores there are")?.trim())?;
        match (cores.first(), cores.last()) {
            (Some(first), Some(last)) if first != last => Ok(Some(Self { measured: *first, load: *last })),
            _ => Ok(None),
        }
    }

    /// Goes on as the same program on the core of load and upstream. Comes back only if it is there already.
    ///
    /// # Errors
    /// It cannot be placed.
    pub fn place_this_program(self) -> anyhow::Result<()> {
        if std::env::var_os(PLACED).is_some() {
            return Ok(());
        }
        let program = std::env::current_exe().context("tell where this program is")?;
        let error = pinned(self.load)
            .arg(program)
            .args(std::env::args_os().skip(1))
            .env(PLACED, format!("{} {}", self.measured, self.load))
            .exec();
        Err(error).context("start taskset (package util-linux)")
    }

    /// The beginning of a command whose program runs on the measured core.
    pub fn measured_command(self) -> Command {
        pinned(self.measured)
    }
}

// Placing a process by a call of our own would want unsafe code.
fn pinned(core: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]);
    command
}

fn parse_placed(text: &str) -> Option<Cores> {
    let (measured, load) = text.split_once(' ')?;
    Some(Cores { measured: measured.parse().ok()?, load: load.parse().ok()? })
}

/// Reads a list such as `0-3,8`.
fn parse_list(text: &str) -> anyhow::Result<Vec<usize>> {
    let mut cores = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => cores.extend(first..=last),
            _ => bail!("{text:?} is no list of cores"),
        }
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(parse_list("0").expect("one"), [0]);
        assert_eq!(parse_list("0-2,5").expect("some"), [0, 1, 2, 5]);
        assert!(parse_list("all").is_err());
        assert_eq!(parse_placed("0 3"), Some(Cores { measured: 0, load: 3 }));
    }
}
