//! Instructions for each call, counted by callgrind: the same on a busy machine as on a quiet one.
//!
//! A program is run twice with different numbers of calls; the difference is what calls cost, and what starting and
//! ending costs is gone from it. Only the program's own instructions are counted, not the system's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hyper::StatusCode;
use tokio::task::LocalSet;

use super::load::Asker;
use super::peers;
use super::plan::{Asked, Plan, Target};
use super::program::Launch;
use super::rules::Variant;
use crate::process::Folder;

/// The calls of the shorter of two runs.
const FEW: usize = 100;

/// Instructions for each call, by what was counted. Nothing: there is no valgrind. What was counted before something fails
/// is not lost with it.
pub(super) async fn measure(
    plan: Plan,
    folder: &Folder,
    upstream: SocketAddr,
    counted: &mut Vec<Counted>,
) -> anyhow::Result<()> {
    let Some(valgrind) = Valgrind::find() else { return Ok(()) };
    if let Some(launch) = peers::nginx(folder, upstream)? {
        let instructions = valgrind.slope(&launch, Asked::Call, Target::Nginx, plan).await?;
        counted.push(Counted { asked: Asked::Call, target: Target::Nginx, instructions });
    }
    let full = [Asked::Call, Asked::ModernCall, Asked::LargeCall, Asked::Denied, Asked::Limited, Asked::List];
    let full = full.map(|asked| (asked, Variant::Full));
    let variants = Variant::compared(plan.rules);
    for (asked, variant) in full.into_iter().chain(variants.map(|variant| (Asked::Call, variant))) {
        let configuration = variant.configure(upstream)?;
        let target = Target::Gateway(variant);
        let instructions = valgrind.slope(&variant.launch(&configuration)?, asked, target, plan).await;
        let instructions = instructions.with_context(|| format!("{} of {}", asked.name(), target.name()))?;
        counted.push(Counted { asked, target, instructions });
    }
    Ok(())
}

/// What one kind of call costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counted {
    pub asked: Asked,
    pub target: Target,
    pub instructions: f64,
}

struct Valgrind {
    program: String,
    environment: Vec<(String, String)>,
}

impl Valgrind {
    fn find() -> Option<Self> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/valgrind/usr");
        let unpacked = home.join("bin/valgrind");
        if unpacked.is_file() {
            let library = home.join("libexec/valgrind").to_str()?.to_owned();
            let environment = vec![("VALGRIND_LIB".to_owned(), library)];
            return Some(Self { program: unpacked.to_str()?.to_owned(), environment });
        }
        let installed = PathBuf::from("/usr/bin/valgrind");
        installed.is_file().then(|| Self { program: "/usr/bin/valgrind".to_owned(), environment: Vec::new() })
    }

    #[expect(clippy::cast_precision_loss, reason = "so many instructions are never counted")]
    async fn slope(&self, launch: &Launch, asked: Asked, target: Target, plan: Plan) -> anyhow::Result<f64> {
        let few = self.count(launch, asked, target, FEW).await?;
        let many = self.count(launch, asked, target, FEW + plan.counted_calls).await?;
        Ok(many.saturating_sub(few) as f64 / plan.counted_calls as f64)
    }

    /// The instructions of a whole run with so many calls.
    async fn count(
        &self,
        launch: &Launch,
        asked: Asked,
        target: Target,
        calls: usize,
    ) -> anyhow::Result<u64> {
        let own = [self.program.as_str(), "--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let command =
            own.iter().map(|part| (*part).to_owned()).chain(launch.command.iter().cloned()).collect();
        let environment = [launch.environment.clone(), self.environment.clone()].concat();
        let program = Launch { command, environment, ..launch.clone() }.listening(None)?;
        LocalSet::new().run_until(ask(launch.address, asked, target, calls)).await?;
        let written = program.end()?;
        let collected = written.lines().find_map(|line| line.split_once("Collected :"));
        let collected = collected.and_then(|(_, count)| count.trim().parse().ok());
        collected.with_context(|| format!("callgrind counted nothing; it wrote:\n{written}"))
    }
}

async fn ask(address: SocketAddr, asked: Asked, target: Target, calls: usize) -> anyhow::Result<()> {
    let question = asked.question(target);
    let mut connection = Asker::connect(address, &question).await?;
    for call in 0..calls {
        let (status, body) = connection.ask(question.body.clone()).await?;
        // The first call of an exhausted limit is the one that there is room for.
        let first = call == 0 && asked == Asked::Limited;
        if status != StatusCode::OK || !(first || question.is_answered_by(&body)) {
            bail!("{status} {}", String::from_utf8_lossy(&body));
        }
    }
    Ok(())
}
