//! A process that is measured: what it has used of its core, and how much memory it holds.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::cores::Cores;
use crate::process::PATIENCE;

/// The pause between two looks at something that has no way to say that it changed.
const LOOK: Duration = Duration::from_micros(200);

/// How a program is started.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What is added to its environment.
    pub environment: Vec<(String, String)>,
    /// Where it will listen.
    pub address: SocketAddr,
    /// Where what it writes goes.
    pub log: PathBuf,
}

/// A running program; it is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    launch: Launch,
}

impl Launch {
    /// Starts it, on the measured core if there are two.
    pub(super) fn start(&self, cores: Option<Cores>) -> anyhow::Result<Program> {
        let (program, arguments) = self.command.split_first().context("no program is named")?;
        let mut command = match cores {
            Some(cores) => {
                let mut command = cores.measured_command();
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        let log = fs::File::create(&self.log).with_context(|| format!("write {}", self.log.display()))?;
        command.args(arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().with_context(|| format!("start {program}"))?;
        Ok(Program { child, launch: self.clone() })
    }

    /// Starts it and waits until it listens.
    pub(super) fn listening(&self, cores: Option<Cores>) -> anyhow::Result<Program> {
        let mut program = self.start(cores)?;
        let started = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            program.must_live()?;
            if started.elapsed() > PATIENCE {
                bail!("{} does not listen; it wrote:\n{}", self.command[0], program.written());
            }
            std::thread::sleep(LOOK);
        }
        Ok(program)
    }
}

impl Program {
    pub(super) fn address(&self) -> SocketAddr {
        self.launch.address
    }

    /// What it wrote so far.
    pub(super) fn written(&self) -> String {
        fs::read_to_string(&self.launch.log).unwrap_or_default()
    }

    /// An error if it has ended.
    pub(super) fn must_live(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("look at a process")? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended with {status}; it wrote:\n{}", self.launch.command[0], self.written())
            }
        }
    }

    /// How long its threads have run so far, as the scheduler counts it.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let threads = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let mut ran = Duration::ZERO;
        for thread in fs::read_dir(&threads).with_context(|| format!("read {}", threads.display()))? {
            ran += ran_of(&thread.context("read a thread")?.path())?;
        }
        Ok(ran)
    }

    /// How much of its memory is resident, in bytes.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kilobytes.with_context(|| format!("{path} has no VmRSS"))? * 1024)
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(mut self) -> anyhow::Result<String> {
        // Every POSIX shell has `kill`; the call itself would want unsafe code or one more library.
        let kill = format!("kill -TERM {}", self.child.id());
        let asked = Command::new("sh").args(["-c", &kill]).status().context("send SIGTERM")?;
        if !asked.success() {
            bail!("{kill:?} ended with {asked}");
        }
        let started = Instant::now();
        while self.child.try_wait().context("look at a process")?.is_none() {
            if started.elapsed() > PATIENCE {
                bail!("{} does not end", self.launch.command[0]);
            }
            std::thread::sleep(LOOK);
        }
        Ok(self.written())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Of one that has ended already nothing is left to do.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn ran_of(thread: &Path) -> anyhow::Result<Duration> {
    let path = thread.join("schedstat");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // The thread ended since the folder was read.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !thread.exists() => {
            return Ok(Duration::ZERO);
        }
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.with_context(|| format!("{} is odd: {text}", path.display()))?))
}

/// A free address of the loopback interface. Nobody else takes it before it is used, if luck has it.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("listen on the loopback interface")?;
    listener.local_addr().context("tell the address of a listener")
}
