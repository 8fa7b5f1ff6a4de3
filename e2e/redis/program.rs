//! The stores that tests count in: which programs there are, and how one is started. Both the gateway's tests and the
//! harness read this file, so that neither has to be built for the other.
#![allow(dead_code, reason = "each reader uses its part")]

use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes it a failure that one is missing.
const REQUIRE: &str = "TOOLGATE_REQUIRE_REDIS";
/// Where `e2e/redis/fetch` puts what it fetches, below the folder of a crate.
const FETCHED: &str = "../target";

/// A store of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Debian's Redis.
    Redis,
    /// Valkey.
    Valkey,
}

impl Engine {
    /// Every one.
    pub(crate) const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    fn program(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    fn path(self) -> Option<PathBuf> {
        let fetched = match self {
            Self::Redis => fetched().join("redis/usr/bin"),
            Self::Valkey => fetched().join("valkey"),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let mut folders = [fetched].into_iter().chain(env::split_paths(&path));
        folders.find_map(|folder| Some(folder.join(self.program())).filter(|path| path.is_file()))
    }

    /// The command that starts one on a port of loopback, in memory only. Where there is no program, it is said loudly
    /// that what needs it was not run.
    ///
    /// # Panics
    /// There is none, and it is said to be required.
    pub(crate) fn command(self, port: u16, what: &str) -> Option<Command> {
        let Some(program) = self.path() else {
            not_run(what, &format!("no {}", self.program()));
            return None;
        };
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        if let (Self::Redis, Some(libraries)) = (self, libraries()) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Some(command)
    }
}

/// What makes a program see another time, by variables of its environment: `FAKETIME` says which. The time that only counts
/// on is left alone. None, said loudly, where the library is missing.
pub(crate) fn shifted_clock(what: &str) -> Option<Vec<(&'static str, OsString)>> {
    let path = fetched().join("redis/usr/lib");
    let library = folders(&path).map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let Some(library) = library.into_iter().find(|path| path.is_file()) else {
        not_run(what, "no libfaketime");
        return None;
    };
    let library = library.canonicalize().unwrap_or(library);
    Some(vec![
        ("LD_PRELOAD", library.into_os_string()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_NO_CACHE", "1".into()),
    ])
}

fn not_run(what: &str, why: &str) {
    // Not by a macro: what those print is shown of failures only.
    let told = format!("\nNOT RUN: {what}: {why}; e2e/redis/fetch gets it\n");
    let _told = std::io::stderr().write_all(told.as_bytes());
    assert!(env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{REQUIRE}=1 makes this a failure");
}

fn fetched() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FETCHED)
}

// Those that came with it, beside it.
fn libraries() -> Option<PathBuf> {
    let path = fetched().join("redis/usr/lib");
    folders(&path).find(|path| path.join("liblzf.so.1").exists())
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path())
}
