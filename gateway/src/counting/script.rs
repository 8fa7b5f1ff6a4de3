//! The scripts that the store runs.

use redis::Script;

const CLOCK: &str = include_str!("scripts/clock.lua");
const LOG: &str = include_str!("scripts/log.lua");
const ASK: &str = include_str!("scripts/ask.lua");
const GIVE_BACK: &str = include_str!("scripts/give_back.lua");
const PAUSE: &str = include_str!("scripts/pause.lua");
const USAGE: &str = include_str!("scripts/usage.lua");
const INSPECT: &str = include_str!("scripts/inspect.lua");

/// Every script.
#[derive(Debug)]
pub(super) struct Scripts {
    pub ask: Script,
    pub give_back: Script,
    pub pause: Script,
    pub usage: Script,
    pub inspect: Script,
}

impl Default for Scripts {
    /// The scripts on the store's own clock.
    fn default() -> Self {
        Self::with(CLOCK, LOG)
    }
}

impl Scripts {
    fn with(clock: &str, log: &str) -> Self {
        let counting = |body: &str| Script::new(&[clock, log, body].concat());
        Self {
            ask: counting(ASK),
            give_back: counting(GIVE_BACK),
            pause: Script::new(PAUSE),
            usage: counting(USAGE),
            inspect: Script::new(INSPECT),
        }
    }

    /// The scripts on a clock that the last argument tells, with logs of so many entries at most.
    #[cfg(test)]
    pub(super) fn of_tests(entries_max: usize) -> Self {
        let clock = "local function server_clock() return tonumber(ARGV[#ARGV]) end\n";
        let bound = format!("ENTRIES_MAX = 64, 32, {entries_max}");
        let log = LOG.replace("ENTRIES_MAX = 64, 32, 65536", &bound);
        assert!(log.contains(&bound), "the log's bound is written otherwise");
        Self::with(clock, &log)
    }
}

#[cfg(test)]
mod tests {
    use toolgate_policy::LOG_ENTRIES_MAX;

    use super::*;

    #[test]
    fn a_log_is_as_long_in_the_store_as_in_memory() {
        assert!(LOG.contains(&format!("ENTRIES_MAX = 64, 32, {LOG_ENTRIES_MAX}\n")));
    }
}
