//! Where the built gateway is.

use std::path::{Path, PathBuf};

use super::error::ProcessError;

/// The command that builds the gateway.
pub const BUILD_COMMAND: &str = "cargo build -p toolgate-gateway";

const NAME: &str = "toolgate-gateway";

/// The gateway of the same build as the running program: beside it, or beside the folder that cargo puts tests into.
///
/// # Errors
/// It is not built.
pub fn gateway_binary() -> Result<PathBuf, ProcessError> {
    let own = std::env::current_exe().map_err(ProcessError::system("tell where this program is"))?;
    find(&own)
}

fn find(own: &Path) -> Result<PathBuf, ProcessError> {
    let folders = own.ancestors().skip(1).take(2);
    let candidates: Vec<PathBuf> = folders.map(|folder| folder.join(NAME)).collect();
    let found = candidates.iter().find(|candidate| candidate.is_file()).cloned();
    let looked_for = candidates.into_iter().next_back().unwrap_or_default();
    found.ok_or(ProcessError::NotBuilt { looked_for })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Folder;

    #[test]
    fn the_gateway_is_found_beside_programs_and_tests_and_else_the_build_command_is_named() {
        let folder = Folder::new().expect("a folder");
        let own = folder.path().join("deps").join("gateway_identity-0123");
        let missing = find(&own).expect_err("there is none");
        let path = folder.path().join(NAME);
        let told = format!(
            "the gateway is not built: run `cargo build -p toolgate-gateway` first (looked for {})",
            path.display()
        );
        assert_eq!(missing.to_string(), told);
        std::fs::write(&path, "").expect("is written");
        assert_eq!(find(&own).expect("is there"), path);
        assert_eq!(find(&folder.path().join("try")).expect("is there"), path);
    }
}
