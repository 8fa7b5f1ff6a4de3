//! What the command line says. Whatever is wrong with a value is told here, with its flag.

mod audit;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use toolgate_crds::ObjectName;
use toolgate_policy::{ANONYMOUS, Outcome, Target, UNAUTHENTICATED};

use crate::mint::expiry;

pub(crate) use audit::{Audit, AuditFormat};

/// The file name under which `kubectl` finds the binary.
const PLUGIN: &str = "kubectl-toolgate";
/// The longest namespace, in characters.
const NAMESPACE_CHARACTERS_MAX: usize = 63;

/// Policy for AI agents' tool calls: mint tokens, check the YAML before it is applied, pin what tools are, explain what is decided, and read what was.
#[derive(Debug, Parser)]
#[command(name = "toolgate", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Mint(Mint),
    Check(Check),
    Explain(Explain),
    Pin(Pin),
    Audit(Audit),
}

/// Makes a random token and prints the ToolGrant that knows it by its SHA-256.
///
/// The grant goes to stdout and the token, shown this once, to stderr:
/// `toolgate mint sales-agent --server kommo | kubectl apply -f -`.
/// Callers send it as `Authorization: Bearer TOKEN`. To give a grant another token without shutting anybody out:
/// `kubectl get toolgrant sales-agent -o yaml | toolgate mint sales-agent --rotate - | kubectl apply -f -`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 minted, 1 the grant or the token could not be written, 2 wrong usage."
)]
pub(crate) struct Mint {
    /// The grant's name.
    #[arg(value_name = "NAME", value_parser = grant_name)]
    pub(crate) name: ObjectName,

    /// An McpServer that the grant opens. Give it once for each server.
    #[arg(long, value_name = "SERVER", value_parser = object_name, required_unless_present = "rotate")]
    pub(crate) server: Vec<ObjectName>,

    /// Rotate: print the grant of this name in a file, or - for stdin, with the new token. Its token until now stays good
    /// too, as `previousSha256`, until that field is taken out. Everything else stays as it is.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["server", "namespace"])]
    pub(crate) rotate: Option<PathBuf>,

    /// The namespace of the grant and its servers. Without it, the one that `kubectl apply` picks.
    #[arg(long, short, value_name = "NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Option<ObjectName>,

    /// The instant from which the grant opens nothing, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "RFC3339", value_parser = expires_at, conflicts_with = "expires_in")]
    pub(crate) expires_at: Option<Timestamp>,

    /// How long the grant is good from now on, such as 12h, 30d or 1y.
    #[arg(long, value_name = "DURATION", value_parser = expires_in)]
    pub(crate) expires_in: Option<Timestamp>,

    /// Write the token to this new file, for its owner's eyes only, instead of showing it.
    #[arg(long, value_name = "FILE", value_parser = token_file)]
    pub(crate) token_file: Option<PathBuf>,

    /// How the grant is written.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: GrantFormat,
}

/// How a grant is written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum GrantFormat {
    #[default]
    Yaml,
    Json,
}

/// Checks files as strictly as the operator does, and says every fault with its file, line and path.
///
/// It also sees what never reaches an API server: duplicate keys and blank values. Faults, and warnings about objects
/// that do not fit together, go to stderr; a summary goes to stdout. Objects of other API groups are skipped.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 no faults, 1 faults, 2 wrong usage or something that cannot be read. \
                        Warnings do not change it."
)]
pub(crate) struct Check {
    /// A file, a folder of *.yaml, *.yml and *.json files, or - for stdin.
    #[arg(value_name = "FILE|DIR|-", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Look into folders below a folder too.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,

    /// Say nothing but faults.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// What is written: lines on stderr and a summary on stdout, or one JSON array on stdout.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    #[default]
    Text,
    Json,
}

/// Says what would be decided of a call, by which rule, and what was looked at on the way; or, without a call, everything
/// that is in force for a grant.
///
/// It reads what `check` reads, or the bundle of a cluster:
/// `kubectl get configmap kommo-toolgate -o yaml | toolgate explain - --grant sales-agent --tool move_lead`.
/// Limits are looked at as if nothing had been counted yet.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 explained, 1 the verdict is not the one that was expected, 2 wrong usage or something \
                        that cannot be read or explained."
)]
pub(crate) struct Explain {
    /// A file, a folder of *.yaml, *.yml and *.json files, or - for stdin.
    #[arg(value_name = "FILE|DIR|-", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Look into folders below a folder too.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,

    /// The McpServer, if there are several.
    #[arg(long, value_name = "SERVER", value_parser = object_name)]
    pub(crate) server: Option<ObjectName>,

    /// The namespace of the server, if several have one of that name.
    #[arg(long, short, value_name = "NAMESPACE", value_parser = namespace)]
    pub(crate) namespace: Option<ObjectName>,

    /// Whose call it is. Without it and without a call, every grant is explained.
    #[arg(long, value_name = "GRANT", value_parser = object_name)]
    pub(crate) grant: Option<ObjectName>,

    #[command(flatten)]
    pub(crate) call: Called,

    /// The arguments of the call, a JSON object.
    #[arg(long, value_name = "JSON", requires = "called")]
    pub(crate) arguments: Option<String>,

    /// How the server defines its tools: an answer to tools/list in a file, or - for stdin. Give it once for each page. A
    /// tool of which a policy agrees to some definitions only is refused without it.
    #[arg(long, value_name = "FILE|-", requires = "called")]
    pub(crate) listed: Vec<PathBuf>,

    /// Exit with 1 unless this is the verdict, for tests of policies.
    #[arg(long, value_name = "VERDICT", value_parser = verdict, requires = "called")]
    pub(crate) expect: Option<&'static str>,

    /// How it is written: for people, or as JSON.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: ReportFormat,
}

/// Prints the definitions of tools as a server lists them now, to be pasted into a ToolPolicy.
///
/// It reads answers to tools/list as the server gives them, such as by `curl`, for a client that reads them may write them
/// in another way: the whole answer, its result, or the list itself. A server may word a tool in several ways for several
/// revisions of the protocol: pin it for each that agents speak. Read the definitions before you agree to them: the policy
/// then lists and calls these tools only as long as they are defined like this. `_meta` is no part of a definition and does
/// not pass, and the order of members and white space do not matter.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 printed, 2 wrong usage or something that cannot be read.")]
pub(crate) struct Pin {
    /// An answer to tools/list in a file, or - for stdin; one for each page.
    #[arg(value_name = "FILE|-", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Only this tool. Give it once for each tool.
    #[arg(long, value_name = "TOOL")]
    pub(crate) tool: Vec<String>,
}

/// What is called.
#[derive(Debug, Args)]
#[group(id = "called", multiple = false, requires = "grant")]
pub(crate) struct Called {
    /// Explain a call of this tool.
    #[arg(long, value_name = "TOOL")]
    pub(crate) tool: Option<String>,

    /// Explain a read of this resource.
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Option<String>,

    /// Explain a request for this prompt.
    #[arg(long, value_name = "PROMPT")]
    pub(crate) prompt: Option<String>,
}

impl Called {
    /// The kind of what is called, and its name.
    pub(crate) fn target(&self) -> Option<(Target, &str)> {
        let all =
            [(Target::Tool, &self.tool), (Target::Resource, &self.resource), (Target::Prompt, &self.prompt)];
        all.into_iter().find_map(|(target, name)| Some((target, name.as_deref()?)))
    }
}

/// Reads the command line of this process; what is wrong with it ends the process.
pub(crate) fn parse() -> Arguments {
    let words: Vec<OsString> = std::env::args_os().collect();
    let usage_name = usage_name(words.first().map(OsString::as_os_str));
    let matches = Arguments::command().bin_name(usage_name).get_matches_from(words);
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

// What people typed to get here.
fn usage_name(program: Option<&OsStr>) -> &'static str {
    let plugin =
        program.and_then(|program| Path::new(program).file_stem()).is_some_and(|stem| stem == PLUGIN);
    if plugin { "kubectl toolgate" } else { "toolgate" }
}

fn object_name(text: &str) -> Result<ObjectName, &'static str> {
    if ObjectName::is_valid(text) {
        return Ok(ObjectName::new(text));
    }
    Err("must be 1 to 253 lower-case letters, digits, - and ., with a letter or digit at both ends")
}

fn grant_name(text: &str) -> Result<ObjectName, &'static str> {
    if text == ANONYMOUS {
        return Err("is reserved for requests without credentials");
    }
    object_name(text)
}

fn namespace(text: &str) -> Result<ObjectName, &'static str> {
    if !ObjectName::is_valid(text) || text.contains('.') || text.len() > NAMESPACE_CHARACTERS_MAX {
        return Err("must be 1 to 63 lower-case letters, digits and -, with a letter or digit at both ends");
    }
    Ok(ObjectName::new(text))
}

fn verdict(text: &str) -> Result<&'static str, String> {
    let mut all = Outcome::ALL.map(Outcome::as_str).to_vec();
    all.push(UNAUTHENTICATED);
    all.iter()
        .find(|known| **known == text)
        .copied()
        .ok_or_else(|| format!("must be one of {}", all.join(", ")))
}

fn expires_at(text: &str) -> Result<Timestamp, expiry::InvalidExpiry> {
    expiry::at(text, Timestamp::now())
}

fn expires_in(text: &str) -> Result<Timestamp, expiry::InvalidExpiry> {
    expiry::after(text, Timestamp::now())
}

fn token_file(text: &str) -> Result<PathBuf, &'static str> {
    if text == "-" {
        return Err("must be a file: a token never goes to stdout, where the grant goes");
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_speaks_of_what_was_typed() {
        for (program, name) in [
            (Some("/usr/bin/toolgate"), "toolgate"),
            (Some("toolgate"), "toolgate"),
            (Some("/opt/bin/kubectl-toolgate"), "kubectl toolgate"),
            (Some("kubectl-toolgate.exe"), "kubectl toolgate"),
            (None, "toolgate"),
        ] {
            assert_eq!(usage_name(program.map(OsStr::new)), name, "{program:?}");
        }
    }

    #[test]
    fn a_namespace_has_a_longest_name() {
        assert!(namespace(&"a".repeat(NAMESPACE_CHARACTERS_MAX)).is_ok());
        for bad in [&"a".repeat(NAMESPACE_CHARACTERS_MAX + 1), "", "a.b", "A", "-a"] {
            assert!(namespace(bad).is_err(), "{bad:?}");
        }
    }
}
